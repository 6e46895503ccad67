"""What the commands share: settings with a readable error, and the output console."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from app.errors import StartError
from app.settings import Settings

out = Console(highlight=False, soft_wrap=True)


def settings(**given: Any) -> Settings:  # noqa: ANN401 - values of any setting
    """Settings from the environment, with those options that were given on the command line.

    Raises StartError, which names the variable at fault.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = "_".join(str(part) for part in first["loc"])
        name = f"NORMA_{field.upper()}: " if field else ""
        raise StartError(f"{name}{first['msg'].removeprefix('Value error, ')}") from error


def read_photo(path: Path) -> bytes:
    """The photo's bytes. Raises StartError where there is no such file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error
