"""Golden vectors: the same inputs everywhere, and no wrong answer passes for the right one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from export import golden, package

Features = NDArray[np.float32]


@pytest.fixture
def features() -> Features:
    return np.random.default_rng(3).normal(0, 2, (4, 128)).astype(np.float32)


def test_the_inputs_are_the_same_on_every_machine() -> None:
    """A change of this digest would make every package's golden vectors another set."""
    data = golden.inputs(112).tobytes()
    assert (
        package.sha256(data) == "9630faa77f13c3179edbd2d5c999d6d361f4fda9c4f7db46c95ca50f2b455f67"
    )


@pytest.mark.parametrize("side", [112, 128, 160])
def test_the_inputs_are_smooth_colour_images_with_contrast(side: int) -> None:
    images = golden.inputs(side, count=3)
    assert images.shape == (3, side, side, 3)
    assert images.dtype == np.uint8
    assert images.std(axis=(1, 2)).min() > 20
    steps = np.abs(np.diff(images.astype(int), axis=1))
    assert steps.mean() < 5, "low frequencies"
    assert np.abs(images[..., 0].astype(int) - images[..., 2]).mean() > 20, "channels differ"
    assert not np.array_equal(images[0], images[1])


def test_the_same_features_pass(features: Features) -> None:
    assert golden.feature_problem(features, features.copy()) is None


def test_another_processors_rounding_passes(features: Features) -> None:
    noise = np.random.default_rng(4).normal(0, 1e-3, features.shape)
    assert golden.feature_problem(features, (features + noise).astype(np.float32)) is None


@pytest.mark.parametrize("row", range(4))
def test_one_wrong_feature_among_many_is_found(features: Features, row: int) -> None:
    found = features.copy()
    found[row] = found[row][::-1]
    problem = golden.feature_problem(features, found)
    assert problem is not None
    assert "lowest cosine" in problem


@pytest.mark.parametrize("factor", [0.98, 1.02, -1.0, 0.0, np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_wrong_length_or_number_is_found(features: Features, factor: float) -> None:
    """The norm is the quality, so it is held to 1% although the cosine does not see it."""
    found = features.copy()
    found[2] *= np.float32(factor)
    assert golden.feature_problem(features, found) is not None


def test_normalised_features_do_not_pass_for_raw_ones(features: Features) -> None:
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert golden.feature_problem(features, unit) is not None


@pytest.mark.parametrize("shape", [(4, 127), (3, 128), (4, 128, 1), (512,)])
def test_another_shape_is_found(features: Features, shape: tuple[int, ...]) -> None:
    problem = golden.feature_problem(features, np.ones(shape, dtype=np.float32))
    assert problem == f"features of shape {shape}, golden ones have (4, 128)"


@pytest.fixture
def outputs() -> list[Features]:
    generator = np.random.default_rng(5)
    return [generator.normal(0, 3, (1, 400, n)).astype(np.float32) for n in (1, 4, 10)]


def test_the_same_outputs_pass(outputs: list[Features]) -> None:
    assert golden.output_problem(outputs, [one + np.float32(1e-4) for one in outputs]) is None


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("value", [1.0, -5.0, np.nan, np.inf])
def test_one_wrong_number_of_an_output_is_found(
    outputs: list[Features], number: int, value: float
) -> None:
    found = [one.copy() for one in outputs]
    found[number][0, 17, 0] += np.float32(value)
    problem = golden.output_problem(outputs, found)
    assert problem is not None
    assert problem.startswith(f"output {number} is off by")


def test_swapped_outputs_are_found(outputs: list[Features]) -> None:
    problem = golden.output_problem(outputs, [outputs[1], outputs[0], outputs[2]])
    assert problem == "output 0 has shape (1, 400, 4), the golden one (1, 400, 1)"


def test_coarse_arithmetic_may_stray_in_single_numbers_but_not_in_all(
    outputs: list[Features],
) -> None:
    stray = [one.copy() for one in outputs]
    stray[0][0, 17, 0] += np.float32(3)
    assert golden.output_problem(outputs, stray) is not None
    assert golden.rough_output_problem(outputs, stray) is None
    for wrong in (np.roll(outputs[2], 1), outputs[2] * np.float32(np.nan), 1.5 * outputs[2]):
        problem = golden.rough_output_problem(outputs, [*outputs[:2], wrong])
        assert problem is not None
        assert problem.startswith("output 2 is off by")
