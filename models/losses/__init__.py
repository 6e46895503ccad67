"""Margin losses: `build("magface", dim=512, num_classes=10_000)`, one short file each."""

from models.losses.annealing import Annealing
from models.losses.base import LossOutput, MarginLoss
from models.losses.partial_fc import PartialFC
from models.losses.registry import Entry, Paper, Preset, build, entry, names, presets
from models.losses.table import losses_table, presets_table

# Importing a loss registers it; the order is that of the table.
from models.losses import (  # isort: skip
    softmax as softmax,
    norm_softmax as norm_softmax,
    l_softmax as l_softmax,
    a_softmax as a_softmax,
    cosface as cosface,
    arcface as arcface,
    circle as circle,
    circle_pair as circle_pair,
    magface as magface,
    adaface as adaface,
    curricularface as curricularface,
    elasticface as elasticface,
    sphereface2 as sphereface2,
    uniface as uniface,
)

__all__ = [
    "Annealing",
    "Entry",
    "LossOutput",
    "MarginLoss",
    "Paper",
    "PartialFC",
    "Preset",
    "build",
    "entry",
    "losses_table",
    "names",
    "presets",
    "presets_table",
]
