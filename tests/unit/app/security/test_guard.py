"""Who gets in, and how many at once."""

import pytest

from app.security.caller import LOCAL, Caller
from app.security.errors import (
    AuthAttemptsLimitedError,
    KeyConcurrencyLimitedError,
    KeyRateLimitedError,
    ScopeMissingError,
    SubjectAttemptsLimitedError,
    UnauthenticatedError,
)
from app.security.guard import presented
from app.security.keyring import REFRESH
from app.security.limits import Rate
from app.security.scopes import ALL, Scope
from app.security.token import Token
from tests.unit.app.security.conftest import Keys, headers, owner_of


def test_until_there_are_keys_everyone_is_local(keys: Keys) -> None:
    guard = keys.guard(at_once=1)
    assert guard.enter([]) is guard.enter([]) is LOCAL
    assert LOCAL.scopes == ALL
    guard.leave(LOCAL)
    keys.make()
    keys.clock.at += REFRESH
    with pytest.raises(UnauthenticatedError) as raised:
        guard.enter([])
    assert raised.value.reason == "none"


def test_a_caller_is_its_keys_owner_with_its_scopes(keys: Keys) -> None:
    made = keys.make("shop", frozenset({Scope.READ}))
    keys.clock.at += REFRESH
    caller = keys.guard().enter(headers(made))
    assert owner_of(caller) == ("shop", made.key_id)
    assert caller.scopes == {Scope.READ}
    caller.require(Scope.READ)
    with pytest.raises(ScopeMissingError) as raised:
        caller.require(Scope.READ, Scope.ADMIN)
    assert raised.value.details == {"scopes": ["admin"]}


@pytest.mark.parametrize(
    "sent",
    [
        [(b"authorization", b"Bearer KEY")],
        [(b"authorization", b"bearer  KEY")],
        [(b"x-api-key", b"KEY")],
        [(b"authorization", b"Basic dXNlcg=="), (b"x-api-key", b"KEY")],  # the proxy's own
        [(b"authorization", b"Bearer KEY"), (b"x-api-key", b"KEY")],
    ],
)
def test_a_key_comes_in_one_of_two_headers(sent: list[tuple[bytes, bytes]]) -> None:
    assert presented(sent) == "KEY"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "none"),
        ([(b"authorization", b"Basic KEY")], "none"),
        ([(b"authorization", b"KEY")], "none"),
        ([(b"cookie", b"key=KEY")], "none"),
        ([(b"x-api-key", b"KEY"), (b"x-api-key", b"OTHER")], "ambiguous"),
        ([(b"authorization", b"Bearer KEY"), (b"x-api-key", b"OTHER")], "ambiguous"),
    ],
)
def test_a02_anything_else_is_no_key(sent: list[tuple[bytes, bytes]], reason: str) -> None:
    with pytest.raises(UnauthenticatedError) as raised:
        presented(sent)
    assert raised.value.reason == reason


def test_a12_a_key_sends_no_more_than_its_rate(keys: Keys) -> None:
    plain, slow, other = keys.make(), keys.make(rate=0.5), keys.make()
    keys.clock.at += REFRESH
    guard = keys.guard(requests=Rate(1, 3))
    for token, allowed, wait in ((plain, 3, 1), (slow, 1, 2)):
        for _ in range(allowed):
            guard.leave(guard.enter(headers(token)))
        with pytest.raises(KeyRateLimitedError) as raised:
            guard.enter(headers(token))
        assert raised.value.retry_after == wait
    guard.leave(guard.enter(headers(other)))
    keys.clock.at += 2
    guard.leave(guard.enter(headers(slow)))


def test_a12_the_photos_of_one_request_count_each(keys: Keys) -> None:
    plain, own = keys.make(), keys.make(rate=2)
    keys.clock.at += REFRESH
    guard = keys.guard(requests=Rate(1, 10))
    for token, room in ((plain, 10), (own, 4)):
        caller = guard.enter(headers(token))
        guard.photos(caller, 1)
        guard.photos(caller, room)
        with pytest.raises(KeyRateLimitedError):
            guard.photos(caller, 2)
        guard.leave(caller)
    guard.photos(LOCAL, 10_000)


def test_a12_a_key_has_no_more_running_than_it_may(keys: Keys) -> None:
    plain, narrow = keys.make(), keys.make(concurrency=1)
    keys.clock.at += REFRESH
    guard = keys.guard(at_once=2)
    for token, allowed in ((plain, 2), (narrow, 1)):
        running = [guard.enter(headers(token)) for _ in range(allowed)]
        with pytest.raises(KeyConcurrencyLimitedError):
            guard.enter(headers(token))
        guard.leave(running.pop())
        guard.leave(guard.enter(headers(token)))


def test_a_request_refused_for_its_rate_holds_no_place(keys: Keys) -> None:
    made = keys.make()
    keys.clock.at += REFRESH
    guard = keys.guard(requests=Rate(1, 1), at_once=1)
    guard.leave(guard.enter(headers(made)))
    for _ in range(3):
        with pytest.raises(KeyRateLimitedError):
            guard.enter(headers(made))
    keys.clock.at += 1
    guard.enter(headers(made))


def test_a11_bad_keys_of_one_address_are_limited_and_good_ones_pass(keys: Keys) -> None:
    good = keys.make()
    keys.clock.at += REFRESH
    guard = keys.guard(bad_keys=Rate(1 / 6, 2))

    def fail(peer: str) -> None:
        with pytest.raises(UnauthenticatedError) as raised:
            guard.enter(headers(Token.mint()))
        guard.refuse(raised.value, peer)

    fail("peer")
    fail("peer")
    with pytest.raises(AuthAttemptsLimitedError) as raised:
        fail("peer")
    assert raised.value.retry_after == 6
    fail("another")
    assert guard.enter(headers(good)).key_id == good.key_id


def test_a11_what_is_logged_of_bad_keys_is_bounded_and_no_secret(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    made = keys.make()
    keys.clock.at += REFRESH
    guard = keys.guard(bad_keys=Rate(1, 5))
    tried = Token(made.key_id, Token.mint().secret)
    for _ in range(100):
        with pytest.raises(UnauthenticatedError) as raised:
            guard.enter(headers(tried))
        try:
            guard.refuse(raised.value, "peer")
        except AuthAttemptsLimitedError:
            continue
    assert len(caplog.messages) == 5
    assert made.key_id in caplog.messages[0]
    assert not any(tried.secret in message for message in caplog.messages)


def test_a15_tries_on_one_subject_are_limited_whoever_sends_them(keys: Keys) -> None:
    guard = keys.guard(claims=Rate(1 / 60, 2))
    for _ in range(2):
        guard.claim("mine", "staff", "anna")
    with pytest.raises(SubjectAttemptsLimitedError) as raised:
        guard.claim("mine", "staff", "anna")
    assert raised.value.retry_after == 60
    guard.claim("mine", "staff", "ben")
    guard.claim("mine", "guests", "anna")
    guard.claim("theirs", "staff", "anna")
    keys.clock.at += 60
    guard.claim("mine", "staff", "anna")


def test_nothing_of_a_caller_can_be_changed() -> None:
    with pytest.raises(AttributeError):
        LOCAL.owner = "theirs"  # type: ignore[misc]
    assert isinstance(LOCAL, Caller)
