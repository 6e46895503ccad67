"""What a key may be used for. Each route names the scopes that it needs, all of them."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from app.errors import InputError


class Scope(StrEnum):
    """One kind of use. None includes another: a key has exactly those that it lists."""

    VERIFY = "verify"
    """Compare faces 1:1 and find them in a photo."""
    IDENTIFY = "identify"
    """Search a gallery, 1:N."""
    ENROL = "enrol"
    """Put subjects and faces in, and erase them: who may add a person may take them out."""
    READ = "read"
    """Look at what is there, without features."""
    EMBEDDINGS = "embeddings"
    """Get features out, or put features in."""
    ADMIN = "admin"
    """Create, change and erase whole galleries, and what concerns all of an owner's data."""


ALL: Final = frozenset(Scope)


def parse(names: Iterable[str]) -> frozenset[Scope]:
    """Scopes by name, "all" for every one. Raises InputError for an unknown name, or none."""
    given = {name.strip() for name in names} - {""}
    if given == {"all"}:
        return ALL
    known = {scope.value for scope in Scope}
    if unknown := sorted(given - known):
        raise InputError(f"no such scope: {', '.join(unknown)}; there are {', '.join(Scope)}")
    if not given:
        raise InputError(f"name at least one scope of {', '.join(Scope)}, or all")
    return frozenset(Scope(name) for name in given)
