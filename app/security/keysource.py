"""Where the master key comes from: a file, the environment, or a command (a KMS's client)."""

import logging
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from app.errors import StartError
from app.gallery.files import write_durably
from app.security.masterkey import MasterKey, MasterKeys
from app.security.pepper import check_private
from app.settings import Settings

COMMAND_SECONDS = 30
_log = logging.getLogger("norma.security")


class KeySource(Protocol):
    """Gives the master keys. `wanted` is the id of the key that stored data need, or None."""

    @property
    def where(self) -> str | None:
        """For people; None where nothing is encrypted."""
        ...

    def keys(self, wanted: str | None) -> MasterKeys | None:
        """None where nothing is to be encrypted. Raises StartError where `wanted` is not among
        them."""
        ...


@dataclass(frozen=True, slots=True)
class NoKey:
    """Encryption is off."""

    where: None = None

    def keys(self, wanted: str | None) -> MasterKeys | None:
        if wanted is not None:
            raise StartError(
                f"the galleries are encrypted with master key {wanted}, and NORMA_ENCRYPTION=off"
            )
        return None


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """Keys that are at hand."""

    given: MasterKeys = field(repr=False)
    where: str = "NORMA_MASTER_KEY"

    def keys(self, wanted: str | None) -> MasterKeys:
        return _fitting(self.given, wanted, self.where)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that only its owner may read; made where there is none and nothing needs another."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def keys(self, wanted: str | None) -> MasterKeys:
        if not self.path.exists():
            self._make(wanted)
        check_private(self.path)
        try:
            text = self.path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"the master key {self.path} cannot be read: {error}") from error
        return _fitting(MasterKeys.parse(text), wanted, self.where)

    def _make(self, wanted: str | None) -> None:
        if wanted is not None:
            raise StartError(
                f"the galleries are encrypted with master key {wanted}, and {self.path} is not "
                "there: put it back (NORMA_MASTER_KEY_FILE); without it nobody can read them"
            )
        self.write(MasterKeys([MasterKey.generate()]))
        _log.warning(
            "new master key in %s: keep a copy elsewhere, without it nobody can read the galleries",
            self.path,
        )

    def write(self, keys: MasterKeys) -> None:
        """Durable on return. Raises StartError."""

        def write(file: IO[bytes]) -> None:
            file.write(keys.text().encode())

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, write, mode=0o600)
        except OSError as error:
            raise StartError(f"the master key {self.path} cannot be written: {error}") from error


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """A command of the operator's, run without a shell, whose output is the keys."""

    command: str = field(repr=False)
    where: str = "NORMA_MASTER_KEY_COMMAND"

    def keys(self, wanted: str | None) -> MasterKeys:
        try:
            ran = subprocess.run(  # noqa: S603 - the operator's own command
                shlex.split(self.command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            # The command line may hold credentials, its output the key: neither is shown.
            raise StartError(f"{self.where} failed: {_kind(error)}") from None
        return _fitting(MasterKeys.parse(ran.stdout), wanted, self.where)


def key_source(settings: Settings) -> KeySource:
    """As the operator has chosen."""
    if settings.encryption == "off":
        return NoKey()
    if settings.master_key is not None:
        return GivenKeys(MasterKeys.parse(settings.master_key.get_secret_value()))
    if settings.master_key_command is not None:
        return KeyCommand(settings.master_key_command.get_secret_value())
    return KeyFile(settings.key_file)


def _fitting(keys: MasterKeys, wanted: str | None, where: str) -> MasterKeys:
    if wanted is not None and wanted not in keys:
        raise StartError(
            f"the galleries are encrypted with master key {wanted}, {where} has {keys.current}: "
            "it is another installation's, or an older one"
        )
    return keys


def _kind(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"status {error.returncode}"
    return type(error).__name__
