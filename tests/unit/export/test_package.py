"""Packages on disk: written whole, verified before opening, refused when anything differs (F17)."""

import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export import golden, package
from export.errors import IntegrityError, ManifestError, PackageError
from export.manifest import CALIBRATION, GOLDEN, MANIFEST, MODEL
from export.package import Package
from tests.unit.export import samples

SECRET = b"nothing of the kind"


@pytest.fixture
def sample(tmp_path: Path) -> Package:
    return samples.write(tmp_path / "sample")


def test_what_is_written_is_loaded(sample: Package) -> None:
    found = package.load(sample.path)
    assert found == sample
    assert found.name == "sample"
    assert found.read(MODEL) == samples.WEIGHTS
    np.testing.assert_array_equal(found.golden()[golden.INPUTS], golden.inputs(112, count=2))
    assert found.calibration() is None
    assert found.quality() is None
    assert sorted(path.name for path in sample.path.parent.iterdir()) == ["sample"]


def test_anyone_may_read_a_package(sample: Package) -> None:
    assert sample.path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", [MODEL, GOLDEN, MANIFEST])
def test_a_missing_file_is_refused(sample: Package, name: str) -> None:
    (sample.path / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name}: missing"):
        package.load(sample.path)


@pytest.mark.parametrize("name", [MODEL, GOLDEN])
def test_an_empty_file_is_refused(sample: Package, name: str) -> None:
    (sample.path / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match=rf"{name}: size: manifest says \d+ bytes, found 0"):
        package.load(sample.path)


@pytest.mark.parametrize("name", [MODEL, GOLDEN])
@pytest.mark.parametrize("change", [-1, 1], ids=["truncated", "longer"])
def test_a_file_of_another_size_is_refused(sample: Package, name: str, change: int) -> None:
    data = (sample.path / name).read_bytes()
    (sample.path / name).write_bytes(data[:-1] if change < 0 else data + b"\0")
    expected = rf"{name}: size: manifest says {len(data)} bytes, found {len(data) + change}"
    with pytest.raises(IntegrityError, match=expected):
        package.load(sample.path)


@pytest.mark.parametrize("name", [MODEL, GOLDEN])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_flipped_bit_is_refused(sample: Package, name: str, where: float) -> None:
    data = bytearray((sample.path / name).read_bytes())
    wanted = package.sha256(bytes(data))
    data[round(where * (len(data) - 1))] ^= 1
    (sample.path / name).write_bytes(data)
    found = package.sha256(bytes(data))
    with pytest.raises(
        IntegrityError, match=f"{name}: sha256: manifest says {wanted}, found {found}"
    ):
        package.load(sample.path)


def test_a_wrong_digest_in_the_manifest_is_refused(sample: Package) -> None:
    manifest = samples.manifest_of(sample.path)
    manifest["files"][GOLDEN]["sha256"] = "0" * 64
    samples.set_manifest(sample.path, manifest)
    with pytest.raises(IntegrityError, match=f"{GOLDEN}: sha256: manifest says 0000"):
        package.load(sample.path)


@pytest.mark.parametrize("name", [MODEL, GOLDEN, MANIFEST])
def test_a_link_is_refused_even_to_the_right_bytes(
    sample: Package, name: str, tmp_path: Path
) -> None:
    (sample.path / name).rename(tmp_path / "elsewhere")
    (sample.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match=f"{name}: a symbolic link"):
        package.load(sample.path)


def test_a_linked_directory_is_refused(sample: Package, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sample.path)
    with pytest.raises(IntegrityError, match="link: not a package directory"):
        package.load(tmp_path / "link")


@pytest.mark.parametrize("name", [MODEL, MANIFEST])
def test_a_folder_or_a_pipe_in_place_of_a_file_is_refused(sample: Package, name: str) -> None:
    (sample.path / name).unlink()
    os.mkfifo(sample.path / name)
    with pytest.raises(IntegrityError, match=f"{name}: missing"):
        package.load(sample.path)
    (sample.path / name).unlink()
    (sample.path / name).mkdir()
    with pytest.raises(IntegrityError, match=f"{name}: missing"):
        package.load(sample.path)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "model.onnx.data"])
