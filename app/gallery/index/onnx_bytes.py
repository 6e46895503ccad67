"""An ONNX model of a single node, written out by hand: the service carries no `onnx` package.

Protocol Buffers wire format: a key (field number · 8 + wire type), then a varint or a length and
bytes; the field numbers are those of onnx.proto3.
"""

_UINT8, _INT8, _INT32 = 2, 3, 6
_OPSET, _IR = 13, 8


def integer_product(offset: int) -> bytes:
    """MatMulInteger: (uint8 (n, d) − offset) @ int8 (d, q) → int32 (n, q)."""
    node = _text(1, "a") + _text(1, "b") + _text(1, "offset") + _text(2, "y")
    node += _text(4, "MatMulInteger")
    zero_point = _number(2, _UINT8) + _text(8, "offset") + _bytes(9, bytes([offset]))
    graph = _bytes(1, node) + _text(2, "g") + _bytes(5, zero_point)
    graph += _bytes(11, _value("a", _UINT8, "n", "d")) + _bytes(11, _value("b", _INT8, "d", "q"))
    graph += _bytes(12, _value("y", _INT32, "n", "q"))
    return _number(1, _IR) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, _OPSET))


def _value(name: str, kind: int, *sizes: str) -> bytes:
    """A ValueInfoProto: a name, and a tensor type with symbolic sizes."""
    shape = b"".join(_bytes(1, _text(2, size)) for size in sizes)
    tensor = _number(1, kind) + _bytes(2, shape)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
