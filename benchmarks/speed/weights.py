"""Pairs of detector and recogniser that are measured, as packages."""

import os
from dataclasses import dataclass
from pathlib import Path

from export.contract import ARCFACE_112, Preprocessing
from export.importers.networks import About, detector_defaults, import_detector, import_recogniser
from export.manifest import Licence, Training

RAW = Preprocessing("RGB", (0, 0, 0), (1, 1, 1))
CENTRED = Preprocessing("RGB", (127.5,) * 3, (127.5,) * 3)


@dataclass(frozen=True, slots=True)
class Weights:
    """A detector and a recogniser, by package; `files` are the same networks for other programs,
    with the recogniser's pixel arithmetic (None: only Norma reads them)."""

    name: str
    detector: str
    recogniser: str
    files: tuple[Path, Path] | None = None
    preprocessing: Preprocessing = RAW


DEFAULT = Weights("YuNet + SFace (default)", "yunet-2023mar", "sface-2021dec")
SHARED = (
    ("SCRFD-2.5G + MobileFaceNet y1", "det_scrfd_2.5g_kps", "rec_insightface_y1", RAW),
    ("SCRFD-2.5G + EdgeFace-XS", "det_scrfd_2.5g_kps", "rec_edgeface_xs", CENTRED),
    ("SCRFD-500M + EdgeFace-XXS", "det_scrfd_500m_kps", "rec_edgeface_xxs", CENTRED),
)


def shared(packages: Path) -> list[Weights]:
    """Those of the shared assets (NORMA_ASSETS), imported into `packages`; none where there are no
    assets."""
    assets = os.environ.get("NORMA_ASSETS")
    if assets is None:
        return []
    return [_imported(Path(assets) / "weights", packages, *one) for one in SHARED]


def _imported(
    folder: Path, packages: Path, name: str, detector: str, recogniser: str, pixels: Preprocessing
) -> Weights:
    files = folder / f"{detector}.onnx", folder / f"{recogniser}.onnx"
    if not (packages / detector).exists():
        scrfd = detector_defaults("scrfd")
        import_detector(packages / detector, files[0].read_bytes(), _about(detector), scrfd)
    data = files[1].read_bytes()
    import_recogniser(packages / recogniser, data, _about(recogniser), pixels, ARCFACE_112)
    return Weights(name, detector, recogniser, files, pixels)


def _about(name: str) -> About:
    licence = Licence(name="for measuring only", commercial_use=False)
    return About(name, "1", name, name, licence, Training(data="as published", loss="as published"))
