"""The study's four pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks.losses.runs import LONGER, LONGER_NAME, STEPS
from models.data.degrade import DEGRADATIONS

Summary = Mapping[str, Any]
LENGTHS = ("", LONGER_NAME)
COMPARED = ("arcface", "magface", "magface, λ_g = 0", "magface, clean training", "softmax")


def draw_all(summary: Summary, folder: Path) -> None:
    """Writes losses_auc.png, losses_norm.png, losses_discard.png and losses_synthetic.png."""
    mpl.use("Agg")
    networks = summary["networks"]
    _save(auc(networks), folder / "losses_auc.png")
    _save(norms(networks), folder / "losses_norm.png")
    _save(discards(networks), folder / "losses_discard.png")
    _save(known(summary["synthetic"]), folder / "losses_synthetic.png")


def auc(networks: Summary) -> Figure:
    """AUC on untouched photos: seeds as points, the interval over subjects as a bar."""
    figure, axes = plt.subplots(figsize=(6.4, 6.2))
    for place, row in enumerate(networks.values()):
        figures = row["auc"]
        axes.plot([figures["low"], figures["high"]], [place, place], color="0.6", linewidth=4)
        axes.plot(figures["seeds"], [place] * len(figures["seeds"]), "k.", markersize=5)
    axes.set_yticks(range(len(networks)), list(networks))
    axes.invert_yaxis()
    axes.set_xlabel("AUC on unseen subjects (bar: 95 % over subjects; dots: seeds)")
    return figure


def norms(networks: Summary) -> Figure:
    """Within-image Spearman of norm and strength, by network and degradation."""
    value = np.array(
        [[row["spearman"][k]["mean"] for k in DEGRADATIONS] for row in networks.values()]
    )
    figure, axes = plt.subplots(figsize=(7.0, 7.2))
    axes.imshow(value, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (line, column), number in np.ndenumerate(value):
        colour = "white" if abs(number) > 0.6 else "black"
        axes.text(
            column, line, f"{number:+.2f}", ha="center", va="center", fontsize=7, color=colour
        )
    axes.set_xticks(range(len(DEGRADATIONS)), list(DEGRADATIONS), fontsize=8)
    axes.set_yticks(range(len(networks)), list(networks))
    axes.set_title("Spearman of norm and strength (blue: falls)", fontsize=10)
    return figure


def discards(networks: Summary) -> Figure:
    """FNMR at the threshold for FMR 10 %, relative to no discard, on mixed photos."""
    figure, both = plt.subplots(1, 2, figsize=(8.4, 4.0), sharey=True)
    for axes, length in zip(both, LENGTHS, strict=True):
        for name in COMPARED:
            if name + length in networks:
                curve = np.array(networks[name + length]["discard_mixed"]["0.1"]["curve"])
                axes.plot(np.linspace(0, 0.5, len(curve)), curve / curve[0], label=name)
        axes.axhline(1.0, color="0.6", linewidth=0.8)
        axes.set_title(f"{LONGER if length else STEPS} steps", fontsize=10)
        axes.set_xlabel("genuine pairs discarded, shortest norm first", fontsize=8)
    both[0].set_ylabel("FNMR / FNMR without discard")
    both[0].legend(fontsize=7)
    return figure


def known(synthetic: Summary) -> Figure:
    """Mean norm by fifth of the known quality."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0))
    for name, row in synthetic.items():
        label = f"{name} (ρ {row['spearman']['mean']:.3f})"
        axes.plot(range(1, 6), row["quintiles"], marker="o", label=label)
    axes.axhline(10.0, color="0.6", linewidth=0.8)
    axes.set_xticks(range(1, 6))
    axes.set_xlabel("fifth of the samples by known quality (line: l_a)")
    axes.set_ylabel("norm")
    axes.legend(fontsize=7)
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
