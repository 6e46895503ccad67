"""A run from beginning to end: `train(config)`."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from models.data.batches import BatchOrder, FaceBatch, RankBatches, face_dataset, face_loader
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
from models.train.directory import claim, resumable, write_description
from models.train.interrupt import StopRequest, listening
from models.train.learner import Learner, StepResult
from models.train.record import Record, recording
from models.train.report import Observer
from models.train.restore import load_run
from models.train.schedule import Schedule
from models.train.snapshot import capture, restore
from models.train.validation import Evaluation, validation
from models.train.world import World, join_world


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
    with ExitStack() as stack:
        world = stack.enter_context(join_world(config.system))
        stop = stack.enter_context(listening())
        if source is None:
            source, held_out = open_training_data(config.data)
            if world.leads and evaluate is None:
                evaluate = validation(config.data, held_out)
        if world.leads:
            stack.enter_context(claim(Path(config.run)))
        run = _Run(config, source, world, stop, evaluate if world.leads else None)
        first_step = run.resume()
        record = stack.enter_context(recording(run.directory, world, observer, first_step))
        return run.go(record, stop_at or run.learner.schedule.num_steps)


def _set_backend(config: TrainingConfig) -> None:
    if config.system.threads:
        torch.set_num_threads(config.system.threads)
    torch.backends.cudnn.benchmark = not config.system.deterministic
    torch.use_deterministic_algorithms(config.system.deterministic)


def _build_learner(
    config: TrainingConfig, classes: int, order: BatchOrder, world: World
) -> Learner:
    torch.manual_seed(config.seed)
    backbone = build_backbone(config.backbone)
    if config.backbone.init:
        given = load_run(Path(config.backbone.init)).backbone
        backbone.load_state_dict(given.state_dict())
    loss = build_loss(config.loss, config.backbone.dim, classes)
    return Learner(config, backbone, loss, Schedule(config.schedule, len(order)), world)


class _Run:
    """The parts of one run on one rank."""

    def __init__(
        self,
        config: TrainingConfig,
        source: FaceSource,
        world: World,
        stop: StopRequest,
        evaluate: Evaluation | None,
    ) -> None:
        self.config, self.source, self.world = config, source, world
        self.stop, self.evaluate = stop, evaluate
        self.directory = Path(config.run)
        self.provenance = provenance(config, source)
        self.order = batch_order(config, source, world)
        self.learner = _build_learner(config, len(source.classes), self.order, world)
        self.loss = math.nan

    def resume(self) -> int:
        """Take up the newest checkpoint, if there is one; the steps that are done."""
        checkpoint = resumable(self.config, self.provenance)
        if checkpoint is not None:
            restore(self.learner, checkpoint)
        self.world.wait()
        if self.world.leads:
            write_description(self.config, self.provenance)
        return self.learner.step

    def go(self, record: Record, stop_at: int) -> RunResult:
        """Step until `stop_at`, the end or an interruption; the last state is saved."""
        learner = self.learner
        num_steps = learner.schedule.num_steps
        if learner.step:
            record.observer.say(f"going on from step {learner.step} of {self.directory}")
        record.observer.begin(learner.step, num_steps)
        if learner.step < min(stop_at, num_steps):
            self._steps(record, min(stop_at, num_steps))
        finished, number = learner.step == num_steps, int(self.stop.signal or 0)
        return RunResult(self.directory, learner.step, self.loss, finished, number)

    def _steps(self, record: Record, last: int) -> None:
        learner, system = self.learner, self.config.system
        batches = self._batches()
        learner.backbone.train()
        learner.loss.train()
        record.meter.restart()
        while True:
            result = learner.train_step(self._next(batches, record), bool(self.stop))
            self.loss = result.loss
            record.meter.trained(self.config.batch_size)
            record.observer.advance(learner.step)
            ends = result.stop or learner.step == last
            if ends or learner.step % system.log_every == 0:
                record.write(learner.step, self._figures(result) | record.speed())
            if ends or learner.step % system.checkpoint_every == 0:
                self._save(record)
            if ends:
                return

    def _batches(self) -> Iterator[FaceBatch]:
        config, world = self.config, self.world
        dataset = face_dataset(
            self.source, config.data.augmentation, config.seed, config.data.cache_mb * 2**20
        )
        share = RankBatches(self.order, self.learner.step, world.rank, world.num_ranks)
        return iter(face_loader(dataset, share, config.system.workers, world.device.type == "cuda"))

    def _next(self, batches: Iterator[FaceBatch], record: Record) -> FaceBatch:
        started = time.perf_counter()
        batch = next(batches)
        record.meter.waited(time.perf_counter() - started)
        return batch

    def _figures(self, result: StepResult) -> dict[str, float]:
        learner = self.learner
        statistics = learner.loss.statistics().items()
        return {
            "loss": result.loss,
            "epoch": learner.step / len(self.order),
            "lr": learner.optimiser.param_groups[0]["lr"],
            "gradient_norm": result.gradient_norm.item(),
            **{f"loss/{name}": value for name, value in statistics},
        }

    def _save(self, record: Record) -> None:
        """Evaluate and write a checkpoint. All ranks come here at the same step."""
        if self.evaluate is not None:
            with self.learner.evaluating() as backbone:
                figures = self.evaluate(backbone, self.learner.step)
            record.write(self.learner.step, figures)
        meta: dict[str, Any] = {"data": self.provenance["data"], "ranks": self.world.num_ranks}
        checkpoint = capture(self.learner, meta)
        if self.world.leads:
            folder = self.directory / "checkpoints"
            path = write_checkpoint(folder, checkpoint, self.config.system.keep)
            record.observer.say(f"saved {path}")
        self.world.wait()
