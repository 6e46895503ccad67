"""`norma calibrate` and `norma report`: error rates from labelled photos."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from export import package
from export import tables as schema
from export.calibrate import labels
from export.calibrate.given import (
    DEFAULT_DETECTOR,
    Detector,
    Face,
    Features,
    Folder,
    Given,
    Groups,
    ListedOnly,
    PackageName,
    Pairs,
    PhotosAt,
    load,
    opener,
)
from export.calibrate.photos import Extraction
from export.errors import CalibrationError
from export.places import DEFAULT_DATA, DataDir

if TYPE_CHECKING:
    from export.report.page import Content

out = Console(highlight=False, soft_wrap=True)

Data = Annotated[str, typer.Option(help="What the photos are, for the record.")]
Required = Annotated[list[float] | None, typer.Option(help="A rate that must be supported.")]
Tail = Annotated[
    Literal["gpd", "exponential"] | None,
    typer.Option(help="Extrapolate rarer rates by this model; marked as such."),
]
Gated = Annotated[
    bool, typer.Option(help="Leave out what the enrolment gate refuses, and count it.")
]
Aware = Annotated[
    bool, typer.Option(help="Quality-aware similarity, if it helps on held-out people.")
]
Enrol = Annotated[float, typer.Option(min=0, max=0.5, help="Part of enrolments refused.")]
Query = Annotated[float, typer.Option(min=0, max=0.5, help="Part of queries refused.")]
ReportTo = Annotated[Path | None, typer.Option("--report", help="Also write the HTML report.")]
Worst = Annotated[int, typer.Option(min=0, max=100, help="Worst pairs of each kind, as photos.")]
SaveFeatures = Annotated[Path | None, typer.Option(help="Keep the features in an .npz file.")]
Page = Annotated[Path, typer.Option("--output", "-o", help="The HTML page.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures as JSON.")]


def calibrate(
    context: typer.Context,
    name: PackageName,
    folder: Folder = None,
    pairs: Pairs = None,
    photos_at: PhotosAt = None,
    features: Features = None,
    groups: Groups = None,
    data: Data = "own photos",
    fmr: Required = None,
    tail: Tail = None,
    listed_only: ListedOnly = False,
    gated: Gated = False,
    quality_aware: Aware = False,
    discard_enrol: Enrol = 0.02,
    discard_query: Query = 0.005,
    detector: Detector = DEFAULT_DETECTOR,
    face: Face = "largest",
    report_to: ReportTo = None,
    worst: Worst = 0,
    save_features: SaveFeatures = None,
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Measure thresholds in error rates and the quality curve, and write them into the package.

    All photos are compared with all others. A rate that the photos cannot support (fewer than
    3/FMR comparisons of different people) is left out and said so.
    """
    from export.calibrate import run as calibration
    from export.calibrate.table import TARGETS, Plan
    from export.quality.record import QualityPlan

    found = load(name, data_dir)
    given = Given(folder, pairs, photos_at, features, groups)
    source = opener(context, name, detector, face, data_dir)
    made, listed = given.read(source, degrade=True)
    made = _of_package(made, found)
    if save_features is not None:
        labels.save(made.features, save_features)
    targets = tuple(sorted({*TARGETS, *(fmr or ())}, reverse=True))
    plan = Plan(data, detector, targets, tail, required=tuple(fmr or ()))
    outcome = calibration.run(
        made,
        plan,
        QualityPlan(data, max(discard_enrol, discard_query), discard_query),
        listed.pairs if listed and listed_only else None,
        gated=gated,
        aware=quality_aware,
    )
    written = calibration.write(found, outcome)
    show(outcome.measured.record, outcome.quality)
    out.print(f"written to {written.path}")
    if report_to is not None:
        pictures = outcome.worst(listed.root, worst) if listed and worst else []
        write_report(report_to, outcome.content(found.name, pictures))


def report(
    name: PackageName,
    output: Page = Path("report.html"),
    as_json: Json = None,
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Write a package's calibration as one page that needs nothing else."""
    from export.report.page import Content

    found = load(name, data_dir)
    calibration, quality = found.calibration(), found.quality()
    if calibration is None:
        raise CalibrationError(f"{found.path}: not calibrated; run `norma calibrate` first")
    write_report(output, Content(found.name, calibration, quality))
    if as_json is not None:
        as_json.write_text(
            json.dumps(
                {
                    "package": found.name,
                    "calibration": calibration.model_dump(mode="json"),
                    "quality": quality.model_dump(mode="json") if quality else None,
                },
                indent=1,
            )
            + "\n"
        )
        out.print(f"wrote {as_json}")


def show(record: schema.Calibration, quality: schema.QualityCurve) -> None:
    """Print a calibration for people."""
    data = record.data
    out.print(
        f"{data.images:,} photos of {data.subjects:,} people, {data.genuine:,} genuine and "
        f"{data.impostor:,} impostor comparisons; no face in {data.failures_to_detect:,}, "
        f"unreadable {data.failures_to_decode:,}, refused {data.failures_to_enrol:,}"
    )
    table = Table("FMR", "cosine", "95% interval of FMR", "FNMR", "95% interval", "support")
    for point in record.points:
        table.add_row(
            f"{point.fmr:g}",
            f"{point.threshold:.4f}",
            f"{point.fmr_interval[0]:.2e} to {point.fmr_interval[1]:.2e}",
            f"{point.fnmr:.2%}",
            f"{point.fnmr_interval[0]:.2%} to {point.fnmr_interval[1]:.2%}",
            point.support,
        )
    out.print(table)
    for rate in record.unsupported[:1]:
        out.print(
            f"FMR {rate.fmr:g} and rarer: not supported, {rate.needed - data.impostor:,} impostor "
            "comparisons too few"
        )
    show_groups(record)
    out.print(f"quality basis: {quality.basis} ({quality.reason})")


def show_groups(record: schema.Calibration) -> None:
    """Print what each group meets at the table's thresholds, and how far they lie apart."""
    if not record.groups:
        return
    table = Table("group", "people", "FMR", "measured", "95% interval", "FNMR")
    for group in record.groups:
        for point in group.points:
            table.add_row(
                group.name,
                f"{group.subjects:,}",
                f"{point.fmr:g}",
                f"{point.measured_fmr:.2e}",
                f"{point.fmr_interval[0]:.2e} to {point.fmr_interval[1]:.2e}",
                "–" if point.fnmr is None else f"{point.fnmr:.2%}",
            )
    out.print(table)
    for one in record.disparities:
        if one.fmr_ratio is not None:
            out.print(f"FMR {one.fmr:g}: the worst group's is {one.fmr_ratio:.3g} times the best's")


def write_report(path: Path, content: "Content") -> None:
    """Write a report's page."""
    from export.report.page import render

    path.write_text(render(content), encoding="utf-8")
    out.print(f"wrote {path}")


def _of_package(made: Extraction, found: package.Package) -> Extraction:
    """Features that carry no contract are taken to be the package's; others must be."""
    own = getattr(found.manifest, "contract_id", None)
    if own is None:
        raise CalibrationError(f"{found.path}: only a recogniser can be calibrated")
    given = made.features.contract_id
    if given not in ("", own):
        raise CalibrationError(f"the features are of contract {given}, the package is {own}")
    return replace(made, features=replace(made.features, contract_id=own))
