"""Which network runs in which arithmetic."""

from pathlib import Path

import pytest

from app.inference import packages
from app.inference.openvino import PROVIDER
from app.inference.runtime import CPU, Runtime
from export.golden import MAX_NORM_DRIFT

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
    pytest.skip("this processor has no bfloat16 arithmetic", allow_module_level=True)

ROUGH = Runtime(arithmetic="bfloat16", workers=2)


def test_the_recogniser_runs_in_the_arithmetic_asked_for(packages_dir: Path) -> None:
    found = packages.find("sface-2021dec", packages_dir)
    assert packages.open_recogniser(found, ROUGH).provider == PROVIDER
    assert packages.open_recogniser(found).provider == "CPUExecutionProvider"


def test_a_detector_that_bfloat16_blurs_keeps_float32(packages_dir: Path) -> None:
    found = packages.find("yunet-2023mar", packages_dir)
    assert packages.open_detector(found, ROUGH).provider == "CPUExecutionProvider"


def test_only_bfloat16_may_be_off_by_more_than_another_processor() -> None:
    assert CPU.output_drift == ROUGH.exact().output_drift == MAX_NORM_DRIFT < ROUGH.output_drift
