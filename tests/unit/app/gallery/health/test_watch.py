"""Live values against what they were, over a restart too."""

import numpy as np

from app.gallery.health.watch import FIRST_NORMS, Watch
from app.gallery.health.watch import Reference as Ref
from app.rates.own import OwnRates

RANDOM = np.random.default_rng(11)


def _own(faces: int = 5000, count: int = 1500) -> OwnRates:
    top = np.sort(RANDOM.normal(0.3, 0.05, count)).astype(np.float32)
    return OwnRates(top, faces, count)


def _note(watch: Watch, count: int, mean: float, norm: float = 12.0) -> None:
    for value, length in zip(
        RANDOM.normal(mean, 0.05, count), RANDOM.normal(norm, 1.0, count), strict=True
    ):
        watch.note(float(value), float(length))


def test_without_a_reference_nothing_is_said() -> None:
    watch = Watch(Ref())
    _note(watch, 10, 0.3)
    assert watch.drift() == (None, None)


def test_strangers_scores_drift_from_the_gallerys_own() -> None:
    watch = Watch(Ref())
    watch.measured(_own())
    _note(watch, 500, 0.3)
    scores, _ = watch.drift()
    assert scores is not None
    assert not scores.drifted
    _note(watch, 2000, 0.36)
    scores, _ = watch.drift()
    assert scores is not None
    assert scores.drifted


def test_faces_that_were_found_are_no_strangers() -> None:
    watch = Watch(Ref())
    watch.measured(_own())
    for _ in range(300):
        watch.note(None, 12.0)
    scores, _ = watch.drift()
    assert scores is not None
    assert scores.live == 0


def test_norms_drift_from_the_first_ones() -> None:
    watch = Watch(Ref())
    _note(watch, FIRST_NORMS, 0.3)
    _note(watch, 500, 0.3)
    _, norms = watch.drift()
    assert norms is not None
    assert (norms.live, norms.drifted) == (500, False)
    _note(watch, 1500, 0.3, norm=10.5)
    _, norms = watch.drift()
    assert norms is not None
    assert norms.drifted


def test_a_reference_holds_until_the_gallery_is_of_another_size() -> None:
    watch = Watch(Ref())
    watch.measured(_own(5000))
    first = watch.reference
    watch.measured(_own(6000))
    assert watch.reference is first
    watch.measured(_own(7000))
    assert watch.reference.faces == 7000


def test_few_strangers_are_no_reference() -> None:
    watch = Watch(Ref())
    watch.measured(_own(count=150))
    assert watch.reference.scores is None
