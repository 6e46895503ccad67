"""The ASGI application around a running service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline

from app.http import failures
from app.http.access import Access
from app.http.gallery import faces as enrolled
from app.http.gallery import galleries, health, imports, migration, searches, subjects
from app.http.limits import BodyLimits, PlainPaths, RequestId
from app.http.routes import faces, jobs, system, verify
from app.http.uploads import LongUploads
from app.jobs.room import Jobs
from app.service import Service
from app.telemetry.lag import probing
from app.telemetry.middleware import Measured

_ABOUT = """Face verification that you train, calibrate and serve yourself.

Decisions are made at a false match rate, poor faces are refused with the reason, and every answer
carries its evidence. Galleries keep people to be found again (1:N) where that is allowed by name,
and forget them for good. Liveness is not checked: a photo of a person counts as the person.
"""

# FastAPI's own spans and log records carry queries, addresses and exceptions' texts, and some
# environment variable could send them somewhere. What this service tells is in `app.telemetry`.
_SILENT = TelemetryConfig(
    tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False
)


def create_app(service: Service) -> FastAPI:
    """The application that answers for `service`, and closes it in the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = Jobs.of(service)
        async with probing(service.metrics.lag.observe):
            await running.runner.start()
            app.state.service, app.state.jobs = service, running
            yield
            app.state.service = app.state.jobs = None
            await running.runner.close()
        service.close()

    settings = service.settings
    app = FastAPIOffline(
        title="Norma",
        version=version("norma"),
        description=_ABOUT,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=_SILENT,
    )
    failures.install(app)
    for routes in (
        verify,
        faces,
        galleries,
        subjects,
        enrolled,
        searches,
        health,
        imports,
        migration,
        jobs,
        system,
    ):
        app.include_router(routes.router)
    app.add_middleware(
        Access,
        guard=service.guard,
        trusted=settings.trusted_proxies,
        docs=settings.docs_open,
        local=not settings.insecure,
    )
    bodies = partial(BodyLimits, min_rate=settings.min_body_rate)
    app.add_middleware(
        LongUploads,
        usual=partial(bodies, max_bytes=settings.max_body_bytes, timeout=settings.body_timeout),
        photos=partial(bodies, max_bytes=settings.max_many_bytes, timeout=settings.body_timeout),
        uploads=partial(
            bodies, max_bytes=settings.max_import_bytes, timeout=settings.import_timeout
        ),
    )
    app.add_middleware(PlainPaths)
    app.add_middleware(Measured, metrics=service.metrics, stopping=service.stopping)
    if service.tracing is not None:
        app.add_middleware(service.tracing.wrapped)
    app.add_middleware(RequestId)
    return app
