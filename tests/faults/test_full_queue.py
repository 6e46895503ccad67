"""A full queue refuses photos before they are sent: refusals must not cost what answers do."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from app.errors import BusyError
from app.gallery.room import open_room
from app.inference.engine import Engine, EngineOptions
from app.main import create_app
from app.security.start import open_guard
from app.service import Service

ROUTES = (
    "/v1/detect",
    "/v1/embed",
    "/v1/verify",
    "/v1/galleries/people/identify",
    "/v1/galleries/people/verify/tom",
    "/v1/galleries/people/subjects/tom/faces",
)


@pytest.fixture
def full(service: Service, tmp_path: Path) -> Iterator[int]:
    """The port of a service whose one worker is busy and whose queue of one is taken."""
    settings = service.settings.model_copy(update={"data_dir": tmp_path})
    engine = Engine(EngineOptions(1, 1, 60, 60, 60), service.pipeline)
    own = replace(
        service,
        settings=settings,
        engine=engine,
        gallery=open_room(settings),
        guard=open_guard(settings),
    )
    server = uvicorn.Server(uvicorn.Config(create_app(own), port=0, log_config=None))
    served = threading.Thread(target=server.run)
    served.start()
    while not server.started:
        time.sleep(0.01)
    done = threading.Event()
    with ThreadPoolExecutor(2) as callers:
        for _ in range(2):
            callers.submit(_occupy, engine, done)
        while engine.taken < 2:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
        done.set()
    server.should_exit = True
    served.join()


def _occupy(engine: Engine, done: threading.Event) -> None:
    asyncio.run(engine.run_all([done.wait], engine.turn("local")))


@pytest.mark.parametrize("route", ROUTES)
def test_photos_are_refused_by_their_head_alone(full: int, route: str) -> None:
    head = f"POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    with socket.create_connection(("127.0.0.1", full), timeout=30) as raw:
        raw.sendall(f"{head}Content-Length: 5000000\r\n\r\n".encode())
        said = raw.recv(65536)
    assert said.startswith(b"HTTP/1.1 503 "), said
    assert b"retry-after" in said
    assert json.loads(said.split(b"\r\n\r\n")[1])["error"]["code"] == BusyError.code
