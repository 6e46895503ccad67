"""`python -m benchmarks losses {train,report}`: the study, and its report from the cached runs."""

import argparse
from pathlib import Path

import torch

from benchmarks.losses.study import run_study


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks losses")
    parser.add_argument("assets", type=Path, help="the folder that holds train/celeba299_112.tar")
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/results/losses.jsonl"))
    parser.add_argument("--minutes", type=float, default=60.0, help="start no run after that")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run_study(given.assets, given.runs, 60 * given.minutes)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
