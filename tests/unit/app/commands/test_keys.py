"""`norma keys`: made, listed, rotated, revoked."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.security.keyring import KeyRing
from app.security.keys import KeyStore
from app.security.scopes import ALL, Scope
from app.security.token import Token
from app.security.uses import Uses
from tests.unit.app.commands.conftest import Run

DAY = 86_400


def made(run: Run, *options: str, name: str = "desk", scopes: str = "verify,read") -> str:
    """A new key, as it was printed."""
    ran = run("keys", "create", name, "--scopes", scopes, *options)
    assert ran.status == 0, ran
    assert Token.parse(ran.out.strip()) is not None, "alone on the standard output"
    return ran.out.strip()


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("keys", "list", "--json").out)
    return found


def test_a_key_is_what_was_asked_for_and_is_shown_once(run: Run, data: Path) -> None:
    options = ("--owner", "shop", "--expires", "90d", "--rate", "2.5", "--concurrency", "3")
    text = made(run, *options)
    token = Token.parse(text)
    assert token is not None
    [key] = listed(run)
    assert (key["id"], key["name"], key["owner"]) == (token.key_id, "desk", "shop")
    assert (key["scopes"], key["state"]) == (["read", "verify"], "active")
    assert (key["rate"], key["concurrency"], key["used_at"]) == (2.5, 3, None)
    [stored] = KeyStore(data / "access").all()
    assert stored.spec.expires_at == stored.created_at + 90 * DAY
    assert token.secret not in run("keys", "list").out


def test_a_key_is_good_in_a_service_on_the_same_directory(run: Run, data: Path) -> None:
    text = made(run, scopes="all")
    ring = KeyRing(KeyStore(data / "access"))
    found = ring.find(text)
    ring.close()
    assert (found.spec.owner, found.spec.scopes, found.spec.expires_at) == ("local", ALL, None)
    assert listed(run)[0]["used_at"] is not None


def test_the_list_reads_well(run: Run, data: Path) -> None:
    text = made(run, "--expires", "1y", name="the [front] desk")
    id_ = text.split("_")[1]
    uses = Uses(KeyStore(data / "access").uses)
    uses.note(id_, 1_800_000_000)
    uses.close()
    first, second, third = run("keys", "list").out.splitlines()
    assert first == f"{id_}  active  the [front] desk"
    assert second == "    of local: read verify"
    assert third.startswith("    until 20")
    assert third.endswith(", last used 2027-01-15 08:00+00:00")


@pytest.mark.parametrize("by", ["id", "key"])
def test_a_revoked_key_stays_in_the_list(run: Run, by: str) -> None:
    text = made(run)
    id_ = text.split("_")[1]
    ran = run("keys", "revoke", text if by == "key" else id_)
    assert ran.out == f"revoked {id_} (desk)\n"
    assert listed(run)[0]["state"] == "revoked"


def test_a09_a_rotated_key_has_a_successor_that_lives_as_long(run: Run, data: Path) -> None:
    old = made(run, "--owner", "shop", "--expires", "2d", "--rate", "1")
    ran = run("keys", "rotate", old)
    store = KeyStore(data / "access")
    first, second = store.all()
    assert (second.id, second.spec.owner, second.spec.rate) == (ran.out.split("_")[1], "shop", 1)
    assert second.spec.scopes == {Scope.READ, Scope.VERIFY}
    for key in (first, second):
        assert key.refused_at(time.time()) is None
        assert key.spec.expires_at == key.created_at + 2 * DAY
    assert f"`norma keys revoke {first.id}`" in ran.err


def test_the_old_key_of_a_rotation_can_be_given_a_date(run: Run, data: Path) -> None:
    old = made(run)
    run("keys", "rotate", old, "--old-expires", "24h")
    first, second = KeyStore(data / "access").all()
    assert first.spec.expires_at is not None
    assert abs(first.spec.expires_at - time.time() - DAY) < 60
    assert second.spec.expires_at is None


def test_what_is_over_is_not_rotated(run: Run) -> None:
    text = made(run)
    run("keys", "revoke", text)
    assert "is revoked: make a new one" in run("keys", "rotate", text).failed()
    assert len(listed(run)) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("x", "--scopes", "verify,fly"), "no such scope: fly"),
        (("x", "--scopes", ","), "at least one scope"),
        (("x", "--scopes", "read", "--owner", "a/b"), "a key's owner is 1 to 128 of"),
        (("x\ny", "--scopes", "read"), "one line"),
        ((" ", "--scopes", "read"), "one line"),
        (("x" * 101, "--scopes", "read"), "one line"),
    ],
)
def test_what_makes_no_sense_makes_no_key(
    run: Run, data: Path, options: tuple[str, ...], said: str
) -> None:
    assert said in run("keys", "create", *options).failed()
    assert not (data / "access").exists()


@pytest.mark.parametrize("span", ["0d", "3", "1s", "d", "-1d", "1.5h", "9999999d"])
def test_a_lifetime_is_a_number_and_a_unit(run: Run, data: Path, span: str) -> None:
    ran = run("keys", "create", "x", "--scopes", "read", "--expires", span)
    assert ran.status == 2
    assert not (data / "access").exists()


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_an_unknown_key_is_said_to_be_without_its_secret(run: Run, command: str) -> None:
    token = Token.mint()
    line = run("keys", command, token.text).failed()
    assert f"there is no key {token.key_id}" in line
    assert token.secret not in line


def test_what_happens_to_keys_is_on_record(run: Run, data: Path) -> None:
    text = made(run, "--owner", "shop")
    token = Token.parse(text)
    assert token is not None
    run("keys", "rotate", token.key_id)
    run("keys", "revoke", token.key_id)
    lines = run("audit", "show").out.splitlines()
    entries = [json.loads(line) for line in lines]
    assert [one["action"] for one in entries] == ["key.created", "key.created", "key.revoked"]
    assert {one["owner"] for one in entries} == {"shop"}
    assert [one["details"]["key"] for one in entries[::2]] == [token.key_id] * 2
    assert entries[1]["details"]["instead_of"] == token.key_id
    assert not any(text.rpartition("_")[2] in line for line in lines)
    assert run("audit", "verify").status == 0
