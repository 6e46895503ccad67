"""Read a pickled (images, same) pair without unpickling: the one place that touches the format.

`pickletools.genops` only tokenises; nothing here imports a name, calls an object or builds a
class. Names and calls that the stream asks for stay inert records, and a short list of them –
how Python and NumPy spell byte strings, byte arrays and booleans – is understood afterwards.
Everything else, and every opcode outside the lists below, is refused.
"""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from models.data.source import DataError

Value = Any  # bytes, str, int, bool, None, tuple, list, Name or Call

LITERALS = (
    {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "INT"}
    | {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
IGNORED = {"PROTO", "FRAME"}
BYTE_ARRAYS = frozenset(["u1", "|u1", "uint8"])
BOOLEANS = frozenset(["b1", "|b1", "bool"])


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the stream refers to. Never imported."""

    module: str
    name: str


@dataclass(slots=True)
class Call:
    """A call that the stream asks for. Never made."""

    function: Value
    arguments: Value
    state: Value = None


@dataclass(slots=True)
class _Machine:
    """The stack machine of the format, restricted to containers, literals and inert records."""

    stack: list[Value] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Value] = field(default_factory=dict)

    def since_mark(self) -> list[Value]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def take(self, count: int) -> list[Value]:
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise IndexError("the stack is empty")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def extend(self, items: list[Value]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items are appended to something that is not a list")
        self.stack[-1].extend(items)

    def build(self) -> None:
        target, state = self.take(2)
        if not isinstance(target, Call):
            raise TypeError("a state is set on something that is not an array")
        target.state = state
        self.stack.append(target)


Step = Callable[[_Machine, Any], None]

STEPS: dict[str, Step] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.take(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.take(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.take(3))),
    "LIST": lambda m, _: m.stack.append(m.since_mark()),
    "APPEND": lambda m, _: m.extend(m.take(1)),
    "APPENDS": lambda m, _: m.extend(m.since_mark()),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "BINPUT": lambda m, slot: m.memo.__setitem__(slot, m.stack[-1]),
    "LONG_BINPUT": lambda m, slot: m.memo.__setitem__(slot, m.stack[-1]),
    "BINGET": lambda m, slot: m.stack.append(m.memo[slot]),
    "LONG_BINGET": lambda m, slot: m.stack.append(m.memo[slot]),
    "GLOBAL": lambda m, text: m.stack.append(Name(*text.split(" "))),
    "STACK_GLOBAL": lambda m, _: m.stack.append(Name(*m.take(2))),
    "REDUCE": lambda m, _: m.stack.append(Call(*m.take(2))),
    "BUILD": lambda m, _: m.build(),
}


def read_inert(data: bytes) -> Value:
    """The value that a pickle describes, with every name and call left inert.

    Raises DataError on any opcode but those of lists, tuples, literals and array records.
    """
    machine = _Machine()
    try:
        for name, argument in _operations(data):
            if name == "STOP":
                return machine.take(1)[0]
            if name in LITERALS:
                machine.stack.append(argument)
            elif name in STEPS:
                STEPS[name](machine, argument)
            elif name not in IGNORED:
                raise DataError(f"refused: the pickle uses the opcode {name}.")
    except (IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the pickle is malformed: {error}.") from error
    raise DataError("the pickle ends without a result.")


def _operations(data: bytes) -> Iterator[tuple[str, Any]]:
    constants = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    for opcode, argument, _ in pickletools.genops(data):
        yield opcode.name, constants.get(opcode.name, argument)


def as_bytes(value: Value) -> bytes:
    """Encoded image bytes, however Python 2, Python 3 or NumPy spelled them."""
    match value:
        case bytes() | bytearray():
            return bytes(value)
        case str():  # a Python 2 str, which the tokeniser decodes as Latin-1
            return _latin_1(value)
        case Call(Name("_codecs", "encode"), (str() as text, "latin1" | "latin-1"), None):
            return _latin_1(text)
        case Call(Name(_, "_frombuffer"), (bytes() | bytearray() as buffer, kind, _, _), None):
            return _of_kind(kind, BYTE_ARRAYS, bytes(buffer))
        case Call(Name(_, "_reconstruct"), _, (_, _, kind, _, payload)):
            return _of_kind(kind, BYTE_ARRAYS, as_bytes(payload))
    raise DataError(f"an image is {_describe(value)}, not bytes.")


def as_bool(value: Value) -> bool:
    """A Python or NumPy boolean, or the integers 0 and 1."""
    match value:
        case bool():
            return value
        case 0 | 1:
            return bool(value)
        case Call(Name(_, "scalar"), (kind, payload), None):
            return _of_kind(kind, BOOLEANS, as_bytes(payload)) != b"\0"
    raise DataError(f"a pair's answer is {_describe(value)}, not a boolean.")


def _latin_1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise DataError("an image is text that is no byte string.") from error


def _of_kind(kind: Value, admitted: frozenset[str], payload: bytes) -> bytes:
    match kind:
        case Call(Name("numpy", "dtype"), (str() as code, *_), _) if code in admitted:
            return payload
    raise DataError(f"an array is of type {_describe(kind)}, expected one of {sorted(admitted)}.")


def _describe(value: Value) -> str:
    if isinstance(value, Call):
        return f"the result of {_describe(value.function)}"
    return f"{value.module}.{value.name}" if isinstance(value, Name) else type(value).__name__
