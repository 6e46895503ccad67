"""B45: the one reader of JSON, and what it refuses."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import JsonInvalidError
from app.http.strict_json import MAX_DEPTH, Json, loads

REFUSED = {
    "nothing": (b"", "a syntax error"),
    "half": (b'{"a": 1', "a syntax error"),
    "two values": (b"{} {}", "a syntax error"),
    "a comment": (b"{} // x", "a syntax error"),
    "a comma too many": (b"[1,]", "a syntax error"),
    "single quotes": (b"{'a': 1}", "a syntax error"),
    "a raw line break": (b'"a\nb"', "a syntax error"),
    "a raw NUL": (b'"a\0b"', "a syntax error"),
    "an escaped NUL": (b'{"a": "\\u0000"}', "NUL in a string"),
    "an escaped NUL in a name": (b'{"\\u0000": 1}', "NUL in a string"),
    "half a surrogate pair": (b'["\\ud83d"]', "half of a surrogate pair"),
    "half of one in a name": (b'{"\\udc00": 1}', "half of a surrogate pair"),
    "a name twice": (b'{"a": 1, "a": 2}', "a name is given twice"),
    "a name twice, escaped": (b'{"a": 1, "\\u0061": 2}', "a name is given twice"),
    "a name twice, inside": (b'[{"b": {"a": 1, "a": 1}}]', "a name is given twice"),
    "NaN": (b'{"a": NaN}', "NaN or Infinity"),
    "Infinity": (b"[Infinity]", "NaN or Infinity"),
    "-Infinity": (b"-Infinity", "NaN or Infinity"),
    "1e400": (b"[1e400]", "a number too large"),
    "-1e400": (b"[-1e400]", "a number too large"),
    "2^63": (b"9223372036854775808", "a number too large"),
    "-2^63 - 1": (b"-9223372036854775809", "a number too large"),
    "an integer of 10 000 digits": (b"9" * 10_000, "a number too large"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), "a syntax error"),
    "Latin-1": ('"é"'.encode("latin-1"), "not UTF-8"),
    "UTF-8 of a surrogate": (b'"\xed\xa0\x80"', "not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "a byte order mark"),
    "100 000 arrays deep": (b"[" * 100_000, "nested too deeply"),
    "5 000 arrays deep": (b"[" * 5_000 + b"]" * 5_000, "nested too deeply"),
    "one too deep": (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested too deeply"),
    "objects too deep": (b'{"a":' * 40 + b"1" + b"}" * 40, "nested too deeply"),
    "a million empty arrays": (b"[" + b"[]," * 1_000_000 + b"[]]", "too many values"),
}


@pytest.mark.parametrize(("body", "why"), REFUSED.values(), ids=list(REFUSED))
def test_b45_what_readers_disagree_about_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(JsonInvalidError) as caught:
        loads(body)
    assert caught.value.message.endswith(why)
    assert caught.value.details == {}


ACCEPTED: dict[bytes, Json] = {
    b"{}": {},
    b' {"a": [1, -0.5, true, null, "\\u00e9\\ud83d\\ude00"]} ': {"a": [1, -0.5, True, None, "é😀"]},
    b"9223372036854775807": 2**63 - 1,
    b"1e-400": 0.0,
    b'"\\\\u0000"': "\\u0000",
    b"[" * MAX_DEPTH + b"]" * MAX_DEPTH: json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH),
    b'{"a": {"b": 1}, "b": {"a": 1}}': {"a": {"b": 1}, "b": {"a": 1}},
}


@pytest.mark.parametrize("body", ACCEPTED)
def test_b45_what_is_plain_is_read(body: bytes) -> None:
    assert loads(body) == ACCEPTED[body]


def test_b45_a_large_string_costs_no_more_than_itself() -> None:
    text = "A" * 10_000_000
    assert loads(b'{"image": "%b"}' % text.encode()) == {"image": text}


@given(
    st.binary(max_size=64)
    | st.text().map(str.encode)
    | st.text('[]{},:"\\u0d8e1-. ').map(str.encode)
)
def test_b45_whatever_is_accepted_can_be_written_and_read_again(body: bytes) -> None:
    try:
        value = loads(body)
    except JsonInvalidError:
        return
    again = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    assert loads(again) == value
    assert not isinstance(value, float) or math.isfinite(value)
