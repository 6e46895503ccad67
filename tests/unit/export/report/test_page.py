import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import PIL.Image
import pytest

from export import manifest as schema
from export import tables
from export.calibrate.run import Outcome
from export.report.page import Content, render
from export.report.svg import Axis, Chart, decades, percents
from export.report.worst import thumbnail


@pytest.fixture
def page(outcome: Outcome) -> str:
    return render(outcome.content("model <1>", []))


def test_the_page_needs_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_what_others_wrote_is_escaped(page: str) -> None:
    assert "model &lt;1&gt;" in page
    assert "people &amp; photos" in page
    assert "&lt;left&gt;" in page
    assert "<left>" not in page


def test_every_row_of_the_table_is_there(page: str, outcome: Outcome) -> None:
    for point in outcome.measured.record.points:
        assert f'<td class="n">{point.threshold:.4f}</td>' in page


def test_the_charts_are_well_formed(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        assert "nan" not in chart
        assert ET.fromstring(chart).get("aria-label")  # noqa: S314 - our own


def test_missing_evidence_is_said(outcome: Outcome) -> None:
    record = outcome.measured.record.model_copy(update={"groups": [], "disparities": []})
    page = render(Content("model", record, None))
    assert "<b>Not measured</b>" in page
    assert "<p>Not measured.</p>" in page


def test_rates_that_are_not_supported_are_named_with_what_they_need(page: str) -> None:
    assert "Rates from 1e-5 down are not shown: that one needs 300,000" in page


def test_photos_appear_only_when_asked_for(outcome: Outcome, page: str, tmp_path: Path) -> None:
    assert "data:image" not in page
    for name in outcome.features.names:
        PIL.Image.new("RGB", (20, 30), (200, 10, 10)).save(tmp_path / name, "JPEG")
    pairs = outcome.worst(tmp_path, 3)
    assert [pair.same for pair in pairs] == [False] * 3 + [True] * 3
    assert pairs[0].similarity >= pairs[1].similarity
    assert pairs[3].similarity <= pairs[4].similarity
    assert render(outcome.content("model", pairs)).count("data:image/jpeg;base64,") == 12


def test_thumbnails_are_small_and_square(tmp_path: Path) -> None:
    PIL.Image.new("L", (3000, 1000)).save(tmp_path / "big.png")
    assert len(thumbnail(tmp_path / "big.png")) < 5000


def test_axes_hold_values_inside() -> None:
    axis = Axis("x", 1e-6, 1e-1, decades(-6, -1), log=True)
    assert axis.fraction(1e-6) == 0
    assert axis.fraction(1e-1) == pytest.approx(1)
    assert axis.fraction(0) == 0
    assert [text for _, text in percents(0.3)] == ["0%", "5%", "10%", "15%", "20%", "25%", "30%"]


def test_a_step_function_holds_until_the_next_point() -> None:
    chart = Chart("steps", Axis("x", 0, 2, []), Axis("y", 0, 1, []))
    chart.steps([(0, 1), (1, 0), (2, 0)], "norm")
    points = re.findall(r'points="([^"]+)"', chart.svg())[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights[0] == heights[1] < heights[2] == heights[4]


def test_the_record_reads_back_from_its_json(outcome: Outcome) -> None:
    text = outcome.quality.model_dump_json().encode()
    assert schema.parse_record(tables.QualityCurve, text, "quality") == outcome.quality
    assert outcome.measured.record.measured <= datetime.now(UTC)
