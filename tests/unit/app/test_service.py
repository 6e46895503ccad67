"""What a service refuses to start with."""

from pathlib import Path

import pytest

from app.errors import StartError
from app.service import build_service
from app.settings import Settings


def test_default_rates_that_the_calibration_cannot_support_refuse_the_start(data_dir: Path) -> None:
    for name, rate in (("fmr", 1e-12), ("fpir", 1e-12)):
        with pytest.raises(StartError, match=f"NORMA_{name.upper()}: .* stricter than"):
            build_service(Settings.model_validate({"data_dir": data_dir, name: rate}))
