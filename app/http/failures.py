"""Errors to responses: one shape, stable codes, nothing of the input echoed."""

import logging

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import NormaError
from app.http.known import allowed_methods, field_path, schema_names

log = logging.getLogger("norma")

MAX_FIELDS = 20
"""Problems told at once."""

_CODES = {404: "not_found", 405: "method_not_allowed"}


def install(app: FastAPI) -> None:
    """Make every failure of `app` answer in the one shape."""
    app.add_exception_handler(NormaError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(Exception, _unknown)


def failure(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """`{"error": {"code", "message", …details}, "request_id"}`."""
    request.state.error_code = code  # for the metrics and the access line
    body = {
        "error": {"code": code, "message": message, **(details or {})},
        "request_id": getattr(request.state, "request_id", None),
    }
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, NormaError)  # noqa: S101 - registered for this class alone
    return known(request, error)


def known(request: Request, error: NormaError) -> Response:
    """The answer to an error of ours; what is the service's own fault goes to the log."""
    if error.status >= 500 and error.retry_after is None:
        log.error("request failed with %s", error.code, exc_info=error)
    return failure(request, error.status, error.code, error.message, error.details, error.headers())


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    names = schema_names(request.app)
    fields = [
        {"field": field_path(one["loc"], names), "problem": one["msg"]} for one in error.errors()
    ]
    message = f"{fields[0]['field']}: {fields[0]['problem']}"
    return failure(request, 422, "request_invalid", message, {"fields": fields[:MAX_FIELDS]})


async def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if isinstance(error.__cause__, NormaError):  # FastAPI wraps what reading a body raised
        return await _known(request, error.__cause__)
    code = _CODES.get(error.status_code, "request_invalid")
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        headers["allow"] = ", ".join(allowed_methods(request.app.routes, request.scope))
    return failure(request, error.status_code, code, str(error.detail), headers=headers)


async def _unknown(request: Request, error: Exception) -> Response:
    log.error("request failed unexpectedly", exc_info=error)
    # Starlette answers this outside of all middleware, ours for the id and the caches included.
    headers = {"x-request-id": request.state.request_id, "cache-control": "no-store"}
    message = "something failed that should not have"
    return failure(request, 500, "internal_error", message, headers=headers)
