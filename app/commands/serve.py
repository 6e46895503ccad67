"""`norma serve`: load, verify, say what runs under which licence, then answer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn

from app.commands.common import settings, unused_variables
from app.http.connections import ConnectionLimits, guarded
from app.inference.policy import choose
from app.main import create_app
from app.security.caller import LOCAL_OWNER
from app.security.keysource import key_source
from app.security.process import forbid_core_dumps
from app.server import Server
from app.service import Service, build_service
from app.settings import Settings
from app.telemetry import logs
from app.telemetry.gauges import LogLines
from app.telemetry.listener import listening
from app.telemetry.metrics import Metrics

_log = logging.getLogger("norma")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind [NORMA_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port [NORMA_PORT, 8000].")] = None,
    detector: Annotated[str | None, typer.Option(help="Package name or path.")] = None,
    recogniser: Annotated[str | None, typer.Option(help="Package name or path.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
) -> None:
    """Run the service. Every setting is also a NORMA_… environment variable."""
    output = logs.standard_output()
    forbid_core_dumps()
    chosen = settings(host=host, port=port, detector=detector, recogniser=recogniser, device=device)
    with logs.logging_to(output, logs.style_for(chosen.log_format), chosen.log_level) as sink:
        service = build_service(chosen)
        service.metrics.registry.register(LogLines(lambda: sink.lost))
        _announce(service)
        with _metrics(service):
            _run(service)


def _run(service: Service) -> None:
    chosen = service.settings
    config = uvicorn.Config(
        create_app(service),
        host=chosen.host,
        port=chosen.port,
        log_config=None,
        log_level=chosen.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whose word on addresses counts is NORMA_TRUSTED_PROXIES
        http=guarded(_connection_limits(chosen, service.metrics)),
        ws="none",
        timeout_graceful_shutdown=chosen.grace,
    )
    Server(config, service.stopping.set, chosen.drain).run()


def _connection_limits(chosen: Settings, metrics: Metrics) -> ConnectionLimits:
    return ConnectionLimits(
        most=chosen.max_connections,
        head_bytes=chosen.max_head_bytes,
        head_fields=chosen.max_headers,
        head_seconds=chosen.head_timeout,
        write_seconds=chosen.write_timeout,
        refused=metrics.refused,
    )


@contextmanager
def _metrics(service: Service) -> Iterator[None]:
    chosen = service.settings
    if chosen.metrics_port is None:
        yield
        return
    with listening(service.metrics.registry, chosen.metrics_host, chosen.metrics_port) as port:
        _log.info("metrics on http://%s:%d/metrics", chosen.metrics_host, port)
        yield


def _announce(service: Service) -> None:
    chosen = service.settings
    if unused := unused_variables():
        _log.warning("no settings, and without effect: %s", ", ".join(unused))
    for one in service.models()[0]:
        if one.provider is None:
            continue
        manifest = one.manifest
        use = "" if manifest.licence.commercial_use else ", NOT FOR COMMERCIAL USE"
        _log.info(
            "%s %s %s on %s (%s%s)",
            manifest.kind,
            manifest.name,
            manifest.version,
            one.provider,
            manifest.licence.name,
            use,
        )
    _log.info("%s", choose(chosen).describe())
    if service.calibration is None:
        _log.warning("no calibration: verify needs threshold= until `norma calibrate`")
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    docs = " (API docs at /docs)" if chosen.docs_open else ""
    _log.info("serving http://%s:%d%s", host, chosen.port, docs)
    _say_who_may_call(service)
    if where := key_source(chosen).where:
        _log.info("galleries are encrypted with the key of %s", where)
    else:
        _log.warning("no encryption: whoever has the galleries' files can read them")


def _say_who_may_call(service: Service) -> None:
    ring = service.guard.ring
    if ring.guarded():
        active = ring.active()
        owners = len({key.spec.owner for key in active})
        _log.info("%d active key(s) of %d owner(s)", len(active), owners)
        return
    who = "whoever reaches this port" if service.settings.insecure else "this machine alone"
    _log.warning(
        "no keys: %s may call, as the owner `%s` with every scope; `norma keys create` makes the "
        "first key, and from then on every call needs one",
        who,
        LOCAL_OWNER,
    )
