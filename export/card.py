"""The model card: a package's facts as Markdown, written from its own files and nothing else.

Sections after Mitchell et al., "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from collections.abc import Iterable, Sequence

from export.evidence import (
    EVIDENCE,
    QUANTISED,
    Discard,
    DriftFigures,
    Evidence,
    Quantised,
    Verification,
)
from export.manifest import CARD, MODEL, RecogniserManifest, parse_record
from export.package import Package, replace
from export.tables import Calibration, DiscardEvidence, QualityCurve

NOT_MEASURED = "not measured"

NOT_FOR = """\
* Identifying people without their knowledge, or without a lawful reason.
* Decisions about a person that no human reviews; a match is evidence, not proof.
* Guessing age, sex, ethnicity, emotion or character.
* Telling a live person from a photo or a mask: that is another model's task.
* Thresholds taken over from another model or data set: calibrate this one on faces like yours."""


def render(package: Package) -> str:
    """The card of a recogniser's package. Raises ValueError for another kind of package."""
    manifest = package.manifest
    if not isinstance(manifest, RecogniserManifest):
        raise ValueError(f"{package.name} is a {manifest.kind}; cards are written for recognisers")
    evidence = _evidence(package)
    sections = (
        (f"# {manifest.name} {manifest.version}", manifest.description),
        ("## What goes in and what comes out", _interface(manifest)),
        ("## Training", _training(manifest, evidence)),
        ("## Licence", _licence(manifest)),
        ("## Verification (1:1)", _verification(evidence)),
        ("## The norm as a quality", _quality(evidence, package.quality())),
        ("## Thresholds", _calibration(package.calibration())),
        ("## By group of people", _groups(package.calibration())),
        ("## The file", _file(manifest, evidence) + _quantised(package)),
        ("## What it must not be used for", NOT_FOR),
    )
    return "\n".join(f"{title}\n\n{body}\n" for title, body in sections)


def refresh(package: Package) -> Package:
    """The package with its card written again, after a calibration for example."""
    return replace(package, {CARD: render(package).encode()})


def _evidence(package: Package) -> Evidence | None:
    if EVIDENCE not in package.manifest.files:
        return None
    return parse_record(Evidence, package.read(EVIDENCE), str(package.path / EVIDENCE))


def _interface(manifest: RecogniserManifest) -> str:
    size, entry = manifest.template.size, manifest.input
    norm = (
        "The feature is normalised inside, so its norm says nothing."
        if manifest.normalised
        else "The feature is raw; compare by cosine, and keep the norm."
    )
    return (
        f"Input `{entry.name}`: {entry.colour_order} crops of {size} × {size} pixels, aligned to "
        f"`{manifest.template.name}`, (pixel − {_triple(entry.mean)}) / {_triple(entry.std)}. "
        f"Output `{manifest.output}`: {manifest.dim} values. {norm}\n\n"
        f"Features are comparable only under the contract id `{manifest.contract_id}`."
    )


def _triple(values: Sequence[float]) -> str:
    one = {f"{value:g}" for value in values}
    return one.pop() if len(one) == 1 else "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _training(manifest: RecogniserManifest, evidence: Evidence | None) -> str:
    if evidence is None:
        return f"Data: {manifest.training.data}. Loss: {manifest.training.loss}."
    run = evidence.training
    software = ", ".join(f"{name} {version}" for name, version in run.software.items())
    rows = (
        ("data", run.data),
        ("images, identities", f"{run.images:,}, {run.identities:,}"),
        ("digest of the labels", f"`{run.fingerprint}`"),
        ("recipe", f"`{run.recipe}`, {run.step:,} steps, {run.weights} weights"),
        ("backbone", f"`{run.backbone}`{_settings(run.backbone_parameters)}"),
        ("loss", f"`{run.loss}`{_settings(run.loss_parameters)}"),
        ("software", software),
    )
    return _table(("", ""), rows)


def _settings(values: dict[str, bool | int | float | str | None]) -> str:
    return "".join(f", {key} {value}" for key, value in values.items())


def _licence(manifest: RecogniserManifest) -> str:
    licence = manifest.licence
    terms = "Commercial use: " + ("allowed." if licence.commercial_use else "**not allowed**.")
    extra = [text for text in (licence.note, licence.url) if text]
    return " ".join([f"{licence.name}. {terms}", *extra])


