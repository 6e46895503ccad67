"""What the API's description knows: methods of a path, and names that an error may repeat."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

UNKNOWN = "?"
"""Stands in errors for a name that only the caller knows."""


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """The methods of all routes that have this path; each alone knows its own."""
    found: set[str] = set()
    for method in ("DELETE", "GET", "PATCH", "POST", "PUT"):
        asked = dict(scope, method=method)
        if any(route.matches(asked)[0] is Match.FULL for route in routes):
            found.add(method)
    return sorted(found)


def schema_names(app: FastAPI) -> frozenset[str]:
    """The names of all parameters and fields, which are no secret."""
    return frozenset(_names(app.openapi())) | {"body", "query", "path", "header"}


def field_path(location: Sequence[str | int], names: frozenset[str]) -> str:
    """Where a problem lies, in names of ours alone."""
    parts = [one if isinstance(one, int) or one in names else UNKNOWN for one in location]
    return ".".join(map(str, parts))


def _names(node: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        for one in node:
            yield from _names(one)
    if not isinstance(node, dict):
        return
    if node.get("in") in ("query", "path", "header"):
        yield str(node["name"])
    properties = node.get("properties")
    yield from properties if isinstance(properties, dict) else ()
    for one in node.values():
        yield from _names(one)
