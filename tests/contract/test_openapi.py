"""The API's description is part of the API: a change of it is made on purpose.

`NORMA_UPDATE_SNAPSHOTS=1 python -m pytest tests/contract/test_openapi.py` writes it anew.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from app.service import Service

SNAPSHOT = Path(__file__).parent / "openapi.json"


@pytest.fixture(scope="module")
def described(service: Service) -> dict[str, Any]:
    return create_app(service).openapi()


def test_the_description_is_the_recorded_one(described: dict[str, Any]) -> None:
    found = described | {"info": {"title": described["info"]["title"]}}
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    if os.environ.get("NORMA_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_every_operation_is_described_and_says_how_it_fails(described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert operation["tags"], (method, path)
            if path != "/healthz":
                assert "503" in operation["responses"], (method, path)


def test_photo_routes_read_multipart_json_and_raw_bodies(described: dict[str, Any]) -> None:
    bodies = {
        path: set(methods["post"]["requestBody"]["content"])
        for path, methods in described["paths"].items()
        if "post" in methods and path in ("/v1/detect", "/v1/embed", "/v1/verify")
    }
    assert bodies["/v1/verify"] == {"multipart/form-data", "application/json"}
    for path in ("/v1/detect", "/v1/embed"):
        assert {"image/jpeg", "multipart/form-data", "application/json"} <= bodies[path]