def _verification(evidence: Evidence | None) -> str:
    found = evidence.verification if evidence else []
    if not found:
        return f"Accuracy and error rates: {NOT_MEASURED}."
    return "\n\n".join(_one_verification(entry) for entry in found)


def _one_verification(found: Verification) -> str:
    people = "" if found.subjects is None else f" of {found.subjects:,} people"
    points = [
        (
            f"TAR at FMR {point.fmr:g}",
            f"{_percent(point.tar.value)} ({_percent(point.tar.low)} to "
            f"{_percent(point.tar.high)}), cosine ≥ {point.threshold:.4f}",
        )
        for point in found.tar
    ]
    accuracy = NOT_MEASURED
    if found.accuracy is not None and found.accuracy_std is not None:
        accuracy = f"{_percent(found.accuracy)} ± {_percent(found.accuracy_std)}"
    rows = (
        ("accuracy, ten folds", accuracy),
        ("AUC", f"{found.auc:.5f}"),
        ("EER", _percent(found.eer)),
        *points,
    )
    return (
        f"On {found.data}: {found.images:,} images{people}, {found.genuine:,} genuine and "
        f"{found.impostor:,} impostor comparisons. Intervals: 95 %, resampling "
        f"{found.intervals_over}. Rates that too few comparisons support are left out.\n\n"
        + _table(("figure", "value"), rows)
    )


def _quality(evidence: Evidence | None, curve: QualityCurve | None) -> str:
    discards = evidence.discard if evidence else []
    parts = [_one_discard(entry) for entry in discards]
    if curve is not None and curve.reason:
        parts.append(f"On {curve.data}: {curve.reason}.")
    if curve is not None:
        parts += [_rivals(found) for found in curve.evidence]
    if not parts:
        parts = [f"Whether discarding low norms lowers the error: {NOT_MEASURED}."]
    if curve is None:
        parts.append(f"Quality scale 0–100 and gates: {NOT_MEASURED}.")
    elif curve.basis == "none":
        parts.append(f"On {curve.data} the norm carried no information about quality.")
    else:
        parts.append(
            f"Quality is 100 / (1 + exp(({curve.centre:.2f} − norm) / {curve.width:.2f})), from "
            f"{curve.images:,} images of {curve.data}. Gates: enrolment at a norm of "
            f"{curve.gates.enrol:.2f}, queries at {curve.gates.query:.2f}."
        )
    return "\n\n".join(parts)


def _rivals(found: DiscardEvidence) -> str:
    """What each measure's order is worth, beside shuffled ones, and what follows for the norm."""
    low, high = found.chance
    rows = [
        (curve.measure, f"{curve.area:.2f}", "yes" if curve.beats_chance else "no")
        for curve in found.curves
    ]
    return (
        f"Photos {found.photos}, FMR {found.fmr:g}, {found.misses:,} misses of "
        f"{found.genuine:,}: area under error versus discard, up to a discard of "
        f"{found.limit:.0%}; 1 is no help, shuffled qualities give {low:.2f} to {high:.2f}.\n\n"
        + _table(("measure", "area", "better than chance"), rows)
        + f"\n\n{_conclusion(found)}"
    )


def _conclusion(found: DiscardEvidence) -> str:
    """The norm beside the best of its rivals; half of what shuffling spreads over is noise."""
    norm, *rivals = found.curves
    if not norm.beats_chance:
        return "Here the norm orders photos no better than chance."
    if not rivals:
        return "Here the norm orders photos better than chance; no rival was measured."
    best = min(rivals, key=lambda curve: curve.area)
    ahead, noise = best.area - norm.area, (found.chance[1] - found.chance[0]) / 2
    if ahead > noise:
        return f"Here the norm is better than every rival; the next is {best.measure}."
    if ahead < -noise:
        return f"Here {best.measure} is a better quality than the norm."
    return f"Here the norm is worth no more than {best.measure}: the difference is within noise."


