"""Everything that determines a run, as one frozen value.

Two runs with equal configs (but for `system`), data and number of ranks see the same numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.data.augment import Augmentation

Scalar = bool | int | float | str | None
Parameters = Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """The training images and where they come from.

    paths: image folders, tars, RecordIO or shard directories; identities of different paths stay
        apart.
    name, licence: go into the checkpoint and the model card; a run without them is refused.
    min_images: identities with fewer are left out.
    hold_out: share of the identities kept away from training; verification: `.bin` sets. Both are
        measured at each checkpoint.
    per_identity: K of the P×K batches that pair losses need; 0 shuffles freely.
    cache_mb: keep decoded crops in memory when all fit into this (37.6 kB per image).
    """

    paths: tuple[str, ...] = ()
    name: str = ""
    licence: str = ""
    min_images: int = 1
    hold_out: float = 0.0
    verification: tuple[str, ...] = ()
    per_identity: int = 0
    cache_mb: int = 2048
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneConfig:
    """A registered backbone. Without a `norm_head`, the loss decides (see `resolve_norm_head`).

    init: another run's directory, whose weights to start from.
    """

    name: str
    dim: int = 512
    parameters: Parameters = field(default_factory=dict)
    init: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """A registered loss or preset; parameters that are not named keep its defaults.

    partial_fc: share of the classes that a step uses, with the classes spread over the ranks; 0
    keeps the plain loss, with every class on every rank.
    """

    name: str
    parameters: Parameters = field(default_factory=dict)
    partial_fc: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """lr is for the recipe's batch size. clip_norm bounds the backbone's gradient; 0 does not.

    decay_vectors: whether biases and norm layers decay too, as the published recipes have it.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_vectors: bool = True
    clip_norm: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """The learning rate by step, and how long the run is.

    epochs: passes over the data; steps, unless 0, takes their place.
    warmup: epochs (or parts) of linear growth from 0.
    shape: after the warm-up, polynomial `(1 − progress)^power`, cosine to 0, or steps: × `factor`
        at each of `milestones` (in epochs).
    """

    epochs: int = 20
    steps: int = 0
    warmup: float = 0.0
    shape: Literal["polynomial", "cosine", "steps"] = "polynomial"
    power: float = 1.0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemConfig:
    """What does not change the run's meaning, and may change when it is resumed.

    device: auto, cpu or cuda. workers: loader processes per rank, 0 decodes in the trainer itself.
    threads: CPU threads per rank, 0 leaves PyTorch's choice. deterministic: bit-equal on CUDA too,
    slower. log_every, checkpoint_every: in steps. keep: how many checkpoints stay.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 4
    threads: int = 0
    compile: bool = False
    channels_last: bool = True
    deterministic: bool = False
    log_every: int = 20
    checkpoint_every: int = 1000
    keep: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """A complete run.

    run: its directory. batch_size: over all ranks. precision: of the backbone's arithmetic; the
    output stage and the loss are always fp32. ema_decay: of the averaged weights; 0 keeps none.
    """

    recipe: str
    run: str
    backbone: BackboneConfig
    loss: LossConfig
    data: DataConfig = field(default_factory=DataConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    system: SystemConfig = field(default_factory=SystemConfig)
    batch_size: int = 512
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema_decay: float = 0.0


def check(config: TrainingConfig) -> None:
    """Raise ValueError when a run cannot start, naming what to set."""
    missing = [key for key in ("paths", "name", "licence") if not getattr(config.data, key)]
    if missing:
        wanted = " ".join(f"--set data.{key}=…" for key in missing)
        raise ValueError(
            f"{config.recipe} does not say what it trains on: {wanted} "
            "(the name and licence go into the model card)"
        )
    if config.schedule.shape == "steps" and not config.schedule.milestones:
        raise ValueError("schedule.shape=steps needs schedule.milestones, in epochs")
    if config.schedule.steps <= 0 and config.schedule.epochs <= 0:
        raise ValueError("set schedule.epochs or schedule.steps")
