"""Real answers, as the API's description shows them: recorded once, on the default packages."""

import json
from importlib import resources
from typing import Any

from app.http.packed import PACKED

_RECORDED = json.loads(resources.files("app.http").joinpath("examples.json").read_bytes())

VERIFY: dict[str, Any] = _RECORDED["verify"]
DETECT: dict[str, Any] = _RECORDED["detect"]
ERROR: dict[str, Any] = _RECORDED["error"]


def answer(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """`responses` entry that shows `example` for a success."""
    content = PACKED[200]["content"] | {"application/json": {"example": example}}
    return {200: {"content": content}}
