"""The master key and where it comes from."""

import stat
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.errors import StartError
from app.security.cipher import CipherError
from app.security.keysource import GivenKeys, KeyCommand, KeyFile, NoKey, key_source
from app.security.masterkey import MasterKey, MasterKeys, WrappedByStrangerError, wrapper_of
from app.settings import Settings


@pytest.fixture
def keys() -> MasterKeys:
    return MasterKeys([MasterKey.generate()])


def test_a_wrapped_key_says_who_wrapped_it(keys: MasterKeys) -> None:
    wrapped = keys.wrap(b"k" * 32, b"place")
    assert wrapper_of(wrapped) == keys.current
    assert keys.unwrap(wrapped, b"place") == b"k" * 32
    with pytest.raises(CipherError):
        keys.unwrap(wrapped, b"elsewhere")
    with pytest.raises(WrappedByStrangerError):
        MasterKeys([MasterKey.generate()]).unwrap(wrapped, b"place")


def test_a_rotation_keeps_what_was_wrapped_before(keys: MasterKeys) -> None:
    wrapped = keys.wrap(b"k" * 32, b"place")
    rotated = MasterKeys.parse(keys.rotated().text())
    assert rotated.current != keys.current
    assert keys.current in rotated
    anew = rotated.rewrap(wrapped, b"place")
    assert wrapper_of(anew) == rotated.current
    alone = MasterKeys.parse(rotated.without_retired().text())
    assert keys.current not in alone
    assert alone.unwrap(anew, b"place") == b"k" * 32


@pytest.mark.parametrize("text", ["", "# only a comment\n", "c2hvcnQ=", "not base64 at all!"])
def test_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(StartError) as refused:
        MasterKeys.parse(text)
    assert not text or text not in refused.value.message


def test_a_key_shows_itself_to_nobody(keys: MasterKeys) -> None:
    secret = keys.text().splitlines()[1]
    key = MasterKey(b"s" * 32)
    assert "ssss" not in repr(key)
    settings = Settings(master_key=SecretStr(secret))
    assert secret not in repr(settings)
    assert secret not in repr(key_source(settings))
    assert "token" not in repr(key_source(Settings(master_key_command="kms --token x")))


def test_the_first_start_makes_the_file_for_its_owner_alone(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys" / "master.key")
    made = file.keys(None)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.keys(made.current).current == made.current
    file.path.chmod(0o640)
    with pytest.raises(StartError, match="chmod 600"):
        file.keys(None)


def test_a_lost_key_is_not_replaced(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "master.key")
    with pytest.raises(StartError, match="encrypted with master key 0123456789abcdef"):
        file.keys("0123456789abcdef")
    assert not file.path.exists()


def test_another_key_is_told_apart(tmp_path: Path, keys: MasterKeys) -> None:
    file = KeyFile(tmp_path / "master.key")
    file.keys(None)
    with pytest.raises(StartError, match="another installation's"):
        file.keys(keys.current)
    with pytest.raises(StartError, match="another installation's"):
        GivenKeys(MasterKeys([MasterKey.generate()])).keys(keys.current)


def test_off_opens_nothing_encrypted() -> None:
    assert NoKey().keys(None) is None
    with pytest.raises(StartError, match="NORMA_ENCRYPTION=off"):
        NoKey().keys("0123456789abcdef")


def test_a_command_gives_the_key(tmp_path: Path, keys: MasterKeys) -> None:
    (tmp_path / "key").write_text(keys.text())
    code = f"print(open({str(tmp_path / 'key')!r}).read())"
    source = KeyCommand(f'{sys.executable} -c "{code}"')
    assert source.keys(keys.current).current == keys.current


def test_a_command_that_fails_shows_neither_itself_nor_its_output() -> None:
    code = "print('secret'); raise SystemExit(3)"
    with pytest.raises(StartError) as refused:
        KeyCommand(f'{sys.executable} -c "{code}"').keys(None)
    assert refused.value.message == "NORMA_MASTER_KEY_COMMAND failed: status 3"
    with pytest.raises(StartError, match="failed: FileNotFoundError"):
        KeyCommand("/no/such/command").keys(None)


def test_one_source_is_named_at_most() -> None:
    with pytest.raises(ValueError, match="give one of NORMA_MASTER_KEY"):
        Settings(master_key_command="x", master_key_file=Path("y"))
