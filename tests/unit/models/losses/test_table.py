from pathlib import Path

from models import losses
from models.losses.table import page

TABLE = Path(losses.__file__).with_name("TABLE.md")


def test_the_committed_table_is_fresh() -> None:
    assert TABLE.read_text(encoding="utf-8") == page()