def test_a_file_that_is_not_listed_is_refused(sample: Package, name: str) -> None:
    (sample.path / name).write_bytes(b"external data?")
    with pytest.raises(IntegrityError, match=f"{name}: not listed"):
        package.load(sample.path)


def test_a_folder_inside_is_refused(sample: Package) -> None:
    (sample.path / "more").mkdir()
    with pytest.raises(IntegrityError, match="more: not listed"):
        package.load(sample.path)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: None])
def test_what_is_no_package_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "thing")
    with pytest.raises(IntegrityError, match="thing"):
        package.load(tmp_path / "thing")


def test_a_huge_manifest_is_not_even_read(sample: Package) -> None:
    with (sample.path / MANIFEST).open("r+b") as file:
        file.truncate(2 * 1024**2)
    with pytest.raises(IntegrityError, match=f"{MANIFEST}: larger than"):
        package.load(sample.path)


def test_a_broken_manifest_names_file_and_field(sample: Package) -> None:
    samples.set_manifest(sample.path, samples.manifest_of(sample.path) | {"dim": None})
    with pytest.raises(ManifestError, match=rf"sample/{MANIFEST}: recogniser\.dim: "):
        package.load(sample.path)


@pytest.mark.parametrize("name", [MODEL, GOLDEN])
def test_a_file_swapped_after_loading_is_refused_when_it_is_read(
    sample: Package, name: str
) -> None:
    data = (sample.path / name).read_bytes()
    (sample.path / name).write_bytes(bytes(len(data)))
    with pytest.raises(IntegrityError, match=f"{name}: changed since"):
        sample.read(name)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"sample/manifest.json: recogniser\.dim: "):
        package.write(tmp_path / "sample", samples.files(), samples.facts() | {"dim": 0})
    with pytest.raises(ManifestError, match="not finite"):
        package.write(tmp_path / "sample", samples.files(), samples.facts() | {"dim": np.nan})
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "sample")
    assert list(tmp_path.iterdir()) == []


def _interrupted(destination: Path) -> None:
    with package.writing(destination) as staging:
        (staging / "half").write_bytes(b"half")
        raise KeyboardInterrupt


def test_what_exists_is_never_overwritten(sample: Package) -> None:
    with pytest.raises(FileExistsError, match="sample exists; remove it first"):
        samples.write(sample.path)
    assert package.load(sample.path) == sample


def test_tables_belong_to_the_recogniser(sample: Package, tmp_path: Path) -> None:
    full = package.with_files(sample, tmp_path / "full", samples.tables())
    calibration, quality = full.calibration(), full.quality()
    assert calibration is not None
    assert quality is not None
    assert (
        calibration.contract_id == quality.contract_id == full.manifest.model_dump()["contract_id"]
    )
    assert full.manifest.model_dump(exclude={"files"}) == sample.manifest.model_dump(
        exclude={"files"}
    )
    assert sample.calibration() is None


def test_a_table_of_another_model_is_refused(sample: Package, tmp_path: Path) -> None:
    foreign = {name: data.replace(b"c1-", b"c1-f") for name, data in samples.tables().items()}
    mixed = package.with_files(sample, tmp_path / "mixed", foreign)
    for read in (mixed.calibration, mixed.quality):
        with pytest.raises(IntegrityError, match="contract_id: belongs to another model"):
            read()


def test_a_malformed_table_names_file_and_field(sample: Package, tmp_path: Path) -> None:
    made = package.with_files(sample, tmp_path / "made", {CALIBRATION: b'{"points": 1}'})
    with pytest.raises(ManifestError, match=f"made/{CALIBRATION}: contract_id: Field required"):
        made.calibration()


def test_another_model_needs_another_contract_id(sample: Package, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="contract_id"):
        package.with_files(sample, tmp_path / "made", {MODEL: b"other weights"})


def test_files_are_replaced_in_place(sample: Package) -> None:
    changed = package.replace(sample, samples.tables())
    again = package.replace(changed, samples.tables())
    assert again.path == sample.path
    assert again.calibration() is not None
    assert [path.name for path in sample.path.parent.iterdir()] == ["sample"]


