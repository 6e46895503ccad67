"""Settings from three places: the command line wins over the environment, that over a file.

The file is TOML with one plain key for each setting, named by `NORMA_CONFIG`. What it says is
checked as a whole: every mistake is told at once.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from app.configuration.fields import is_secret, variable
from app.errors import StartError
from app.settings import Settings

FILE = "NORMA_CONFIG"
_PREFIX = "NORMA_"
_LIKENESS = 0.8
"""How much an unknown variable must resemble a setting to be taken for a slip of the pen: other
programs may have NORMA_ variables too, and an orchestrator sets some for a service of that name."""

Source = Literal["default", "file", "environment", "command line"]


@dataclass(frozen=True, slots=True)
class Given:
    """What each place says, before it is checked."""

    path: Path | None
    file: Mapping[str, object]
    environment: Mapping[str, str]
    options: Mapping[str, object]

    def source(self, name: str) -> Source:
        """Where a setting's value comes from."""
        if name in self.options:
            return "command line"
        if name in self.environment:
            return "environment"
        return "file" if name in self.file else "default"

    def place(self, name: str) -> str:
        """A setting as whoever wrote it knows it."""
        if self.source(name) == "file":
            return f"{self.path}: {name}"
        return variable(name)


def gather(options: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Given:
    """Reads the file, if there is one. Raises StartError where it cannot be read."""
    path = Path(environ[FILE]) if environ.get(FILE) else None
    environment = {
        name.upper().removeprefix(_PREFIX).lower(): value
        for name, value in environ.items()
        if value and name.upper().startswith(_PREFIX) and name.upper() != FILE
    }
    return Given(path, {} if path is None else _read(path), environment, options)


def load(given: Given) -> Settings:
    """Raises StartError, which tells every mistake."""
    if found := mistakes(given):
        raise StartError("; ".join(found))
    return _settings(given)


def mistakes(given: Given) -> list[str]:
    """All that is wrong, a line each."""
    found = [*_strangers(given), *_careless(given)]
    try:
        _settings(given)
    except ValidationError as error:
        found += [
            _told(given, one)
            for one in error.errors(include_url=False)
            if one["type"] != "default_factory_not_called"  # of another setting's mistake
        ]
    return found


def _settings(given: Given) -> Settings:
    """The file's values as arguments, but for what the environment, which comes after, says."""
    values: dict[str, Any] = {
        name: value
        for name, value in given.file.items()
        if name in Settings.model_fields and name not in given.environment
    }
    return Settings(**values | dict(given.options))


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise StartError(f"{FILE}={path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: not TOML: {error}") from error


def _strangers(given: Given) -> Iterator[str]:
    """Names that are no setting: all of the file's, and variables that look like a slip."""
    known = list(Settings.model_fields)
    for name in given.file:
        if name not in known:
            [*nearest] = get_close_matches(name, known, n=1, cutoff=0)
            yield f"{given.path}: there is no setting {name!r}; the nearest is {nearest[0]!r}"
    for name in given.environment:
        if name not in known and (close := _nearest(name)):
            yield f"{variable(name)} is no setting; {variable(close)} is"


def unused(given: Given) -> list[str]:
    """Variables called NORMA_… that say nothing to the service, and are too unlike a setting to be
    refused."""
    others = (name for name in given.environment if name not in Settings.model_fields)
    return sorted(variable(name) for name in others if _nearest(name) is None)


def _nearest(name: str) -> str | None:
    """The setting that a name is a slip of the pen for."""
    known = list(Settings.model_fields)
    close = get_close_matches(name, known, n=1, cutoff=_LIKENESS)
    swapped = (one for one in known if sorted(one) == sorted(name))  # `prot`, too short for that
    return next(iter(close), next(swapped, None))


def _careless(given: Given) -> Iterator[str]:
    """A file that strangers may write, or read a secret from."""
    if given.path is None:
        return
    mode = given.path.stat().st_mode
    if mode & 0o002:
        yield f"{given.path} can be written by everybody: chmod o-w {given.path}"
    secrets = [name for name in given.file if is_secret(name)]
    if secrets and mode & 0o077:
        yield f"{given.path} holds {secrets[0]}, and others can read it: chmod 600 {given.path}"


def _told(given: Given, error: ErrorDetails) -> str:
    problem = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return problem  # of several settings; it names them itself
    name = str(error["loc"][0])
    if is_secret(name) or isinstance(error["input"], SecretStr):
        return f"{given.place(name)}: {problem}"
    return f"{given.place(name)}={error['input']}: {problem[0].lower()}{problem[1:]}"
