"""Real weights of many origins become packages and run: needs the shared assets."""

from pathlib import Path

import numpy as np
import pytest

from app.domain import Image
from app.inference import packages
from app.vision.decode import decode
from app.vision.limits import ImageLimits
from export import contract, golden
from export.contract import ARCFACE_112, RETAIL_128, AlignmentTemplate, Preprocessing
from export.errors import ImportFailedError
from export.importers.networks import (
    Family,
    detector_defaults,
    import_detector,
    import_recogniser,
)
from tests.conftest import Faces
from tests.unit.export.importers.about import about

pytestmark = pytest.mark.assets

PLAIN = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PLAIN_BGR = Preprocessing("BGR", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
HALVES = Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
IMAGENET = Preprocessing("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@pytest.mark.parametrize(
    ("name", "pixels", "template", "dim", "batchable"),
    [
        ("rec_edgeface_xxs", HALVES, ARCFACE_112, 512, True),
        ("rec_edgeface_xs", HALVES, ARCFACE_112, 512, True),
        ("rec_insightface_y1", PLAIN, ARCFACE_112, 128, True),
        ("rec_mobilefacenet_foamliu", IMAGENET, ARCFACE_112, 128, False),
        ("rec_openvino_0095", PLAIN_BGR, RETAIL_128, 256, True),
    ],
)
def test_recognisers(
    assets: Path,
    tmp_path: Path,
    name: str,
    pixels: Preprocessing,
    template: AlignmentTemplate,
    dim: int,
    batchable: bool,
) -> None:
    data = (assets / "weights" / f"{name}.onnx").read_bytes()
    made = import_recogniser(tmp_path / name, data, about(name), pixels, template)
    recogniser = packages.open_recogniser(made)
    assert made.manifest.input.fixed_batch == (None if batchable else 1)
    features = recogniser.features(golden.inputs(template.size))
    alone = np.concatenate(
        [recogniser.features(image[None]) for image in golden.inputs(template.size)]
    )
    assert features.shape == (4, dim)
    np.testing.assert_allclose(features, alone, rtol=1e-3, atol=1e-3)
    assert np.ptp(contract.norms(features)) > 0, "raw, not normalised"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("det_scrfd_2.5g_kps", "scrfd"),
        ("det_scrfd_500m_kps", "scrfd"),
        ("det_yunet_2023mar_official", "yunet"),
        ("det_yunet_2023mar_s_dynamic", "yunet"),
    ],
)
def test_detectors(assets: Path, faces: Faces, tmp_path: Path, name: str, family: Family) -> None:
    """Six faces in the group photo, the same ones alone and in a batch."""
    data = (assets / "weights" / f"{name}.onnx").read_bytes()
    made = import_detector(tmp_path / name, data, about(name), detector_defaults(family))
    assert made.manifest.input.fixed_batch is None
    detector = packages.open_detector(made)
    group = picture(faces.group)
    mirrored = Image(group.pixels[:, ::-1].copy(), "jpeg", group.width, group.height)
    [alone] = detector.detect([group])
    together = detector.detect([mirrored, group])[1]
    assert len(alone) == 6
    for one, other in zip(alone, together, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-3)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.1)


def picture(photo: bytes) -> Image:
    return decode(
        photo,
        ImageLimits(
            max_bytes=10**7,
            max_pixels=10**7,
            max_jpeg_pixels=10**7,
            max_side=4000,
            min_side=16,
            max_aspect=20.0,
        ),
    )


@pytest.mark.parametrize("name", ["2.7_80x80_MiniFASNetV2", "4.0_80x80_MiniFASNetV1SE"])
def test_networks_of_another_trade_are_refused(assets: Path, tmp_path: Path, name: str) -> None:
    data = (assets / "weights" / f"{name}.onnx").read_bytes()
    with pytest.raises(ImportFailedError, match="does not run"):
        import_recogniser(tmp_path / "made", data, about(), HALVES, ARCFACE_112)
    with pytest.raises(ImportFailedError, match="made: "):
        import_detector(tmp_path / "made", data, about(), detector_defaults("scrfd"))
