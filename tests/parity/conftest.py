"""Packages of the shared weights, and a pipeline of any two of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.pipeline import Pipeline
from app.service import build_pipeline
from app.settings import Settings
from export.contract import ARCFACE_112, Preprocessing
from export.importers.networks import (
    About,
    detector_defaults,
    import_detector,
    import_recogniser,
)
from export.manifest import Licence, Training

RAW = Preprocessing("RGB", (0, 0, 0), (1, 1, 1))
CENTRED = Preprocessing("RGB", (127.5,) * 3, (127.5,) * 3)
OpenPipeline = Callable[[str, str], Pipeline]


def _about(name: str) -> About:
    licence = Licence(name="for measuring only", commercial_use=False)
    return About(name, "1", name, name, licence, Training(data="as published", loss="as published"))


@pytest.fixture(scope="session")
def weights(assets: Path) -> Path:
    return assets / "weights"


@pytest.fixture(scope="session")
def open_pipeline(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenPipeline:
    """The service's own pipeline on packages imported from the shared weights."""
    data_dir = tmp_path_factory.mktemp("parity")
    places = data_dir / "packages"
    for name in ("det_scrfd_2.5g_kps", "det_scrfd_500m_kps"):
        data = (weights / f"{name}.onnx").read_bytes()
        import_detector(places / name, data, _about(name), detector_defaults("scrfd"))
    name = "det_yunet_2023mar_official"
    data = (weights / f"{name}.onnx").read_bytes()
    import_detector(places / name, data, _about(name), detector_defaults("yunet"))
    for name, pixels in (("rec_insightface_y1", RAW), ("rec_edgeface_xxs", CENTRED)):
        data = (weights / f"{name}.onnx").read_bytes()
        import_recogniser(places / name, data, _about(name), pixels, ARCFACE_112)
    return lambda detector, recogniser: build_pipeline(
        Settings(data_dir=data_dir, detector=detector, recogniser=recogniser)
    )[0]
