"""A real server on a real socket, started as a user starts it."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import PIL.Image
import pytest

from benchmarks.served import running
from tests.conftest import Faces


@pytest.fixture(scope="module")
def api(data_dir: Path) -> Iterator[httpx.Client]:
    """A client of a running service on the default packages."""
    with running(data_dir=str(data_dir)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def tiny_face(faces: Faces) -> bytes:
    """A photo whose only face is found, and is some twenty pixels wide."""
    photo = PIL.Image.open(io.BytesIO(faces.portrait))
    photo.thumbnail((32, 32))
    canvas = PIL.Image.new("RGB", (160, 160), (128, 128, 128))
    canvas.paste(photo, (50, 50))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def three_people(faces: Faces) -> bytes:
    """The left part of the group, 700×600: the largest face is not the one in the middle."""
    buffer = io.BytesIO()
    PIL.Image.open(io.BytesIO(faces.group)).crop((0, 0, 700, 600)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
