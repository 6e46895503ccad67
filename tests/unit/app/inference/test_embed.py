"""The embedder: nothing false gets out of it, and company does not change a feature."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import InferenceFailedError, InferenceInvalidError
from app.inference import packages
from app.inference.embed import OnnxRecogniser
from app.inference.session import Session
from export import golden
from export.contract import normalise
from export.manifest import RecogniserManifest
from tests.unit.export import samples

Array = NDArray[np.float32]
CROPS = list(golden.inputs(112, count=3))


class FakeSession(Session):
    """Answers with whatever it is told to."""

    def __init__(self, answer: Callable[[Array], Array], *, batchable: bool = True) -> None:
        self.answer = answer
        self.batchable = batchable
        self.provider = "fake"
        self.batches: list[int] = []

    def run(self, tensor_NCHW: Array) -> list[Array]:
        self.batches.append(len(tensor_NCHW))
        return [self.answer(tensor_NCHW)]


@pytest.fixture
def manifest(tmp_path: Path) -> RecogniserManifest:
    found = samples.write(tmp_path / "sample").manifest
    assert isinstance(found, RecogniserManifest)
    return found


def means(tensor: Array) -> Array:
    """A feature of DIM values that differ from crop to crop."""
    return tensor.mean(axis=(1, 2, 3))[:, None] + np.arange(1, samples.DIM + 1, dtype=np.float32)


def spoilt(value: float, rows: slice) -> Callable[[Array], Array]:
    def answer(tensor: Array) -> Array:
        features = means(tensor)
        features[rows] = value
        return features

    return answer


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
def test_one_feature_that_says_nothing_spoils_the_batch(
    manifest: RecogniserManifest, value: float
) -> None:
    recogniser = OnnxRecogniser(FakeSession(spoilt(value, slice(1, 2))), manifest)
    with pytest.raises(InferenceInvalidError, match="zero or not finite"):
        recogniser.embed(CROPS)


def test_one_value_that_is_not_finite_spoils_a_feature(manifest: RecogniserManifest) -> None:
    def answer(tensor: Array) -> Array:
        features = means(tensor)
        features[2, 1] = np.nan
        return features

    with pytest.raises(InferenceInvalidError):
        OnnxRecogniser(FakeSession(answer), manifest).embed(CROPS)


@pytest.mark.parametrize(
    "shape", [(3, 5), (3, 3), (2, 4), (4, 4), (2, 6), (6, 2), (12,), (3, 7), (3, 0), (1, 12)]
)
def test_a_wrong_shape_is_refused(manifest: RecogniserManifest, shape: tuple[int, ...]) -> None:
    """(2, 6), (6, 2), (12,) and (1, 12) hold as many values as three features of four."""
    fake = FakeSession(lambda _: np.ones(shape, dtype=np.float32))
    with pytest.raises(InferenceInvalidError, match="features of shape"):
        OnnxRecogniser(fake, manifest).embed(CROPS)


def test_maps_of_one_pixel_are_features(manifest: RecogniserManifest) -> None:
    fake = FakeSession(lambda tensor: means(tensor)[:, :, None, None])
    flat = OnnxRecogniser(FakeSession(means), manifest).embed(CROPS)
    for one, other in zip(OnnxRecogniser(fake, manifest).embed(CROPS), flat, strict=True):
        np.testing.assert_array_equal(one.feature, other.feature)


def test_norms_and_contract_belong_to_the_feature(manifest: RecogniserManifest) -> None:
    for one in OnnxRecogniser(FakeSession(means), manifest).embed(CROPS):
        assert one.norm == pytest.approx(float(np.linalg.norm(one.feature)))
        assert one.contract_id == manifest.contract_id
        assert one.feature.dtype == np.float32


def test_a_graph_without_batches_gets_one_crop_at_a_time(manifest: RecogniserManifest) -> None:
    single, batched = FakeSession(means, batchable=False), FakeSession(means)
    one_by_one = OnnxRecogniser(single, manifest).features(np.stack(CROPS))
    together = OnnxRecogniser(batched, manifest).features(np.stack(CROPS))
    assert (single.batches, batched.batches) == ([1, 1, 1], [3])
    np.testing.assert_array_equal(one_by_one, together)


@pytest.fixture(scope="module")
def recogniser(packages_dir: Path) -> OnnxRecogniser:
    return packages.open_recogniser(packages.find("sface-2021dec", packages_dir))


def lowest_cosine(a_ND: Array, b_ND: Array) -> float:
    return float((normalise(a_ND) * normalise(b_ND)).sum(axis=1).min())


def test_company_does_not_change_a_feature(recogniser: OnnxRecogniser) -> None:
    crops = golden.inputs(112, count=6)
    alone = np.concatenate([recogniser.features(crop[None]) for crop in crops])
    together = recogniser.features(crops)
    backwards = recogniser.features(crops[::-1])[::-1]
    assert lowest_cosine(alone, together) >= 0.99999
    assert lowest_cosine(alone, backwards) >= 0.99999
    assert lowest_cosine(alone, np.roll(alone, 1, axis=0)) < 0.999


def test_neighbours_in_other_threads_do_not_change_a_feature(recogniser: OnnxRecogniser) -> None:
    crops = golden.inputs(112, count=4)
    serial = np.concatenate([recogniser.features(crop[None]) for crop in crops])
    with ThreadPoolExecutor(4) as threads:
        parallel = list(threads.map(lambda n: recogniser.features(crops[n % 4][None]), range(24)))
    for n, feature in enumerate(parallel):
        assert lowest_cosine(feature, serial[n % 4][None]) >= 0.99999


def test_an_input_the_network_cannot_take(recogniser: OnnxRecogniser) -> None:
    with pytest.raises(InferenceFailedError):
        recogniser.embed([np.zeros((50, 50, 3), dtype=np.uint8)])
