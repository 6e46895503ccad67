"""python -m benchmarks gallery [--faces N,N] [--rounds R] [--seconds S] [--packages P] [--out O]

Features go in and subjects come out: over HTTP from `norma serve`, beside bare FAISS and numpy.
"""

import argparse
import json
from pathlib import Path

from app.settings import Settings
from benchmarks.gallery.measure import measure
from benchmarks.gallery.page import page
from benchmarks.machine import machine


def main(arguments: list[str]) -> None:
    """Writes gallery.json and gallery.md anew after each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gallery")
    parser.add_argument("--faces", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--packages", type=Path, default=Settings().packages_dir)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args(arguments)
    about, sizes = machine(), []
    for count in map(int, given.faces.split(",")):
        sizes.append(measure(count, given.rounds, given.seconds, given.packages.resolve()))
        found = {"machine": about, "sizes": sizes}
        (given.out / "gallery.json").write_text(json.dumps(found, indent=2) + "\n")
        (given.out / "gallery.md").write_text(page(found))
        print(json.dumps(sizes[-1], indent=2), flush=True)
