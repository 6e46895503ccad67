"""An import whose service is killed again and again ends as one that was left alone.

`NORMA_IMPORT_KILLS=100` for the long run, `NORMA_SEED` to repeat one.
"""

import base64
import io
import json
import os
import random
import tarfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.service import Service
from tests.conftest import Faces
from tests.faults.service_process import Serve, Served

KILLS = int(os.environ.get("NORMA_IMPORT_KILLS", "4"))
SEED = int(os.environ.get("NORMA_SEED", "1"))
POINTS = ("before_commit", "after_commit", "after_apply")
LINES, PHOTOS = 700, 40
Gallery = dict[str, Any]


@pytest.fixture
def upload(service: Service, faces: Faces) -> bytes:
    """Features and photos, some twice, some unusable, several of one subject."""
    contract = service.pipeline.recogniser.contract_id
    rng = np.random.default_rng(3)
    lines: list[dict[str, object]] = []
    for n in range(LINES):
        feature = (rng.standard_normal(128) * 2).astype("<f4").tobytes()
        if n % 50 == 49:
            feature = feature[:-3]
        text = base64.b64encode(feature).decode()
        lines.append({"subject": f"s{n % 300:03}", "contract_id": contract, "feature": text})
    lines += lines[:20]
    photos = {
        f"{n}.jpg": (faces.landscape if n % 9 == 8 else faces.portrait) + bytes(n % 30)
        for n in range(PHOTOS)
    }
    lines += [{"subject": f"p{n % 10}", "path": name} for n, name in enumerate(photos)]
    manifest = "\n".join(map(json.dumps, lines)).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in {"manifest.ndjson": manifest, **photos}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def begun(served: Served, upload: bytes) -> str:
    """The job's id. The same request is sent again as long as it takes."""
    with_key = {"content-type": "application/gzip", "idempotency-key": "the-import"}
    terms = {"name": "people", "identify": True, "conflict": "off"}
    served.client.post("/v1/galleries", json=terms)
    answer = served.client.post("/v1/galleries/people/imports", content=upload, headers=with_key)
    return str(answer.json()["id"])


def done(served: Served, job: str) -> bool:
    """Waits for the end of the job; False where the service died before."""
    try:
        while (state := served.client.get(f"/v1/jobs/{job}").json()["state"]) != "done":
            assert state in ("queued", "running", "paused"), state
            time.sleep(0.02)
    except httpx.TransportError:
        return False
    return True


def left(served: Served, job: str) -> tuple[Gallery, list[object]]:
    """What the gallery holds, without times; and the report."""
    text = served.client.get("/v1/galleries/people/export").text
    gallery = {line["subject"]: line["faces"] for line in map(json.loads, text.split("\n")[:-1])}
    for stored in gallery.values():
        for face in stored:
            del face["created_at"]
    report = served.client.get(f"/v1/jobs/{job}/items", params={"limit": 1000}).json()
    return gallery, report["items"]


def packages(data: Path, packages_dir: Path) -> Path:
    data.mkdir()
    (data / "packages").symlink_to(packages_dir)
    return data


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_f01_a_killed_import_goes_on_and_repeats_nothing(
    tmp_path: Path, packages_dir: Path, upload: bytes, serve: Serve
) -> None:
    whole = serve(packages(tmp_path / "whole", packages_dir))
    assert whole.ready()
    job = begun(whole, upload)
    assert done(whole, job)
    expected = left(whole, job)
    assert whole.stop() == 0

    rng = random.Random(SEED)
    data = packages(tmp_path / "data", packages_dir)
    killed = 0
    job = ""
    while True:
        armed = f"{POINTS[killed % 3]}:kill:{rng.randint(1, 12)}" if killed < KILLS else ""
        served = serve(data, armed)
        try:
            if served.ready():
                job = begun(served, upload)
                if killed < KILLS and rng.random() < 0.4:
                    time.sleep(rng.random())
                    served.kill()
                if done(served, job):
                    break
        except httpx.TransportError:
            pass
        served.reap()
        killed += 1
    found = left(served, job)
    assert served.client.get("/v1/jobs").json()["jobs"][0]["progress"]["done"] == len(expected[1])
    assert served.stop() == 0
    assert killed > 0
    assert found[1] == expected[1], f"seed {SEED}"
    assert found[0] == expected[0], f"seed {SEED}"
    assert list((data / "gallery" / "spool").iterdir()) == []


@pytest.mark.slow
def test_f08_a_service_that_is_stopped_pauses_its_job_in_time(
    tmp_path: Path, packages_dir: Path, upload: bytes, serve: Serve
) -> None:
    data = packages(tmp_path / "data", packages_dir)
    served = serve(data)
    assert served.ready()
    job = begun(served, upload)
    while served.client.get(f"/v1/jobs/{job}").json()["progress"]["done"] == 0:
        time.sleep(0.01)
    assert served.stop() == 0
    again = serve(data)
    assert again.ready()
    assert done(again, job)
    assert len(left(again, job)[1]) == LINES + 20 + PHOTOS
    assert again.stop() == 0
