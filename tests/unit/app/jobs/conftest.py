"""A service on its own gallery, with its jobs, asked over HTTP."""

import base64
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import pytest
import uvicorn
from numpy.typing import NDArray

from app.gallery.room import open_room
from app.inference.engine import Engine, EngineOptions
from app.main import create_app
from app.security.start import open_guard
from app.service import Service
from tests.conftest import Faces

Api = httpx.Client
Open = Callable[..., AbstractContextManager[Api]]


@pytest.fixture
def opened(service: Service, tmp_path: Path) -> Open:
    """Opens the service on the test's own gallery directory, again after it was closed."""

    @contextmanager
    def opening(**settings: object) -> Iterator[Api]:
        chosen = service.settings.model_copy(update={"data_dir": tmp_path / "data", **settings})
        own = replace(
            service,
            settings=chosen,
            engine=Engine(EngineOptions(2, 64, 20, 10, 60), service.pipeline),
            gallery=open_room(chosen),
            guard=open_guard(chosen),
        )
        with _served(own) as url, httpx.Client(base_url=url, timeout=60) as client:
            yield client

    return opening


@contextmanager
def _served(service: Service) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def api(opened: Open) -> Iterator[Api]:
    with opened() as client:
        yield client


def create(api: Api, name: str = "people", **terms: object) -> None:
    answer = api.post("/v1/galleries", json={"name": name, "identify": True, **terms})
    assert answer.status_code == 201, answer.text


def send(
    api: Api, body: bytes, kind: str, gallery: str = "people", **options: object
) -> dict[str, object]:
    """The job that was queued."""
    answer = api.post(
        f"/v1/galleries/{gallery}/imports",
        content=body,
        params=options,
        headers={"content-type": kind},
    )
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def finished(api: Api, job: Mapping[str, object]) -> dict[str, object]:
    """The job once it has ended."""
    for _ in range(3000):
        found = dict(api.get(f"/v1/jobs/{job['id']}").json())
        if found["state"] in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"the job did not end: {found}")


def items(api: Api, job: Mapping[str, object], **options: object) -> list[dict[str, object]]:
    """The whole report, over all pages."""
    found: list[dict[str, object]] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get(f"/v1/jobs/{job['id']}/items", params={**options, **cursor}).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def outcomes(api: Api, job: Mapping[str, object]) -> dict[str, str]:
    """Item → outcome, or the code of its refusal."""
    return {str(one["item"]): str(one["code"] or one["outcome"]) for one in items(api, job)}


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def feature(seed: int, dim: int = 128) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(dim) * 2).astype(np.float32)


def line(contract_id: str, subject: str, seed: int, **fields: object) -> dict[str, object]:
    """One line of a manifest, with a feature that the seed makes."""
    raw = feature(seed).astype("<f4").tobytes()
    return {
        "subject": subject,
        "contract_id": contract_id,
        "feature": base64.b64encode(raw).decode(),
        **fields,
    }


def ndjson(*lines: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


ZIP, TAR = "application/zip", "application/x-tar"
NDJSON, CSV = "application/x-ndjson", "text/csv"


@pytest.fixture(scope="session")
def tiny_face(faces: Faces) -> bytes:
    """A photo whose only face is found, and is some twenty pixels wide."""
    photo = PIL.Image.open(io.BytesIO(faces.portrait))
    photo.thumbnail((32, 32))
    canvas = PIL.Image.new("RGB", (160, 160), (128, 128, 128))
    canvas.paste(photo, (50, 50))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()
