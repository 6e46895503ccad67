"""Gathers the evidence on a file: how it came about, and what it measures.

Everything is measured on the very bytes that are packaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from export import evidence, figures
from export import manifest as schema
from export.drift import Drift
from export.embed import Embedder
from export.evidence import DriftFigures, ParityFigures, Precision, TrainingRun
from export.figures import LabelledCrops
from export.package import Package
from export.parity import Parity
from export.trained import TrainedRun
from models.data.verification import VerificationSet


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A verification set and what to call it in the card."""

    name: str
    pairs: VerificationSet


@dataclass(frozen=True, slots=True)
class Data:
    """What an export is measured on.

    calibration: crops that int8's ranges come from. unseen: crops of people that were not trained
    on. sets: verification sets. Without crops only fp32 can be written.
    """

    calibration: LabelledCrops | None = None
    unseen: LabelledCrops | None = None
    sets: Sequence[NamedSet] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A file to ship, and how it came about."""

    model: bytes
    precision: Precision
    prelu_rewritten: int
    parity: Parity
    drift: DriftFigures | None


def prove(run: TrainedRun, package: Package, built: Built, data: Data) -> evidence.Evidence:
    """Measure the file and state everything known about it. `package` gives its contract id."""
    embed = Embedder(built.model)
    found = [figures.measure_set(embed, entry.pairs, entry.name) for entry in data.sets]
    if data.unseen is not None:
        found.append(figures.measure_crops(embed, data.unseen))
    manifest = package.manifest
    assert isinstance(manifest, schema.RecogniserManifest)  # noqa: S101 (just written as one)
    return evidence.Evidence(
        contract_id=manifest.contract_id,
        precision=built.precision,
        prelu_rewritten=built.prelu_rewritten,
        training=_training_run(run),
        parity=_parity_figures(built.parity),
        drift=built.drift,
        verification=[entry.verification for entry in found],
        discard=[entry.discard for entry in found if entry.discard is not None],
    )


def _training_run(run: TrainedRun) -> TrainingRun:
    """The facts of a run that a card must state."""
    config, data = run.config, run.provenance["data"]
    return TrainingRun(
        recipe=config.recipe,
        step=run.step,
        weights=run.weights,
        backbone=config.backbone.name,
        backbone_parameters=dict(config.backbone.parameters),
        loss=config.loss.name,
        loss_parameters=dict(config.loss.parameters),
        data=data["name"],
        data_licence=data["licence"],
        images=data["images"],
        identities=data["identities"],
        fingerprint=data["fingerprint"],
        software=run.provenance["software"],
    )


def _parity_figures(parity: Parity) -> ParityFigures:
    """The same figures as JSON."""
    return ParityFigures.model_validate(_listed(asdict(parity)))


def drift_figures(drift: Drift, data: str) -> DriftFigures:
    """The same figures as JSON, and on what."""
    return DriftFigures(data=data, **asdict(drift))


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
