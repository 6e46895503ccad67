"""`norma evaluate` and `norma scores`: for those who compare recognisers."""

import csv
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from export.calibrate.given import (
    DEFAULT_DETECTOR,
    Detector,
    Face,
    Features,
    Folder,
    Given,
    ListedOnly,
    PackageName,
    Pairs,
    PhotosAt,
    opener,
)
from export.places import DEFAULT_DATA, DataDir

out = Console(highlight=False, soft_wrap=True)
Csv = Annotated[Path, typer.Option("--output", "-o", help="CSV file.")]


def evaluate(
    context: typer.Context,
    first: PackageName,
    second: PackageName,
    folder: Folder = None,
    pairs: Pairs = None,
    photos_at: PhotosAt = None,
    listed_only: ListedOnly = False,
    detector: Detector = DEFAULT_DETECTOR,
    face: Face = "largest",
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Two packages side by side on the same comparisons."""
    from export.calibrate.rivals import side_by_side
    from export.calibrate.run import comparisons
    from export.calibrate.table import TARGETS

    given = Given(folder, pairs, photos_at, None)
    sides, listed = [], None
    for name in (first, second):
        made, listed = given.read(opener(context, name, detector, face, data_dir))
        sides.append(made.features)
    only = listed.pairs if listed and listed_only else None
    compared = [comparisons(side, only) for side in sides]
    table = Table("FMR", f"FNMR {first}", f"FNMR {second}", "difference", "95% interval")
    for row in side_by_side(compared[0], compared[1], TARGETS):
        table.add_row(
            f"{row.fmr:g}",
            f"{row.fnmr[0]:.2%}",
            f"{row.fnmr[1]:.2%}",
            f"{row.fnmr[0] - row.fnmr[1]:+.2%}",
            f"{row.difference.low:+.2%} to {row.difference.high:+.2%}",
        )
    out.print(table)


def scores(
    context: typer.Context,
    name: PackageName,
    output: Csv,
    folder: Folder = None,
    pairs: Pairs = None,
    photos_at: PhotosAt = None,
    features: Features = None,
    detector: Detector = DEFAULT_DETECTOR,
    face: Face = "largest",
    data_dir: DataDir = DEFAULT_DATA,
) -> None:
    """Export every comparison: two photos, whether they show one person, similarity and norms."""
    from export.calibrate.run import comparisons

    given = Given(folder, pairs, photos_at, features)
    made, listed = given.read(opener(context, name, detector, face, data_dir))
    known = made.features
    norms = known.norms()
    with output.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo_a", "photo_b", "same", "similarity", "norm_a", "norm_b"))
        for batch in comparisons(known, listed.pairs if listed else None).batches():
            for a, b, score in zip(batch.left_P, batch.right_P, batch.scores_P, strict=True):
                same = int(known.subjects_N[a] == known.subjects_N[b])
                rows.writerow(
                    (known.names[a], known.names[b], same, f"{score:.6f}",
                     f"{norms[a]:.4f}", f"{norms[b]:.4f}")
                )  # fmt: skip
    out.print(f"wrote {output}")
