"""P04–P06, P09, P12: what leaves a running service, and what it leaves behind."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.served import Served, started
from tests.conftest import Faces

PEOPLE = "/v1/galleries/people"
NAME, BADGE = "Ann-Kathrin Beispiel", "BADGE-77-314"


@pytest.fixture(scope="module")
def home(packages_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("privacy")
    for name in ("data", "tmp", "cwd"):
        (directory / name).mkdir()
    (directory / "data" / "packages").symlink_to(packages_dir)
    return directory


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[Served]:
    """A service whose temporary directory and streams are watched."""
    kept = os.environ.copy()
    os.environ["TMPDIR"] = str(home / "tmp")
    try:
        with (
            (home / "log").open("wb") as log,
            started(data_dir=str(home / "data"), output=log.fileno()) as served,
        ):
            yield served
    finally:
        os.environ.clear()
        os.environ.update(kept)


@pytest.fixture(scope="module")
def watched(served: Served) -> Iterator[set[str]]:
    """Every file that the service has been seen to have open."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.001):
            for one in Path(f"/proc/{served.process.pid}/fd").iterdir():
                with suppress(OSError):
                    seen.add(os.readlink(one))

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    over.set()
    thread.join()


@pytest.fixture(scope="module")
def answers(served: Served, watched: set[str], faces: Faces) -> dict[str, httpx.Response]:
    """What a scripted day was answered, refusals included."""
    with httpx.Client(base_url=served.url, timeout=60) as api:
        big = faces.portrait + bytes(3_000_000)  # more than parsers keep in memory by default
        anna, tom = f"{PEOPLE}/subjects/anna", f"{PEOPLE}/subjects/tom"
        said = {"name": NAME, "metadata": {"badge": BADGE}, "tags": ["tag-9"], "consent_ref": "c-8"}
        wrong = base64.b64encode(np.zeros(7, "<f4").tobytes()).decode()
        verify = {"image_a": faces.portrait, "image_b": faces.portrait_again}
        return {
            "create": api.post("/v1/galleries", json={"name": "people", "identify": True}),
            "put": api.put(anna, json=said),
            "enrol": api.post(f"{anna}/faces", files={"image": faces.portrait}),
            "enrol other": api.post(
                f"{tom}/faces", params={"create": True}, files={"image": faces.other}
            ),
            "verify": api.post("/v1/verify", files=verify),
            "identify": api.post(f"{PEOPLE}/identify", files={"image": faces.portrait_again}),
            "compare": api.post(f"{PEOPLE}/verify/anna", files={"image": faces.portrait_again}),
            "export": api.get(f"{anna}/export"),
            "export all": api.get(f"{PEOPLE}/export"),
            "raw": api.post(
                "/v1/detect", content=faces.portrait, headers={"content-type": "image/jpeg"}
            ),
            "padded": api.post("/v1/detect", files={"image": big}),
            "refused: no image": api.post("/v1/detect", files={"image": NAME.encode() * 99}),
            "refused: field": api.put(anna, json={"name": NAME, "nonsense": BADGE}),
            "refused: metadata": api.put(tom, json={"metadata": {BADGE: "x" * 20_000}}),
            "refused: feature": api.post(
                f"{anna}/faces/features",
                json={"contract_id": BADGE, "features": [{"feature": wrong}]},
            ),
            "refused: version": api.put(anna, json=said, headers={"if-match": '"99"'}),
            "refused: absent": api.get(f"{PEOPLE}/subjects/nobody"),
            "refused: method": api.post("/healthz"),
            "refused: path": api.get(f"/{NAME}"),
            "erase": api.delete(anna),
        }


def test_the_day_went_as_written(answers: dict[str, httpx.Response]) -> None:
    for name, answer in answers.items():
        expected = range(400, 500) if name.startswith("refused") else range(200, 300)
        assert answer.status_code in expected, (name, answer.text[:300])


def test_P12_nothing_is_to_be_cached(answers: dict[str, httpx.Response]) -> None:
    kept = {name for name, one in answers.items() if one.headers["cache-control"] != "no-store"}
    assert kept == set()


def test_P12_features_come_only_where_they_are_asked_for(
    answers: dict[str, httpx.Response],
) -> None:
    feature = answers["export"].json()["faces"][0]["feature"]
    having = {name for name, answer in answers.items() if feature in answer.text}
    assert having == {"export", "export all"}


