"""`docker compose up`, and what an operator does with it from then on."""

from dataclasses import replace

import httpx
import pytest

from tests.conftest import Faces
from tests.docker.deployment import Deployment
from tests.docker.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

GALLERY = "/v1/galleries/staff"
BACKUP = "/var/lib/norma/backup.db"
KEYS = ("keys", "var/lib/norma/access")
"""The master key, and the digests of callers' keys."""


@pytest.fixture(scope="module")
def enrolled(deployment: Deployment, faces: Faces) -> str:
    """The first key, with which somebody has been enrolled."""
    key = deployment.key()
    with deployment.client(key) as api:
        made = api.post("/v1/galleries", json={"name": "staff", "identify": True})
        assert made.status_code == 201, made.text
        url = f"{GALLERY}/subjects/tom/faces?create=true"
        answer = api.post(url, files={"image": faces.portrait})
        assert answer.status_code == 201, answer.text
    return key


def identified(deployment: Deployment, key: str, photo: bytes) -> str | None:
    """Who that is, by the service."""
    with deployment.client(key) as api:
        answer = api.post(f"{GALLERY}/identify", files={"image": photo})
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["faces"]
    identified: str | None = found["identified"]
    return identified


def test_two_photos_are_compared(api: httpx.Client, faces: Faces) -> None:
    pair = {"image_a": faces.portrait, "image_b": faces.portrait_again}
    assert api.post("/v1/verify", files=pair).json()["verdict"] == "match"
    pair["image_b"] = faces.other
    assert api.post("/v1/verify", files=pair).json()["verdict"] == "no_match"


def test_nobody_gets_in_without_a_key(deployment: Deployment) -> None:
    with deployment.client("norma_0000000000000000_wrong") as stranger:
        assert stranger.get("/v1/models").status_code == 401
        assert stranger.get("/readyz").status_code == 200


def test_who_was_enrolled_is_found_and_others_are_not(
    deployment: Deployment, enrolled: str, faces: Faces
) -> None:
    assert identified(deployment, enrolled, faces.portrait_again) == "tom"
    assert identified(deployment, enrolled, faces.other) is None


def test_it_has_no_rights_and_writes_nothing_but_data_s05(
    engine: Engine, deployment: Deployment, enrolled: str
) -> None:
    status = deployment.inside("print(open('/proc/1/status').read())")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert {int(facts[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert engine.inspect(deployment.container())["HostConfig"]["ReadonlyRootfs"]


@pytest.mark.parametrize("place", ["/", "/opt/norma", "/models", "/usr/share/norma/packages"])
def test_it_could_not_write_elsewhere_s05(deployment: Deployment, place: str) -> None:
    code = f"""
try:
    open("{place}/x", "w")
except OSError as error:
    print(error.strerror)
"""
    assert deployment.inside(code).strip() in ("Read-only file system", "Permission denied")


def test_a_restart_forgets_nobody(deployment: Deployment, enrolled: str, faces: Faces) -> None:
    deployment.compose("restart", "norma")
    deployment.wait()
    assert identified(deployment, enrolled, faces.portrait_again) == "tom"


def test_a_crash_forgets_nobody(
    engine: Engine, deployment: Deployment, enrolled: str, faces: Faces
) -> None:
    deployment.compose("kill", "-s", "KILL", "norma")
    deployment.up()
    assert identified(deployment, enrolled, faces.portrait_again) == "tom"


def test_it_stops_when_it_is_told_to(engine: Engine, deployment: Deployment, enrolled: str) -> None:
    container = deployment.container()
    deployment.compose("stop", "norma")
    assert engine.inspect(container)["State"]["ExitCode"] == 0
    deployment.up()


def test_there_is_one_first_key_ever(deployment: Deployment, enrolled: str) -> None:
    """Taken away, it is not made again."""
    deployment.compose("run", "--rm", "-T", "first-key", "rm", "/first/key")
    deployment.up()
    listed = deployment.compose("exec", "-T", "norma", "norma", "keys", "list")
    assert listed.count(" active ") == 1
    shown = deployment.compose("run", "--rm", "-T", "first-key", "ls", "/first")
    assert shown == ""
    assert "norma_" + enrolled.split("_")[1] not in deployment.compose("logs", "first-key")


def test_an_upgrade_keeps_everybody(
    engine: Engine, deployment: Deployment, enrolled: str, faces: Faces
) -> None:
    """Another image of the same service takes over the volumes."""
    newer = "norma-test/service:newer"
    lines = f"FROM {deployment.env['NORMA_IMAGE']}\nLABEL newer=yes\n"
    engine.docker("build", "-q", "-t", newer, "-", stdin=lines.encode())
    before = deployment.container()
    upgraded = replace(deployment, env=deployment.env | {"NORMA_IMAGE": newer})
    upgraded.up()
    assert upgraded.container() != before
    assert engine.inspect(upgraded.container())["Config"]["Labels"]["newer"] == "yes"
    assert identified(deployment, enrolled, faces.portrait_again) == "tom"
    deployment.up()


def test_what_was_backed_up_comes_back(deployment: Deployment, enrolled: str, faces: Faces) -> None:
    """Onto a machine that has nothing, as the README says: galleries while the service runs, and
    keys."""
    gallery = ("exec", "-T", "norma", "norma", "gallery")
    assert "verified" in deployment.compose(*gallery, "backup", BACKUP)
    galleries = deployment.read("exec", "-T", "norma", "cat", BACKUP)
    tar = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "tar", "norma", "-C", "/")
    keys = deployment.read(*tar, "-czf", "-", *KEYS)
    deployment.down()
    deployment.compose(*tar, "-xzf", "-", stdin=keys)
    restore(deployment, galleries)
    deployment.up()
    assert identified(deployment, enrolled, faces.portrait_again) == "tom"


def test_who_was_erased_since_does_not_come_back(
    deployment: Deployment, enrolled: str, faces: Faces
) -> None:
    deployment.compose("exec", "-T", "norma", "rm", "-f", BACKUP)
    deployment.compose("exec", "-T", "norma", "norma", "gallery", "backup", BACKUP)
    galleries = deployment.read("exec", "-T", "norma", "cat", BACKUP)
    with deployment.client(enrolled) as api:
        assert api.delete(f"{GALLERY}/subjects/tom").is_success
    deployment.compose("stop", "norma")
    restore(deployment, galleries)
    deployment.up()
    assert identified(deployment, enrolled, faces.portrait_again) is None


def restore(deployment: Deployment, galleries: bytes) -> None:
    run = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "norma", "-euc")
    commands = f"cat > {BACKUP}.in; norma gallery restore {BACKUP}.in; rm {BACKUP}.in"
    deployment.compose(*run, commands, stdin=galleries)
