"""The service's speed beside the bare networks and beside insightface in a FastAPI wrapper.

    python -m benchmarks speed [--rounds N] [--seconds S] [--clients 1,8,64]

Everything runs at once and one side is asked at a time. `NORMA_ASSETS` adds the weights that
insightface can run too, and OpenVINO, where it is installed, the bfloat16 variants.
"""

import argparse
import base64
import importlib.util
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from app.settings import Settings
from benchmarks.machine import machine
from benchmarks.speed import page
from benchmarks.speed.photos import photos
from benchmarks.speed.rounds import interleaved, overload
from benchmarks.speed.sides import EMBED, THOROUGH, VARIANTS, Server, Variant, embedding, verifying
from benchmarks.speed.weights import DEFAULT, Weights, shared
from export.contract import cosine

RESULTS = Path(__file__).parent.parent / "results"
SHARES = (0.5, 0.8, 1.0, 1.5, 3.0)
DEADLINE_MS = 10_000.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("benchmarks speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", default="1,2,4,8,16,64")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    clients = [int(number) for number in given.clients.split(",")]
    record: dict[str, Any] = machine() | {"rounds": given.rounds, "seconds": given.seconds}
    given.out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        record["default"] = _default(clients, given.rounds, given.seconds)
        _keep(record, given.out)
        for weights in shared(Path(directory)):
            key = weights.name
            record.setdefault("beside_insightface", {})[key] = _beside(
                weights, Path(directory), clients, given.rounds, given.seconds
            )
            _keep(record, given.out)
    page.plot(record, given.out / "speed.png")
    print((given.out / "speed.md").read_text())


def _keep(record: dict[str, Any], folder: Path) -> None:
    """What there is so far: a long run may be cut short."""
    (folder / "speed.json").write_text(json.dumps(record, indent=2) + "\n")
    (folder / "speed.md").write_text(page.write(record))


def _variants() -> Sequence[Variant]:
    if importlib.util.find_spec("openvino") is not None:
        return VARIANTS
    return [one for one in VARIANTS if "arithmetic" not in one.settings]


def _default(clients: Sequence[int], rounds: int, seconds: float) -> dict[str, Any]:
    """The default packages: embed and verify beside the bare networks, then overload."""
    packages, sent = Settings().packages_dir, photos()
    found: dict[str, Any] = {}
    with embedding(DEFAULT, packages, sent, _variants()) as sides:
        _warm(sides)
        found["embed"] = {n: interleaved(sides, n, rounds, seconds, {}) for n in clients}
        server = sides[THOROUGH.name]
        assert isinstance(server, Server)
        found["stages_ms"] = _stages(server.url, sent)
        peak = max(rows[THOROUGH.name]["rate"] for rows in found["embed"].values())
        found["overload"] = overload(server, peak, SHARES, 3 * seconds, DEADLINE_MS)
    found["verify"] = _verify(DEFAULT, packages, clients, rounds, seconds)
    return found


def _verify(
    weights: Weights, packages: Path, clients: Sequence[int], rounds: int, seconds: float
) -> dict[int, Any]:
    with verifying(weights, packages, photos(), [THOROUGH]) as sides:
        _warm(sides)
        work = {THOROUGH.name: 2}
        return {n: interleaved(sides, n, rounds, seconds, work) for n in clients}


def _beside(
    weights: Weights, packages: Path, clients: Sequence[int], rounds: int, seconds: float
) -> dict[str, Any]:
    sent = photos()
    with embedding(weights, packages, sent, _variants()) as sides:
        _warm(sides)
        found = {
            "cosine_to_insightface": _agreement(sides, sent[:2]),
            "embed": {n: interleaved(sides, n, rounds, seconds, {}) for n in clients},
        }
    return found | {"verify": _verify(weights, packages, clients, rounds, seconds)}


def _warm(sides: Mapping[str, Any]) -> None:
    for side in sides.values():
        side.closed(2, 1.0)


def _agreement(sides: Mapping[str, Any], sent: Sequence[bytes]) -> dict[str, float]:
    """The lowest cosine of each variant's features to insightface's, on photos of one person: which
    of two equally large faces is the largest is for a pixel to say."""
    theirs = [
        np.array(_post(f"{sides['insightface'].url}/embed", photo), np.float32) for photo in sent
    ]
    lowest = {}
    for name, side in sides.items():
        if name in ("bare", "insightface"):
            continue
        ours = [_post(f"{side.url}{EMBED}", photo)["feature"] for photo in sent]
        features = [np.frombuffer(base64.b64decode(text), "<f4") for text in ours]
        lowest[name] = round(min(map(cosine, features, theirs)), 6)
    return lowest


def _stages(url: str, sent: Sequence[bytes]) -> dict[str, float]:
    """Where the time of one request goes, alone on the service: medians, milliseconds."""
    seen: list[dict[str, float]] = []
    with httpx.Client() as client:
        for photo in [*sent, *sent * 20]:
            answer = client.post(
                f"{url}{EMBED}", content=photo, headers={"content-type": "image/jpeg"}
            )
            stages = answer.raise_for_status().json()["timings_ms"]
            whole = answer.elapsed.total_seconds() * 1000
            seen.append({**stages, "http": whole - sum(stages.values())})
    warm = seen[len(sent) :]
    return {name: round(float(np.median([one[name] for one in warm])), 2) for name in warm[0]}


def _post(url: str, photo: bytes) -> Any:  # noqa: ANN401 - JSON
    answer = httpx.post(url, content=photo, headers={"content-type": "image/jpeg"}, timeout=60)
    return answer.raise_for_status().json()
