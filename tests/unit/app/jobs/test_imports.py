"""Imports over HTTP: what goes in, what is skipped, what is refused and why."""

import json
from pathlib import Path

import pytest

from app.service import Service
from tests.conftest import Faces
from tests.unit.app.jobs.conftest import (
    CSV,
    NDJSON,
    TAR,
    ZIP,
    Api,
    Open,
    create,
    finished,
    items,
    line,
    ndjson,
    outcomes,
    send,
    tarred,
    zipped,
)


@pytest.fixture
def contract(service: Service) -> str:
    return service.pipeline.recogniser.contract_id


def subjects(api: Api, gallery: str = "people") -> dict[str, dict[str, object]]:
    found = api.get(f"/v1/galleries/{gallery}/subjects", params={"limit": 1000}).json()["subjects"]
    return {one["id"]: one for one in found}


def test_folders_of_photos_become_subjects_once(api: Api, faces: Faces) -> None:
    create(api)
    photos = {
        "faces/tom/1.jpg": faces.portrait,
        "./faces/tom/2.jpg": faces.portrait_again,
        "faces/tom/notes.txt": b"hello",
        "eileen.jpg": faces.other,
        "faces/nobody/1.jpg": faces.landscape,
        "faces/empty/1.jpg": b"",
        "__MACOSX/tom/._1.jpg": b"x",
    }
    bodies = {ZIP: zipped(photos), TAR: tarred(photos), "application/gzip": tarred(photos, "w:gz")}
    for kind, body in bodies.items():
        job = finished(api, send(api, body, kind))
        enrolled = "enrolled" if kind == ZIP else "skipped_duplicate"
        assert job["state"] == "done"
        assert outcomes(api, job) == {
            "faces/tom/1.jpg": enrolled,
            "faces/tom/2.jpg": enrolled,
            "faces/tom/notes.txt": "image_unsupported",
            "eileen.jpg": enrolled,
            "faces/nobody/1.jpg": "face_not_found",
            "faces/empty/1.jpg": "image_empty",
        }
    assert {key: one["faces"] for key, one in subjects(api).items()} == {"tom": 2, "eileen": 1}
    probe = api.post("/v1/galleries/people/identify", files={"image": faces.other}).json()
    assert probe["faces"][0]["identified"] == "eileen"


def test_names_that_are_no_ids_are_kept_as_names(api: Api, faces: Faces) -> None:
    create(api)
    photos = {"Jörg Müller.jpg": faces.portrait, "Eileen Collins.jpg": faces.other}
    finished(api, send(api, zipped({f"db/{n}": p for n, p in photos.items()}), ZIP, layout="flat"))
    found = subjects(api)
    assert sorted(str(one["name"]) for one in found.values()) == ["Eileen Collins", "Jörg Müller"]
    assert [key.rpartition("-")[0] for key in sorted(found)] == ["Eileen-Collins", "Jorg-Muller"]


def test_a_manifest_in_an_archive_says_who_is_who(api: Api, faces: Faces, contract: str) -> None:
    create(api)
    manifest = ndjson(
        {"subject": "t1", "path": "a.jpg", "name": "Tom", "tags": ["x"], "metadata": {"n": 1}},
        {"subject": "e1", "path": "deep/b.bin", "consent_ref": "C-7", "expires_at": "2030-01-01"},
        {"subject": "e1", "path": "deep/b.bin"},
        {"subject": "gone", "path": "gone.jpg"},
        {"subject": "with space", "path": "c.jpg"},
        line(contract, "f1", 5, item="known face"),
    )
    photos = {"a.jpg": faces.portrait, "deep/b.bin": faces.other, "c.jpg": faces.group}
    job = finished(api, send(api, tarred({"manifest.ndjson": manifest, **photos}), TAR))
    expected = {
        "a.jpg": "enrolled",
        "deep/b.bin": "enrolled",
        "gone.jpg": "manifest_invalid",
        "line 5": "manifest_invalid",
        "c.jpg": "entry_refused",
        "known face": "enrolled",
    }
    assert len(items(api, job)) == 7, "and a second line for deep/b.bin, refused"
    assert {**outcomes(api, job), "deep/b.bin": "enrolled"} == expected
    found = subjects(api)
    assert (found["t1"]["name"], found["t1"]["tags"], found["t1"]["metadata"]) == (
        "Tom",
        ["x"],
        {"n": 1},
    )
    assert (found["e1"]["consent_ref"], found["e1"]["expires_at"]) == ("C-7", 1893456000000)
    last = {**photos, "manifest.ndjson": manifest}  # a ZIP archive is read by its directory
    again = finished(api, send(api, zipped(last), ZIP))
    assert again["progress"]["skipped_duplicate"] == 3  # type: ignore[index]