def _groups(calibration: Calibration | None) -> str:
    if calibration is None or not calibration.groups:
        return f"Error rates by age, sex or skin tone: {NOT_MEASURED}."
    rows = [
        (
            group.name,
            f"{group.subjects:,}",
            f"{point.fmr:g}",
            f"{point.measured_fmr:.2g} ({point.fmr_interval[0]:.2g} to "
            f"{point.fmr_interval[1]:.2g})",
            NOT_MEASURED if point.fnmr is None else _percent(point.fnmr),
        )
        for group in calibration.groups
        for point in group.points
    ]
    apart = [
        (f"{one.fmr:g}", _times(one.fmr_ratio), _times(one.fmr_over_mean), _times(one.fnmr_ratio))
        for one in calibration.disparities
    ]
    ratios = ("FMR", "FMR, worst over best", "FMR, worst over mean", "FNMR, worst over best")
    return (
        f"On {calibration.data.name}, each group compared within itself at the thresholds above."
        "\n\n"
        + _table(("group", "people", "FMR", "FMR measured", "FNMR"), rows)
        + ("\n\n" + _table(ratios, apart) if apart else "")
    )


def _times(ratio: float | None) -> str:
    return "no error in a group" if ratio is None else f"{ratio:.3g}"


def _one_discard(found: Discard) -> str:
    area = NOT_MEASURED if found.normalised is None else f"{found.normalised:.3f}"
    return (
        f"Error versus discard on {found.data}, threshold fixed at FMR {found.fmr:g}: FNMR "
        f"{_percent(found.fnmr_start)} with all pairs; the area up to a discard of "
        f"{found.limit:.0%} is {area} of what a quality that knows nothing gives (1 is useless, "
        "lower is better)."
    )


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return f"Thresholds for error rates: {NOT_MEASURED}. Calibrate before deciding with it."
    data = calibration.data
    score = "cosine" if calibration.scoring is None else "quality-aware score"
    rows = [
        (
            f"{point.fmr:g}",
            f"{point.threshold:.4f}",
            f"{_percent(point.fnmr)} ({_percent(point.fnmr_interval[0])} to "
            f"{_percent(point.fnmr_interval[1])})",
        )
        for point in calibration.points
    ]
    return (
        f"Measured on {data.name}: {data.subjects:,} people, {data.images:,} images, "
        f"{data.genuine:,} genuine and {data.impostor:,} impostor comparisons.\n\n"
        + _table(("FMR", f"{score} threshold", "FNMR"), rows)
    )


def _file(manifest: RecogniserManifest, evidence: Evidence | None) -> str:
    size = manifest.files[MODEL].size / 1e6
    text = f"ONNX opset {manifest.opset}, {size:.1f} MB."
    if evidence is None:
        return f"{text} Speed: {NOT_MEASURED}."
    same = evidence.parity
    rewritten = evidence.prelu_rewritten
    return (
        f"{text} Precision: {evidence.precision}. "
        + (f"{rewritten} PReLUs rewritten for CPUs. " if rewritten else "")
        + f"In fp32 the graph was within {same.max_norm_error:.1e} of the trained network's norms "
        f"and {1 - same.min_cosine:.1e} of its cosines (batches of "
        f"{', '.join(map(str, same.batches))}). Speed: {NOT_MEASURED}."
        + _drift(evidence.drift, evidence.precision)
    )


def _quantised(package: Package) -> str:
    if QUANTISED not in package.manifest.files:
        return ""
    found = parse_record(Quantised, package.read(QUANTISED), str(package.path / QUANTISED))
    parent = f" Precision: int8, quantised from {found.parent} (`{found.parent_contract_id}`)."
    return parent + _drift(found.drift, "int8")


def _drift(drift: DriftFigures | None, precision: str) -> str:
    if drift is None:
        return ""
    rows = (
        ("cosine to fp32, mean", f"{drift.cosine_mean:.5f}"),
        ("cosine to fp32, lowest", f"{drift.cosine_min:.5f}"),
        ("norm error, mean", _percent(drift.norm_error_mean)),
        ("norm error, largest", _percent(drift.norm_error_max)),
        ("rank correlation of norms", f"{drift.norm_rank_correlation:.4f}"),
        ("AUC, fp32 → this", f"{drift.auc_before:.5f} → {drift.auc_after:.5f}"),
        (
            "balanced accuracy, fp32 → this",
            f"{_percent(drift.accuracy_before)} → {_percent(drift.accuracy_after)}",
        ),
    )
    return (
        f"\n\nWhat {precision} changed, on {drift.crops:,} crops of {drift.subjects:,} people "
        f"({drift.data}):\n\n" + _table(("figure", "value"), rows)
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
