"""`norma gallery health`: a stopped service's gallery, examined now."""

from functools import partial
from typing import Annotated

import orjson
import typer

from app.commands.common import out, settings
from app.errors import StartError
from app.gallery.health.examiner import HealthPlan
from app.gallery.health.findings import KINDS, Kind, Report
from app.gallery.health.naming import Named, NamedOutlier, NamedPair, NamedWeak
from app.gallery.room import open_room
from app.gallery.types import Gallery
from app.inference import packages
from app.operating import Loaded, Operating, health_limits, operating

_MEANING: dict[Kind, str] = {
    "duplicates": "pairs of subjects that may be one person",
    "nearest": "pairs of subjects below that",
    "outliers": "faces unlike the others of their subject",
    "weak": "subjects without one good face",
}


def health(
    name: Annotated[str, typer.Argument(help="The gallery.", show_default=False)],
    owner: Annotated[str, typer.Option(help="Whose it is.")] = "local",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Findings of each kind.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for people enrolled twice, misfiled faces and weak ones, with the service stopped.

    A running service answers GET /v1/galleries/NAME/health.
    """
    chosen = settings()
    if not (chosen.gallery_dir / "gallery.db").exists():
        raise StartError(f"{chosen.gallery_dir}: there are no galleries")
    package = packages.find(chosen.recogniser, chosen.packages_dir)
    loaded = Loaded(chosen, package.calibration())
    plan = HealthPlan(partial(health_limits, loaded, package.quality()))
    room = open_room(chosen, plan=plan)
    try:
        store = room.opened()
        found = store.gallery(owner, name)
        report = store.health.examine(found)
        decides = operating(loaded, found, report.own)
        listed = {kind: store.health_page(owner, name, kind, None, limit)[1] for kind in KINDS}
    finally:
        room.close()
    if as_json:
        _print_json(report, decides, listed)
    else:
        _print(found, report, decides, listed)


def _print_json(report: Report, decides: Operating, listed: dict[Kind, list[Named]]) -> None:
    value = {
        "revision": report.revision,
        "subjects": report.subjects,
        "faces": report.faces,
        "examined": report.examined,
        "limits": report.limits,
        "single_face_subjects": report.single_face,
        "totals": {kind: report.found[kind].total for kind in KINDS},
        "findings": listed,
        "threshold": decides.threshold,
        "departure": decides.departure,
    }
    out.print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), markup=False)


def _print(
    gallery: Gallery, report: Report, decides: Operating, listed: dict[Kind, list[Named]]
) -> None:
    examined = report.examined
    out.print(
        f"{gallery.name}: {report.faces:,} faces of {report.subjects:,} subjects at revision "
        f"{report.revision}, {examined.probes:,} faces searched for, {examined.within:,} held "
        f"against their own, {report.single_face:,} subjects with one face",
        markup=False,
    )
    for kind in KINDS:
        total = report.found[kind].total
        count = "not looked for" if total is None else f"{total:,}"
        out.print(f"{kind}: {count} ({_MEANING[kind]})", markup=False)
        for one in listed[kind]:
            out.print(f"  {_line(one)}", markup=False)
    if decides.threshold is not None:
        out.print(
            f"a search decides at cosine {decides.threshold.value:.4f} ({decides.threshold.source})"
        )
    if decides.departure is not None and decides.departure.departs:
        low, high = decides.departure.interval
        out.print(
            f"[yellow]the package's threshold gives FPIR {decides.departure.measured:.3g} "
            f"({low:.3g} to {high:.3g}) here, not {decides.departure.asked:g}[/]"
        )


def _line(one: Named) -> str:
    if isinstance(one, NamedPair):
        wrong = f", rather face {one.misfiled} misfiled" if one.misfiled else ""
        return f"{one.similarity:.4f}  {one.a.subject} and {one.b.subject}{wrong}"
    if isinstance(one, NamedWeak):
        return f"norm {one.norm:.2f}  {one.at.subject} ({one.faces} faces)"
    return _outlier_line(one)


def _outlier_line(one: NamedOutlier) -> str:
    nearer = ""
    if one.nearer_subject is not None:
        nearer = f", nearer to {one.nearer_subject} ({one.nearer_similarity:.4f})"
    return f"{one.similarity:.4f}  {one.at.subject}, face {one.at.face}{nearer}"
