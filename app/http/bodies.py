"""Photos out of a request body: multipart files, one raw image, or JSON with base64.

Everything stays in memory; no photo touches a disk.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from starlette.requests import ClientDisconnect, Request

from app.errors import BodyUnsupportedError, ImageUnsupportedError, InputError
from app.http import multipart, strict_json
from app.http.routing import JSON, read_json
from app.vision.decode import sniff

MULTIPART = "multipart/form-data"
ANY = "application/octet-stream"
RAW = ("image/jpeg", "image/png", "image/webp", ANY)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Photos' names come back in answers and errors."""


async def photos(request: Request, names: Sequence[str]) -> list[bytes]:
    """The bytes of the photos called `names`, in that order.

    A raw body is taken where one photo is asked for. Raises BodyUnsupportedError for another
    content type, InputError for a body that does not hold exactly these photos.
    """
    declared = request.headers.get("content-type", "")
    kind = declared.split(";")[0].strip().lower()
    accepted = (MULTIPART, JSON, *(RAW if len(names) == 1 else ()))
    if kind not in accepted:
        raise BodyUnsupportedError(f"send one of {', '.join(accepted)}", accepted=accepted)
    body = await _body(request)
    if kind == MULTIPART:
        return _exactly(multipart.parse(declared, body, max_parts=len(names)), names)
    if kind == JSON:
        return _exactly(_from_json(await read_json(request, body)), names)
    return [_as_declared(body, kind)]


async def named_photos(request: Request, most: int) -> dict[str, bytes]:
    """1 to `most` photos by whatever names the caller gives them, in the order sent.

    Raises BodyUnsupportedError for another content type than multipart and JSON, InputError for
    none or too many.
    """
    declared = request.headers.get("content-type", "")
    kind = declared.split(";")[0].strip().lower()
    if kind not in (MULTIPART, JSON):
        raise BodyUnsupportedError(f"send {MULTIPART} or {JSON}", accepted=(MULTIPART, JSON))
    body = await _body(request)
    if kind == MULTIPART:
        found = multipart.parse(declared, body, most)
    else:
        found = _from_json(await read_json(request, body))
    if not 1 <= len(found) <= most:
        raise InputError(f"1 to {most} photos at once")
    if not all(_PLAIN_NAME.fullmatch(name) for name in found):
        raise InputError("a photo's name is 1 to 64 of A–Z a–z 0–9 . _ -")
    return found


async def one_or_many(request: Request, most: int) -> bytes | dict[str, bytes]:
    """One photo, raw or as the only field `image`; else up to `most` as `named_photos`.

    Raises what those two raise.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in RAW:
        return _as_declared(await _body(request), kind)
    if kind not in (MULTIPART, JSON):
        accepted = (MULTIPART, JSON, *RAW)
        raise BodyUnsupportedError(f"send one of {', '.join(accepted)}", accepted=accepted)
    found = await named_photos(request, most)
    return found["image"] if list(found) == ["image"] else found


async def _body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise InputError("the client left before the body was complete") from error


def _from_json(fields: strict_json.Json) -> dict[str, bytes]:
    if not isinstance(fields, dict):
        raise InputError("the body must be a JSON object")
    return {name: _base64(text) for name, text in fields.items()}


def _as_declared(body: bytes, kind: str) -> bytes:
    """Raises ImageUnsupportedError where the first bytes are those of another format."""
    if body and kind != ANY and f"image/{sniff(body)}" != kind:
        raise ImageUnsupportedError(f"the body is declared as {kind}, which it is not")
    return body


def _base64(text: strict_json.Json) -> bytes:
    if not isinstance(text, str):
        raise InputError("photos in JSON are strings of base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("a photo is not valid base64") from error


def _exactly(found: Mapping[str, bytes], names: Sequence[str]) -> list[bytes]:
    if missing := [name for name in names if name not in found]:
        raise InputError(f"the field {missing[0]!r} is missing", fields=list(names))
    if len(found) > len(names):
        raise InputError(f"only these fields are read: {', '.join(names)}", fields=list(names))
    return [found[name] for name in names]
