"""`python -m benchmarks losses {train,report}`: the study, and its report from the cached runs."""

import argparse
from pathlib import Path

import torch

from benchmarks.losses.report import write_report
from benchmarks.losses.study import run_study


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks losses", description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/losses.jsonl"), help="the cache")
    actions = parser.add_subparsers(dest="action", required=True)
    train = actions.add_parser("train", help="train and measure what the cache lacks")
    train.add_argument("assets", type=Path, help="the folder that holds train/celeba299_112.tar")
    train.add_argument("--minutes", type=float, default=120.0, help="start no run after that")
    report = actions.add_parser("report", help="write tables and pictures from the cache")
    report.add_argument("--to", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.action == "report":
        write_report(given.runs, given.to)
    else:
        given.runs.parent.mkdir(parents=True, exist_ok=True)
        run_study(given.assets, given.runs, 60 * given.minutes)
