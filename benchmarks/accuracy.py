"""Verification accuracy through the HTTP service, on a labelled pairs list in LFW's layout.

    python -m benchmarks accuracy PHOTOS_DIR PAIRS_FILE [--detector P] [--recogniser P]

Each pair is one `POST /v1/verify` with the quality gate off; what the service refuses for want of a
face is counted apart (failure to detect), never as an error of the recogniser.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.served import running


@dataclass(frozen=True, slots=True)
class Pair:
    a: Path
    b: Path
    genuine: bool


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks accuracy")
    parser.add_argument("photos", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--detector")
    parser.add_argument("--recogniser")
    given = parser.parse_args(arguments)
    named = {"detector": given.detector, "recogniser": given.recogniser}
    settings = {name: value for name, value in named.items() if value}
    pairs = read_pairs(given.photos, given.pairs)
    with (
        running(**settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        scores = list(threads.map(lambda pair: _similarity(client, pair), pairs))
    print(json.dumps(settings | summary(scores, [pair.genuine for pair in pairs]), indent=2))


def read_pairs(photos: Path, file: Path) -> list[Pair]:
    """LFW's list: `NAME n m` for the same person, `NAME n OTHER m` for two."""

    def photo(name: str, number: str) -> Path:
        return photos / name / f"{name}_{int(number):04d}.jpg"

    pairs = []
    for line in file.read_text().splitlines()[1:]:
        parts = line.split()
        if len(parts) == 3:
            pairs.append(Pair(photo(parts[0], parts[1]), photo(parts[0], parts[2]), True))
        elif len(parts) == 4:
            pairs.append(Pair(photo(parts[0], parts[1]), photo(parts[2], parts[3]), False))
    return pairs


def _similarity(client: httpx.Client, pair: Pair) -> float | None:
    answer = client.post(
        "/v1/verify",
        params={"quality": "off", "threshold": 0, "face_select": "center"},
        files={"image_a": pair.a.read_bytes(), "image_b": pair.b.read_bytes()},
    )
    if answer.status_code == 422 and answer.json()["error"]["code"] == "face_not_found":
        return None
    answer.raise_for_status()
    return float(answer.json()["similarity"])


def summary(scores: list[float | None], genuine: list[bool]) -> dict[str, float | int]:
    """Accuracy at the best threshold and TAR at FMR 1%, over the pairs that could be compared."""
    kept = [(score, same) for score, same in zip(scores, genuine, strict=True) if score is not None]
    mated = np.array([score for score, same in kept if same])
    impostor = np.array([score for score, same in kept if not same])
    strict = np.sort(impostor)[::-1][int(0.01 * len(impostor))]
    return {
        "pairs": len(scores),
        "failed_to_detect": len(scores) - len(kept),
        "accuracy": round(_best_accuracy(mated, impostor), 5),
        "tar_at_fmr_1pct": round(float((mated > strict).mean()), 5),
        "eer": round(_equal_error(mated, impostor), 5),
    }


def _best_accuracy(mated: NDArray[np.float64], impostor: NDArray[np.float64]) -> float:
    cuts = np.concatenate([mated, impostor])
    right = [(mated >= cut).sum() + (impostor < cut).sum() for cut in cuts]
    return float(max(right)) / len(cuts)


def _equal_error(mated: NDArray[np.float64], impostor: NDArray[np.float64]) -> float:
    cuts = np.sort(np.concatenate([mated, impostor]))
    gaps = [abs((mated < cut).mean() - (impostor >= cut).mean()) for cut in cuts]
    cut = cuts[int(np.argmin(gaps))]
    return float((mated < cut).mean() + (impostor >= cut).mean()) / 2
