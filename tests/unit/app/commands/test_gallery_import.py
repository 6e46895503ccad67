"""`norma gallery import` and `export`, on a data directory and through a running service."""

import json
from pathlib import Path

import pytest

from benchmarks.served import running
from tests.conftest import Faces
from tests.unit.app.commands.conftest import Run


@pytest.fixture
def people(tmp_path: Path, faces: Faces) -> Path:
    """Two people in folders, and one file that shows nobody."""
    where = tmp_path / "people"
    photos = {
        "tom/1.jpg": faces.portrait,
        "tom/2.jpg": faces.portrait_again,
        "eileen/1.jpg": faces.other,
        "eileen/notes.txt": b"no photo",
        "nobody/1.jpg": faces.landscape,
        "broken/1.jpg": b"\xff\xd8\xff\xe0 nothing",
    }
    for name, data in photos.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(data)
    return where


def journal(path: Path) -> dict[str, str]:
    """Item → outcome or code."""
    entries = [json.loads(text) for text in path.read_text().splitlines()]
    return {e["item"]: e.get("code", e["outcome"]) for e in entries if "item" in e}


EXPECTED = {
    "tom/1.jpg": "enrolled",
    "tom/2.jpg": "enrolled",
    "eileen/1.jpg": "enrolled",
    "nobody/1.jpg": "face_not_found",
    "broken/1.jpg": "image_undecodable",
}


@pytest.mark.usefixtures("defaults")
def test_a_folder_goes_in_once_and_comes_out_again(
    run: Run, data: Path, people: Path, tmp_path: Path
) -> None:
    ran = run("gallery", "import", "staff", people, "--create", "--identify")
    assert ran.status == 0, ran
    assert "3 enrolled, 0 there already, 2 refused" in ran.out
    assert journal(tmp_path / "people.import.jsonl") == EXPECTED
    assert list((data / "gallery" / "spool").iterdir()) == []
    again = run("gallery", "import", "staff", people, "--journal", tmp_path / "other")
    assert "0 enrolled, 3 there already, 2 refused" in again.out
    ran = run("gallery", "export", "staff", "-o", tmp_path / "out.ndjson")
    assert ran.status == 0, ran
    assert (tmp_path / "out.ndjson").stat().st_mode & 0o077 == 0
    run("gallery", "import", "copy", tmp_path / "out.ndjson", "--create")
    run("gallery", "export", "copy", "-o", tmp_path / "copy.ndjson")
    assert (tmp_path / "copy.ndjson").read_bytes() == (tmp_path / "out.ndjson").read_bytes()
    assert "exists already" in run("gallery", "export", "copy", "-o", people / "tom/1.jpg").failed()


@pytest.mark.usefixtures("defaults")
def test_a_run_that_was_stopped_goes_on(run: Run, people: Path, tmp_path: Path) -> None:
    """The journal's last line was cut short; a new photo has come since; one has changed."""
    run("gallery", "import", "staff", people, "--create")
    noted = tmp_path / "people.import.jsonl"
    lines = noted.read_text().splitlines()
    noted.write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:20])
    (people / "new").mkdir()
    (people / "new" / "1.jpg").write_bytes((people / "eileen" / "1.jpg").read_bytes())
    (people / "broken" / "1.jpg").write_bytes((people / "tom" / "2.jpg").read_bytes())
    ran = run("gallery", "import", "staff", people)
    assert ran.status == 0, ran
    assert journal(noted)["new/1.jpg"] == "enrolled"
    assert journal(noted)["broken/1.jpg"] == "enrolled"
    assert set(journal(noted)) >= set(EXPECTED)
    other = run("gallery", "import", "others", people, "--create")
    assert "is of another import" in other.failed()


@pytest.mark.usefixtures("defaults")
def test_what_cannot_be_imported_is_told_in_one_line(
    run: Run, people: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    (tmp_path / "x.zip").write_bytes(b"PK nothing")
    (tmp_path / "x.csv").write_bytes(b"who,where\n")
    assert "no such gallery" in run("gallery", "import", "absent", people).failed()
    assert "neither a folder" in run("gallery", "import", "g", tmp_path / "x.rar").failed()
    for name in ("x.zip", "x.csv"):
        run("gallery", "import", "g", tmp_path / name, "--create").failed()
    assert "not the URL" in run("gallery", "import", "g", people, "--url", "localhost").failed()
    nowhere = run("gallery", "export", "g", "--url", "http://127.0.0.1:9")
    assert "broke off" in nowhere.failed()


@pytest.mark.usefixtures("defaults")
def test_through_a_running_service(run: Run, data: Path, people: Path, tmp_path: Path) -> None:
    with running(data_dir=str(data)) as url:
        ran = run("gallery", "import", "staff", people, "--url", url, "--create")
        assert "3 enrolled, 0 there already, 2 refused" in ran.out, ran
        assert journal(tmp_path / "people.import.jsonl") == EXPECTED
        again = run("gallery", "import", "staff", people, "--url", url)
        assert "3 enrolled, 0 there already, 2 refused" in again.out
        held = run("gallery", "import", "staff", people, "--journal", tmp_path / "other").failed()
        assert "in use by process" in held
        assert "--url" in held
        absent = run("gallery", "export", "absent", "--url", url).failed()
        assert "gallery_not_found" in absent
        ran = run("gallery", "export", "staff", "--url", url, "-o", tmp_path / "out.ndjson")
        assert ran.status == 0, ran
    run("gallery", "export", "staff", "-o", tmp_path / "direct.ndjson")
    assert (tmp_path / "out.ndjson").read_bytes() == (tmp_path / "direct.ndjson").read_bytes()


@pytest.mark.usefixtures("defaults")
def test_a_manifest_beside_its_photos(run: Run, people: Path, tmp_path: Path) -> None:
    (people / "manifest.csv").write_text(
        "subject,path,name,tags,metadata,consent_ref,expires_at\n"
        'th,tom/1.jpg,Tom,"actor; male","{""n"": 1}",C-1,2030-01-01T00:00:00Z\n'
        "ec,eileen/1.jpg,Eileen,,,,\n"
        "no,gone.jpg,,,,,\n"
        "x y,tom/2.jpg,,,,,\n"
    )
    ran = run("gallery", "import", "staff", people, "--create")
    assert "2 enrolled, 0 there already, 2 refused" in ran.out, ran
    exported = run("gallery", "export", "staff").out
    found = {line["subject"]: line for line in map(json.loads, exported.splitlines())}
    assert set(found) == {"th", "ec"}
    assert found["th"]["tags"] == ["actor", "male"]
    assert (found["th"]["metadata"], found["th"]["consent_ref"]) == ({"n": 1}, "C-1")
    assert found["th"]["expires_at"] == 1893456000000
