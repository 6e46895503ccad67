"""What a vault keeps is enough to compute the feature again that was enrolled."""

import base64
import io

import httpx
import numpy as np
import PIL.Image
import pytest

from app.service import Service
from app.vision.keepsake import MARGIN
from export.contract import cosine
from tests.conftest import Faces

VAULTED = "/v1/galleries/vaulted"


def enrolled(api: httpx.Client, photo: bytes, subject: str) -> dict[str, str]:
    """The face, as all that is held about the subject shows it."""
    answer = api.post(f"{VAULTED}/subjects/{subject}/faces", files={"a": photo})
    assert answer.status_code == 201, answer.text
    held = api.get(f"{VAULTED}/subjects/{subject}/export")
    assert held.status_code == 200, held.text
    [face] = held.json()["faces"]
    return face


def test_the_picture_kept_gives_the_feature_of_the_photo(
    api: httpx.Client, faces: Faces, service: Service
) -> None:
    assert api.post("/v1/galleries", json={"name": "vaulted", "vault": True}).json()["vault"]
    face = enrolled(api, faces.portrait, "tom")
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(face["crop"])), formats=("WEBP",))
    assert picture.size == (160, 160)
    crop = np.asarray(picture.convert("RGB"))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    [embedding] = service.pipeline.recogniser.embed([crop])
    stored = np.frombuffer(base64.b64decode(face["feature"]), "<f4")
    assert cosine(embedding.feature, stored) == pytest.approx(1, abs=1e-4)
    assert api.patch(VAULTED, json={"vault": False}).json()["vault"] is False
    assert enrolled(api, faces.other, "eileen")["crop"] is None
    assert api.get(f"{VAULTED}/subjects/tom/export").json()["faces"][0]["crop"] is None
