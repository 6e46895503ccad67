"""The study's figures as Markdown tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.losses.equilibrium import ANGLES
from benchmarks.losses.summary import reference_of
from models.data.degrade import DEGRADATIONS

Summary = Mapping[str, Any]


def all_tables(summary: Summary) -> str:
    networks, synthetic = summary["networks"], summary["synthetic"]
    sections = (
        ("Verification of unseen subjects", verification(networks)),
        ("AUC less ArcFace's after as many steps", differences(networks)),
        ("Norm against strength of degradation, within each image (Spearman)", ladder(networks)),
        ("Error versus discard by norm", discards(networks)),
        ("Known quality", known(synthetic)),
        ("Where MagFace wants lengths to settle", settled(summary["equilibria"])),
        ("Training", training(networks)),
    )
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections) + "\n"


def verification(networks: Summary) -> str:
    head = ("network", "AUC, clean", "TAR at FMR 1 %, clean", "AUC, mixed", "TAR at FMR 1 %, mixed")
    return table(
        head,
        (
            (
                name,
                _bounded(row["auc"], 3),
                _bounded(row["tar"], 3),
                _bounded(row["auc_mixed"], 3),
                _bounded(row["tar_mixed"], 3),
            )
            for name, row in networks.items()
        ),
    )


def differences(networks: Summary) -> str:
    head = ("network", "clean", "seeds", "mixed", "seeds")
    references = {reference_of(name) for name in networks}
    trained = {k: v for k, v in networks.items() if v["training"] and k not in references}
    columns = ("auc_minus_reference", "auc_mixed_minus_reference")
    return table(
        head,
        (
            (name, *(cell for key in columns for cell in _signed(row[key])))
            for name, row in trained.items()
        ),
    )


def ladder(networks: Summary) -> str:
    head = ("network", *DEGRADATIONS, "mean", "mean of each seed", "AUC clean/worst, mean")
    return table(
        head,
        (
            (
                name,
                *(f"{row['spearman'][kind]['mean']:+.2f}" for kind in DEGRADATIONS),
                f"**{row['spearman']['all']['mean']:+.2f}**",
                _list(row["spearman"]["all"]["seeds"]),
                f"{row['clean_versus_worst']['all']['mean']:.2f}",
            )
            for name, row in networks.items()
        ),
    )


def discards(networks: Summary) -> str:
    head = ("network", "clean, 1 %", "clean, 10 %", "mixed, 1 %", "mixed, 10 %", "seeds", "chance")
    rates = [
        (f"discard_{photos}", rate) for photos in ("clean", "mixed") for rate in ("0.01", "0.1")
    ]
    return table(
        head,
        (
            (
                name,
                *(f"{row[photos][rate]['mean']:.3f}" for photos, rate in rates),
                _list(row["discard_mixed"]["0.1"]["seeds"], 3),
                "{:.3f}…{:.3f}".format(*row["discard_mixed"]["0.1"]["shuffled"]),
            )
            for name, row in networks.items()
        ),
    )


def known(synthetic: Summary) -> str:
    head = ("loss", "ρ(quality, norm)", "seeds", "norm by fifth of quality", "share under l_a")
    return table(
        head,
        (
            (
                name,
                f"{row['spearman']['mean']:.3f}",
                _list(row["spearman"]["seeds"], 3),
                " → ".join(f"{value:.1f}" for value in row["quintiles"]),
                f"{row['below_l_a']['mean']:.2f}",
            )
            for name, row in synthetic.items()
        ),
    )


def settled(equilibria: Summary) -> str:
    head = ("best length at an angle of", *(f"{angle}°" for angle in ANGLES))
    return table(
        head,
        ((title, *(f"{value:.0f}" for value in row)) for title, row in equilibria.items()),
    )


def training(networks: Summary) -> str:
    head = ("network", "seeds", "CPU s a run", "last batch: norm ± sd", "target", "norm, unseen")
    return table(
        head,
        (
            (
                name,
                str(row["seeds"]),
                f"{row['cpu_seconds']['mean']:.0f}",
                "{norm_mean:.1f} ± {norm_std:.1f}".format(**row["training"]),
                f"{row['training']['target_score_mean']:.2f}",
                f"{row['norm']['mean']['mean']:.1f} ± {row['norm']['std']['mean']:.1f}",
            )
            for name, row in networks.items()
            if row["training"]
        ),
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _bounded(figure: Summary, digits: int) -> str:
    return f"{figure['mean']:.{digits}f} ({figure['low']:.{digits}f}–{figure['high']:.{digits}f})"


def _signed(figure: Summary) -> tuple[str, str]:
    value = f"{figure['mean']:+.3f} ({figure['low']:+.3f} … {figure['high']:+.3f})"
    return value, " ".join(f"{seed:+.3f}" for seed in figure["seeds"])


def _list(values: Iterable[float], digits: int = 2) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)
