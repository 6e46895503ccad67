"""Alignment, pixel arithmetic and the name of a feature space."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from export import contract
from export.contract import ARCFACE_112, RETAIL_128, AlignmentTemplate, Preprocessing

LANDMARKS = np.array([[30, 50], [70, 48], [52, 70], [36, 92], [68, 90]], dtype=np.float32)
PIXELS = Preprocessing("RGB", (127.5, 127.5, 127.5), (128.0, 128.0, 128.0))
DIGEST = "ab" * 32


def moved(points: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


@pytest.mark.parametrize("template", [ARCFACE_112, RETAIL_128], ids=lambda one: one.name)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.05, 50), mirrored=st.booleans())
def test_the_transform_is_umeyamas(
    template: AlignmentTemplate, seed: int, scale: float, mirrored: bool
) -> None:
    """scikit-image's estimate, which InsightFace aligns with, on arbitrary points too."""
    generator = np.random.default_rng(seed)
    points = LANDMARKS + generator.normal(0, 12, (5, 2))
    points = (points * [-1 if mirrored else 1, 1] * scale + generator.normal(0, 500, 2)).astype(
        np.float32
    )
    reference = SimilarityTransform.from_estimate(
        points.astype(float), template.array().astype(float)
    )
    ours = contract.similarity_transform(points, template)
    np.testing.assert_allclose(
        moved(points, ours), reference(points), atol=1e-3, err_msg="crop coordinates, pixels"
    )


def test_the_transform_is_opencvs_where_landmarks_fit_exactly() -> None:
    angle, scale = 0.4, 1.7
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    points = (ARCFACE_112.array() @ turn.T + [200, -35]).astype(np.float32)
    reference, _ = cv2.estimateAffinePartial2D(points, ARCFACE_112.array())
    ours = contract.similarity_transform(points, ARCFACE_112)
    np.testing.assert_allclose(ours, reference, atol=1e-3)
    np.testing.assert_allclose(moved(points, ours), ARCFACE_112.array(), atol=1e-3)


def test_the_transform_never_mirrors() -> None:
    mirrored = ARCFACE_112.array() * np.array([-1, 1], dtype=np.float32)
    matrix = contract.similarity_transform(mirrored, ARCFACE_112)
    assert np.linalg.det(matrix[:, :2]) > 0
    assert matrix[0, 0] == matrix[1, 1]
    assert matrix[0, 1] == -matrix[1, 0]


@pytest.mark.parametrize("value", [0.0, 7.5, 1e6])
def test_coinciding_landmarks_are_refused(value: float) -> None:
    points = np.full((5, 2), value, dtype=np.float32)
    with pytest.raises(ValueError, match="coincide"):
        contract.similarity_transform(points, ARCFACE_112)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, 1])
def test_landmarks_that_are_not_finite_are_refused(value: float, axis: int) -> None:
    points = LANDMARKS.copy()
    points[3, axis] = value
    with pytest.raises(ValueError, match="not finite"):
        contract.similarity_transform(points, ARCFACE_112)


def test_landmarks_on_a_line_still_give_a_turn() -> None:
    points = np.array([[n, 2 * n] for n in range(5)], dtype=np.float32)
    assert np.all(np.isfinite(contract.similarity_transform(points, ARCFACE_112)))


@pytest.mark.parametrize("template", [ARCFACE_112, RETAIL_128], ids=lambda one: one.name)
def test_templates_hold_a_face_the_right_way_up(template: AlignmentTemplate) -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = template.array()
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert template.array().min() > 0
    assert template.array().max() < template.size


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_pixels_become_the_tensor(order: contract.ColourOrder) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    before = images.copy()
    pixels = Preprocessing(order, (10.0, 20.0, 30.0), (2.0, 4.0, 8.0))
    tensor = pixels(images)
    channels = images if order == "RGB" else images[..., ::-1]
    expected = (channels.astype(np.float64) - [10, 20, 30]) / [2, 4, 8]
    assert tensor.shape == (2, 3, 5, 7)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, expected.transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(images, before)


def test_pixels_pass_unchanged_where_nothing_is_to_be_done() -> None:
    images = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    tensor = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))(images)
    np.testing.assert_array_equal(tensor, images.transpose(0, 3, 1, 2))


def named(
    digest: str = DIGEST,
    pixels: Preprocessing = PIXELS,
    template: AlignmentTemplate = ARCFACE_112,
    dim: int = 512,
) -> str:
    return contract.contract_id(digest, pixels, template, dim)


def changed_point(number: int) -> AlignmentTemplate:
    points = [list(point) for point in ARCFACE_112.points]
    points[number][0] += 1e-4
    return dataclasses.replace(ARCFACE_112, points=tuple((x, y) for x, y in points))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(named(digest="ac" + "ab" * 31), id="model"),
        pytest.param(named(dim=511), id="dim"),
        pytest.param(named(pixels=dataclasses.replace(PIXELS, colour_order="BGR")), id="colours"),
        *(
            pytest.param(
                named(
                    pixels=dataclasses.replace(
                        PIXELS,
                        **{name: tuple(99.0 if n == channel else 127.5 for n in range(3))},
                    )
                ),
                id=f"{name}-{channel}",
            )
            for name in ("mean", "std")
            for channel in range(3)
        ),
        *(pytest.param(named(template=changed_point(n)), id=f"point-{n}") for n in range(5)),
        pytest.param(named(template=dataclasses.replace(ARCFACE_112, size=128)), id="size"),
        pytest.param(named(template=RETAIL_128), id="template"),
    ],
)
def test_the_contract_id_changes_with_every_fact(other: str) -> None:
    assert other != named()


def test_the_contract_id_changes_with_nothing_else() -> None:
    renamed = dataclasses.replace(ARCFACE_112, name="another-name")
    whole_numbers = Preprocessing("RGB", (0, 0, 0), (1, 1, 1))
    decimals = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert named(template=renamed) == named()
    assert named(pixels=whole_numbers) == named(pixels=decimals)


def test_the_contract_id_is_the_same_on_every_machine_and_in_every_release() -> None:
    """Stored templates carry it: a change of this string orphans every gallery."""
    assert named() == "c1-c6766926b4bdeacf3ed81bb9c8eba320"


def test_norms_and_unit_features() -> None:
    features = np.array([[3, 4, 0], [0, 0, 2]], dtype=np.float32)
    np.testing.assert_allclose(contract.norms(features), [5, 2])
    np.testing.assert_allclose(contract.normalise(features), [[0.6, 0.8, 0], [0, 0, 1]], rtol=1e-6)
    assert contract.normalise(np.zeros((1, 3), dtype=np.float32)).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("other", "expected"),
    [([2, 0], 1.0), ([0, 5], 0.0), ([-3, 0], -1.0), ([1, 1], math.sqrt(0.5))],
)
def test_cosine_knows_no_length(other: list[float], expected: float) -> None:
    one = np.array([7, 0], dtype=np.float32)
    found = contract.cosine(one, np.array(other, dtype=np.float32))
    assert found == pytest.approx(expected, abs=1e-6)
    assert -1 <= found <= 1
