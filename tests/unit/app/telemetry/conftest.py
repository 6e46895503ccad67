"""Metrics as Prometheus reads them."""

from collections.abc import Callable

import pytest

from app.telemetry.metrics import Metrics

Read = Callable[..., float | None]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def read(metrics: Metrics) -> Read:
    """A sample's value by its name and labels; None where there is none."""

    def read(sample: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(sample, labels)

    return read
