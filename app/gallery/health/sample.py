"""What of a gallery is looked at: all of it, or a sample that stays nearly the same as it grows."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.gallery.index.projection import locate
from app.gallery.index.segment import View

_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Rows:
    """All living faces of a view, in order of id: their subjects and the lengths of their
    features."""

    ids_N: NDArray[np.int64] = field(repr=False)
    subjects_N: NDArray[np.int64] = field(repr=False)
    norms_N: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, view: View) -> "Rows":
        alive = [(part, np.flatnonzero(part.alive_mask())) for part in view.parts]
        none = np.zeros(0, np.int64)
        ids = np.concatenate([none, *(part.segment.ids[rows] for part, rows in alive)])
        subjects = np.concatenate([none, *(part.segment.subjects[rows] for part, rows in alive)])
        inverse = [part.segment.inverse_norms[rows] for part, rows in alive]
        order = np.argsort(ids)
        norms = 1 / np.concatenate([np.zeros(0), *inverse])
        return cls(ids[order], subjects[order], norms[order])


def unit_features(view: View, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit features (len(ids), D) of faces that are alive in the view, ids ascending."""
    part, row = locate(view, ids)
    dim = view.parts[0].segment.dim
    unit = np.empty((len(ids), dim), np.float32)
    for number in np.unique(part):
        here = part == number
        segment = view.parts[number].segment
        rows = row[here]
        unit[here] = segment.features[rows] * segment.inverse_norms[rows, None]
    return unit


def leading(rows: Rows, most: int, seed: int = 0) -> NDArray[np.intp]:
    """The oldest face of each of up to `most` people, as places in `rows`.

    People are drawn by a hash of their id (bottom-k), so that the same are drawn again after
    others have come and gone.
    """
    people, first = np.unique(rows.subjects_N, return_index=True)
    return first[np.argsort(_hashed(people, seed))[:most]]


def further(rows: Rows, taken: NDArray[np.intp], most: int, seed: int = 0) -> NDArray[np.intp]:
    """Up to `most` more faces, drawn alike."""
    rest = np.setdiff1d(np.arange(len(rows.ids_N)), taken)
    return rest[np.argsort(_hashed(rows.ids_N[rest], seed))[:most]]


def of_people(rows: Rows, most: int, seed: int = 0) -> NDArray[np.intp]:
    """All faces of as many people as `most` faces allow, people drawn alike; subject by subject,
    in order of face within each."""
    people, place, counts = np.unique(rows.subjects_N, return_inverse=True, return_counts=True)
    order = np.argsort(_hashed(people, seed))
    within = np.cumsum(counts[order]) <= most
    chosen = np.zeros(len(people), np.bool_)
    chosen[order[within]] = True
    faces = np.flatnonzero(chosen[place])
    by_subject: NDArray[np.intp] = faces[np.argsort(rows.subjects_N[faces], kind="stable")]
    return by_subject


def _hashed(ids: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Steele, Lea and Flood's SplitMix64 finaliser (OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed = ids.astype(np.uint64) + np.uint64((seed + 1) * _GOLDEN % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))
