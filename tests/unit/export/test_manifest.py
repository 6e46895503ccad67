"""A package's JSON files: every kind of wrong content is refused, by file and field (F19)."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export import manifest as schema
from export import package
from export.contract import ARCFACE_112
from export.errors import ManifestError
from export.manifest import DetectorManifest, RecogniserManifest
from export.tables import Calibration, QualityCurve
from tests.unit.export import samples

Json = dict[str, Any]


def recogniser() -> Json:
    return samples.facts() | {"files": _listed()}


def detector() -> Json:
    return samples.detector_facts() | {"files": _listed()}


def _listed() -> Json:
    return {
        name: {"sha256": package.sha256(data), "size": len(data)}
        for name, data in samples.files().items()
    }


def parsed(facts: Json) -> RecogniserManifest | DetectorManifest:
    return schema.parse_manifest(json.dumps(facts).encode(), "here/manifest.json")


def changed(facts: Json, at: str, value: object) -> Json:
    """A copy with one field set, or dropped where the value is `...`."""
    facts = copy.deepcopy(facts)
    *way, last = at.split("/")
    inner: Any = facts
    for step in way:
        inner = inner[int(step) if isinstance(inner, list) else step]
    if value is ...:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return facts


def test_a_recogniser_is_read() -> None:
    found = parsed(recogniser())
    assert isinstance(found, RecogniserManifest)
    assert found.input.preprocessing() == samples.PIXELS
    assert found.template.template() == ARCFACE_112
    assert found.input.fixed_batch is None


def test_a_detector_is_read() -> None:
    found = parsed(detector())
    assert isinstance(found, DetectorManifest)
    assert found.input_sizes == [320, 640]


@pytest.mark.parametrize("facts", [recogniser(), detector()], ids=["recogniser", "detector"])
def test_a_manifest_survives_being_written_and_read(facts: Json) -> None:
    found = parsed(facts)
    assert schema.parse_manifest(found.model_dump_json().encode(), "again") == found


@pytest.mark.parametrize("facts", [recogniser(), detector()], ids=["recogniser", "detector"])
def test_every_field_without_a_default_is_needed(facts: Json) -> None:
    optional = {"kind"}
    for field in facts.keys() - optional:
        with pytest.raises(ManifestError, match=rf"here/manifest.json: {facts['kind']}\.{field}: "):
            parsed(changed(facts, field, ...))


@pytest.mark.parametrize(
    "at",
    ["licence/name", "training/data", "input/mean", "template/points", "files/model.onnx/size"],
)
def test_inner_fields_are_needed_too(at: str) -> None:
    with pytest.raises(ManifestError, match=at.replace("/", r"\.") + ": Field required"):
        parsed(changed(recogniser(), at, ...))


@pytest.mark.parametrize(
    "at", ["surprise", "licence/surprise", "input/surprise", "files/model.onnx/surprise"]
)
def test_unknown_keys_are_refused(at: str) -> None:
    with pytest.raises(ManifestError, match=at.replace("/", r"\.") + ": Extra inputs"):
        parsed(changed(recogniser(), at, 1))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("at", ["input/mean/0", "input/std/2", "template/points/3/1"])
def test_numbers_that_are_not_finite_are_refused(at: str, number: str) -> None:
    text = json.dumps(changed(recogniser(), at, "HERE")).replace('"HERE"', number)
    with pytest.raises(ManifestError, match=at.replace("/", r"\.") + ": "):
        schema.parse_manifest(text.encode(), "here")


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("schema_version", 2),
        ("name", "Has Spaces"),
        ("name", "../escape"),
        ("name", ""),
        ("name", "x" * 65),
        ("version", "no version"),
        ("description", ""),
        ("description", "x" * 2001),
        ("created", "yesterday"),
        ("created", 5),
        ("licence/commercial_use", "yes"),
        ("licence", None),
        ("opset", 8),
        ("opset", 1000),
        ("opset", "17"),
        ("opset", 17.5),
        ("input/layout", "NHWC"),
        ("input/colour_order", "GBR"),
        ("input/fixed_batch", 2),
        ("input/mean", [1, 2]),
        ("input/mean", "127.5"),
        ("input/std", [1, 0, 1]),
        ("input/std", [1, -1, 1]),
        ("template/size", 0),
        ("template/points", [[1, 2]] * 4),
        ("template/points", [[1, 2]] * 6),
        ("template/points/0", [1, 2, 3]),
        ("output", ""),
        ("dim", 0),
        ("dim", -4),
        ("dim", "4"),
        ("dim", True),
        ("dim", 4.5),
        ("dim", 10**30),
        ("normalised", "no"),
        ("normalised", None),
        ("contract_id", "c1-xyz"),
        ("files", {}),
        ("files", []),
        ("files/model.onnx/sha256", "AB" * 32),
        ("files/model.onnx/sha256", "ab" * 31),
        ("files/model.onnx/size", 0),
        ("files/model.onnx/size", -1),
        ("files/model.onnx/size", 5 * 1024**3),
        ("files/model.onnx/size", "12"),
    ],
)
def test_impossible_values_are_refused(at: str, value: object) -> None:
    with pytest.raises(ManifestError, match=r"^here/manifest\.json: recogniser\.") as refused:
        parsed(changed(recogniser(), at, value))
    assert at.split("/")[0] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("family", "retinaface"),
        ("outputs", []),
        ("outputs", [f"o{n}" for n in range(13)]),
        ("score_threshold", 0),
        ("score_threshold", 1),
        ("nms_threshold", 1.5),
        ("input_sizes", []),
        ("input_sizes", [640, 320]),
        ("input_sizes", [320, 320]),
        ("input_sizes", [100]),
        ("input_sizes", [32]),
        ("input_sizes", [4096]),
        ("dim", 4),
    ],
)
def test_impossible_detectors_are_refused(at: str, value: object) -> None:
    with pytest.raises(ManifestError, match=rf"^here/manifest\.json: detector\.{at}"):
        parsed(changed(detector(), at, value))


@pytest.mark.parametrize("kind", ["liveness", "", None, 3])
def test_other_kinds_are_refused(kind: object) -> None:
    with pytest.raises(ManifestError, match="recogniser"):
        parsed(changed(recogniser(), "kind", kind))


@pytest.mark.parametrize(
    "name",
    [
        "../model.onnx",
        "/etc/passwd",
        "a/b.bin",
        "a\\b.bin",
        "..",
        ".",
        "",
        ".hidden",
        "C:x",
        "new\nline",
        "trailing\n",
        "nul\0",
        "x" * 65,
        schema.MANIFEST,
    ],
)
def test_files_stay_inside_the_package(name: str) -> None:
    facts = recogniser()
    facts["files"][name] = facts["files"]["model.onnx"]
    with pytest.raises(ManifestError, match=r"files: .* is not a plain file name"):
        parsed(facts)


def test_too_many_files_are_refused() -> None:
    facts = recogniser()
    facts["files"] |= {f"f{n}": facts["files"]["model.onnx"] for n in range(32)}
    with pytest.raises(ManifestError, match=r"recogniser\.files"):
        parsed(facts)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_model_and_golden_vectors_must_be_listed(name: str) -> None:
    facts = recogniser()
    facts["files"] = {"other": facts["files"].pop(name)} | {
        key: value for key, value in facts["files"].items() if key != name
    }
    with pytest.raises(ManifestError, match=f"files: .*{name} is not listed"):
        parsed(facts)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        ("dim", 5),
        ("input/colour_order", "BGR"),
        ("input/mean", [127.5, 127.5, 127.4]),
        ("input/std", [127.5, 128.0, 128.0]),
        ("template/size", 128),
        ("template/points/4/0", 70.0),
        ("files/model.onnx/sha256", "cd" * 32),
        ("contract_id", "c1-" + "0" * 32),
    ],
)
def test_a_contract_id_that_is_not_that_of_the_facts_is_refused(at: str, value: object) -> None:
    """Q05: a swapped colour order or another template is another feature space."""
    with pytest.raises(ManifestError, match=r"contract_id is c1-.*, the facts give c1-"):
        parsed(changed(recogniser(), at, value))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"dim": 4', '"dim": 4, "dim": 4', "dim"),
        ('"size": 112', '"size": 112, "size": 112', "size"),
        ('"mean": [', '"mean": [0, 0, 0], "mean": [', "mean"),
        ('"commercial_use": true', '"commercial_use": false, "commercial_use": true', "commercial"),
    ],
)
def test_a_key_that_stands_there_twice_is_refused(old: str, new: str, field: str) -> None:
    text = json.dumps(recogniser())
    assert old in text
    with pytest.raises(ManifestError, match=f"here: {field}.*twice"):
        schema.parse_manifest(text.replace(old, new, 1).encode(), "here")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"'kind'",
        b'{"kind": "recogniser",}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        json.dumps(recogniser()).encode()[:-1],
        json.dumps(recogniser()).encode() + b"{}",
        json.dumps(recogniser()).encode("utf-16"),
    ],
    ids=range(14),
)
def test_what_is_no_manifest_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(ManifestError, match=r"^here: "):
        schema.parse_manifest(text, "here")


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ),
    st.sampled_from(sorted(recogniser())),
)
def test_no_value_of_any_field_ends_in_another_error(value: object, field: str) -> None:
    """Whatever JSON stands in a field: a manifest that says so again, or ManifestError."""
    text = json.dumps(recogniser() | {field: value}).encode()
    try:
        found = schema.parse_manifest(text, "here")
    except ManifestError:
        return
    assert schema.parse_manifest(found.model_dump_json().encode(), "again") == found


def test_tables_are_read() -> None:
    text = json.dumps(samples.calibration()).encode()
    assert len(schema.parse_record(Calibration, text, "here").points) == 2
    text = json.dumps(samples.quality()).encode()
    assert schema.parse_record(QualityCurve, text, "here").gates.enrol == 6


Make = Callable[[], Json]


@pytest.mark.parametrize(
    ("kind", "make", "at", "value"),
    [
        (Calibration, samples.calibration, "points", []),
        (Calibration, samples.calibration, "points/0/threshold", 1.5),
        (Calibration, samples.calibration, "points/0/threshold", float("nan")),
        (Calibration, samples.calibration, "points/0/fmr", 0),
        (Calibration, samples.calibration, "points/0/fmr", 1),
        (Calibration, samples.calibration, "points/1/fmr", 0.1),
        (Calibration, samples.calibration, "points/1/threshold", 0.2),
        (Calibration, samples.calibration, "points/0/fnmr", -0.1),
        (Calibration, samples.calibration, "points/0/fmr_interval", [0, float("inf")]),
        (Calibration, samples.calibration, "points/0/surprise", 1),
        (Calibration, samples.calibration, "data/impostor", 0),
        (Calibration, samples.calibration, "measured", "never"),
        (QualityCurve, samples.quality, "basis", "brisque"),
        (QualityCurve, samples.quality, "width", 0),
        (QualityCurve, samples.quality, "width", -1),
        (QualityCurve, samples.quality, "centre", float("nan")),
        (QualityCurve, samples.quality, "gates", {"enrol": 3, "query": 4}),
        (QualityCurve, samples.quality, "gates/enrol", -1),
        (QualityCurve, samples.quality, "images", 0),
        (QualityCurve, samples.quality, "contract_id", ...),
    ],
)
def test_impossible_tables_are_refused(
    kind: type[Calibration] | type[QualityCurve], make: Make, at: str, value: object
) -> None:
    text = json.dumps(changed(make(), at, value)).encode()
    with pytest.raises(ManifestError, match=r"^here: "):
        schema.parse_record(kind, text, "here")
