"""Batches gathered across requests: nobody's answer depends on the company, nor their failure."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import (
    DeadlineError,
    InferenceFailedError,
    InferenceInvalidError,
    NormaError,
    NotReadyError,
)
from app.inference import packages
from app.inference.gathering import GatheredNetwork, Gathering, Split, rows
from app.inference.policy import Gathered
from app.inference.session import Cuda, Session
from app.inference.turn import CURRENT, Turn
from app.vision.detect import letterbox
from app.vision.detectors import scrfd
from export import golden
from export.contract import normalise
from tests.unit.export import graphs

Array = NDArray[np.float32]
OPTIONS = Gathering(most=4, stall=30)
POISON = 666.0


class FakeSession(Session):
    """Answers each image with its mean; holds its first run back until the others wait."""

    def __init__(self, answer: Callable[[Array], Array] | None = None) -> None:
        self.answer = answer or (lambda tensor: tensor.mean(axis=(1, 2, 3))[:, None])
        self.batchable = True
        self.provider = "fake"
        self.begun, self.go = Event(), Event()
        self.sizes: list[int] = []

    def run(self, tensor_NCHW: Array) -> list[Array]:
        self.begun.set()
        assert self.go.wait(30)
        self.sizes.append(len(tensor_NCHW))
        return [self.answer(tensor_NCHW)]


def settles(made: GatheredNetwork) -> None:
    """What a worker notes right after its answer."""
    deadline = time.monotonic() + 30
    while not made.well:
        assert time.monotonic() < deadline


def image(value: float, side: int = 8) -> Array:
    return np.full((1, 3, side, side), value, dtype=np.float32)


@contextmanager
def network(
    session: FakeSession, options: Gathering = OPTIONS, split: Split = rows
) -> Iterator[GatheredNetwork]:
    made = GatheredNetwork([session], split, options, "recogniser")
    yield made
    session.go.set()
    made.close()


def answers(made: GatheredNetwork, session: FakeSession, images: list[Array]) -> list[object]:
    """What as many callers at once get: the first alone, the others together."""

    def ask(tensor: Array) -> object:
        CURRENT.set(Turn("tenant", math.inf))
        try:
            return float(made.run(tensor)[0][0, 0])
        except NormaError as error:
            return type(error)

    with ThreadPoolExecutor(len(images)) as callers:
        first = callers.submit(ask, images[0])
        assert session.begun.wait(30)
        rest = [callers.submit(ask, one) for one in images[1:]]
        while made.load().waiting < len(rest):
            assert not first.done()
        session.go.set()
        return [one.result(30) for one in (first, *rest)]


def test_what_waits_goes_together_and_everyone_gets_their_own() -> None:
    session = FakeSession()
    with network(session) as made:
        assert answers(made, session, [image(n) for n in range(8)]) == list(range(8))
        assert session.sizes == [1, 4, 3]


def test_images_of_another_shape_go_by_themselves() -> None:
    session = FakeSession()
    with network(session) as made:
        sides = [8, 8, 16, 8, 16]
        images = [image(n, side) for n, side in enumerate(sides)]
        assert answers(made, session, images) == list(range(5))
        assert sorted(session.sizes) == [1, 2, 2]


def test_one_callers_images_come_back_in_their_order() -> None:
    session = FakeSession()
    with network(session) as made:
        session.go.set()
        tensor = np.concatenate([image(n) for n in range(10)])
        assert made.run(tensor)[0].ravel().tolist() == list(range(10))
        assert max(session.sizes) == 4


def test_batches_are_filled_up_to_shapes_that_are_known() -> None:
    session = FakeSession()
    with network(session, Gathering(most=6, stall=30, powers_of_two=True)) as made:
        assert answers(made, session, [image(n) for n in range(10)]) == list(range(10))
        assert session.sizes == [1, 6, 4]


def test_L10_a_shape_met_at_the_start_is_run_at_every_size() -> None:
    session = FakeSession()
    with network(session, Gathering(most=6, stall=30, powers_of_two=True)) as made:
        session.go.set()
        for _ in range(2):
            made.run(image(1))
        assert session.sizes == [1, 2, 4, 6, 1, 1]


def poisoned(tensor: Array) -> Array:
    if (tensor == POISON).any():
        raise InferenceFailedError("poison")
    return tensor.mean(axis=(1, 2, 3))[:, None]


def test_F21_one_of_sixteen_fails_alone() -> None:
    session = FakeSession(poisoned)
    with network(session, Gathering(most=16, stall=30)) as made:
        values = [float(n) for n in range(17)]
        values[9] = POISON
        found = answers(made, session, [image(value) for value in values])
        assert found[9] is InferenceFailedError
        assert found[:9] + found[10:] == values[:9] + values[10:]
        assert len(session.sizes) == 2 + 2 * 4, "twice log₂ 16 runs more"


def test_F20_a_failure_that_passes_costs_nobody_their_answer() -> None:
    """Halves are tried again."""
    failures = [None, InferenceFailedError("once")]

    def moody(tensor: Array) -> Array:
        if failures and (error := failures.pop(0)):
            raise error
        return tensor.mean(axis=(1, 2, 3))[:, None]

    session = FakeSession(moody)
    with network(session) as made:
        assert answers(made, session, [image(n) for n in range(5)]) == list(range(5))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda features: features[:-1],
        lambda features: np.concatenate([features, features[:1]]),
        lambda features: features.T,
    ],
    ids=["one too few", "one too many", "transposed"],
)
def test_F22_answers_that_do_not_divide_are_nobodys(spoil: Callable[[Array], Array]) -> None:
    """Rather than the neighbour's. Alone, an image's answer is beyond doubt."""

    def answer(tensor: Array) -> Array:
        features = np.repeat(tensor.mean(axis=(1, 2, 3))[:, None], 5, axis=1)
        return spoil(features) if len(tensor) > 1 else features

    session = FakeSession(answer)
    with network(session) as made:
        assert answers(made, session, [image(n) for n in range(5)]) == list(range(5))


def test_F22_an_empty_answer_is_an_error() -> None:
    session = FakeSession(lambda tensor: np.zeros((0, 4), dtype=np.float32))
    with network(session) as made:
        session.go.set()
        with pytest.raises(InferenceInvalidError):
            made.run(image(1))


def test_F29_the_wait_for_a_batch_ends_at_the_requests_deadline() -> None:
    session = FakeSession()
    now = 0.0
    made = GatheredNetwork([session], rows, OPTIONS, "recogniser", clock=lambda: now)
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(made.run, image(1))
        assert session.begun.wait(30)

        def late() -> object:
            CURRENT.set(Turn("tenant", 5.0))
            return made.run(image(2))

        waits = callers.submit(late)
        while made.load().waiting == 0:
            assert not first.done()
        now = 6.0
        with pytest.raises((DeadlineError, NotReadyError)):
            waits.result(30)
        session.go.set()
        assert first.result(30)[0] == 1
    made.close()
    assert session.sizes == [1]


def test_F25_a_stuck_run_answers_whoever_waits_for_it() -> None:
    session = FakeSession()
    with network(session, Gathering(most=4, stall=0.1)) as made:
        with pytest.raises(NotReadyError):
            made.run(image(1))
        assert not made.well
        session.go.set()
        assert made.run(image(2))[0] == 2
        settles(made)


def test_a_network_that_takes_one_image_gets_one() -> None:
    session = FakeSession()
    session.batchable = False
    with network(session) as made:
        assert answers(made, session, [image(n) for n in range(5)]) == list(range(5))
        assert session.sizes == [1] * 5


@pytest.fixture(scope="module")
def gathered(packages_dir: Path) -> Iterator[packages.OnnxRecogniser]:
    gathered = Gathered(Gathering(most=8, stall=30), (Cuda(), Cuda()))
    found = packages.find("sface-2021dec", packages_dir)
    made = packages.open_recogniser(found, gathered=gathered)
    yield made
    made.close()


def test_L05_company_does_not_change_a_feature(
    gathered: packages.OnnxRecogniser, packages_dir: Path
) -> None:
    """On the real network: alone, among any neighbours, from many threads, on two sessions."""
    direct = packages.open_recogniser(packages.find("sface-2021dec", packages_dir))
    crops = golden.inputs(112, count=8)
    alone = np.concatenate([direct.features(crop[None]) for crop in crops])
    with ThreadPoolExecutor(8) as callers:
        order = [n % 8 for n in range(40)]
        found = list(callers.map(lambda n: gathered.features(crops[n][None]), order))
    cosines = (normalise(np.concatenate(found)) * normalise(alone[order])).sum(axis=1)
    assert cosines.min() >= 0.99999
    together = gathered.features(crops)
    assert (normalise(together) * normalise(alone)).sum(axis=1).min() >= 0.99999


SCRFD_NAMES = [f"{head}_{stride}" for head in graphs.SCRFD_HEADS for stride in graphs.STRIDES]


def test_L05_a_detectors_batch_falls_apart_into_each_images_outputs() -> None:
    """SCRFD's graph flattens the batch between cells and anchors."""
    session = Session(graphs.scrfd(), "image", SCRFD_NAMES, "cpu")
    pictures = [letterbox(picture, 64)[0] for picture in golden.inputs(64, count=3)]
    tensor = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32)
    apart = scrfd.split(session.run(tensor), 3)
    for n, outputs in enumerate(apart):
        for found, alone in zip(outputs, session.run(tensor[n : n + 1]), strict=True):
            np.testing.assert_allclose(found, alone.reshape(found.shape), rtol=1e-4, atol=1e-5)
    with pytest.raises(InferenceInvalidError):
        scrfd.split(session.run(tensor), 2 * 7)
