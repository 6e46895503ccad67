"""Hostile archives: nothing leaves its bounds, and one bad entry spoils no other."""

import gzip
import io
import random
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import IO

import pytest

from app.errors import ArchiveInvalidError, ManifestInvalidError, NormaError
from app.jobs.sources.entries import Features, Format, SourceLimits
from app.jobs.sources.reading import entries

LIMITS = SourceLimits(entry_bytes=100_000, entries=50, expanded_bytes=10_000_000)


def read(
    format_: Format, data: bytes, limits: SourceLimits = LIMITS, file: IO[bytes] | None = None
) -> dict[str, bytes | str]:
    """Entry → its bytes, or the code of its refusal."""
    found: dict[str, bytes | str] = {}
    for entry in entries(format_, file or io.BytesIO(data), "folders", limits):
        try:
            content = entry.load()
            assert not isinstance(content, Features)
            found[entry.name] = content
        except ArchiveInvalidError:
            raise
        except NormaError as error:
            found[entry.name] = error.code
    return found


def zip_of(
    *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = info.size or len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def info(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def link(name: str, mode: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


def test_zip_entries_that_are_no_plain_files_are_refused_alone() -> None:
    data = zip_of(
        ("a/1.jpg", b"one"),
        (link("a/link.jpg", 0o120777), b"/etc/passwd"),
        (link("a/device.jpg", 0o060666), b""),
        ("../../etc/x.jpg", b"up"),
        ("/etc/y.jpg", b"root"),
        ("C:\\windows\\z.jpg", b"drive"),
        ("..\\w.jpg", b"up"),
        ("b/", b""),
        ("b/2.jpg", b"two"),
    )
    found = read("zip", data)
    assert {name: found.pop(name) for name in ("a/1.jpg", "b/2.jpg")} == {
        "a/1.jpg": b"one",
        "b/2.jpg": b"two",
    }
    assert set(found.values()) == {"entry_refused"}
    assert len(found) == 6


def test_tar_entries_that_are_no_plain_files_are_refused_alone() -> None:
    data = tar_of(
        (info("a/1.jpg"), b"one"),
        (info("a/sym.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        (info("a/hard.jpg", type=tarfile.LNKTYPE, linkname="a/1.jpg"), b""),
        (info("a/null.jpg", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("a/block.jpg", type=tarfile.BLKTYPE), b""),
        (info("a/pipe.jpg", type=tarfile.FIFOTYPE), b""),
        (info("../x.jpg"), b"up"),
        (info("/etc/y.jpg"), b"root"),
        (info("folder", type=tarfile.DIRTYPE), b""),
        (info("b/2.jpg"), b"two"),
    )
    for body in (data, gzip.compress(data)):
        found = read("tar", body)
        assert (found.pop("a/1.jpg"), found.pop("b/2.jpg")) == (b"one", b"two")
        assert set(found.values()) == {"entry_refused"}
        assert len(found) == 7


def test_encrypted_and_strangely_packed_entries_are_refused_alone() -> None:
    data = bytearray(zip_of(("a/1.jpg", b"one"), ("a/2.jpg", b"two"), method=zipfile.ZIP_STORED))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    assert read("zip", bytes(data)) == {"a/1.jpg": "entry_refused", "a/2.jpg": b"two"}
    packed = zip_of(("a/1.jpg", b"one"), method=zipfile.ZIP_LZMA)
    assert read("zip", packed) == {"a/1.jpg": "entry_refused"}


def test_a_large_entry_is_refused_whether_it_says_so_or_not() -> None:
    data = zip_of(
        ("a/1.jpg", bytes(LIMITS.entry_bytes)), ("a/2.jpg", bytes(LIMITS.entry_bytes + 1))
    )
    assert read("zip", data) == {
        "a/1.jpg": bytes(LIMITS.entry_bytes),
        "a/2.jpg": "image_too_large",
    }
    lying = bytearray(zip_of(("a/2.jpg", bytes(LIMITS.entry_bytes * 9))))
    place = lying.index(b"PK\x01\x02") + 24
    lying[place : place + 4] = struct.pack("<I", 10)
    assert read("zip", bytes(lying)) == {"a/2.jpg": "entry_refused"}
    big = tar_of((info("a/1.jpg"), b"one"), (info("a/2.jpg"), bytes(LIMITS.entry_bytes + 1)))
    assert read("tar", big) == {"a/1.jpg": b"one", "a/2.jpg": "image_too_large"}


def test_a_manifest_that_is_too_large_is_called_one() -> None:
    limits = replace(LIMITS, manifest_bytes=1000)
    photo = ("anna/1.jpg", b"x")
    for data in (b'{"path": "anna/1.jpg"}'.ljust(2000), bytes(2000)):
        with pytest.raises(ManifestInvalidError, match="more than 1000 bytes"):
            read("zip", zip_of(("manifest.ndjson", data), photo), limits)
        with pytest.raises(ManifestInvalidError, match="more than 1000 bytes"):
            read("tar", tar_of((info("manifest.ndjson"), data), (info(photo[0]), photo[1])), limits)


def test_a_bomb_ends_the_archive_in_little_memory() -> None:
    zeroes = bytes(99_000)
    many = zip_of(*((f"a/{n}.jpg", zeroes) for n in range(40)))
    small = SourceLimits(entry_bytes=100_000, entries=50, expanded_bytes=1_000_000)
    with pytest.raises(ArchiveInvalidError, match="unpacks to more"):
        read("zip", many, small)
    tar = tar_of((info("a/0.jpg"), b"x"), (info("a/1.jpg"), bytes(64_000_000)), mode="w:gz")
    assert len(tar) < 100_000
    tracemalloc.start()
    with pytest.raises(ArchiveInvalidError):
        read("tar", tar)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["pax", "long"])
def test_headers_of_any_size_are_not_read(kind: str) -> None:
    """PAX records and long names say themselves how much memory they want."""
    type_ = tarfile.XHDTYPE if kind == "pax" else tarfile.GNUTYPE_LONGNAME
    header = info("x", type=type_, size=40_000_000)
    data = gzip.compress(header.tobuf() + bytes(40_000_000) + bytes(1024))
    tracemalloc.start()
    with pytest.raises(ArchiveInvalidError):
        read("tar", data, SourceLimits(100_000, 50, 1_000_000_000))
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_a_chain_of_headers_ends() -> None:
    header = info("x", type=tarfile.XHDTYPE, size=0).tobuf()
    with pytest.raises(ArchiveInvalidError):
        read("tar", gzip.compress(header * 20_000 + bytes(1024)), SourceLimits(100, 50, 10**9))


def test_sparse_files_are_refused() -> None:
    made = info("a/1.jpg", type=tarfile.GNUTYPE_SPARSE, size=0)
    raw = bytearray(made.tobuf(tarfile.GNU_FORMAT))
    raw[386:410] = b"00000000000\x0000000000000\x00"[:24]
    raw[483:495] = b"77777777777\x00"
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\x00 " % sum(raw[:512])
    assert read("tar", bytes(raw) + bytes(1024)) == {"a/1.jpg": "entry_refused"}


def test_more_entries_than_allowed_are_refused_before_memory_is_spent() -> None:
    names = [(f"a/{n}.jpg", b"") for n in range(LIMITS.entries + 1)]
    assert len(read("zip", zip_of(*names[:-1]))) == LIMITS.entries
    with pytest.raises(ArchiveInvalidError, match="more than 50"):
        read("zip", zip_of(*names))
    with pytest.raises(ArchiveInvalidError, match="more than 50"):
        read("tar", tar_of(*((info(name), data) for name, data in names)))


def test_a_zip_directory_that_lies_about_its_count_is_counted() -> None:
    data = bytearray(zip_of(*((f"a/{n}.jpg", b"") for n in range(60))))
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<2H", 1, 1)
    with pytest.raises(ArchiveInvalidError, match="more than 50"):
        read("zip", bytes(data))


@pytest.mark.parametrize("format_", ["zip", "tar", "gz"])
def test_damage_is_found_and_never_anything_else(format_: str) -> None:
    """Truncations and seeded flips: known errors, never a part for the whole."""
    rng = random.Random(5)
    photos = {f"a/{n}.jpg": rng.randbytes(700) for n in range(4)}
    build: dict[str, Callable[[], bytes]] = {
        "zip": lambda: zip_of(*photos.items()),
        "tar": lambda: tar_of(*((info(name), data) for name, data in photos.items())),
        "gz": lambda: gzip.compress(tar_of(*((info(n), d) for n, d in photos.items())), mtime=0),
    }
    whole = build[format_]()
    kind: Format = "zip" if format_ == "zip" else "tar"
    assert read(kind, whole) == photos
    for cut in range(0, len(whole), 37):
        try:
            assert read(kind, whole[:cut]) == photos
            assert kind == "tar", "what follows a tar archive's entries says nothing"
            assert cut > sum(map(len, photos.values()))
        except ArchiveInvalidError:
            continue
    for _ in range(400):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        try:
            found = read(kind, bytes(flipped))
        except ArchiveInvalidError:
            continue
        if format_ == "zip":  # which has checksums of each entry
            assert {d for d in found.values() if isinstance(d, bytes)} <= set(photos.values())


def test_nothing_but_noise_is_refused() -> None:
    rng = random.Random(1)
    for size in (0, 1, 21, 22, 511, 512, 2000, 70_000):
        for kind in ("zip", "tar"):
            with pytest.raises(ArchiveInvalidError):
                read(kind, rng.randbytes(size))  # type: ignore[arg-type]


def test_a_zip_of_more_than_65535_entries_is_read() -> None:
    """ZIP64: the count and the directory's place lie in another record."""
    data = zip_of(*((f"a/{n}.jpg", b"") for n in range(65_600)), method=zipfile.ZIP_STORED)
    many = SourceLimits(100, 70_000, 10_000_000)
    assert len(read("zip", data, many)) == 65_600
    with pytest.raises(ArchiveInvalidError, match="more than 65000"):
        read("zip", data, SourceLimits(100, 65_000, 10_000_000))
