"""`norma serve`: load, verify, say what runs under which licence, then answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn
from rich.markup import escape

from app.commands.common import out, settings
from app.http.connections import ConnectionLimits, guarded
from app.main import create_app
from app.security.caller import LOCAL_OWNER
from app.service import Service, build_service
from app.settings import Settings
from app.telemetry.listener import listening


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind [NORMA_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port [NORMA_PORT, 8000].")] = None,
    detector: Annotated[str | None, typer.Option(help="Package name or path.")] = None,
    recogniser: Annotated[str | None, typer.Option(help="Package name or path.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
) -> None:
    """Run the service. Every setting is also a NORMA_… environment variable."""
    chosen = settings(host=host, port=port, detector=detector, recogniser=recogniser, device=device)
    service = build_service(chosen)
    _announce(service)
    with _metrics(service):
        _run(service)


def _run(service: Service) -> None:
    chosen = service.settings
    uvicorn.run(
        create_app(service),
        host=chosen.host,
        port=chosen.port,
        log_level="info",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whose word on addresses counts is NORMA_TRUSTED_PROXIES
        http=guarded(_connection_limits(chosen)),
        ws="none",
    )


def _connection_limits(chosen: Settings) -> ConnectionLimits:
    return ConnectionLimits(
        most=chosen.max_connections,
        head_bytes=chosen.max_head_bytes,
        head_fields=chosen.max_headers,
        head_seconds=chosen.head_timeout,
        write_seconds=chosen.write_timeout,
    )


@contextmanager
def _metrics(service: Service) -> Iterator[None]:
    chosen = service.settings
    if chosen.metrics_port is None:
        yield
        return
    with listening(service.metrics.registry, chosen.metrics_host, chosen.metrics_port) as port:
        out.print(f"{'metrics':<11}http://{chosen.metrics_host}:{port}/metrics", markup=False)
        yield


def _announce(service: Service) -> None:
    chosen = service.settings
    for one in service.models()[0]:
        if one.provider is None:
            continue
        manifest = one.manifest
        use = "" if manifest.licence.commercial_use else ", [yellow]not for commercial use[/]"
        out.print(
            f"{manifest.kind:<11}{manifest.name} {manifest.version} on {one.provider} "
            f"({escape(manifest.licence.name)}{use})"
        )
    if service.calibration is None:
        out.print("[yellow]no calibration:[/] verify needs threshold= until `norma calibrate`")
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    out.print(f"{'listening':<11}http://{host}:{chosen.port} (API docs at /docs)", markup=False)
    _say_who_may_call(service)


def _say_who_may_call(service: Service) -> None:
    ring = service.guard.ring
    if ring.guarded():
        active = ring.active()
        owners = len({key.spec.owner for key in active})
        out.print(f"{'callers':<11}{len(active)} active key(s) of {owners} owner(s)")
        return
    who = "whoever reaches this port" if service.settings.insecure else "this machine alone"
    out.print(
        f"[yellow]no keys:[/] {who} may call, as the owner `{LOCAL_OWNER}` with every scope; "
        "`norma keys create` makes the first key, and from then on every call needs one"
    )
