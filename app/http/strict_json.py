"""The one reader of JSON that callers send: RFC 8259 without what readers disagree about.

Refused are: other encodings than UTF-8, byte order marks, NaN and Infinity, numbers that no
float64 or int64 holds, names given twice, lone surrogates, NUL, deep nesting, and more values
than any request here has. So whatever is accepted can be stored, compared and written out again.
"""

import json
import math
from typing import NoReturn

from app.errors import JsonInvalidError

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

MAX_DEPTH = 32
MAX_MARKS = 100_000
"""Commas, colons and opening brackets, wherever they stand: they bound the values, each of which
costs a hundred bytes where its text costs two."""

_INT64 = range(-(2**63), 2**63)


def loads(body: bytes) -> Json:
    """The value that `body` holds. Raises JsonInvalidError, which says what is wrong, not where."""
    if sum(map(body.count, (b",", b":", b"[", b"{"))) > MAX_MARKS:
        raise _invalid("too many values")
    try:
        value: Json = json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_finite,
            parse_int=_int64,
        )
    except UnicodeDecodeError as error:
        raise _invalid("not UTF-8") from error
    except RecursionError as error:
        raise _invalid("nested too deeply") from error
    except json.JSONDecodeError as error:
        bom = body.startswith(b"\xef\xbb\xbf")
        raise _invalid("a byte order mark" if bom else "a syntax error") from error
    _check(value, text_is_plain=b"\\u" not in body)
    return value


def _invalid(problem: str) -> JsonInvalidError:
    return JsonInvalidError(f"the body is not the JSON that is read here: {problem}")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _invalid("a name is given twice")
    return found


def _constant(_: str) -> NoReturn:
    raise _invalid("NaN or Infinity")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _invalid("a number too large")
    return number


def _int64(text: str) -> int:
    if len(text) > 20 or (number := int(text)) not in _INT64:
        raise _invalid("a number too large")
    return number


def _check(value: Json, *, text_is_plain: bool) -> None:
    """Depth, and what only an escape can bring into a string: NUL and lone surrogates."""
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        if not text_is_plain:
            for one in level:
                _check_text(one)
        level = [inner for one in level for inner in _inside(one)]
    raise _invalid("nested too deeply")


def _inside(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _check_text(value: Json) -> None:
    if not isinstance(value, str):
        return
    if "\0" in value:
        raise _invalid("NUL in a string")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _invalid("half of a surrogate pair")
