"""What is chosen for a machine, and how it is said."""

import os
from pathlib import Path

import pytest

from app.inference.gathering import Gathering
from app.inference.policy import choose
from app.service import build_service
from app.settings import Settings

CORES = os.cpu_count() or 1


def test_a_cpu_has_a_worker_for_each_core_and_no_batches() -> None:
    policy = choose(Settings())
    assert policy.gathering is None
    assert policy.describe() == f"{CORES} workers, one photo each, no batching, on cpu in float32"


def test_gpus_gather_batches_and_have_workers_to_fill_them() -> None:
    policy = choose(Settings(device="cuda", gpus="0,2", batch=16, tensorrt=True))
    assert policy.gathering == Gathering(most=16, stall=900, powers_of_two=True)
    assert [place.number for place in policy.places] == [0, 2]
    assert policy.describe() == (
        f"{CORES + 64} workers, batches of up to 16, on TensorRT on cuda 0, 2"
    )


@pytest.mark.parametrize("batch", [1, 8])
def test_the_number_of_workers_can_be_said(batch: int) -> None:
    assert choose(Settings(workers=3, batch=batch)).runtime.workers == 3


def test_batches_can_be_had_on_a_cpu_and_the_service_ends_with_its_threads(data_dir: Path) -> None:
    service = build_service(Settings(data_dir=data_dir, batch=4))
    try:
        service.check_ready()
        assert service.engine.workers == CORES + 8
    finally:
        service.close()
