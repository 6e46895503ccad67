"""Labelled features: what every measurement starts from, and its file."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from export import contract
from export.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class Measures:
    """What the pipeline saw of each face besides its feature; float32 arrays of shape (N,).

    `detector_score` in [0, 1]; `face_size` is the box's shorter side in pixels; `sharpness` is the
    variance of the aligned crop's Laplacian. Larger is taken to be better in all three.
    """

    detector_score: NDArray[np.float32] = field(repr=False)
    face_size: NDArray[np.float32] = field(repr=False)
    sharpness: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Photos that never became a feature, apart by cause (ISO/IEC 19795-1)."""

    photos: int
    undecodable: int = 0
    undetected: int = 0
    refused: int = 0
    """Faces found, but refused by the enrolment gate: failures to enrol."""


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """N raw features whose subjects are known.

    `features_ND` is float32 and not normalised. `subjects_N` holds int32 codes from 0 up.
    `groups_N`, where given, names each photo's demographic or capture group ("" for unknown).
    """

    contract_id: str
    features_ND: NDArray[np.float32] = field(repr=False)
    subjects_N: NDArray[np.int32] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    attempts: Attempts
    measures: Measures | None = None
    groups_N: NDArray[np.str_] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def subject_count(self) -> int:
        return len(np.unique(self.subjects_N))

    def unit(self) -> NDArray[np.float32]:
        """The features at unit length; shape (N, D)."""
        return contract.normalise(self.features_ND)

    def norms(self) -> NDArray[np.float32]:
        """The raw features' lengths; shape (N,)."""
        return contract.norms(self.features_ND)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The same set with only these rows, in this order. The attempts stay the whole set's."""
        return type(self)(
            contract_id=self.contract_id,
            features_ND=self.features_ND[rows],
            subjects_N=self.subjects_N[rows],
            names=tuple(self.names[row] for row in rows),
            attempts=self.attempts,
            measures=None if self.measures is None else _rows(self.measures, rows),
            groups_N=None if self.groups_N is None else self.groups_N[rows],
        )


def encode(labels: Sequence[str]) -> NDArray[np.int32]:
    """Subject names as codes from 0 up, in the names' sorted order."""
    return np.unique(np.asarray(labels, dtype=np.str_), return_inverse=True)[1].astype(np.int32)


def save(features: LabelledFeatures, path: Path) -> None:
    """Write an .npz without objects; `load` reads it back."""
    arrays: dict[str, NDArray[Any]] = {
        "contract_id": np.asarray(features.contract_id),
        "features": features.features_ND,
        "subjects": features.subjects_N,
        "names": np.asarray(features.names, dtype=np.str_),
        "attempts": np.asarray(_counts(features.attempts), dtype=np.int64),
    }
    if features.measures is not None:
        arrays |= {name: getattr(features.measures, name) for name in _MEASURES}
    if features.groups_N is not None:
        arrays["groups"] = features.groups_N
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    path.write_bytes(buffer.getvalue())


def load(path: Path) -> LabelledFeatures:
    """Read features: `features` (N, D) and `subjects` (N,; names or codes) are all that is needed.

    Raises CalibrationError when an array is missing, of another length, or not finite.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for needed in ("features", "subjects"):
        if needed not in arrays:
            raise CalibrationError(f"{path}: no array named {needed!r}")
    features_ND = np.asarray(arrays["features"], dtype=np.float32)
    count = len(features_ND)
    for name in ("subjects", "names", "groups", *_MEASURES):
        if name in arrays and arrays[name].shape != (count,):
            raise CalibrationError(f"{path}: {name}: shape {arrays[name].shape} for {count} rows")
    if features_ND.ndim != 2 or not np.isfinite(features_ND).all():
        raise CalibrationError(f"{path}: features must be a finite matrix")
    names = arrays.get("names", np.arange(count).astype(np.str_))
    attempts = arrays.get("attempts", np.array([count, 0, 0, 0]))
    has_measures = all(name in arrays for name in _MEASURES)
    return LabelledFeatures(
        contract_id=str(arrays.get("contract_id", "")),
        features_ND=features_ND,
        subjects_N=encode([str(subject) for subject in arrays["subjects"]]),
        names=tuple(str(name) for name in names),
        attempts=Attempts(*(int(value) for value in attempts)),
        measures=Measures(*(_floats(arrays[name]) for name in _MEASURES)) if has_measures else None,
        groups_N=arrays["groups"].astype(np.str_) if "groups" in arrays else None,
    )


_MEASURES = ("detector_score", "face_size", "sharpness")


def _counts(attempts: Attempts) -> tuple[int, int, int, int]:
    return attempts.photos, attempts.undecodable, attempts.undetected, attempts.refused


def _rows(measures: Measures, rows: NDArray[np.intp]) -> Measures:
    return Measures(*(getattr(measures, name)[rows] for name in _MEASURES))


def _floats(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)
