"""What was found in a gallery, by internal ids: whoever is erased since is left out when read."""

from dataclasses import dataclass, field
from typing import Literal

from app.rates.own import OwnRates

Kind = Literal["duplicates", "nearest", "outliers", "weak"]
KINDS: tuple[Kind, ...] = ("duplicates", "nearest", "outliers", "weak")
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """From where something is worth looking at; None where no rate is known, or no quality.

    `duplicate` is the cosine of a match among the gallery's faces (1:N), `outlier` that of a match
    of one comparison (1:1), `weak` the norm that enrolment asks for. `same_person` is the
    strictest cosine known: strangers this alike are more likely one person enrolled twice.
    """

    duplicate: float | None = None
    outlier: float | None = None
    weak: float | None = None
    same_person: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two subjects and their nearest faces. `misfiled` is the one of the two faces that is unlike
    the others of its own subject: rather a wrong photo than a person enrolled twice."""

    subject_a: int
    face_a: int
    subject_b: int
    face_b: int
    similarity: float
    misfiled: int | None = None


@dataclass(frozen=True, slots=True)
class Outlier:
    """A face that is unlike the other faces of its subject (cosine to their mean direction), and
    another subject's face that it is nearer to, where one was met."""

    subject: int
    face: int
    similarity: float
    faces: int
    nearer_subject: int | None = None
    nearer_similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Weak:
    """A subject whose best face has a norm below what enrolment asks for."""

    subject: int
    face: int
    norm: float
    faces: int


Finding = Pair | Outlier | Weak


@dataclass(frozen=True, slots=True)
class Found:
    """The worst of one kind, worst first, and how many there are; None where it was not looked
    for."""

    total: int | None
    worst: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """How much was looked at: faces searched for among all others, faces held against the others
    of their subject. `searched` of the first were searched for this time, the rest known before."""

    probes: int
    within: int
    searched: int


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a gallery at one revision."""

    uid: str
    revision: int
    subjects: int
    faces: int
    computed_at: int
    took_ms: int
    examined: Examined
    limits: Limits
    single_face: int
    """Subjects with one face only: nothing but that face can find them."""
    found: dict[Kind, Found] = field(repr=False)
    own: OwnRates | None = field(repr=False)
