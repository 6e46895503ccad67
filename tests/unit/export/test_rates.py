import math

import numpy as np
import pytest

from export import rates


def test_wilson_holds_the_rate_and_known_values() -> None:
    # Newcombe (1998), table I: 15 of 148 gives 0.0624 to 0.1605.
    low, high = rates.wilson(15 / 148, 148)
    assert low == pytest.approx(0.0624, abs=5e-5)
    assert high == pytest.approx(0.1605, abs=5e-5)
    assert rates.wilson(0.0, 1000)[0] == 0.0
    assert rates.wilson(1.0, 1000)[1] == 1.0


def test_without_errors_the_upper_limit_is_about_the_rule_of_three() -> None:
    assert 3 / 1000 < rates.wilson(0.0, 1000).high < 4 / 1000


def test_one_in_a_million_needs_three_million_comparisons() -> None:
    assert rates.trials_needed(1e-6) == 3_000_000
    assert not rates.supports(1e-6, 2_999_999)
    assert rates.supports(1e-6, 3_000_000)


@pytest.mark.parametrize("rate", [0.0, 5e-324, 1e-308])
def test_a_rate_next_to_nothing_is_not_supported(rate: float) -> None:
    assert not rates.supports(rate, 10**12)


def test_fpir_of_a_large_gallery() -> None:
    assert rates.fpir_from_fmr(1e-6, 10_000) == pytest.approx(0.00995, abs=1e-5)
    assert rates.fpir_from_fmr(1e-6, 1_000_000) == pytest.approx(1 - math.exp(-1), abs=1e-6)


@pytest.mark.parametrize("size", [1, 100, 10_000, 10_000_000])
def test_fmr_and_fpir_are_inverse(size: int) -> None:
    fmr = rates.fmr_from_fpir(0.01, size)
    assert rates.fpir_from_fmr(fmr, size) == pytest.approx(0.01, rel=1e-9)


def test_strangers_who_differ_meet_fewer_false_candidates_than_the_bound() -> None:
    random = np.random.default_rng(0)
    own_fmr = random.beta(0.05, 49.95, size=20_000)  # mean 1e-3, most near 0, some far above
    for size in (10, 1_000, 100_000):
        met = float((1 - (1 - own_fmr) ** size).mean())
        assert met <= rates.fpir_from_fmr(float(own_fmr.mean()), size)
