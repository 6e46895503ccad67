"""The class of every route: what it was not told of, it refuses."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Set
from email.message import Message
from typing import Any, get_origin

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from app.errors import BodyUnsupportedError, InputError
from app.http import strict_json
from app.http.packed import offered, packed

JSON = "application/json"
_LARGE = 256 * 1024
"""Bytes of JSON from which reading it would hold up the event loop."""


class StrictRequest(Request):
    """A request whose JSON is read by `strict_json` alone."""

    async def json(self) -> Any:  # noqa: ANN401 - as Starlette has it
        return await read_json(self, await self.body())


async def read_json(request: Request, body: bytes) -> strict_json.Json:
    """The JSON in `body`. Raises BodyUnsupportedError for another charset, JsonInvalidError."""
    check_json_type(request.headers.get("content-type", ""))
    if len(body) > _LARGE:
        return await asyncio.to_thread(strict_json.loads, body)
    return strict_json.loads(body)


def check_json_type(declared: str) -> None:
    """Raises BodyUnsupportedError for all but JSON in UTF-8."""
    header = Message()
    header["content-type"] = declared
    charset = header.get_content_charset("utf-8")
    if header.get_content_type() != JSON or charset not in ("utf-8", "us-ascii"):
        raise BodyUnsupportedError(f"send {JSON} in UTF-8", accepted=[JSON])


class StrictRoute(APIRoute):
    """Refuses unknown and repeated query parameters, bodies of another type, and JSON that is not
    strict.

    Answers in MessagePack where its `responses` offer it and the caller prefers it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        fields = dict(_query_fields(self.dependant))
        lists = {name for name, annotation in fields.items() if get_origin(annotation) is list}
        reads_json = self.body_field is not None
        packs = offered(self.responses)

        async def strict(request: Request) -> Response:
            _check_query(request.query_params, fields.keys(), lists)
            if reads_json:
                check_json_type(request.headers.get("content-type", ""))
            answer = await handler(StrictRequest(request.scope, request.receive))
            return packed(request, answer) if packs else answer

        return strict


def _check_query(query: QueryParams, known: Set[str], lists: Set[str]) -> None:
    if not known >= query.keys():
        raise InputError("the query holds a parameter that is not known here", known=sorted(known))
    # Which of two values counts is not for the framework to choose: a proxy may choose the other.
    given = Counter(name for name, _ in query.multi_items())
    if repeated := sorted(name for name, times in given.items() if times > 1 and name not in lists):
        raise InputError("the query holds a parameter more than once", repeated=repeated)


def _query_fields(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Name and annotation of each query parameter; a model's are its fields."""
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        inner = getattr(annotation, "model_fields", {})
        yield from ((one.alias or name, one.annotation) for name, one in inner.items())
        yield parameter.alias, annotation
    for dependency in dependant.dependencies:
        yield from _query_fields(dependency)
