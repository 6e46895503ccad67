"""F33: a process at its memory limit refuses an image for now, and decodes the next one."""

import subprocess
import sys

import pytest

from tests.contract.sources import ROOT

AT_THE_LIMIT = """
import re, resource
from pathlib import Path
from app.errors import DecodeBusyError
from app.vision.decode import decode
from app.vision.limits import ImageLimits
from tests.hostile import corpus

LIMITS = ImageLimits(10**7, 16_000_000, 64_000_000, 12_000, 16, 20)
small, large = (corpus.flat(side, side, "PNG") for side in (64, 4000))
decode(small, LIMITS)
size = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 32 * 2**20,) * 2)
for _ in range(3):
    try:
        decode(large, LIMITS)
    except DecodeBusyError as error:
        print(error.status, error.code, error.retry_after)
    print(decode(small, LIMITS).width)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_F33_an_image_that_does_not_fit_is_refused_and_the_next_is_decoded() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", AT_THE_LIMIT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["503 decode_busy 1", "64"] * 3
