"""The `norma` command in this process, and packages that it may damage."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import cli
from export.contract import ARCFACE_112, Preprocessing
from export.importers.networks import import_recogniser
from tests.conftest import Faces
from tests.unit.export import graphs
from tests.unit.export.importers.about import about


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command ended."""

    status: int
    out: str
    err: str

    def failed(self) -> str:
        """The one line that it ended in: status 1, no traceback."""
        assert self.status == 1, self
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("norma: "), self
        return lines[0]


Run = Callable[..., Ran]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of the commands, empty."""
    where = tmp_path / "data"
    monkeypatch.setenv("NORMA_DATA_DIR", str(where))
    return where


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        status = ended.value.code
        assert isinstance(status, int | None)
        return Ran(status or 0, captured.out, captured.err)

    return run


@pytest.fixture
def tiny(data: Path) -> Path:
    """One small installed recogniser, not calibrated."""
    made = import_recogniser(
        data / "packages" / "tiny",
        graphs.recogniser(),
        about("tiny"),
        Preprocessing("RGB", (127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
        ARCFACE_112,
    )
    return made.path


@pytest.fixture
def defaults(data: Path, packages_dir: Path) -> Path:
    """The default packages, installed; to be looked at only."""
    data.mkdir()
    (data / "packages").symlink_to(packages_dir)
    return data / "packages"


@pytest.fixture
def copies(data: Path, packages_dir: Path) -> Path:
    """Copies of the default packages, to be damaged."""
    shutil.copytree(packages_dir, data / "packages")
    return data / "packages"


@pytest.fixture
def photos(tmp_path: Path, faces: Faces) -> Path:
    """The real photos as files."""
    where = tmp_path / "photos"
    where.mkdir()
    for name in ("group", "portrait", "portrait_again", "other", "landscape"):
        (where / f"{name}.jpg").write_bytes(getattr(faces, name))
    return where
