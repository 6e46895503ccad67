"""The spool: what goes in comes out, seekable, and anything else is noticed."""

import io
import random
from pathlib import Path

import pytest

from app.errors import ArchiveInvalidError
from app.jobs.spool import CHUNK, Spools, SpoolWriter


def written(spools: Spools, uid: str, data: bytes, rng: random.Random) -> SpoolWriter:
    spool = spools.create(uid)
    at = 0
    while at < len(data):
        size = rng.randrange(1, 2 * CHUNK)
        spool.write(data[at : at + size])
        at += size
    spool.finish()
    return spool


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_what_goes_in_comes_out_from_any_place(tmp_path: Path, size: int) -> None:
    rng = random.Random(size)
    data = rng.randbytes(size)
    spools = Spools(tmp_path / "spool")
    secret = written(spools, "u", data, rng).secret
    with spools.open("u", secret) as file:
        assert file.read() == data
        plain = io.BytesIO(data)
        for _ in range(50):
            place, length = rng.randrange(size + 10), rng.randrange(2 * CHUNK)
            assert file.seek(place) == plain.seek(place)
            assert file.read(length) == plain.read(length)
        assert file.seek(-min(size, 7), 2) == plain.seek(-min(size, 7), 2)
        assert file.read() == plain.read()


def test_nothing_is_legible(tmp_path: Path) -> None:
    spools = Spools(tmp_path)
    written(spools, "u", b"a photo " * 100_000, random.Random(1))
    assert b"photo" not in (tmp_path / "u").read_bytes()


def test_damage_truncation_exchange_and_another_key_are_noticed(tmp_path: Path) -> None:
    rng = random.Random(2)
    spools = Spools(tmp_path)
    data = rng.randbytes(3 * CHUNK + 100)
    secret = written(spools, "u", data, rng).secret
    other = written(spools, "v", data, rng).secret
    sealed = (tmp_path / "u").read_bytes()
    step = CHUNK + 16
    swapped = sealed[step : 2 * step] + sealed[:step] + sealed[2 * step :]
    flipped = bytearray(sealed)
    flipped[step + 9] ^= 1
    cases = [sealed[:step], sealed[: 2 * step], sealed[:-1], b"", swapped, bytes(flipped)]
    for case in cases:
        (tmp_path / "u").write_bytes(case)
        with pytest.raises(ArchiveInvalidError), spools.open("u", secret) as file:
            file.read()
    with pytest.raises(ArchiveInvalidError):
        spools.open("v", secret)
    spools.open("v", other).close()
    with pytest.raises(ArchiveInvalidError):
        spools.open("none", other)


def test_spools_of_no_job_are_removed(tmp_path: Path) -> None:
    spools = Spools(tmp_path / "spool")
    spools.keep([])
    for uid in ("a", "b"):
        written(spools, uid, b"x", random.Random(1))
    spools.keep(["b"])
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["b"]
