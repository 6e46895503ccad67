"""What is sealed opens whole, in its place, with its key, or not at all."""

import os

import pytest

from app.security.cipher import TAG_BYTES, CipherError, DataKey


@pytest.fixture
def key() -> DataKey:
    return DataKey(os.urandom(32))


def test_a_record_opens_where_it_was_sealed(key: DataKey) -> None:
    sealed = key.seal(b"a face", b"here")
    assert b"a face" not in sealed
    assert key.open(sealed, b"here") == b"a face"
    assert key.seal(b"a face", b"here") != sealed


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_changed_record_does_not_open(key: DataKey, at: int) -> None:
    sealed = bytearray(key.seal(b"a face", b"here"))
    sealed[at] ^= 1
    with pytest.raises(CipherError):
        key.open(bytes(sealed), b"here")


@pytest.mark.parametrize("cut", [0, 5, 12, 27])
def test_a_short_record_does_not_open(key: DataKey, cut: int) -> None:
    with pytest.raises(CipherError):
        key.open(key.seal(b"a face", b"here")[:cut], b"here")


def test_another_place_or_key_does_not_open_it(key: DataKey) -> None:
    sealed = key.seal(b"a face", b"here")
    with pytest.raises(CipherError):
        key.open(sealed, b"there")
    with pytest.raises(CipherError):
        DataKey(os.urandom(32)).open(sealed, b"here")


def test_blinding_keeps_equality_alone(key: DataKey) -> None:
    assert key.blind(b"tag:vip") == key.blind(b"tag:vip")
    assert key.blind(b"tag:vip") != key.blind(b"tag:vi")
    assert key.blind(b"tag:vip") != DataKey(os.urandom(32)).blind(b"tag:vip")


def test_a_file_opens_in_order_alone(key: DataKey) -> None:
    chunks = [b"one", b"two", b"six"]
    writing = key.file(b"salt", b"file")
    sealed = [writing.seal(chunk) for chunk in chunks]
    assert {len(chunk) for chunk in sealed} == {3 + TAG_BYTES}
    into = memoryview(bytearray(3))
    reading = key.file(b"salt", b"file")
    for chunk, plain in zip(sealed, chunks, strict=True):
        reading.open_into(chunk, into)
        assert into == plain
    with pytest.raises(CipherError):
        key.file(b"salt", b"file").open_into(sealed[1], into)
    with pytest.raises(CipherError):
        key.file(b"tlas", b"file").open_into(sealed[0], into)
    with pytest.raises(CipherError):
        key.file(b"salt", b"elif").open_into(sealed[0], into)