def test_a_failed_replacement_leaves_the_old_package(sample: Package) -> None:
    with pytest.raises(ManifestError):
        package.replace(sample, {MODEL: b"other weights"})
    assert package.load(sample.path) == sample
    assert [path.name for path in sample.path.parent.iterdir()] == ["sample"]


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, np.array([SECRET], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"not a zip", pickled(), package.npz({"a": np.zeros(3)})[:-30], b"\x93NUMPY\x01\x00v\x00{"],
    ids=["text", "pickled", "truncated", "npy"],
)
def test_unreadable_golden_vectors_are_refused_and_never_unpickled(
    tmp_path: Path, data: bytes
) -> None:
    files = samples.files() | {GOLDEN: data}
    made = package.write(tmp_path / "sample", files, samples.facts())
    with pytest.raises(IntegrityError, match=f"sample/{GOLDEN}: unreadable"):
        made.golden()


def test_a_package_travels_as_a_zip(sample: Package, tmp_path: Path) -> None:
    full = package.with_files(sample, tmp_path / "full", samples.tables())
    package.pack(full, tmp_path / "full.zip")
    made = package.unpack(tmp_path / "full.zip", tmp_path / "elsewhere" / "made")
    assert made.manifest == full.manifest
    for name in full.manifest.files:
        assert made.read(name) == full.read(name)


def test_an_archive_never_replaces_a_file(sample: Package, tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_bytes(SECRET)
    with pytest.raises(FileExistsError):
        package.pack(sample, tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == SECRET


@pytest.fixture
def archive(sample: Package, tmp_path: Path) -> Path:
    """The sample as a zip, to be spoilt."""
    package.pack(sample, tmp_path / "sample.zip")
    shutil.rmtree(sample.path)
    return tmp_path / "sample.zip"


def refused(archive: Path, why: str) -> None:
    """The archive is refused for this reason, and leaves nothing anywhere."""
    before = sorted(path.name for path in archive.parent.iterdir())
    with pytest.raises(PackageError, match=why):
        package.unpack(archive, archive.parent / "made")
    assert sorted(path.name for path in archive.parent.iterdir()) == before


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", "a/b", "..", ".", ".hidden", "a\\b", "C:x", "folder/"]
)
def test_members_that_are_not_plain_names_are_refused(archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, b"" if name.endswith("/") else b"x")
    refused(archive, "is not a plain file name")


def test_linked_members_are_refused(archive: Path) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(member, "/etc/passwd")
    refused(archive, "'link' is a symbolic link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_come_twice_are_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(MODEL, samples.WEIGHTS)
    refused(archive, f"'{MODEL}' comes twice")


def test_members_that_would_swell_are_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(50 * 1024**2))
    refused(archive, "'bomb' would swell to 52428800 bytes")


def test_too_many_members_are_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        for number in range(40):
            file.writestr(f"f{number}", b"x")
    refused(archive, "holds 43 files")


def test_encrypted_members_are_refused(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    archive.write_bytes(data)
    refused(archive, "is encrypted")


def test_unusual_compression_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_LZMA) as file:
        file.writestr("notes", b"x" * 100)
    refused(archive, "is compressed in an unusual way")


@pytest.mark.parametrize("kept", [0, 10, 100, 0.5, 0.99])
def test_truncated_archives_are_refused(archive: Path, kept: float) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data[: int(kept * len(data) if kept < 1 else kept)])
    refused(archive, r"sample\.zip: not a readable zip archive")


@pytest.mark.parametrize("position", range(0, 1200, 37))
def test_no_damage_of_an_archive_goes_unnoticed(archive: Path, position: int) -> None:
    """Refused, or the very same package: a flipped byte may hit what nobody reads, as a date."""
    data = bytearray(archive.read_bytes())
    original = package.sha256(bytes(data))
    position = position * len(data) // 1200
    data[position] ^= 0xFF
    archive.write_bytes(data)
    assert package.sha256(bytes(data)) != original
    try:
        made = package.unpack(archive, archive.parent / "made")
    except PackageError:
        assert not (archive.parent / "made").exists()
    else:
        assert made.read(MODEL) == samples.WEIGHTS


def test_an_archive_of_a_damaged_package_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("stray", b"x")
    refused(archive, "stray: not listed")
