"""Training: a typed recipe in, a run directory with exact, resumable checkpoints out.

>>> config = override(recipe("tiny"), ["loss.name=magface", "data.paths=faces", …])
>>> result = train(config)
>>> backbone = load_run(result.directory).backbone
"""

from models.train.checkpoint import CheckpointError
from models.train.config import (
    BackboneConfig,
    DataConfig,
    LossConfig,
    OptimiserConfig,
    ScheduleConfig,
    SystemConfig,
    TrainingConfig,
)
from models.train.learner import NonFiniteError
from models.train.recipes import build as recipe
from models.train.restore import TrainedRun, load_run
from models.train.run import RunResult, train
from models.train.values import ConfigError, override

__all__ = [
    "BackboneConfig",
    "CheckpointError",
    "ConfigError",
    "DataConfig",
    "LossConfig",
    "NonFiniteError",
    "OptimiserConfig",
    "RunResult",
    "ScheduleConfig",
    "SystemConfig",
    "TrainedRun",
    "TrainingConfig",
    "load_run",
    "override",
    "recipe",
    "train",
]
