"""A training run becomes a model package: exported, compared, measured, described."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from export import card, drift, golden, package, parity, precision
from export import manifest as schema
from export.contract import ARCFACE_112
from export.drift import BOUNDS, Bounds
from export.embed import TRAINED_INPUT, Embedder
from export.evidence import EVIDENCE, DriftFigures, Precision
from export.graphs import rewrite_prelu
from export.importers.networks import About, import_recogniser
from export.package import Package
from export.proof import Built, Data, drift_figures, prove
from export.trained import TrainedRun


@dataclass(frozen=True, slots=True)
class Request:
    """What to write. `bounds` None takes those of the precision, see `export.drift.BOUNDS`."""

    name: str
    version: str = "1"
    precision: Precision = "fp32"
    commercial_use: bool = False
    rewrite_prelu: bool = True
    bounds: Bounds | None = None


def build_package(
    run: TrainedRun, exported: bytes, destination: Path, request: Request, data: Data
) -> Package:
    """Write the package of a run, whose backbone `export.onnx.to_onnx` has exported.

    Raises ParityError or DriftError where the file is not the network, ValueError where the data
    are missing that a precision needs, FileExistsError where `destination` exists.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists; remove it first or choose another name")
    built = _build(run, exported, request, data)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as directory:
        about = _about(run, request)
        bare = import_recogniser(
            Path(directory) / "bare",
            built.model,
            about,
            TRAINED_INPUT,
            ARCFACE_112,
            keep_prelu=True,  # what is to be rewritten has been
        )
        proof = prove(run, bare, built, data).model_dump_json(indent=2).encode()
        proven = package.with_files(bare, Path(directory) / "proven", {EVIDENCE: proof})
        return package.with_files(proven, destination, {schema.CARD: card.render(proven).encode()})


def _build(run: TrainedRun, model: bytes, request: Request, data: Data) -> Built:
    rewritten = 0
    # A quantised PReLU would leave the int8 path, so there is no choice for int8.
    if request.rewrite_prelu or request.precision == "int8":
        graph = onnx.load_model_from_string(model)
        rewritten = rewrite_prelu(graph)
        model = graph.SerializeToString()
    patterns = golden.inputs(ARCFACE_112.size, count=max(parity.BATCHES))
    same = parity.require(parity.measure(run.backbone, model, patterns))
    parity.require_raw(Embedder(model)(patterns))
    if request.precision == "fp32":
        return Built(model, request.precision, rewritten, same, None)
    small, drifted = _shrink(model, request, data)
    return Built(small, request.precision, rewritten, same, drifted)


def _shrink(model: bytes, request: Request, data: Data) -> tuple[bytes, DriftFigures]:
    test = data.unseen or data.calibration
    if data.calibration is None or test is None:
        raise ValueError(f"{request.precision} needs aligned crops, to measure what it changes")
    if request.precision == "int8":
        crops = precision.sample(data.calibration.pixels)
        small = precision.to_int8(model, TRAINED_INPUT(crops))
    else:
        small = precision.to_fp16(model)
    found = drift.measure(Embedder(model), Embedder(small), test.pixels, test.subjects)
    drift.require(found, request.bounds or BOUNDS[request.precision])
    return small, drift_figures(found, test.name)


def _about(run: TrainedRun, request: Request) -> About:
    config, data = run.config, run.provenance["data"]
    return About(
        name=request.name,
        version=request.version,
        description=(
            f"Recogniser: {config.backbone.name}, {config.backbone.dim} dimensions, trained with "
            f"{config.loss.name} on {data['name']}"
        ),
        source=f"Norma recipe {config.recipe}, {run.step} steps",
        licence=schema.Licence(
            name=data["licence"],
            commercial_use=request.commercial_use,
            note="The licence of the training data.",
        ),
        training=schema.Training(data=data["name"], loss=config.loss.name),
    )
