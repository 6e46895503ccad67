"""L09: sixteen bombs at once cost no more memory than is set aside for decoding."""

import asyncio
from pathlib import Path

import httpx
import PIL.Image
import pytest

from benchmarks.served import running
from tests.conftest import Faces
from tests.hostile import corpus
from tests.hostile.process import peak_rss, pid_of

MiB = 2**20
BUDGET = 500 * MiB
BOMB = {"image": corpus.save(PIL.Image.new("RGB", (4000, 4000)), "WEBP", lossless=True)}


async def all_at_once(url: str, photo: bytes) -> tuple[list[httpx.Response], httpx.Response]:
    """Sixteen bombs, and a photo among them."""
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as api:
        bombs = [asyncio.ensure_future(api.post("/v1/detect", files=BOMB)) for _ in range(16)]
        ordinary = await api.post("/v1/detect", files={"image": photo})
        return await asyncio.gather(*bombs), ordinary


@pytest.mark.slow
def test_l09_sixteen_bombs_at_once(data_dir: Path, tmp_path: Path, faces: Faces) -> None:
    (tmp_path / "packages").symlink_to(data_dir / "packages")
    settings = {"decode_memory": str(BUDGET), "workers": "16"}
    with running(data_dir=str(tmp_path), **settings) as url:
        httpx.post(f"{url}/v1/detect", files={"image": faces.portrait}, timeout=60)
        pid = pid_of(int(url.rpartition(":")[2]))
        before = peak_rss(pid)
        bombs, ordinary = asyncio.run(all_at_once(url, faces.portrait))
        added = peak_rss(pid) - before
    assert len(BOMB["image"]) < 1000
    found = [(one.status_code, one.json().get("error", {}).get("code")) for one in bombs]
    assert set(found) == {(200, None), (503, "decode_busy")}
    assert all("retry-after" in one.headers for one in bombs if one.status_code == 503)
    assert ordinary.status_code == 200
    assert len(ordinary.json()["faces"]) == 1
    assert added < 1.15 * BUDGET, f"{added / MiB:.0f} MiB"
