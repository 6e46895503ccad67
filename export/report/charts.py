"""The charts of a calibration report."""

from collections.abc import Sequence

from export import tables as schema
from export.report.svg import Axis, Chart, decades, percents

RIVAL_STYLES = ("rival-a", "rival-b", "rival-c")


def det(calibration: schema.Calibration) -> str:
    """Detection error trade-off: FNMR against FMR, both logarithmic, with the tabled intervals."""
    lowest = min(point.fmr for point in calibration.points)
    x = Axis("false match rate (FMR)", lowest, 0.1, decades(_power(lowest), -1), log=True)
    y = Axis("false non-match rate (FNMR)", 1e-3, 1.0, decades(-3, 0), log=True)
    chart = Chart("FNMR against FMR", x, y)
    # By descending FMR, as the thresholds rise: where FMR stands still, FNMR climbs.
    seen = [(point.fmr, point.fnmr) for point in calibration.curve if lowest < point.fmr <= 0.1]
    if seen:
        chart.line(seen, "norm")
    for point in calibration.points:
        css = "norm" if point.support == "measured" else "modelled"
        chart.whisker(point.fmr, point.fnmr, *point.fnmr_interval, css)
    return chart.svg()


def _power(value: float) -> int:
    return round(float(f"{value:e}".split("e")[1]))


def histogram(counted: schema.ScoreHistogram, thresholds: Sequence[schema.OperatingPoint]) -> str:
    """Genuine and impostor scores, each scaled to its own highest bin."""
    bins = len(counted.genuine)
    width = (counted.high - counted.low) / bins
    low = counted.low + width * next(n for n, c in enumerate(counted.impostor) if c)
    ticks = [(n / 5, f"{n / 5:g}") for n in range(-5, 6) if n / 5 >= low]
    x = Axis("cosine similarity", low, counted.high, ticks)
    y = Axis("share of the highest bin", 0, 1.05, percents(1.0))
    chart = Chart("Histogram of genuine and impostor similarities", x, y)
    for css, counts in (("impostor", counted.impostor), ("genuine", counted.genuine)):
        top = max(counts)
        outline: list[tuple[float, float]] = []
        for n, count in enumerate(counts):
            left = counted.low + n * width
            outline += [(left, count / top), (left + width, count / top)]
        chart.area([point for point in outline if point[0] >= low], css)
    for point in thresholds:
        chart.marker(point.threshold, f"FMR {point.fmr:.0e}".replace("e-0", "e-"))
    return chart.svg()


def discard(evidence: schema.DiscardEvidence) -> str:
    """Error versus discard: the norm and its rivals at a fixed threshold."""
    highest = 1.25 * max(point.fnmr for curve in evidence.curves for point in curve.points)
    x = Axis("discarded, poorest first", 0, evidence.limit, percents(evidence.limit))
    y = Axis("FNMR of what is left", 0, max(highest, 0.001), percents(max(highest, 0.001)))
    chart = Chart("FNMR after discarding the poorest photos", x, y)
    start = evidence.curves[0].points[0].fnmr
    chart.line([(0, start), (evidence.limit, start)], "chance")
    for curve, css in zip(evidence.curves, ("norm", *RIVAL_STYLES), strict=False):
        chart.steps([(point.discarded, point.fnmr) for point in curve.points], css)
    return chart.svg()
