"""Damaged images and damaged bodies through HTTP, seeded (row B32 of the catalogue, end to end).

`make fuzz` sends 10 000 and prints the table; the tests send 500.
"""

import base64
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks.served import running
from tests.hostile.mutations import damage, mutated
from tests.hostile.process import peak_rss, pid_of

HANG = 10.0
"""Seconds after which an answer counts as none."""

Sent = tuple[str, bytes, str]
"""Family, body and content type."""


@dataclass(slots=True)
class Tally:
    """What became of the inputs."""

    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """By family, status and code."""
    hangs: int = 0
    slowest: float = 0.0
    rss_before: int = 0
    rss_peak: int = 0

    @property
    def failures(self) -> int:
        """Answers of 500 and above."""
        return sum(n for (_, status, _), n in self.answers.items() if status >= 500)

    def family(self, name: str) -> int:
        return sum(n for (family, _, _), n in self.answers.items() if family == name)


def inputs(seed: int, count: int) -> Iterator[Sent]:
    """Damaged images as they are and in sound bodies; images in damaged bodies."""
    random = np.random.default_rng(seed)
    for number, image in enumerate(mutated(seed, count)):
        form = b'--B\r\nContent-Disposition: form-data; name="image"\r\n\r\n%b\r\n--B--'
        encoded = json.dumps({"image": base64.b64encode(image).decode()}).encode()
        kind = "multipart/form-data; boundary=B"
        match number % 5:
            case 0:
                yield "image in multipart", form % image, kind
            case 1:
                yield "damaged multipart", damage(form % image[:200], random), kind
            case 2:
                yield "damaged JSON", damage(encoded[:300] + b'"}', random), "application/json"
            case _:
                yield "image", image, "application/octet-stream"


def fuzz(url: str, seed: int, count: int) -> Tally:
    """Send `count` inputs to a running service, four at a time."""
    pid = pid_of(int(url.rpartition(":")[2]))
    tally = Tally(rss_before=peak_rss(pid))
    with httpx.Client(base_url=url, timeout=HANG) as api, ThreadPoolExecutor(4) as pool:

        def send(one: Sent) -> tuple[str, int, str] | None:
            family, body, kind = one
            start = time.monotonic()
            try:
                answer = api.post("/v1/embed", content=body, headers={"content-type": kind})
            except httpx.TimeoutException:
                return None
            tally.slowest = max(tally.slowest, time.monotonic() - start)
            code = answer.json().get("error", {}).get("code", "answered")
            return family, answer.status_code, code

        for found in pool.map(send, inputs(seed, count)):
            if found is None:
                tally.hangs += 1
            else:
                tally.answers[found] += 1
        assert api.get("/healthz").status_code == 200
    tally.rss_peak = peak_rss(pid)
    return tally


def main(count: int, packages: Path) -> int:
    """Print the table. Returns 1 where there was a failure or a hang."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "packages").symlink_to(packages.resolve())
        with running(data_dir=home, queue="1000") as url:
            tally = fuzz(url, seed=1, count=count)
    for (family, status, code), number in sorted(tally.answers.items()):
        sys.stdout.write(f"{family:<20}{status:>4}  {code:<20}{number:>7}\n")
    sys.stdout.write(
        f"inputs {count}, 5xx {tally.failures}, hangs {tally.hangs}, "
        f"slowest {tally.slowest:.2f} s, "
        f"RSS {tally.rss_before >> 20} MiB, then at most {tally.rss_peak >> 20} MiB\n"
    )
    return int(bool(tally.failures or tally.hangs))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
