"""What a key looks like, and what is kept of it."""

import pytest

from app.security.token import Token

PEPPER = bytes(range(32))


def test_a_key_is_read_back_as_it_was_written() -> None:
    made = Token.mint()
    assert Token.parse(made.text) == made
    assert len(bytes.fromhex(made.secret)) == 32


def test_keys_do_not_repeat() -> None:
    made = [Token.mint() for _ in range(100)]
    assert len({one.key_id for one in made} | {one.secret for one in made}) == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: text.replace("norma", "nurma"),
        lambda text: text.replace("_", "-"),
        lambda text: text[:-1] + "g",
        lambda text: text[:-1] + "٣",  # a digit, of another script
        lambda text: text * 20_000,
    ],
)
def test_a02_what_is_not_written_like_a_key_is_none(change: object) -> None:
    assert callable(change)
    assert Token.parse(change(Token.mint().text)) is None


def test_the_digest_depends_on_secret_id_and_pepper() -> None:
    one, other = Token.mint(), Token.mint()
    digests = {
        one.digest(PEPPER),
        one.digest(bytes(32)),
        Token(other.key_id, one.secret).digest(PEPPER),
        Token(one.key_id, other.secret).digest(PEPPER),
    }
    assert len(digests) == 4
    assert one.digest(PEPPER) == Token.parse(one.text).digest(PEPPER)  # type: ignore[union-attr]


def test_a_secret_is_not_in_what_logs_would_show() -> None:
    made = Token.mint()
    assert made.secret not in repr(made)
