"""From runs to figures: means over seeds, intervals over subjects, paired differences."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.losses.cache import Record
from benchmarks.losses.equilibrium import equilibria
from benchmarks.losses.runs import LONGER_NAME

Runs = Mapping[str, list[Record]]
"""The records of each network, one a seed."""

REFERENCE = "arcface"
SYNTHETIC = "synthetic/"


def by_network(records: Mapping[str, Record]) -> dict[str, list[Record]]:
    """Records grouped by the name before the seed, in order of appearance."""
    groups: dict[str, list[Record]] = {}
    for key, record in records.items():
        groups.setdefault(key.rsplit("/", 1)[0], []).append(record)
    return groups


def summarise(records: Mapping[str, Record]) -> dict[str, Any]:
    groups = by_network(records)
    networks = {name: runs for name, runs in groups.items() if not name.startswith(SYNTHETIC)}
    return {
        "networks": {
            name: network(runs, networks[reference_of(name)]) for name, runs in networks.items()
        },
        "synthetic": {
            name.removeprefix(SYNTHETIC): synthetic(runs)
            for name, runs in groups.items()
            if name.startswith(SYNTHETIC)
        },
        "equilibria": equilibria(),
    }


def reference_of(name: str) -> str:
    """ArcFace after as many steps."""
    return f"{REFERENCE}{LONGER_NAME}" if name.endswith(LONGER_NAME) else REFERENCE


def network(runs: list[Record], reference: list[Record]) -> dict[str, Any]:
    return {
        "seeds": len(runs),
        "cpu_seconds": spread([run["cpu_seconds"] for run in runs]),
        "auc": auc_of(runs, "clean"),
        "auc_mixed": auc_of(runs, "mixed"),
        "auc_minus_reference": difference(runs, reference, "clean"),
        "auc_mixed_minus_reference": difference(runs, reference, "mixed"),
        "tar": tar_of(runs, "clean"),
        "tar_mixed": tar_of(runs, "mixed"),
        "spearman": ladder_of(runs, "spearman"),
        "clean_versus_worst": ladder_of(runs, "clean_versus_worst"),
        "norm_means": {
            kind: np.mean([run["ladder"][kind]["means"] for run in runs], axis=0).tolist()
            for kind in runs[0]["ladder"]
        },
        "discard_clean": discards_of(runs, "discard_clean"),
        "discard_mixed": discards_of(runs, "discard_mixed"),
        "norm": {key: spread([run["norm"][key] for run in runs]) for key in ("mean", "std")},
        "training": last_batches(runs),
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Mean, and every seed's value."""
    return {"mean": float(np.mean(values)), "seeds": [round(float(v), 4) for v in values]}


def auc_of(runs: list[Record], photos: str) -> dict[str, Any]:
    """The interval is over redrawn subjects, of the mean over seeds."""
    replicates_R = np.mean([run[photos]["auc_replicates"] for run in runs], axis=0)
    return spread([run[photos]["auc"] for run in runs]) | interval(replicates_R)


def difference(runs: list[Record], reference: list[Record], photos: str) -> dict[str, Any]:
    """AUC less the reference's, same seeds and same draws of subjects.

    The interval redraws the seeds along with the subjects.
    """
    pairs = list(zip(runs, reference, strict=False))
    value = [run[photos]["auc"] - other[photos]["auc"] for run, other in pairs]
    gap_KR = np.array(
        [
            np.subtract(run[photos]["auc_replicates"], other[photos]["auc_replicates"])
            for run, other in pairs
        ]
    )
    drawn_RK = np.random.default_rng(0).integers(len(pairs), size=(gap_KR.shape[1], len(pairs)))
    redrawn_R = gap_KR[drawn_RK, np.arange(gap_KR.shape[1])[:, None]].mean(axis=1)
    return spread(value) | interval(redrawn_R)


def interval(replicates_R: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(replicates_R, [0.025, 0.975])
    return {"low": float(low), "high": float(high)}


def tar_of(runs: list[Record], photos: str) -> dict[str, Any]:
    """TAR and its interval, each averaged over seeds."""
    value, low, high = np.mean([run[photos]["tar"] for run in runs], axis=0).tolist()
    seeds = [round(run[photos]["tar"][0], 4) for run in runs]
    return {"mean": value, "seeds": seeds, "low": low, "high": high}


def ladder_of(runs: list[Record], figure: str) -> dict[str, Any]:
    """One figure of each degradation, and its mean over the degradations."""
    kinds = {
        kind: spread([run["ladder"][kind][figure] for run in runs]) for kind in runs[0]["ladder"]
    }
    all_kinds = [float(np.mean([rung[figure] for rung in run["ladder"].values()])) for run in runs]
    return {**kinds, "all": spread(all_kinds)}


def discards_of(runs: list[Record], photos: str) -> dict[str, Any]:
    return {rate: discard_of(runs, photos, rate) for rate in runs[0][photos]}


def discard_of(runs: list[Record], photos: str, rate: str) -> dict[str, Any]:
    values = [run[photos][rate] for run in runs]
    pick: Callable[[str], list[Any]] = lambda key: [value[key] for value in values]  # noqa: E731
    return {
        **spread(pick("area")),
        "shuffled": np.mean(pick("shuffled"), axis=0).tolist(),
        "curve": np.mean(pick("curve"), axis=0).round(4).tolist(),
    }


def last_batches(runs: list[Record]) -> dict[str, float]:
    """What the losses logged of their last batch, averaged over seeds."""
    names = runs[0].get("training", {})
    return {
        name: round(float(np.mean([run["training"][name] for run in runs])), 4) for name in names
    }


def synthetic(runs: list[Record]) -> dict[str, Any]:
    return {
        "spearman": spread([run["spearman"] for run in runs]),
        "quintiles": np.mean([run["quintiles"] for run in runs], axis=0).round(2).tolist(),
        "below_l_a": spread([run["below_l_a"] for run in runs]),
    }
