"""Whether what a gallery is asked lately is like what it was: strangers' scores, and norms."""

import threading
from dataclasses import dataclass

import numpy as np

from app.rates.drift import Baseline, Drift, Live, baseline
from app.rates.own import OwnRates

FIRST_NORMS = 1000
"""Live norms that later ones are held against: enrolment's are no measure for a camera's."""
LEAST_STRANGERS = 200
_SAME_SIZE = (0.8, 1.25)
"""A gallery's strangers score higher as it grows; within this ratio the reference still holds."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What live values are held against. `scores` are those of the gallery's own strangers among
    `faces` faces; `norms` those of the first live faces."""

    scores: Baseline | None = None
    faces: int = 0
    norms: Baseline | None = None


class Watch:
    """Live values of one gallery. Thread-safe. A restart counts live values anew, against the
    reference as it was."""

    def __init__(self, reference: Reference) -> None:
        self._lock = threading.Lock()
        self._reference = reference
        self._scores = None if reference.scores is None else Live(reference.scores)
        self._norms = None if reference.norms is None else Live(reference.norms)
        self._first: list[float] = []

    @property
    def reference(self) -> Reference:
        return self._reference

    def note(self, top: float | None, norm: float) -> None:
        """One face that was searched for: the highest similarity, where it found nobody, and the
        length of its feature."""
        with self._lock:
            if top is not None and self._scores is not None:
                self._scores.add(top)
            if self._norms is not None:
                self._norms.add(norm)
            else:
                self._note_first(norm)

    def _note_first(self, norm: float) -> None:
        self._first.append(norm)
        if len(self._first) == FIRST_NORMS:
            found = baseline(np.array(self._first))
            self._reference = Reference(self._reference.scores, self._reference.faces, found)
            self._norms = Live(found)
            self._first.clear()

    def measured(self, own: OwnRates) -> None:
        """The gallery's strangers anew: the reference where there was none, or of another size.

        Too few of them are no reference.
        """
        if len(own.top_M) < LEAST_STRANGERS:
            return
        low, high = _SAME_SIZE
        with self._lock:
            before = self._reference
            if before.scores is not None and low <= own.faces / before.faces <= high:
                return
            scores = baseline(own.top_M)
            self._reference = Reference(scores, own.faces, before.norms)
            self._scores = Live(scores)

    def drift(self) -> tuple[Drift | None, Drift | None]:
        """Of strangers' scores and of norms; None where there is nothing to hold them against."""
        with self._lock:
            return (
                None if self._scores is None else self._scores.drift(),
                None if self._norms is None else self._norms.drift(),
            )
