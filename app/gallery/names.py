"""What galleries and subjects may be called."""

import re

from app.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
MAX_TAGS, MAX_TEXT = 32, 256


def checked(name: str, what: str) -> str:
    """Raises InputError unless it is 1–128 letters, digits, dots, dashes and underscores."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise InputError(f"a {what} is 1 to 128 of A–Z a–z 0–9 . _ -")
    return name


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in order. Raises InputError for too many or too long ones."""
    if len(tags) > MAX_TAGS or any(not tag or len(tag) > MAX_TEXT for tag in tags):
        raise InputError(f"at most {MAX_TAGS} tags of 1 to {MAX_TEXT} characters")
    return tuple(dict.fromkeys(tags))
