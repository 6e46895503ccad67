"""A gallery's own operating threshold: its people are strangers to one another, labelled for free.

For one face of each person the highest similarity to anybody else's face is what a stranger with
that face would have met. Unlike FPIR from a 1:1 table, nothing is assumed about independence.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.errors import RateUnsupportedError
from export.rates import Interval, supports, trials_needed, wilson

PROBES = 2000
"""People who stand for strangers; more narrow the interval and cost a search each."""
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class OwnThreshold:
    """A cosine with the 95% interval of the FPIR it gives."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class OwnRates:
    """Highest stranger similarities (M,), ascending, met among `faces` faces of `subjects`.

    `set_aside` more people met somebody so alike that they are more likely enrolled twice. Should
    they be strangers after all, they would be errors: the intervals allow for it, and a rate is
    only supported where they are fewer than its errors.
    """

    top_M: NDArray[np.float32] = field(repr=False)
    faces: int
    subjects: int
    set_aside: int = 0

    @classmethod
    def measured(
        cls, top_M: NDArray[np.float32], faces: int, subjects: int, set_aside: int = 0
    ) -> "OwnRates":
        """Raises RateUnsupportedError where nobody met a stranger."""
        if subjects < 2 or not len(top_M):
            raise RateUnsupportedError("a gallery of fewer than two people has no strangers")
        return cls(np.sort(top_M), faces, subjects, set_aside)

    def supports(self, fpir: float, faces: int) -> bool:
        """Whether 3/FPIR people stood for strangers, at the rate that a grown gallery needs, and
        too few were set aside to matter."""
        here = self._here(fpir, faces)
        return supports(here, len(self.top_M)) and self.set_aside <= here * len(self.top_M)

    def threshold(self, fpir: float, faces: int) -> OwnThreshold:
        """The lowest threshold that keeps FPIR at `fpir` among `faces` faces.

        A gallery that has grown since is allowed for as if its new faces were like the old ones.
        Raises RateUnsupportedError with fewer than 3/FPIR people.
        """
        here = self._here(fpir, faces)
        if not self.supports(fpir, faces):
            raise RateUnsupportedError(
                f"fpir={fpir:g} among {faces:,} faces needs {trials_needed(here):,} people who "
                f"stand for strangers; the gallery gave {len(self.top_M):,}, and "
                f"{self.set_aside:,} that may be enrolled twice"
            )
        allowed = int(here * len(self.top_M) + 1e-9)
        value = np.nextafter(self.top_M[-1 - allowed], np.float32(2))
        return OwnThreshold(float(value), self._interval(allowed / len(self.top_M), faces))

    def fpir(self, threshold: float, faces: int) -> tuple[float, Interval]:
        """The FPIR that a threshold gives among `faces` faces, with its 95% interval."""
        met = np.searchsorted(self.top_M, np.float32(threshold), side="left")
        here = 1 - int(met) / len(self.top_M)
        return self._grown(here, faces), self._interval(here, faces)

    def describe(self) -> str:
        """Where a threshold came from, in words."""
        return f"{len(self.top_M):,} of the gallery's own people as strangers"

    def _interval(self, here: float, faces: int) -> Interval:
        # If A is B's nearest stranger, B is often A's: two errors from one resemblance.
        trials = len(self.top_M) / 2
        low = wilson(here, trials).low
        high = wilson(min(here + self.set_aside / len(self.top_M), 1.0), trials).high
        return Interval(self._grown(low, faces), self._grown(high, faces))

    def _here(self, fpir: float, faces: int) -> float:
        """The rate at measurement that becomes `fpir` among `faces`."""
        return float(1 - (1 - fpir) ** (1 / self._growth(faces)))

    def _grown(self, here: float, faces: int) -> float:
        return float(1 - (1 - here) ** self._growth(faces))

    def _growth(self, faces: int) -> float:
        return max(faces / self.faces, 1.0)


@dataclass(frozen=True, slots=True)
class Departure:
    """What the package's threshold gives on this gallery; `departs` where that is not what was
    asked for, beyond the interval."""

    asked: float
    measured: float
    interval: Interval
    departs: bool


def own_rates(
    unit_ND: NDArray[np.float32], subjects_N: NDArray[np.integer], seed: int = 0
) -> OwnRates:
    """Search one face of each of up to `PROBES` people among everybody else's faces.

    `unit_ND` are unit features; memory stays at a few rows of the score matrix. Raises
    RateUnsupportedError for fewer than two people.
    """
    people, first = np.unique(subjects_N, return_index=True)
    if len(people) < 2:
        raise RateUnsupportedError("a gallery of fewer than two people has no strangers")
    random = np.random.default_rng(seed)
    probes = random.permutation(first)[:PROBES]
    top = np.concatenate(
        [
            _highest_strangers(unit_ND, subjects_N, probes[start : start + _BLOCK])
            for start in range(0, len(probes), _BLOCK)
        ]
    )
    return OwnRates.measured(top, len(unit_ND), len(people))


def _highest_strangers(
    unit_ND: NDArray[np.float32], subjects_N: NDArray[np.integer], probes_B: NDArray[np.intp]
) -> NDArray[np.float32]:
    scores_BN = unit_ND[probes_B] @ unit_ND.T
    scores_BN[subjects_N[probes_B][:, None] == subjects_N[None, :]] = -1
    return np.asarray(scores_BN.max(axis=1), dtype=np.float32)


def departure(
    own: OwnRates, package_threshold: float, fpir: float, faces: int | None = None
) -> Departure:
    """Whether the package's threshold for `fpir` gives something else on this gallery, among
    `faces` faces, or as many as were measured."""
    measured, interval = own.fpir(package_threshold, own.faces if faces is None else faces)
    return Departure(fpir, measured, interval, not interval.low <= fpir <= interval.high)
