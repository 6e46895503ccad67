"""Which network runs in which arithmetic."""

from pathlib import Path

import numpy as np
import pytest

from app.inference import packages
from app.inference.openvino import PROVIDER
from app.inference.runtime import CPU, Runtime

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
    sound = [np.linspace(-3, 3, 400, dtype=np.float32)]
    coarse = [sound[0] + np.float32(0.2) * np.sin(7 * sound[0])]
    assert ROUGH.output_problem(sound, coarse) is None
    assert ROUGH.output_problem(sound, [-sound[0]]) is not None
    assert CPU.output_problem(sound, coarse) == ROUGH.exact().output_problem(sound, coarse)
    assert CPU.output_problem(sound, coarse) is not None
