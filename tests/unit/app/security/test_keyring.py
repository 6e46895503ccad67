"""Keys in memory: as fresh as promised, alike in refusing."""

import gc
import sys
from collections.abc import Callable
from contextlib import closing
from types import FrameType

import pytest

from app.errors import NotReadyError, StartError
from app.security import uses
from app.security.errors import UnauthenticatedError
from app.security.keyring import REFRESH, KeyRing
from app.security.keys import KeyStore
from app.security.token import Token
from tests.unit.app.security.conftest import NOW, Keys


def refused(ring: KeyRing, text: str) -> UnauthenticatedError:
    with pytest.raises(UnauthenticatedError) as raised:
        ring.find(text)
    return raised.value


def test_refreshing_is_well_within_a_second() -> None:
    assert REFRESH <= 0.5


def test_a08_a_revoked_key_is_refused_after_the_refresh(keys: Keys) -> None:
    made = keys.make()
    keys.clock.at = 1
    assert keys.ring.find(made.text).id == made.key_id
    KeyStore(keys.directory).revoke(made.key_id, NOW)
    keys.clock.at += REFRESH
    assert refused(keys.ring, made.text).reason == "revoked"


def test_a_new_key_is_good_at_once(keys: Keys) -> None:
    keys.make()
    assert keys.ring.guarded() is False
    keys.clock.at += REFRESH
    assert keys.ring.guarded() is True
    late = keys.make()
    assert keys.ring.find(late.text).id == late.key_id


def test_a09_both_keys_of_a_rotation_are_good_until_one_is_revoked(keys: Keys) -> None:
    old, new = keys.make(), keys.make()
    assert {keys.ring.find(one.text).id for one in (old, new)} == {old.key_id, new.key_id}
    keys.store.revoke(old.key_id, NOW)
    keys.clock.at += REFRESH
    assert refused(keys.ring, old.text).reason == "revoked"
    assert keys.ring.find(new.text).id == new.key_id


def test_keys_end_when_they_should(keys: Keys) -> None:
    made = keys.make(expires_at=NOW + 10)
    keys.wall.at = NOW + 9.9
    assert keys.ring.find(made.text).id == made.key_id
    keys.wall.at = NOW + 10.0
    assert refused(keys.ring, made.text).reason == "expired"
    assert keys.ring.active() == []


def test_a_service_that_had_keys_goes_on_needing_one(keys: Keys) -> None:
    made = keys.make()
    keys.store.revoke(made.key_id, NOW)
    with closing(Keys(keys.directory).ring) as ring:
        assert ring.guarded() is True


def test_a02_every_refusal_reads_the_same(keys: Keys) -> None:
    good, revoked = keys.make(), keys.make()
    keys.store.revoke(revoked.key_id, NOW)
    expired = keys.make(expires_at=NOW)
    bad = {
        "malformed": "norma_x",
        "unknown": Token.mint().text,
        "revoked": revoked.text,
        "expired": expired.text,
    }
    found = {reason: refused(keys.ring, text) for reason, text in bad.items()}
    assert {reason: error.reason for reason, error in found.items()} == {one: one for one in bad}
    assert len({(error.message, str(error.headers())) for error in found.values()}) == 1
    assert refused(keys.ring, Token(good.key_id, revoked.secret).text).reason == "unknown"


def test_a10_a_wrong_secret_and_an_unknown_id_take_the_same_steps(keys: Keys) -> None:
    """Not a measurement: the very sequence of calls, Python's and C's, is the same."""
    good, guess = keys.make(), Token.mint()
    refused(keys.ring, guess.text)  # so that the keys are loaded
    wrong, unknown = Token(good.key_id, guess.secret).text, guess.text
    taken = steps(lambda: refused(keys.ring, wrong))
    assert taken == steps(lambda: refused(keys.ring, unknown))
    assert taken.count("compare_digest") == 2


def steps(work: Callable[[], object]) -> list[str]:
    """The names of everything called, in order."""
    seen: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            seen.append(frame.f_code.co_name)
        elif event == "c_call":
            seen.append(getattr(argument, "__name__", "?"))

    gc.disable()  # a collection calls what it likes, when it likes
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return seen


def test_the_last_use_is_kept_to_the_hour_and_written_once_an_hour(keys: Keys) -> None:
    made = keys.make()
    keys.wall.at = NOW + 3600 * 5 + 1234
    for _ in range(3):
        keys.ring.find(made.text)
    keys.ring.close()
    hour = uses.read(keys.store.uses)[made.key_id]
    assert hour % 3600 == 0
    assert 0 <= keys.wall.at - hour < 3600


def test_a_damaged_file_refuses_the_start(keys: Keys) -> None:
    keys.make()
    keys.store.path.write_bytes(b"x" * 4096)
    for attempt in (keys.make, keys.store.all, lambda: Keys(keys.directory)):
        with pytest.raises(StartError, match="not a database"):
            attempt()


def test_keys_that_cannot_be_read_let_nobody_in(keys: Keys) -> None:
    made = keys.make()
    keys.ring.find(made.text)
    keys.store.path.rename(keys.directory / "elsewhere.db")
    keys.clock.at += REFRESH
    with pytest.raises(NotReadyError, match="keys cannot be read"):
        keys.ring.find(made.text)


def test_a08_while_somebody_writes_the_keys_are_as_they_were_for_a_second_at_most(
    keys: Keys,
) -> None:
    made = keys.make()
    keys.ring.find(made.text)
    with closing(keys.store.connect()) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        keys.clock.at += REFRESH
        assert keys.ring.find(made.text).id == made.key_id
        keys.clock.at += 1
        with pytest.raises(NotReadyError, match="keys cannot be read"):
            keys.ring.find(made.text)


def test_a_database_put_in_the_place_of_another_counts(keys: Keys) -> None:
    made = keys.make()
    refused(keys.ring, Token.mint().text)  # the file is open from here on
    copy = keys.directory / "copy.db"
    copy.touch(0o600)
    copy.write_bytes(keys.store.path.read_bytes())
    copy.rename(keys.store.path)
    keys.store.revoke(made.key_id, NOW)
    keys.clock.at += REFRESH
    assert refused(keys.ring, made.text).reason == "revoked"
