"""`norma gallery migrate`: a running service's gallery to the next recogniser, step by step."""

import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.progress import Progress

from app.commands.client import Client
from app.commands.common import out
from app.errors import StartError
from app.gallery import names

POLL_SECONDS = 0.2
FINISHED = ("done", "failed", "cancelled")


class Step(StrEnum):
    """What to do of a move."""

    COMPUTE = "compute"
    COMPARE = "compare"
    CUT_OVER = "cut-over"
    ROLL_BACK = "roll-back"
    FINISH = "finish"


def migrate(
    gallery: Annotated[str, typer.Argument(show_default=False)],
    step: Annotated[
        Step,
        typer.Argument(
            help="compute features for the other recogniser; compare the two; cut-over to it; "
            "roll-back; finish: erase the side that is not in use."
        ),
    ] = Step.COMPUTE,
    url: Annotated[str, typer.Option(help="The running service.")] = "http://127.0.0.1:8000",
    as_json: Annotated[bool, typer.Option("--json", help="Print the service's JSON.")] = False,
) -> None:
    """Move a gallery to the recogniser of NORMA_NEXT_RECOGNISER while it is served.

    The key comes from NORMA_KEY. Until `finish` the way back is open.
    """
    names.checked(gallery, "gallery")
    client, path = Client(url), f"/v1/galleries/{gallery}/migration"
    if step is Step.COMPUTE:
        _follow(client, client.ask("POST", path)["id"], quiet=as_json)
    found = _answer(client, path, step)
    if as_json:
        out.print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode(), markup=False)
        return
    lines = _finished(found) if step is Step.FINISH else _lines(found)
    for line in lines:
        out.print(line, markup=False)


def _answer(client: Client, path: str, step: Step) -> dict[str, Any]:
    if step is Step.CUT_OVER:
        return client.ask("POST", f"{path}/cutover")
    if step is Step.ROLL_BACK:
        return client.ask("POST", f"{path}/rollback")
    return client.ask("DELETE" if step is Step.FINISH else "GET", path)


def _follow(client: Client, job: str, quiet: bool) -> None:
    """Until the job has ended. Raises StartError where it failed."""
    with Progress(console=out, disable=quiet) as bar:
        task = bar.add_task("computing", total=None)
        while (found := client.ask("GET", f"/v1/jobs/{job}"))["state"] not in FINISHED:
            progress = found["progress"]
            bar.update(task, completed=progress["done"], total=progress["total"])
            time.sleep(POLL_SECONDS)
    if found["state"] != "done":
        error = found["error"]
        told = f": {error['message']} ({error['code']})" if error else ""
        raise StartError(f"the job {job} is {found['state']}{told}")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """Where the move stands, and what it changes."""
    yield f"searched in  {found['contract_id']}"
    yield f"other side   {found['other_contract_id']}" + (" (back)" if found["cut_over"] else "")
    yield f"computed     {found['computed']:,} of {found['faces']:,} faces"
    if found["without_picture"]:
        yield (
            f"{found['without_picture']:,} faces have no picture in the vault and hold the "
            "cut-over up: erase them, or enrol them again"
        )
        yield from (f"  {one['subject']} {one['face']}" for one in found["listed"])
    if found["comparison"] is None:
        yield "nothing to compare yet"
        return
    yield from _comparison(found["comparison"])


def _comparison(seen: dict[str, Any]) -> Iterator[str]:
    yield f"compared on {seen['faces']:,} faces of {seen['subjects']:,} subjects: now → other side"
    yield f"  same subject nearest   {_share(seen['agree'], seen['faces'])}"
    now, other = (_share(seen[name], seen["mated"]) for name in ("right", "other_right"))
    yield f"  own subject nearest    {now} → {other}"
    for name in ("genuine", "impostor"):
        shift = seen[name]
        means = f"{_cosine(shift['mean'])} → {_cosine(shift['other_mean'])}"
        yield f"  {name:<8} mean cosine   {means} ({shift['pairs']:,} pairs)"
    for at in seen["at"]:
        cosines = f"{_cosine(at['threshold'])} → {_cosine(at['other_threshold'])}"
        misses = f"FNMR {_rate(at['fnmr'])} → {_rate(at['other_fnmr'])}"
        yield f"  at FMR {at['fmr']:g}: threshold {cosines}, {misses}"


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _finished(found: dict[str, Any]) -> Iterator[str]:
    if found["purged"]:
        yield "finished: no file holds the other side any more"
    else:
        yield "finished; the files still hold the other side for a while: it is not purged yet"
