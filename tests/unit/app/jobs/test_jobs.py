"""Jobs over HTTP: progress, cancelling, forgetting, repeating, restarts, other owners."""

import asyncio
from pathlib import Path

import pytest

from app.errors import JobNotFoundError
from app.gallery.room import open_room
from app.jobs.ledger import Ledger
from app.service import Service
from tests.conftest import Faces
from tests.unit.app.jobs.conftest import (
    NDJSON,
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
    zipped,
)


@pytest.fixture
def contract(service: Service) -> str:
    return service.pipeline.recogniser.contract_id


def many(faces: Faces, count: int = 60) -> bytes:
    """An archive that takes some seconds: each photo is another file of the same face."""
    return zipped({f"p{n:02}/{n}.jpg": faces.portrait + bytes(n) for n in range(count)})


def test_a_job_tells_how_far_it_is_and_can_be_cancelled(api: Api, faces: Faces) -> None:
    create(api, conflict="off")
    job = send(api, many(faces, 200), ZIP)
    while (now := api.get(f"/v1/jobs/{job['id']}").json())["progress"]["done"] == 0:
        assert now["state"] in ("queued", "running")
    assert now["progress"]["total"] is None
    cancelled = api.delete(f"/v1/jobs/{job['id']}").json()
    assert cancelled["state"] == "cancelled"
    assert cancelled["finished_at"] is not None
    done = finished(api, job)["progress"]["enrolled"]  # type: ignore[index]
    assert 0 < done < 200
    assert api.get("/v1/galleries/people").json()["faces"] >= done
    second = finished(api, send(api, many(faces, 3), ZIP))
    assert second["state"] == "done", "the next job goes on"


def test_f08_a_job_is_paused_by_a_stop_and_goes_on_where_it_was(opened: Open, faces: Faces) -> None:
    with opened() as api:
        create(api, conflict="off")
        job = send(api, many(faces), ZIP)
        while api.get(f"/v1/jobs/{job['id']}").json()["progress"]["done"] == 0:
            pass
    with opened() as api:
        found = finished(api, job)
        report = items(api, job)
        assert found["state"] == "done"
        assert [one["item"] for one in report] == [f"p{n:02}/{n}.jpg" for n in range(60)]
        assert {one["outcome"] for one in report} == {"enrolled"}
        assert api.get("/v1/galleries/people").json()["faces"] == 60


def test_a_queued_job_is_cancelled_without_a_trace(
    api: Api, faces: Faces, contract: str, tmp_path: Path
) -> None:
    create(api)
    first = send(api, many(faces), ZIP)
    second = send(api, ndjson(line(contract, "a", 1)), NDJSON)
    assert api.delete(f"/v1/jobs/{second['id']}").json()["state"] == "cancelled"
    assert not (tmp_path / "data" / "gallery" / "spool" / str(second["id"])).exists()
    assert items(api, second) == []
    api.delete(f"/v1/jobs/{first['id']}")


def test_a_finished_job_is_forgotten_with_its_report(api: Api, contract: str) -> None:
    create(api)
    job = finished(api, send(api, ndjson(line(contract, "a", 1)), NDJSON))
    assert api.delete(f"/v1/jobs/{job['id']}").json()["state"] == "done"
    for path in (f"/v1/jobs/{job['id']}", f"/v1/jobs/{job['id']}/items"):
        assert api.get(path).json()["error"]["code"] == "job_not_found"
    assert api.get("/v1/galleries/people").json()["faces"] == 1


def test_f36_the_same_request_three_times_is_one_job(api: Api, contract: str) -> None:
    create(api)
    body = ndjson(line(contract, "a", 1))

    def post(key: str, content: bytes, **options: str) -> tuple[int, object]:
        answer = api.post(
            "/v1/galleries/people/imports",
            content=content,
            params=options,
            headers={"content-type": NDJSON, "idempotency-key": key},
        )
        found = answer.json()
        return answer.status_code, found.get("id") or found["error"]["code"]

    first = post("k", body)
    assert [post("k", body), post("k", body)] == [first, first]
    assert len(api.get("/v1/jobs").json()["jobs"]) == 1
    assert post("k", body + b"\n") == (409, "idempotency_conflict")
    assert post("k", body, layout="flat") == (409, "idempotency_conflict")
    other = post("other", body)
    assert other[1] != first[1]
    assert outcomes(api, finished(api, {"id": other[1]})) == {"line 1": "skipped_duplicate"}


def test_jobs_and_reports_come_in_pages(api: Api, contract: str) -> None:
    create(api)
    made = [
        finished(
            api, send(api, ndjson(*(line(contract, "a", 10 * k + n) for n in range(5))), NDJSON)
        )
        for k in range(3)
    ]
    first = api.get("/v1/jobs", params={"limit": 2}).json()
    rest = api.get("/v1/jobs", params={"cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["jobs"] + rest["jobs"]] == [j["id"] for j in made[::-1]]
    assert rest["next_cursor"] is None
    assert [one["item"] for one in items(api, made[0], limit=2)] == [
        f"line {n}" for n in range(1, 6)
    ]
    stolen = api.get(
        f"/v1/jobs/{made[0]['id']}/items", params={"cursor": first["next_cursor"]}
    ).json()
    assert stolen["error"]["code"] == "cursor_invalid"


def test_too_many_unfinished_jobs_are_refused(opened: Open, faces: Faces, contract: str) -> None:
    with opened(max_jobs=2) as api:
        create(api)
        jobs = [send(api, many(faces), ZIP) for _ in range(2)]
        answer = api.post(
            "/v1/galleries/people/imports",
            content=ndjson(line(contract, "a", 1)),
            headers={"content-type": NDJSON},
        )
        assert (answer.status_code, answer.json()["error"]["limit"]) == (409, "jobs")
        for job in jobs:
            api.delete(f"/v1/jobs/{job['id']}")


def test_erasing_a_subject_erases_what_was_reported_of_it(api: Api, contract: str) -> None:
    create(api)
    lines = [line(contract, "a", 1, item="anna.jpg"), line(contract, "b", 2, item="bob.jpg")]
    job = finished(api, send(api, ndjson(*lines), NDJSON))
    api.delete("/v1/galleries/people/subjects/a")
    assert outcomes(api, job) == {"bob.jpg": "enrolled"}
    api.delete("/v1/galleries/people")
    assert api.get("/v1/jobs").json()["jobs"] == []


def test_erasing_the_gallery_ends_its_job(api: Api, faces: Faces, contract: str) -> None:
    create(api)
    job = send(api, many(faces), ZIP)
    while api.get(f"/v1/jobs/{job['id']}").json()["progress"]["done"] == 0:
        pass
    assert api.delete("/v1/galleries/people").status_code == 200
    assert api.get(f"/v1/jobs/{job['id']}").status_code == 404
    create(api, "others")
    second = send(api, ndjson(line(contract, "a", 1)), NDJSON, "others")
    assert finished(api, second)["state"] == "done"


def test_a04_another_owners_job_is_not_found(
    opened: Open, service: Service, contract: str, tmp_path: Path
) -> None:
    with opened() as api:
        create(api)
        job = finished(api, send(api, ndjson(line(contract, "a", 1)), NDJSON))
    room = open_room(service.settings.model_copy(update={"data_dir": tmp_path / "data"}))
    ledger = Ledger(room, 4)

    async def ask() -> None:
        assert (await ledger.get("local", str(job["id"]))).finished
        assert await ledger.page("other", None, 10) == ([], None)
        await ledger.get("other", str(job["id"]))

    with pytest.raises(JobNotFoundError):
        asyncio.run(ask())
    room.close()
