"""`norma capacity`: a minute's measurement of what this machine sustains."""

import asyncio
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.capacity.instance import instance
from app.capacity.measure import Capacity, Plan, measure
from app.commands.common import settings
from app.load.client import request

HEADROOM = 0.8
"""A replica is planned at this share of what it sustains: arrivals come in bursts, and another
replica may be restarting."""


def capacity(
    photos: Annotated[
        list[Path], typer.Argument(help="Photos as your users send them, each with a face.")
    ],
    limit_ms: Annotated[
        float, typer.Option(help="99 of 100 answers must come within.", min=1)
    ] = 500,
    seconds: Annotated[float, typer.Option(help="How long to measure.", min=5)] = 60,
    target: Annotated[
        float | None, typer.Option(help="Requests a second to plan for.", min=0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many photos a second this machine embeds in time, and what limits it.

    Starts a service of its own with your settings; another one on this machine takes its share.
    """
    with instance(settings()) as service:
        requests = [
            request(
                service.url,
                "/v1/embed?quality=off&encoding=base64",
                photo.read_bytes(),
                "application/octet-stream",
            )
            for photo in photos
        ]
        found = asyncio.run(measure(service, requests, Plan(limit_ms, seconds)))
    if as_json:
        typer.echo(json.dumps(asdict(found) | planned(found, target), indent=2))
    else:
        _print(found, limit_ms, target)


def planned(found: Capacity, target: float | None) -> dict[str, float | str | None]:
    enough = target is not None and found.sustained > 0
    return {
        "limited_by": found.limited_by,
        "target": target,
        "replicas": math.ceil(target / (HEADROOM * found.sustained)) if enough and target else None,
    }


def _print(found: Capacity, limit_ms: float, target: float | None) -> None:
    out = Console(soft_wrap=True)
    table = Table("offered/s", "in time/s", "p50 ms", "p99 ms", "held")
    for trial in sorted(found.trials, key=lambda trial: trial.offered):
        table.add_row(
            f"{trial.offered:.1f}",
            f"{trial.in_time:.1f}",
            f"{trial.p50_ms:.0f}",
            f"{trial.p99_ms:.0f}",
            "yes" if trial.held else "no",
        )
    out.print(table)
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in found.stages_ms.items())
    out.print(f"one photo alone: {found.alone_ms:.1f} ms ({stages})")
    out.print(f"at most: {found.peak:.1f} photos/s, limited by {found.limited_by}")
    out.print(f"sustained with 99% within {limit_ms:g} ms: {found.sustained:.1f} photos/s")
    replicas = planned(found, target)["replicas"]
    if replicas is not None:
        out.print(
            f"for {target:g} photos/s: {replicas} replica(s) like this one, each at no more than "
            f"{HEADROOM:.0%} of that"
        )
