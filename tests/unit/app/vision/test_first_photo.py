"""L10: the first photo of each format is read as fast as those after it: nothing is imported."""

import io
import subprocess
import sys

import PIL.Image
import pytest

from tests.contract.sources import ROOT

FRESH = """
import sys
from app.vision.decode import decode
from app.vision.limits import ImageLimits
limits = ImageLimits(10**7, 10**7, 10**7, 5000, 16, 20)
before = set(sys.modules)
decode(sys.stdin.buffer.read(), limits)
sys.stdout.write(" ".join(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_L10_no_reader_is_loaded_with_the_first_photo(kind: str) -> None:
    photo = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), (90, 120, 150)).save(photo, kind)
    ran = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=photo.getvalue(),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert [name for name in ran.stdout.decode().split() if name.startswith("PIL")] == []
