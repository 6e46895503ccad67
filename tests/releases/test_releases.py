"""F38: data directories of earlier releases open, and answer as they did."""

import json
import tarfile
from pathlib import Path

import pytest

from app.gallery.service import GalleryService
from app.gallery.store import GalleryStore, StoreOptions
from app.security.keysource import KeyFile, KeySource, NoKey
from tests.releases.make import OWNERS, said

HERE = Path(__file__).parent
RELEASES = sorted(path.name.removesuffix(".tar.gz") for path in HERE.glob("*.tar.gz"))


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a release whose data directory lies in `tmp_path`."""
    name = str(request.param)
    with tarfile.open(HERE / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return name


def assert_unchanged(directory: Path, keys: KeySource, release: str) -> None:
    service = GalleryService(GalleryStore(directory, StoreOptions(keys=keys)))
    try:
        found = {owner: said(service, owner) for owner in OWNERS}
    finally:
        service.close()
    expected = json.loads((HERE / f"{release}.json").read_text())
    assert json.loads(json.dumps(found)) == expected


def test_f38_it_opens_and_answers_as_it_did(release: str, tmp_path: Path) -> None:
    key = tmp_path / "master.key"
    keys: KeySource = KeyFile(key) if key.exists() else NoKey()
    for _ in range(2):  # migrating, and migrated
        assert_unchanged(tmp_path / "gallery", keys, release)


def test_f38_it_is_encrypted_and_answers_as_it_did(release: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert_unchanged(tmp_path / "gallery", KeyFile(tmp_path / "master.key"), release)


def test_there_is_a_release_without_encryption_and_one_with(tmp_path: Path) -> None:
    sizes = [(HERE / f"{name}.tar.gz").stat().st_size for name in RELEASES]
    assert len(sizes) >= 2
    assert max(sizes) < 64 * 1024, "features only, and few of them"