def test_csv(api: Api, contract: str) -> None:
    create(api)
    feature = line(contract, "a", 1)["feature"]
    rows = [
        "subject,contract_id,feature,name,tags,metadata,expires_at",
        f'a,{contract},{feature},"Anna, the first",vip;staff,"{{""n"": 1}}",4102444800000',
        f"b,{contract},not base64,,,,",
        f"c,{contract},{feature},,,no json,",
        f"d,{contract},{feature},,,",
    ]
    job = finished(api, send(api, "\n".join(rows).encode(), CSV))
    assert list(outcomes(api, job).values()) == [
        "enrolled",
        "feature_invalid",
        "manifest_invalid",
        "manifest_invalid",
    ]
    anna = subjects(api)["a"]
    assert (anna["name"], anna["tags"]) == ("Anna, the first", ["vip", "staff"])
    assert (anna["metadata"], anna["expires_at"]) == ({"n": 1}, 4102444800000)


def test_b55_of_many_photos_the_bad_one_is_reported_and_the_others_go_in(
    api: Api, contract: str
) -> None:
    create(api)
    lines = [line(contract, f"s{n:03}", n) for n in range(100)]
    lines[56]["feature"] = "AAAA"
    job = finished(api, send(api, ndjson(*lines), NDJSON))
    assert job["progress"] == {
        **job["progress"],  # type: ignore[dict-item]
        "done": 100,
        "total": 100,
        "enrolled": 99,
        "refused": 1,
    }
    [bad] = items(api, job, outcome="refused")
    assert (bad["item"], bad["code"], bad["subject"]) == ("line 57", "feature_invalid", "s056")
    assert len(subjects(api)) == 99


def test_nan_and_foreign_features_are_refused(api: Api, contract: str) -> None:
    create(api)
    lines = [
        {**line(contract, "nan", 1), "feature": "AADAfwAAwH8="},
        line("c1-other", "foreign", 2),
        {**line(contract, "nothing", 3), "feature": ""},
        {"subject": "bare"},
        {**line(contract, "both", 3), "path": "x.jpg"},
    ]
    job = finished(api, send(api, ndjson(*lines), NDJSON))
    assert list(outcomes(api, job).values()) == [
        "feature_invalid",
        "contract_mismatch",
        "feature_invalid",
        "manifest_invalid",
        "manifest_invalid",
    ]
    assert subjects(api) == {}


def test_the_gallery_decides_about_conflicts_the_first_comes_first(api: Api, contract: str) -> None:
    create(api, conflict="reject")
    same = [line(contract, f"twin{n}", 7) for n in range(20)]
    job = finished(api, send(api, ndjson(*same), NDJSON))
    report = items(api, job)
    assert [one["code"] for one in report] == [None] + ["identity_conflict"] * 19
    assert set(subjects(api)) == {"twin0"}


def test_the_gallery_decides_about_consent_and_quality(
    api: Api, contract: str, faces: Faces
) -> None:
    create(api, require_consent=True)
    lines = [line(contract, "a", 1), line(contract, "b", 2, consent_ref="C-1")]
    job = finished(api, send(api, ndjson(*lines), NDJSON))
    assert outcomes(api, job) == {"line 1": "consent_missing", "line 2": "enrolled"}
    finished(api, send(api, ndjson(lines[0]), NDJSON, consent_ref="C-2"))
    assert subjects(api)["a"]["consent_ref"] == "C-2"
    answer = api.post(
        "/v1/galleries/people/imports",
        content=zipped({"a/1.jpg": faces.portrait}),
        params={"quality": "off"},
        headers={"content-type": ZIP},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "policy_forbids")


