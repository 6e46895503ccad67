"""What is kept of a gallery's health over a restart: distributions, of nobody in particular."""

import base64
import sqlite3
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from app.gallery.health.watch import Reference
from app.gallery.rows.common import from_json, now, to_json
from app.gallery.types import Gallery, Json
from app.rates.drift import Baseline
from app.rates.own import OwnRates


@dataclass(frozen=True, slots=True)
class Kept:
    """A gallery's own rates, at one revision, and what live values are held against."""

    gallery_id: int
    revision: int
    own: OwnRates | None
    reference: Reference


def save(connection: sqlite3.Connection, gallery: Gallery, kept: Kept) -> None:
    """In the place of what was kept before; nothing where the gallery is gone, or elsewhere."""
    connection.execute(
        "INSERT OR REPLACE INTO gallery_health (gallery_id, owner, revision, kept, computed_at)"
        " SELECT id, owner, ?, ?, ? FROM galleries WHERE owner = ? AND id = ? AND contract_id = ?",
        (
            kept.revision,
            to_json(_json(kept)),
            now(),
            gallery.owner,
            gallery.id,
            gallery.spec.contract_id,
        ),
    )


def all_owners(connection: sqlite3.Connection) -> list[Kept]:
    """Every owner's: for the service itself, at start."""
    rows = connection.execute("SELECT gallery_id, revision, kept FROM gallery_health")
    return [_kept(*row) for row in rows]


def _json(kept: Kept) -> Json:
    reference = kept.reference
    return {
        "own": None if kept.own is None else _own_json(kept.own),
        "scores": None if reference.scores is None else _baseline_json(reference.scores),
        "faces": reference.faces,
        "norms": None if reference.norms is None else _baseline_json(reference.norms),
    }


def _own_json(own: OwnRates) -> Json:
    return {
        "top": base64.b64encode(own.top_M.astype("<f4").tobytes()).decode(),
        "faces": own.faces,
        "subjects": own.subjects,
        "set_aside": own.set_aside,
    }


def _baseline_json(baseline: Baseline) -> Json:
    return {"edges": baseline.edges.tolist(), "count": baseline.count}


def _kept(gallery_id: int, revision: int, text: str) -> Kept:
    found = cast(dict[str, Any], from_json(text))
    own = None if found["own"] is None else _own(found["own"])
    reference = Reference(_baseline(found["scores"]), found["faces"], _baseline(found["norms"]))
    return Kept(gallery_id, revision, own, reference)


def _own(found: dict[str, Any]) -> OwnRates:
    top = np.frombuffer(base64.b64decode(found["top"]), "<f4").astype(np.float32)
    return OwnRates(top, found["faces"], found["subjects"], found["set_aside"])


def _baseline(found: dict[str, Any] | None) -> Baseline | None:
    if found is None:
        return None
    return Baseline(np.array(found["edges"], np.float64), found["count"])
