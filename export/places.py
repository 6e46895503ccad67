"""Where packages live, as every command says it."""

import os
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="NORMA_DATA_DIR", help="Where packages live.")
]
DEFAULT_DATA = Path("norma-data")


def packages_dir(data_dir: Path) -> Path:
    """The directory that holds one directory for each package.

    It is named by NORMA_PACKAGES_DIR where packages live apart from the data, as in an image.
    """
    apart = os.environ.get("NORMA_PACKAGES_DIR")
    return Path(apart) if apart else data_dir / "packages"