def test_poor_photos_are_refused_with_reasons(api: Api, tiny_face: bytes) -> None:
    create(api)
    body = zipped({"small/1.png": tiny_face})
    [report] = items(api, finished(api, send(api, body, ZIP)))
    assert report["code"] == "quality_rejected"
    assert "face_too_small" in report["reasons"]  # type: ignore[operator]
    [report] = items(api, finished(api, send(api, body, ZIP, quality="warn")))
    assert report["outcome"] == "enrolled"


def test_no_photo_is_on_disk_and_the_spool_goes_with_the_job(
    api: Api, opened: Open, faces: Faces, tmp_path: Path
) -> None:
    create(api)
    body = zipped({f"p{n}/{n}.jpg": faces.portrait + bytes(n) for n in range(40)})
    job = send(api, body, ZIP)
    seen = set()
    while api.get(f"/v1/jobs/{job['id']}").json()["state"] in ("queued", "running"):
        for path in (tmp_path / "data").rglob("*"):
            if path.is_file():
                held = path.read_bytes()
                seen.add(path.parent.name)
                assert faces.portrait[2000:2064] not in held, path
                assert b"PK\x03\x04" not in held, path
                assert list(path.parent.glob("*.jpg")) == []
    assert "spool" in seen
    finished(api, job)
    assert list((tmp_path / "data" / "gallery" / "spool").iterdir()) == []


def test_what_cannot_be_an_import_is_refused_at_once_and_leaves_nothing(
    opened: Open, tmp_path: Path
) -> None:
    with opened(max_import_bytes=1024 * 1024) as api:
        create(api)
        cases = [
            (b"PK not really", ZIP, "people", 422, "archive_invalid"),
            (b"", ZIP, "people", 422, "archive_invalid"),
            (b"x" * 2000, TAR, "people", 422, "archive_invalid"),
            (b"\x1f\x8b broken", TAR, "people", 422, "archive_invalid"),
            (b"name,age\nanna,3\n", CSV, "people", 422, "manifest_invalid"),
            (b"{}", "application/json", "people", 415, "body_unsupported"),
            (b"x" * 1_100_000, NDJSON, "people", 413, "body_too_large"),
            (zipped({"a/1.jpg": b"x"}), ZIP, "nowhere", 404, "gallery_not_found"),
        ]
        for body, kind, gallery, status, code in cases:
            answer = api.post(
                f"/v1/galleries/{gallery}/imports", content=body, headers={"content-type": kind}
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert api.get("/v1/jobs").json()["jobs"] == []
        assert list((tmp_path / "data" / "gallery").glob("spool/*")) == []


def test_an_export_imports_as_the_same_gallery(api: Api, contract: str, faces: Faces) -> None:
    create(api, "first")
    create(api, "second")
    lines = [
        line(contract, f"s{n % 30:02}", n, name=f"Né {n % 30}", tags=["x"], metadata={"n": n % 30})
        for n in range(70)
    ]
    finished(api, send(api, ndjson(*lines), NDJSON, "first"))
    finished(api, send(api, zipped({"tom/1.jpg": faces.portrait}), ZIP, "first"))
    api.put("/v1/galleries/first/subjects/faceless", json={"consent_ref": "C"})
    exported = api.get("/v1/galleries/first/export")
    assert exported.headers["content-type"] == NDJSON
    assert len(exported.text.splitlines()) == 32
    job = finished(api, send(api, exported.content, NDJSON, "second"))
    assert job["progress"]["enrolled"] == 32  # type: ignore[index]
    assert api.get("/v1/galleries/second/export").text == exported.text
    again = finished(api, send(api, exported.content, NDJSON, "second"))
    assert again["progress"]["skipped_duplicate"] == 31, "all but the one without a face"  # type: ignore[index]
    assert api.get("/v1/galleries/second/export").text == exported.text
    probes = [json.loads(text)["faces"][0]["feature"] for text in exported.text.splitlines()[1:4]]
    for probe in probes:
        answers = [
            api.post(
                f"/v1/galleries/{name}/search", json={"feature": probe, "contract_id": contract}
            ).json()["matches"]
            for name in ("first", "second")
        ]
        first, second = ([(m["subject"]["id"], m["similarity"]) for m in a] for a in answers)
        assert first == second
