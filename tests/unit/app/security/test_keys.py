"""The keys on disk: private, shared, whole."""

import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import StartError
from app.security.keys import KeySpec, KeyStore
from app.security.scopes import ALL, Scope
from tests.contract.sources import ROOT
from tests.unit.app.security.conftest import NOW, Keys


def test_a_key_comes_back_as_it_was_made(keys: Keys) -> None:
    spec = KeySpec("front desk", "shop", frozenset({Scope.READ, Scope.VERIFY}), NOW + 9, 2.5, 3)
    made = keys.store.create(spec, NOW)
    [found] = keys.store.all()
    assert (found.id, found.spec, found.created_at) == (made.key_id, spec, NOW)
    assert found.revoked_at is None


def test_the_files_are_for_their_owner_alone_and_hold_no_secret(keys: Keys) -> None:
    made = keys.make()
    files = sorted(path.name for path in keys.directory.iterdir())
    assert files == ["keys.db", "pepper"]
    assert stat.S_IMODE(keys.directory.stat().st_mode) == 0o700
    for path in keys.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        assert made.secret.encode() not in content
        assert bytes.fromhex(made.secret) not in content


@pytest.mark.parametrize("name", ["keys.db", "pepper"])
def test_files_that_others_can_read_refuse_the_start(keys: Keys, name: str) -> None:
    keys.make()
    (keys.directory / name).chmod(0o640)
    with pytest.raises(StartError, match=f"chmod 600 .*{name}"):
        Keys(keys.directory)


@pytest.mark.parametrize(("content", "said"), [(b"short", "damaged"), (None, "No such file")])
def test_without_its_pepper_no_key_is_good_and_none_is_made(
    keys: Keys, content: bytes | None, said: str
) -> None:
    keys.make()
    pepper = keys.directory / "pepper"
    pepper.unlink()
    if content is not None:
        pepper.touch(0o600)
        pepper.write_bytes(content)
    with pytest.raises(StartError, match=said):
        Keys(keys.directory)
    with pytest.raises(StartError, match=said):
        keys.make()


def test_revoking_and_expiring_only_ever_shorten(keys: Keys) -> None:
    made = keys.make(expires_at=NOW + 100)
    for given, kept in ((NOW + 200, NOW + 100), (NOW + 50, NOW + 50), (NOW + 60, NOW + 50)):
        changed = keys.store.expire(made.key_id, given)
        assert changed is not None
        assert changed.spec.expires_at == kept
    for at in (NOW, NOW + 5):
        revoked = keys.store.revoke(made.key_id, at)
        assert revoked is not None
        assert revoked.revoked_at == NOW
    assert keys.store.revoke("0" * 16, NOW) is None


def test_a_scope_of_a_newer_release_gives_nothing(keys: Keys) -> None:
    made = keys.make(scopes=frozenset({Scope.READ}))
    with closing(keys.store.connect()) as connection:
        connection.execute("UPDATE keys SET scopes = 'read,teleport'")
    [found] = keys.store.all()
    assert (found.id, found.spec.scopes) == (made.key_id, {Scope.READ})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_directorys_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 23_456)
    keys = Keys(tmp_path / "access")
    keys.make()
    keys.make()
    keys.ring.close()
    for path in (keys.directory, *keys.directory.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (12_345, 23_456), path


MAKE = """
import sys
from pathlib import Path
from app.security.keys import KeySpec, KeyStore
from app.security.scopes import ALL
store = KeyStore(Path(sys.argv[1]))
sys.stdin.read()
for _ in range(5):
    sys.stdout.write(store.create(KeySpec("race", "mine", ALL), 1).text + "\\n")
"""


def test_processes_that_make_the_first_key_at_once_agree_on_one_pepper(tmp_path: Path) -> None:
    where = tmp_path / "access"
    held, let_go = os.pipe()
    command = [sys.executable, "-c", MAKE, str(where)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=held, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    os.close(held)
    os.close(let_go)
    made = [line for process in running for line in process.communicate()[0].split()]
    assert len(made) == 15
    with closing(Keys(where).ring) as ring:
        assert {ring.find(text).spec.scopes for text in made} == {ALL}
    left = {path.name for path in where.iterdir()}
    assert left == {"keys.db", "pepper", "uses.json"}


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "access")
    assert store.all() == []
    assert store.revoke("0" * 16, NOW) is None
    assert not store.directory.exists()
