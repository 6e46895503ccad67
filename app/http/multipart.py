"""multipart/form-data in memory: no part ever rolls over to a temporary file."""

import re
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InputError

MAX_HEADER_BYTES = 4096
"""Bytes of one part's headers."""

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


@dataclass(slots=True)
class _Reader:
    """Callbacks of the streaming parser, over a body that is there already."""

    max_parts: int
    parts: dict[str, bytes] = field(default_factory=dict)
    ended: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _header_bytes: int = 0
    _disposition: bytes = b""
    _data: bytearray = field(default_factory=bytearray)

    def on_part_begin(self) -> None:
        if len(self.parts) == self.max_parts:
            raise InputError(f"the multipart body holds more than {self.max_parts} parts")
        self._disposition, self._data, self._header_bytes = b"", bytearray(), 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise InputError(f"a multipart part has more than {MAX_HEADER_BYTES} bytes of headers")

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not _NAME.fullmatch(name):
            raise InputError("a multipart part has no name, or none that can be read")
        if name in self.parts:
            raise InputError("a multipart field is given twice")
        self.parts[name] = bytes(self._data)

    def on_end(self) -> None:
        self.ended = True


def parse(content_type: str, body: bytes, max_parts: int) -> dict[str, bytes]:
    """The parts' bytes by field name; file names and declared types are not looked at.

    Raises InputError for a malformed or incomplete body, and for more than `max_parts` parts.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise InputError("the multipart boundary is missing or longer than 70 characters")
    reader = _Reader(max_parts)
    callbacks = ("part_begin", "part_data", "part_end", "header_field", "header_value")
    names = [f"on_{name}" for name in (*callbacks, "header_end", "end")]
    try:
        parser = MultipartParser(boundary, {name: getattr(reader, name) for name in names})  # type: ignore[arg-type]
        parser.write(body)
    except MultipartParseError as error:
        raise InputError("the multipart body is malformed") from error
    if not reader.ended:
        raise InputError("the multipart body is incomplete")
    return reader.parts
