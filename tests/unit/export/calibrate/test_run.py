import pytest

from export.calibrate.comparisons import ListedPairs
from export.calibrate.photos import Extraction
from export.calibrate.run import Outcome, comparisons, run
from export.calibrate.table import Plan
from export.errors import CalibrationError
from export.quality.record import QualityPlan


def test_the_gated_table_leaves_out_what_the_gate_refuses(outcome: Outcome) -> None:
    gated = run(
        Extraction(outcome.features, None), Plan("people", "det"), QualityPlan("people", enrol=0.1),
        gated=True,
    )  # fmt: skip
    data = gated.measured.record.data
    assert gated.quality.basis == "norm"
    assert data.failures_to_enrol == 60
    assert data.images == 540
    fnmr = [one.measured.record.points[3].fnmr for one in (gated, outcome)]
    assert fnmr[0] < fnmr[1]


def test_a_quality_aware_table_says_so_and_is_measured_on_aware_scores(outcome: Outcome) -> None:
    extraction = Extraction(outcome.features, None)
    aware = run(extraction, Plan("people", "det"), QualityPlan("people"), aware=True)
    scoring = aware.quality.scoring
    assert scoring is not None
    assert (aware.measured.record.scoring is not None) == scoring.kept


def test_an_aware_table_differs_from_the_plain_one_where_kept(outcome: Outcome) -> None:
    extraction = Extraction(outcome.features, None)
    aware = run(extraction, Plan("people", "det"), QualityPlan("people"), aware=True)
    assert aware.quality.scoring is not None
    same = aware.measured.record.points == outcome.measured.record.points
    assert same != aware.quality.scoring.kept
    assert list(aware.measured.record.on_cosines) == list(outcome.measured.record.points)


def test_pairs_without_faces_are_left_out_and_none_at_all_is_refused(outcome: Outcome) -> None:
    features = outcome.features
    found = comparisons(features, (("0", "1"), ("0", "nobody")))
    assert isinstance(found, ListedPairs)
    assert found.left_P.tolist() == [0]
    with pytest.raises(CalibrationError, match="no listed pair"):
        comparisons(features, (("nobody", "0"),))
