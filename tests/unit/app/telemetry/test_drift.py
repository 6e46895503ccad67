"""What the service sees is compared with what it saw first."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from app.telemetry.drift import WINDOW, Drifts, Windows
from app.telemetry.metrics import Metrics
from tests.unit.app.telemetry.conftest import Read


def values(mean: float, seed: int) -> list[float]:
    """One window of a camera's norms."""
    return list(np.random.default_rng(seed).normal(mean, 2.0, WINDOW))


def test_nothing_is_said_before_a_whole_window_after_the_first() -> None:
    windows = Windows()
    for value in values(12, 1) + values(15, 2)[:-1]:
        windows.add(value)
    assert windows.latest is None
    windows.add(15.0)
    assert windows.latest is not None


def test_the_same_camera_has_not_drifted_and_another_has_and_back() -> None:
    windows = Windows()
    said = []
    for number, mean in enumerate((12, 12, 14, 12)):
        for value in values(mean, number):
            windows.add(value)
        said.append(windows.latest.drifted if windows.latest else None)
    assert said == [None, False, True, False]


def test_no_value_is_lost_between_threads() -> None:
    windows = Windows()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(windows.add, values(12, 1) + values(12, 2)))
    assert windows.latest is not None
    assert windows.latest.live == WINDOW


def test_strangers_and_norms_are_watched_apart(metrics: Metrics, read: Read) -> None:
    norms, scores = values(12, 1) + values(20, 2), values(0.1, 3) + values(0.1, 4)
    for norm, score in zip(norms, scores, strict=True):
        metrics.judged("query", norm, None, ())
        metrics.searched(score, found=False)
        metrics.searched(score + norm, found=True)
    assert read("norma_drifted", quantity="norm_query") == 1
    assert read("norma_drifted", quantity="stranger_score") == 0
    assert read("norma_drifted", quantity="norm_enrol") is None
    index = read("norma_drift_index", quantity="norm_query")
    expected = read("norma_drift_expected", quantity="norm_query")
    assert index is not None
    assert expected is not None
    assert index > expected > 0


def test_without_values_there_are_no_gauges() -> None:
    assert [family.samples for family in Drifts({"norm_query": Windows()}).collect()] == [
        [],
        [],
        [],
    ]
