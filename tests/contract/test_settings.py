"""The table of settings is the code's.

`NORMA_UPDATE_SNAPSHOTS=1 python -m pytest tests/contract/test_settings.py` writes it anew.
"""

import os

from app.configuration.fields import described
from app.configuration.page import markdown
from tests.contract.sources import ROOT

PAGE = ROOT / "app" / "SETTINGS.md"


def test_the_table_is_the_current_one() -> None:
    if os.environ.get("NORMA_UPDATE_SNAPSHOTS"):
        PAGE.write_text(markdown())
    assert PAGE.read_text() == markdown(), "NORMA_UPDATE_SNAPSHOTS=1 writes it anew"


def test_every_setting_says_what_it_is_for() -> None:
    assert [one.name for one in described() if len(one.meaning) < 10] == []


def test_every_number_has_a_bound() -> None:
    """Zero workers, a negative timeout: what makes no sense is refused."""
    numbers = [one for one in described() if one.values.startswith(("whole", "number"))]
    assert len(numbers) > 10
    assert [one.name for one in numbers if not set("≥>") & set(one.values)] == []
