"""Whom a path names."""

import pytest

from app.jobs.sources.entries import Layout, passed_over, person, shown, subject_key


@pytest.mark.parametrize(
    ("path", "layout", "who"),
    [
        ("db/anna/1.jpg", "folders", "anna"),
        ("anna/1.jpg", "folders", "anna"),
        ("anna.jpg", "folders", "anna"),
        ("db/anna.jpg", "flat", "anna"),
        ("db/anna/x.y.jpg", "flat", "x.y"),
    ],
)
def test_a_folder_or_a_file_names_its_person(path: str, layout: Layout, who: str) -> None:
    assert person(path, layout) == who


def test_every_name_has_a_valid_id_of_its_own() -> None:
    assert subject_key("Aaron_Peirsol-2.b") == "Aaron_Peirsol-2.b"
    names = ["José", "Jose ", "Jos é", "", "..", ".", "李雷", "韩梅梅", "a/b", "x" * 129, "x" * 130]
    keys = [subject_key(name) for name in names]
    assert len(set(keys)) == len(names)
    for key in keys:
        assert subject_key(key) == key
    assert subject_key("José") == subject_key("José"), "the same name, written otherwise"


def test_what_nobody_meant_to_send_is_passed_over() -> None:
    assert passed_over("__MACOSX/anna/._1.jpg")
    assert passed_over("anna/.DS_Store")
    assert passed_over("anna/Thumbs.db")
    assert not passed_over("anna/1.jpg")


def test_reports_show_printable_names_of_bounded_length() -> None:
    assert shown("a\x1b[2Jb\u202e\n" + "x" * 600) == "a�[2Jb��" + "x" * 504