def test_P09_an_export_is_all_of_one_person_and_of_nobody_else(
    answers: dict[str, httpx.Response], faces: Faces
) -> None:
    held = answers["export"].json()
    subject = held["subject"]
    assert (subject["id"], subject["name"]) == ("anna", NAME)
    assert (subject["metadata"], subject["tags"]) == ({"badge": BADGE}, ["tag-9"])
    assert subject["consent_ref"] == "c-8"
    [face] = held["faces"]
    assert face["source_sha256"] == hashlib.sha256(faces.portrait).hexdigest()
    assert len(base64.b64decode(face["feature"])) == 4 * 128
    norm = float(np.linalg.norm(np.frombuffer(base64.b64decode(face["feature"]), "<f4")))
    assert norm == pytest.approx(face["norm"], rel=1e-3)
    enrolled = answers["enrol"].json()["faces"]
    assert [face["id"]] == [one["id"] for one in enrolled]
    other = answers["enrol other"].json()["faces"][0]
    assert other["id"] not in answers["export"].text
    assert '"tom"' not in answers["export"].text


def test_P06_refusals_hold_no_feature_name_or_key(answers: dict[str, httpx.Response]) -> None:
    refusals = [answer for name, answer in answers.items() if name.startswith("refused")]
    for answer in refusals:
        for secret in _secrets(answers):
            assert secret not in answer.text, answer.text


def test_P06_the_log_holds_no_feature_name_or_key(
    answers: dict[str, httpx.Response], home: Path
) -> None:
    log = (home / "log").read_text()
    assert log
    for secret in _secrets(answers):
        assert secret not in log


def test_P05_no_image_is_ever_on_disk(
    answers: dict[str, httpx.Response], watched: set[str], home: Path, faces: Faces
) -> None:
    assert list((home / "tmp").iterdir()) == []
    pieces = [
        photo[at : at + 48] for photo in _photos(faces) for at in (len(photo) // 3, len(photo) // 2)
    ]
    written = [path for path in (home / "data").rglob("*") if path.is_file()]
    assert len(written) > 5
    for path in written:
        raw = path.read_bytes()
        assert not any(piece in raw for piece in pieces), path
        assert b"\xff\xd8\xff" not in raw[:3], path
    nameless = {one for one in watched if "(deleted)" in one or one.startswith(str(home / "tmp"))}
    assert nameless == set()  # what has no name, or had one for a while
    assert any("gallery.db" in one for one in watched)  # it did look


def test_P06_a_crash_writes_no_core(served: Served, answers: dict[str, httpx.Response]) -> None:
    limits = Path(f"/proc/{served.process.pid}/limits").read_text().splitlines()
    [core] = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]


def test_P04_a_receipt_is_verified_by_the_command_line(
    answers: dict[str, httpx.Response], home: Path
) -> None:
    receipt = answers["erase"].json()
    assert receipt["purged"]
    (home / "receipt.json").write_text(answers["erase"].text)
    assert "subject.erased" in _norma(home, "audit", "receipt", str(home / "receipt.json"))
    forged = {**receipt, "faces": 7}
    (home / "forged.json").write_text(json.dumps(forged))
    _norma(home, "audit", "receipt", str(home / "forged.json"), status=1)


def test_P10_the_audit_log_tells_the_day_and_names_nobody(
    answers: dict[str, httpx.Response], home: Path
) -> None:
    lines = _norma(home, "audit", "show", "--gallery", "people", "--subject", "anna").splitlines()
    actions = [json.loads(line)["action"] for line in lines]
    assert actions == [
        "subject.created",
        "subject.enrolled",
        "subject.compared",
        "subject.exported",
        "subject.erased",
    ]
    request = answers["enrol"].headers["x-request-id"]
    assert json.loads(lines[1])["request"] == request
    every = _norma(home, "audit", "show")
    assert '"gallery.searched"' in every
    assert not any(secret in every for secret in [*_secrets(answers), "anna"])
    _norma(home, "audit", "verify")


def _secrets(answers: dict[str, httpx.Response]) -> list[str]:
    held: dict[str, Any] = answers["export"].json()["faces"][0]
    feature = np.frombuffer(base64.b64decode(held["feature"]), "<f4")
    digits = [f"{value:.6f}" for value in feature[:8]]
    return [NAME, BADGE, "tag-9", held["feature"][:40], *digits, held["source_sha256"]]


def _photos(faces: Faces) -> list[bytes]:
    return [faces.portrait, faces.portrait_again, faces.other]


def _norma(home: Path, *arguments: str, status: int = 0) -> str:
    """Beside the running service."""
    ran = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        env={**os.environ, "NORMA_DATA_DIR": str(home / "data")},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == status, ran.stderr
    return ran.stdout
