from collections.abc import Callable

import numpy as np
import pytest

from export.calibrate.comparisons import AllPairs, ListedPairs
from export.calibrate.labels import LabelledFeatures
from export.calibrate.rivals import side_by_side
from export.errors import CalibrationError

People = Callable[..., LabelledFeatures]


def _pairs(features: LabelledFeatures) -> AllPairs:
    return AllPairs(features.unit(), features.subjects_N)


def test_the_better_of_two_is_told_from_the_worse(people: People) -> None:
    good, poor = people(200, noise=1.0), people(200, noise=1.6)
    [row] = side_by_side(_pairs(good), _pairs(poor), (0.01,))
    assert row.fnmr[0] < row.fnmr[1]
    assert row.difference.high < 0


def test_a_package_equals_itself(people: People) -> None:
    features = people(100, noise=1.0)
    rows = side_by_side(_pairs(features), _pairs(features), (0.1, 0.01, 1e-9))
    assert [row.fmr for row in rows] == [0.1, 0.01]  # 1e-9 is not supported
    assert all(tuple(row.difference) == (0, 0) for row in rows)


def test_different_comparisons_are_not_compared(people: People) -> None:
    features = people(20)
    some = ListedPairs(features.unit(), features.subjects_N, np.array([0, 0]), np.array([1, 2]))
    with pytest.raises(CalibrationError, match="same comparisons"):
        side_by_side(_pairs(features), some, (0.1,))
