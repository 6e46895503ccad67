"""What the gallery keeps and answers with.

gallery → subject (the caller's own id) → faces. Times are milliseconds since the Unix epoch, UTC.
Features are raw, as the network gave them: their length is the quality.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain import Box
from app.gallery.policy import Policy
from app.gallery.sealing import Seal

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
FeatureType = Literal["float16", "float32"]
Aggregate = Literal["max", "mean", "norm_weighted"]
ConflictPolicy = Literal["reject", "warn", "off"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one gallery may hold; protects memory, disk and the other galleries."""

    subjects: int = 1_000_000
    faces: int = 2_000_000
    faces_per_subject: int = 100


@dataclass(frozen=True, slots=True)
class GallerySpec:
    """What a caller decides about a gallery.

    `identify` allows searching it (1:N). It is off until someone decides so: telling who somebody
    is among many is another matter, in law too, than confirming who they say they are.
    """

    name: str
    contract_id: str
    dim: int
    conflict: ConflictPolicy = "warn"
    identify: bool = False
    metadata: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = Limits()
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery as stored. `revision` grows with every change inside it, `version` with every
    change of its terms."""

    id: int
    uid: str
    owner: str
    spec: GallerySpec
    created_at: int
    version: int
    revision: int
    subjects: int
    faces: int
    id_sum: int
    """Sum of the face ids modulo 2⁶²: with the count, what an index is checked against."""
    seal: Seal | None = field(default=None, repr=False, compare=False)
    """What its rows and files are sealed with; None where the database is not encrypted."""

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True, slots=True)
class SubjectSpec:
    """What a caller says about a subject."""

    name: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    consent_ref: str | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject as stored. `version` grows with every change, for conditional requests."""

    id: int
    uid: str
    key: str
    spec: SubjectSpec
    faces: int
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face to enrol. `feature` is raw float32 (D,); `source` the SHA-256 of the photo, or, of a
    feature imported without one, of its little-endian float32 bytes. `created_at` is given where
    the face was enrolled elsewhere before."""

    feature: NDArray[np.float32] = field(repr=False)
    quality: float | None = None
    box: Box | None = None
    source: bytes | None = None
    created_at: int | None = None
    keepsake: bytes | None = field(default=None, repr=False)
    """What of the photo a gallery with a vault keeps; others drop it."""


@dataclass(frozen=True, slots=True)
class StoredFace:
    """An enrolled face, without its feature."""

    id: int
    uid: str
    subject_id: int
    norm: float
    quality: float | None
    box: Box | None
    source: bytes | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One enrolled face near a probe, by internal ids."""

    face_id: int
    subject_id: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Match:
    """One enrolled subject near a probe. `face` is its nearest face."""

    subject: Subject
    face: StoredFace
    similarity: float


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much is enrolled."""

    galleries: int
    subjects: int
    faces: int


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """Matches, best first, and the state of the gallery that they were found in."""

    matches: tuple[Match, ...]
    revision: int
    faces: int
    exact: bool
    top: float | None = None
    """Similarity of the nearest enrolled face, whether or not it is among the matches."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Subjects that carry all these tags and have all these metadata values (top level)."""

    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict)
