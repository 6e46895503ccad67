"""Callers at the door, and which scopes a route needs: every path is guarded unless named here."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Security
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from app.errors import NormaError
from app.http import failures, origin
from app.security import peers
from app.security.audit.event import coming_from
from app.security.caller import LOCAL, Caller
from app.security.errors import UnauthenticatedError
from app.security.guard import Guard
from app.security.peers import Network
from app.security.scopes import Scope
from app.security.token import PREFIX

log = logging.getLogger("norma.keys")

OPEN: Final = frozenset({"/healthz", "/readyz"})
"""Paths that answer without a key, besides the documentation where it is served."""
DOCS: Final = ("/docs", "/redoc", "/openapi.json", "/static-offline-docs/")


@dataclass(frozen=True, slots=True)
class Access:
    """Pure ASGI: refuses before a byte of the body is read; else the caller is in the state."""

    app: ASGIApp
    guard: Guard
    trusted: Sequence[Network]
    docs: bool
    local: bool
    """Whether a service without keys is for this machine alone."""

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            caller = self._enter(scope)
        except NormaError as error:
            await failures.known(Request(scope), error)(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["caller"] = caller
        try:
            with coming_from(caller.key_id, state.get("request_id")):
                await self.app(scope, receive, send)
        finally:
            self.guard.leave(caller)

    def _is_open(self, path: str) -> bool:
        return path in OPEN or (self.docs and path.startswith(DOCS))

    def _enter(self, scope: Connection) -> Caller:
        if PREFIX.encode() in scope["query_string"]:
            log.warning("a key came in a request's query, where it is ignored and seen: revoke it")
        try:
            caller = self.guard.enter(scope["headers"])
        except UnauthenticatedError as error:
            self.guard.refuse(error, self._peer(scope))
            raise
        if caller is LOCAL and self.local:
            origin.check(scope["headers"])
        return caller

    def _peer(self, scope: Connection) -> str:
        host, _ = scope.get("client") or ("", 0)
        forwarded = Headers(scope=scope).getlist("x-forwarded-for")
        return peers.of(host, ",".join(forwarded), self.trusted)


class _Scheme(SecurityBase):
    """The check of a route's scopes, which is also how OpenAPI comes to know of them."""

    scheme_name = "key"
    model = HTTPBearerModel(
        bearerFormat="norma_ID_SECRET",
        description="A key made by `norma keys create`; `X-API-Key: KEY` does as well. Keys in the "
        "query are ignored. While there are no keys, none is needed. The scopes listed are those "
        "that a route needs, all of them.",
    )

    async def __call__(self, request: Request, needed: SecurityScopes) -> Caller:
        caller: Caller = request.state.caller
        caller.require(*map(Scope, needed.scopes))
        return caller


_scheme = _Scheme()


def needs(*scopes: Scope) -> Any:  # noqa: ANN401 - as FastAPI's own Security
    """For a route's `dependencies`: only callers with all of these scopes get in.

    Raises ScopeMissingError.
    """
    return Security(_scheme, scopes=list(scopes))


async def caller(request: Request) -> Caller:
    """Who sent this request."""
    found: Caller = request.state.caller
    return found


CallerDep = Annotated[Caller, Depends(caller)]
