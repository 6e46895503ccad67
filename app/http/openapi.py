"""Request bodies and errors as the API's description shows them."""

from collections.abc import Sequence
from typing import Any

from app.http import examples
from app.http.bodies import MULTIPART, RAW
from app.http.routing import JSON
from app.http.schemas import ErrorOut

_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_BASE64 = {"type": "string", "contentEncoding": "base64", "examples": ["/9j/4AAQSkZJRg=="]}


def photo_body(names: Sequence[str]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads the photos `names` by `bodies.photos`."""
    content = {
        MULTIPART: {"schema": _object(names, _FILE | {"format": "binary"})},
        JSON: {"schema": _object(names, _BASE64)},
    }
    if len(names) == 1:
        content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in RAW}
    return {"requestBody": {"required": True, "content": content}}


def one_or_many_body(most: int) -> dict[str, Any]:
    """`openapi_extra` of a route that reads photos by `bodies.one_or_many`."""
    found = named_photos_body(most)
    raw = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in RAW}
    found["requestBody"]["content"] |= raw
    return found


def named_photos_body(most: int) -> dict[str, Any]:
    """`openapi_extra` of a route that reads photos by `bodies.named_photos`."""
    content = {
        kind: {
            "schema": {
                "type": "object",
                "additionalProperties": photo,
                "propertyNames": {"pattern": "^[A-Za-z0-9._-]{1,64}$"},
                "minProperties": 1,
                "maxProperties": most,
            }
        }
        for kind, photo in ((MULTIPART, _FILE | {"format": "binary"}), (JSON, _BASE64))
    }
    return {"requestBody": {"required": True, "content": content}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: every error has the one shape."""
    shown = {"application/json": {"example": examples.ERROR}}
    return {
        status: {"model": ErrorOut, "description": _MEANING[status], "content": shown}
        for status in statuses
    }


CALLER_ERRORS = (401, 403, 429)
"""Of every route that needs a key."""
BODY_ERRORS = (408, 413, 415)
PHOTO_ERRORS = (408, 413, 415, 422, 500, 503, 504)

_MEANING = {
    400: "cursor_invalid.",
    401: "unauthenticated: no key, or none that is good.",
    403: "insufficient_scope, or origin_refused without keys; of galleries: identify_disabled, "
    "policy_forbids.",
    404: "There is no such thing, or it is another owner's: gallery_not_found, "
    "subject_not_found, enrolled_face_not_found, job_not_found, move_not_found.",
    408: "The body did not arrive in time.",
    409: "What the request needs is missing or does not fit: calibration_missing, "
    "contract_mismatch, gallery_exists, identity_conflict, idempotency_conflict, limit_reached, "
    "vault_unencrypted, next_recogniser_missing, move_unfinished.",
    412: "precondition_failed.",
    413: "image_too_large or body_too_large.",
    415: "image_unsupported or body_unsupported.",
    422: "The content cannot be used: image_empty, image_undecodable, image_dimensions, "
    "face_not_found, face_multiple, quality_rejected, fmr_unsupported, feature_invalid, "
    "archive_invalid, manifest_invalid, consent_missing, request_invalid.",
    429: "Retry-After says when to try again: key_rate_limited, key_concurrency_limited, "
    "subject_attempts_limited, auth_attempts_limited.",
    500: "The network failed: inference_failed, inference_invalid.",
    503: "overloaded or not_ready; Retry-After says when to try again. storage_failed or "
    "gallery_corrupt: the gallery needs its operator.",
    504: "deadline_exceeded: the service was too slow; nothing was kept.",
    507: "storage_full: nothing was kept.",
}


def _object(names: Sequence[str], property_schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict.fromkeys(names, property_schema),
        "required": list(names),
        "additionalProperties": False,
    }
