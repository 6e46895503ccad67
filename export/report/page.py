"""The report's HTML, put together from a package's calibration and quality records."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from string import Template

from export import tables as schema
from export.rates import fmr_from_fpir
from export.report import charts
from export.report.worst import WorstPair

FPIR = 0.01
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
_SHOWN = (1e-2, 1e-4, 1e-6)
_DECADES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_escape = partial(html.escape, quote=True)


@dataclass(frozen=True, slots=True)
class Content:
    """What a report shows; `quality` is None where the package has no curve."""

    name: str
    calibration: schema.Calibration
    quality: schema.QualityCurve | None
    worst: Sequence[WorstPair] = ()


def render(content: Content) -> str:
    """One self-contained HTML page: no script, no request to anywhere."""
    calibration = content.calibration
    histogram = ""
    if calibration.histogram is not None:
        shown = [point for point in calibration.points if point.fmr in _SHOWN]
        histogram = charts.histogram(calibration.histogram, shown)
    files = resources.files(__package__)
    return Template(files.joinpath("template.html").read_text("utf-8")).substitute(
        title=f"Calibration of {_escape(content.name)}",
        style=files.joinpath("style.css").read_text("utf-8"),
        measured=f"{calibration.measured:%d %B %Y}",
        data=_escape(calibration.data.name),
        detector=_escape(calibration.data.detector),
        contract=_escape(calibration.contract_id),
        interval=_escape(calibration.interval.removeprefix("95%; ")),
        facts=_facts(calibration),
        thresholds=_thresholds(calibration.points),
        unsupported=_unsupported(calibration),
        histogram=histogram,
        det=charts.det(calibration),
        gallery=_gallery(calibration),
        quality=_quality(content.quality),
        groups=_groups(calibration),
        worst=_worst(content.worst),
    )


def _facts(calibration: schema.Calibration) -> str:
    data = calibration.data
    facts = [
        (f"{data.subjects:,}", "people"),
        (f"{data.images:,}", "photos with a face"),
        (f"{data.genuine:,}", "comparisons of one person"),
        (f"{data.impostor:,}", "comparisons of different people"),
        (f"{data.failures_to_detect:,}", "photos without a face found"),
        (f"{data.failures_to_decode:,}", "photos that could not be read"),
        (f"{data.failures_to_enrol:,}", "faces refused by the quality gate"),
    ]
    if calibration.equal_error_rate is not None:
        facts.append((_percent(calibration.equal_error_rate), "equal error rate"))
    return "".join(f"<li><b>{value}</b><span>{text}</span></li>" for value, text in facts)


def _thresholds(points: Sequence[schema.OperatingPoint]) -> str:
    head = ("asked FMR", "cosine", "measured FMR", "interval", "FNMR", "interval", "support")
    rows = [
        (
            _asked(point.fmr),
            f"{point.threshold:.4f}",
            _rate(point.measured_fmr),
            _interval(point.fmr_interval, _rate),
            _percent(point.fnmr),
            _interval(point.fnmr_interval, _percent),
            point.support,
        )
        for point in points
    ]
    classes = ["" if point.support == "measured" else "modelled" for point in points]
    return table(head, rows, classes)


def _unsupported(calibration: schema.Calibration) -> str:
    if not calibration.unsupported:
        return ""
    first = calibration.unsupported[0]
    return (
        f"Rates from {_asked(first.fmr)} down are not shown: that one needs {first.needed:,} "
        f"comparisons of different people, {first.needed - calibration.data.impostor:,} more than "
        "there are."
    )


def _gallery(calibration: schema.Calibration) -> str:
    rows = []
    for size in SIZES:
        needed = fmr_from_fpir(FPIR, size)
        fitting = [point for point in calibration.points if point.fmr <= needed]
        point = fitting[0] if fitting else None
        rows.append(
            (
                f"{size:,}",
                _rate(needed),
                f"{point.threshold:.4f}" if point else "–",
                _percent(point.fnmr) if point else "–",
                _source(point),
            )
        )
    return table(("faces", "FMR needed", "cosine", "FNMR", "from"), rows)


def _source(point: schema.OperatingPoint | None) -> str:
    if point is None:
        return "not supported: calibrate on the gallery itself"
    how = "" if point.support == "measured" else f", extrapolated by {point.support}"
    return f"row {_asked(point.fmr)}{how}"


def _quality(quality: schema.QualityCurve | None) -> str:
    if quality is None:
        return "<p>Not measured.</p>"
    css = "" if quality.basis == "norm" else " none"
    said = (
        f"The feature's norm is a quality: 100 / (1 + exp(({quality.centre:.3f} − norm) / "
        f"{quality.width:.3f})). Enrolment refuses norms under {quality.gates.enrol:.3f} "
        f"({quality.gates.enrol_fraction:.1%} of these photos), a query those under "
        f"{quality.gates.query:.3f} ({quality.gates.query_fraction:.1%})."
        if quality.basis == "norm"
        else "The feature's norm was not shown to say anything about quality, so nothing is "
        "gated by it."
    )
    reason = f'<p class="note">{_escape(_sentence(quality.reason))}</p>' if quality.reason else ""
    figures = "".join(_discard(evidence) for evidence in quality.evidence)
    return (
        f'<p class="verdict{css}">{said}</p>{reason}<div class="pair">{figures}</div>'
        + _scoring(quality.scoring)
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _discard(evidence: schema.DiscardEvidence) -> str:
    styles = ("norm", *charts.RIVAL_STYLES)
    keys = ", ".join(
        f'<span class="key {css}">{_escape(curve.measure)}</span> {curve.area:.2f}'
        for curve, css in zip(evidence.curves, styles, strict=False)
    )
    return (
        f"<figure>{charts.discard(evidence)}<figcaption>Photos {evidence.photos}, FMR "
        f"{_asked(evidence.fmr)}, {evidence.misses:,} misses of {evidence.genuine:,}. Areas: "
        f"{keys}; chance {evidence.chance[0]:.2f}–{evidence.chance[1]:.2f}.</figcaption></figure>"
    )


def _scoring(scoring: schema.PairScoring | None) -> str:
    if scoring is None:
        return ""
    verdict = "kept" if scoring.kept else "not kept: no gain shown on people left out of the fit"
    return (
        f'<p class="note">Quality-aware similarity (QMagFace’s form) was fitted and {verdict}. At '
        f"FMR {_asked(scoring.fmr)} FNMR went from {_percent(scoring.fnmr_plain)} to "
        f"{_percent(scoring.fnmr_aware)}, gain {_interval(scoring.gain_interval, _percent)}.</p>"
    )


def _groups(calibration: schema.Calibration) -> str:
    if not calibration.groups:
        return (
            "<p><b>Not measured</b>: the photos carry no group labels. False match rates are known "
            "to differ between groups of people, often by far more than false non-match rates "
            "(NIST IR 8280).</p>"
        )
    head = ("group", "people", "asked FMR", "measured FMR", "interval", "FNMR", "interval")
    rows = [
        (
            _escape(group.name),
            f"{group.subjects:,}",
            _asked(point.fmr),
            _rate(point.measured_fmr),
            _interval(point.fmr_interval, _rate),
            "–" if point.fnmr is None else _percent(point.fnmr),
            "–" if point.fnmr_interval is None else _interval(point.fnmr_interval, _percent),
        )
        for group in calibration.groups
        for point in group.points
        if point.fmr in _DECADES
    ]
    ratios = [
        (
            _asked(item.fmr),
            *map(_ratio, (item.fmr_ratio, item.fmr_over_mean, item.fnmr_ratio)),
        )
        for item in calibration.disparities
        if item.fmr in _DECADES
    ]
    ratio_head = ("asked FMR", "FMR worst / best", "FMR worst / mean", "FNMR worst / best")
    return (
        "<p>Each group compared within itself, at the thresholds above.</p>"
        f'<div class="wide">{table(head, rows)}</div>'
        + (f'<div class="wide">{table(ratio_head, ratios)}</div>' if ratios else "")
    )


def _worst(pairs: Sequence[WorstPair]) -> str:
    if not pairs:
        return ""
    figures = "".join(
        f'<figure><div><img alt="" src="{pair.left}"><img alt="" src="{pair.right}"></div>'
        f"<figcaption>{'same person' if pair.same else 'different people'}, "
        f"{pair.similarity:.3f}</figcaption></figure>"
        for pair in pairs
    )
    return (
        "<h2>The worst pairs</h2><p>Different people who score highest and photos of one person "
        "that score lowest. Look for wrong labels first: they are the usual cause, and they make "
        f'strict thresholds too high.</p><div class="thumbs">{figures}</div>'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table; columns are numbers but for the first and those that say where a row is from."""
    words = {head[0], "support", "from"}
    marks = ["" if text in words else ' class="n"' for text in head]
    top = "".join(f"<th{mark}>{text}</th>" for mark, text in zip(marks, head, strict=True))
    body = "".join(
        f"<tr{_class(css)}>"
        + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, row, strict=True))
        + "</tr>"
        for row, css in zip(rows, classes or [""] * len(rows), strict=True)
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _class(css: str) -> str:
    return f' class="{css}"' if css else ""


def _rate(value: float) -> str:
    """Three digits and a short exponent: 9.79e-6."""
    digits, exponent = f"{value:.2e}".split("e")
    return f"{digits}e{int(exponent)}" if value else "0"


def _asked(value: float) -> str:
    digits, exponent = f"{value:e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}%".replace("-", "−")


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _interval(interval: tuple[float, float], form: Callable[[float], str]) -> str:
    return f"{form(interval[0])} – {form(interval[1])}"
