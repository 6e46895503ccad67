"""`norma export RUN --to PACKAGE`: a training run becomes a package that the service loads.

Torch and the training room are imported when the command runs, not before.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from export.evidence import EVIDENCE, Evidence, Precision
from export.manifest import MODEL, parse_record

if TYPE_CHECKING:
    from export.drift import Bounds
    from export.package import Package
    from export.proof import Data
    from export.trained import TrainedRun

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def export_command(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="The package's directory, not there yet.")],
    precision: Annotated[Precision, typer.Option(help="Of weights and arithmetic.")] = "fp32",
    name: Annotated[str, typer.Option(help="Of the package; its directory's by default.")] = "",
    version: Annotated[str, typer.Option(help="Of the weights.")] = "1",
    crops: Annotated[
        Path | None,
        typer.Option(help="Aligned crops that were not trained on, IDENTITY/IMAGE: to measure on."),
    ] = None,
    evaluate: Annotated[
        list[Path] | None, typer.Option(help="A verification set (.bin); may be repeated.")
    ] = None,
    min_cosine: Annotated[
        float | None, typer.Option(help="Lowest cosine to fp32 that fp16 or int8 may have.")
    ] = None,
    commercial_use: Annotated[
        bool, typer.Option(help="The training data's licence allows commercial use.")
    ] = False,
    keep_prelu: Annotated[
        bool, typer.Option(help="Leave PReLUs as they are: for GPUs, where they are cheap.")
    ] = False,
) -> None:
    """Write the package of a training run: ONNX, golden vectors, evidence and model card.

    The file is compared with the trained network, and with fp32 when it is smaller; it is not
    written where they differ too much. Without --crops, the identities that the run held out are
    measured on, if it held any out.
    """
    from export.build import Request, build_package
    from export.errors import PackageError
    from export.onnx import to_onnx
    from export.trained import read_run

    try:
        trained = read_run(run)
        request = Request(
            name=name or to.name,
            version=version,
            precision=precision,
            commercial_use=commercial_use,
            rewrite_prelu=not keep_prelu,
            bounds=_bounds(precision, min_cosine),
        )
        data = _data(trained, crops, evaluate or [])
        made = build_package(trained, to_onnx(trained.backbone), to, request, data)
    except (PackageError, ValueError, OSError) as error:
        err.print(f"norma export: {error}", markup=False)
        raise typer.Exit(1) from error
    _say(made)


def _bounds(precision: Precision, min_cosine: float | None) -> "Bounds | None":
    """Those of the precision, with another floor for the cosine where one is asked for."""
    from dataclasses import replace

    from export.drift import BOUNDS

    if min_cosine is None or precision == "fp32":
        return None
    usual = BOUNDS[precision]
    mean = min(usual.cosine_mean, (1 + min_cosine) / 2)
    return replace(usual, cosine_min=min_cosine, cosine_mean=mean)


def _data(run: "TrainedRun", crops: Path | None, sets: list[Path]) -> "Data":
    """Crops from --crops; else those that the run held out, with training crops to calibrate."""
    from export.figures import labelled_crops
    from export.proof import Data, NamedSet
    from models.data.formats import open_source
    from models.data.source import hold_out
    from models.data.verification import open_bin
    from models.train.build import open_training_data

    named = [NamedSet(path.stem, open_bin(path)) for path in sets]
    if crops is not None:
        calibration, unseen = hold_out(open_source(crops), 0.5)
        return Data(
            calibration=labelled_crops(calibration, crops.name),
            unseen=labelled_crops(unseen, f"{crops.name} (people not in the training data)"),
            sets=named,
        )
    config = run.config.data
    if not all(Path(path).exists() for path in config.paths):
        return Data(sets=named)
    training, held_out = open_training_data(config)
    unseen_crops = None
    if len(held_out.labels):
        unseen_crops = labelled_crops(held_out, f"{config.name} (people held out of training)")
    seen = labelled_crops(training, f"{config.name} (people trained on)")
    return Data(calibration=seen, unseen=unseen_crops, sets=named)


def _say(made: "Package") -> None:
    proof = parse_record(Evidence, made.read(EVIDENCE), EVIDENCE)
    size = made.manifest.files[MODEL].size / 1e6
    out.print(f"wrote {made.path}: {proof.precision}, {size:.1f} MB, parity ok")
    for line in _figures(proof):
        out.print(f"  {line}", markup=False)


def _figures(proof: Evidence) -> list[str]:
    lines = []
    if (drift := proof.drift) is not None:
        lines.append(f"cosine to fp32 {drift.cosine_mean:.5f}, lowest {drift.cosine_min:.5f}")
    for found in proof.verification:
        lines.append(f"{found.data}: AUC {found.auc:.5f}, EER {100 * found.eer:.2f} %")
        lines += [
            f"TAR at FMR {point.fmr:g}: {100 * point.tar.value:.2f} % "
            f"({100 * point.tar.low:.2f} to {100 * point.tar.high:.2f})"
            for point in found.tar
        ]
    return lines or ["accuracy not measured: give --crops or --evaluate"]
