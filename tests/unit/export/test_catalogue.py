"""The catalogue: what it offers is pinned, licensed and fetched from where it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from export import catalogue
from export.errors import ManifestError, PackageError

ENTRY: dict[str, Any] = {
    "name": "thing",
    "kind": "recogniser",
    "description": "a thing",
    "url": "https://example.org/thing.onnx",
    "sha256": "ab" * 32,
    "size": 10,
    "licence": {"name": "MIT", "commercial_use": True},
    "training": {"data": "d", "loss": "l"},
}


def read(tmp_path: Path, *entries: object) -> dict[str, catalogue.Entry]:
    (tmp_path / "c.json").write_text(json.dumps(entries))
    return dict(catalogue.read(tmp_path / "c.json"))


def test_the_built_in_catalogue_offers_what_the_readme_promises() -> None:
    entries = catalogue.read()
    assert {"buffalo_l", "antelopev2", "edgeface-s", "sface", "yunet"} <= entries.keys()


@pytest.mark.parametrize("entry", catalogue.read().values(), ids=lambda entry: entry.name)
def test_every_entry_is_public_pinned_and_licensed(entry: catalogue.Entry) -> None:
    assert entry.url.startswith("https://")
    assert entry.licence.url
    assert entry.size > 100_000
    assert len(set(entry.sha256)) > 8, "a digest, not a placeholder"


@pytest.mark.parametrize("entry", catalogue.read().values(), ids=lambda entry: entry.name)
def test_weights_that_a_company_may_not_use_must_be_accepted(entry: catalogue.Entry) -> None:
    assert entry.must_accept is not entry.licence.commercial_use


def test_defaults_of_an_entry(tmp_path: Path) -> None:
    [entry] = read(tmp_path, ENTRY).values()
    assert entry.mean == entry.std == (127.5, 127.5, 127.5)
    assert entry.colour_order == "RGB"
    assert not entry.must_accept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../x"),
        ("kind", "pickle"),
        ("url", "file:///etc/passwd"),
        ("url", "ftp://example.org/x"),
        ("url", ""),
        ("sha256", "short"),
        ("sha256", None),
        ("size", 0),
        ("size", "10"),
        ("licence", None),
        ("mean", [1, 2]),
        ("surprise", 1),
    ],
)
def test_wrong_entries_are_refused(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(ManifestError, match=rf"c\.json: 0\.{field}") as refused:
        read(tmp_path, ENTRY | {field: value})
    assert "\n" not in str(refused.value)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="two entries are called 'thing'"):
        read(tmp_path, ENTRY, ENTRY)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[{}", '{"thing": 1}'])
def test_what_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ManifestError, match=r"c\.json: "):
        catalogue.read(tmp_path / "c.json")


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.json: No such file"):
        catalogue.read(tmp_path / "none.json")


def test_a_name_that_is_not_there_brings_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no 'thong' in the catalogue; there are thing"):
        catalogue.find(read(tmp_path, ENTRY), "thong")
