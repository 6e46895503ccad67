"""A run from beginning to end: `train(config)`."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from models.data.batches import FaceBatch, RankBatches, face_dataset, face_loader
from models.data.source import FaceSource
from models.train.build import (
    batch_order,
    build_backbone,
    build_loss,
    open_training_data,
    provenance,
    resolve_norm_head,
)
from models.train.checkpoint import write_checkpoint
from models.train.config import TrainingConfig, check
from models.train.directory import resumable, write_description
from models.train.interrupt import StopRequest, listening
from models.train.journal import Journal
from models.train.learner import Learner, StepResult
from models.train.meter import Meter
from models.train.report import Observer, Silent
from models.train.restore import load_run
from models.train.schedule import Schedule
from models.train.snapshot import capture, restore
from models.train.validation import Evaluation, validation
from models.train.world import World, join_world

# Above this share of the time the machine, not the model, decides how long a run takes.
WAIT_WARNING = 0.3


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended; `load_run(directory)` gives what it trained.

    loss: of the last step taken, NaN if none was. signal: that of an interruption, 0 otherwise.
    """

    directory: Path
    step: int
    loss: float
    finished: bool
    signal: int


def train(
    config: TrainingConfig,
    *,
    source: FaceSource | None = None,
    stop_at: int | None = None,
    observer: Observer | None = None,
    evaluate: Evaluation | None = None,
) -> RunResult:
    """Train, or go on with, the run in `config.run`; returns when it is done or interrupted.

    source: training images in place of those that `config.data.paths` names.
    stop_at: leave, with a checkpoint, after that many steps in all.
    evaluate: called by the first rank with the backbone (in evaluation mode, averaged weights
        where there are any) before each checkpoint, in place of the validation that the config
        asks for; its figures go into the log.

    Raises ValueError for a config that cannot run, CheckpointError for a directory that holds
    another run or a damaged checkpoint, NonFiniteError before a NaN reaches the weights.
    """
    check(config)
    config = replace(config, backbone=resolve_norm_head(config.backbone, config.loss))
    _set_backend(config)
    if source is None:
        source, held_out = open_training_data(config.data)
        evaluate = evaluate or validation(config.data, held_out)
    with join_world(config.system) as world, listening() as stop:
        run = _Run(config, source, world, stop, (observer if world.leads else None) or Silent())
        run.evaluate = evaluate
        return run.go(stop_at)


def _set_backend(config: TrainingConfig) -> None:
    if config.system.threads:
        torch.set_num_threads(config.system.threads)
    torch.backends.cudnn.benchmark = not config.system.deterministic
    torch.use_deterministic_algorithms(config.system.deterministic)


class _Run:
    """The parts of one run on one rank."""

    def __init__(
        self,
        config: TrainingConfig,
        source: FaceSource,
        world: World,
        stop: StopRequest,
        observer: Observer,
    ) -> None:
        self.config, self.source, self.world = config, source, world
        self.stop, self.observer = stop, observer
        self.directory = Path(config.run)
        self.provenance = provenance(config, source)
        self.order = batch_order(config, source, world)
        self.learner = self._learner()
        self.meter = Meter()
        self.journal: Journal | None = None
        self.evaluate: Evaluation | None = None
        self.loss = math.nan
        self.starved_windows = 0

    def _learner(self) -> Learner:
        torch.manual_seed(self.config.seed)
        backbone = build_backbone(self.config.backbone)
        if self.config.backbone.init:
            given = load_run(Path(self.config.backbone.init)).backbone
            backbone.load_state_dict(given.state_dict())
        num_classes = len(self.source.classes)
        loss = build_loss(self.config.loss, self.config.backbone.dim, num_classes)
        schedule = Schedule(self.config.schedule, len(self.order))
        return Learner(self.config, backbone, loss, schedule, self.world)

    def go(self, stop_at: int | None) -> RunResult:
        learner = self.learner
        checkpoint = resumable(self.config, self.provenance)
        if checkpoint is not None:
            restore(learner, checkpoint)
            self.observer.say(f"going on from step {learner.step} of {self.directory}")
        self.world.wait()
        last = min(stop_at or learner.schedule.num_steps, learner.schedule.num_steps)
        if self.world.leads:
            write_description(self.config, self.provenance)
            self.journal = Journal(self.directory, learner.step)
        try:
            with self.observer:
                self.observer.begin(learner.step, learner.schedule.num_steps)
                self._steps(last)
        finally:
            if self.journal is not None:
                self.journal.close()
        finished = learner.step == learner.schedule.num_steps
        return RunResult(
            self.directory, learner.step, self.loss, finished, int(self.stop.signal or 0)
        )

    def _steps(self, last: int) -> None:
        learner, system = self.learner, self.config.system
        saved = learner.step
        batches = self._batches()
        self.meter = Meter()
        learner.backbone.train()
        learner.loss.train()
        while learner.step < last:
            result = learner.train_step(self._next(batches), bool(self.stop))
            self.loss = result.loss
            self.meter.trained(self.config.batch_size)
            self.observer.advance(learner.step)
            if learner.step % system.log_every == 0 or learner.step == last:
                self._log(result)
            if learner.step % system.checkpoint_every == 0:
                self._save()
                saved = learner.step
            if result.stop:
                break
        if saved < learner.step:
            self._save()

    def _batches(self) -> Iterator[FaceBatch]:
        config, world = self.config, self.world
        dataset = face_dataset(
            self.source, config.data.augmentation, config.seed, config.data.cache_mb * 2**20
        )
        share = RankBatches(self.order, self.learner.step, world.rank, world.num_ranks)
        return iter(face_loader(dataset, share, config.system.workers, world.device.type == "cuda"))

    def _next(self, batches: Iterator[FaceBatch]) -> FaceBatch:
        started = time.perf_counter()
        batch = next(batches)
        self.meter.waited(time.perf_counter() - started)
        return batch

    def _log(self, result: StepResult) -> None:
        step, learner, speed = self.learner.step, self.learner, self.meter.read()
        figures = {
            "loss": result.loss,
            "epoch": step / len(self.order),
            "lr": learner.optimiser.param_groups[0]["lr"],
            "gradient_norm": result.gradient_norm.item(),
            "images_per_second": speed.images_per_second,
            "data_wait_share": speed.wait_share,
            **{f"loss/{name}": value for name, value in learner.loss.statistics().items()},
        }
        if self.journal is not None:
            self.journal.write(step, figures)
        self.observer.figures(step, figures)
        self._warn_of_starvation(speed.wait_share)

    def _warn_of_starvation(self, wait_share: float) -> None:
        """Say it once, and not for the first window, in which the workers start."""
        self.starved_windows += wait_share > WAIT_WARNING
        if wait_share > WAIT_WARNING and self.starved_windows == 2:
            self.observer.say(
                f"data is the bottleneck: {wait_share:.0%} of the time is spent waiting for "
                "images. Raise system.workers or data.cache_mb."
            )

    def _save(self) -> None:
        """Evaluate and write a checkpoint. All ranks come here at the same step."""
        if self.evaluate is not None and self.world.leads and self.journal is not None:
            step = self.learner.step
            with self.learner.evaluating() as backbone:
                figures = self.evaluate(backbone, step)
            self.journal.write(step, figures)
            self.observer.figures(step, figures)
        meta: dict[str, Any] = {"data": self.provenance["data"], "ranks": self.world.num_ranks}
        checkpoint = capture(self.learner, meta)
        if self.world.leads:
            path = write_checkpoint(
                self.directory / "checkpoints", checkpoint, self.config.system.keep
            )
            self.observer.say(f"saved {path}")
        self.world.wait()
