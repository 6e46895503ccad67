"""What the commands share: settings with a readable error, and the output console."""

from contextlib import closing
from pathlib import Path

from rich.console import Console

from app.configuration import sources
from app.errors import StartError
from app.security.audit.event import Event
from app.security.audit.log import AuditLog
from app.security.keysource import key_source
from app.settings import Settings

out = Console(highlight=False, soft_wrap=True)


def settings(**given: object) -> Settings:
    """Settings from the options given on the command line, the environment and the file.

    Raises StartError, which names what is at fault.
    """
    options = {name: value for name, value in given.items() if value is not None}
    return sources.load(sources.gather(options))


def unused_variables() -> list[str]:
    """NORMA_… variables of the environment that no setting has the name of."""
    return sources.unused(sources.gather({}))


def record(event: Event) -> None:
    """In the audit log, beside the running service. What has been done stays done where it cannot
    be: the log says so."""
    chosen = settings()
    with closing(AuditLog(chosen.audit_dir, key_source(chosen))) as audit:
        audit.record(event)


def read_photo(path: Path) -> bytes:
    """The photo's bytes. Raises StartError where there is no such file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error
