"""The class of every route: what it was not told of, it refuses."""

import asyncio
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
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
    """Refuses unknown query parameters, bodies of another type, and JSON that is not strict.

    Answers in MessagePack where its `responses` offer it and the caller prefers it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))
        reads_json = self.body_field is not None
        packs = offered(self.responses)

        async def strict(request: Request) -> Response:
            if not known.issuperset(request.query_params):
                raise InputError(
                    "the query holds a parameter that is not known here", known=sorted(known)
                )
            if reads_json:
                check_json_type(request.headers.get("content-type", ""))
            answer = await handler(StrictRequest(request.scope, request.receive))
            return packed(request, answer) if packs else answer

        return strict


def _query_names(dependant: Dependant) -> set[str]:
    names = {name for parameter in dependant.query_params for name in _names(parameter.field_info)}
    names |= {parameter.alias for parameter in dependant.query_params}
    return names.union(*map(_query_names, dependant.dependencies))


def _names(field: Any) -> set[str]:  # noqa: ANN401 - pydantic's FieldInfo
    model = getattr(field.annotation, "model_fields", {})
    return {one.alias or name for name, one in model.items()}
