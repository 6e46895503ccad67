"""Where packages live, as every command says it."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="NORMA_DATA_DIR", help="Where packages live.")
]
DEFAULT_DATA = Path("norma-data")


def packages_dir(data_dir: Path) -> Path:
    """The directory that holds one directory for each package."""
    return data_dir / "packages"
