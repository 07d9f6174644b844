"""Pickles as data: reading and writing them without ever importing or calling what they name.

A pickle is a program that may call anything. :func:`loads` runs it on paper only: a global that it names becomes
a :class:`Global`, a call of it an :class:`Instance`, and whoever asked decides what these stand for. Hence no
pickle can run code here, and as every length is checked against the bytes that are there, none can take more
memory than a small multiple of its own size.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..base import MXNetError

__all__ = ["Global", "Instance", "dumps", "loads"]


@dataclass(frozen=True)
class Global:
    """A class or function that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Instance:
    """An object a pickle describes: ``callable(*args)``, or ``callable.__new__(callable, *args)`` if ``new``,
    that was then given ``state``."""

    callable: Global
    args: tuple
    state: Any = None
    new: bool = False


class _Mark:
    """The bottom of a run of values on the stack."""


# Opcodes whose argument is the value itself.
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = {"PROTO", "FRAME"}


class _Machine:
    """The stack machine that pickles are programs for."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """Execute one opcode."""
        if name in _LITERALS:
            self.stack.append(bytes(argument) if name == "BYTEARRAY8" else argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name not in _IGNORED:
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise ValueError("operation that no array or plain value needs")
            method(argument) if argument is not None else method()

    def _pop(self) -> Any:
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise ValueError("a value is missing")
        return value

    def _pop_marked(self) -> list[Any]:
        values: list[Any] = []
        while not isinstance(value := self.stack.pop(), _Mark):
            values.append(value)
        return values[::-1]

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"{kind.__name__} expected, found {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    # --- the stack and the memo

    def _mark(self) -> None:
        self.stack.append(_Mark())

    def _pop_mark(self) -> None:
        self._pop_marked()

    def _dup(self) -> None:
        self.stack.append(self.stack[-1])

    def _put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self) -> None:
        self._put(len(self.memo))

    def _get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    _binget = _long_binget = _get

    # --- containers

    def _empty_tuple(self) -> None:
        self.stack.append(())

    def _empty_list(self) -> None:
        self.stack.append([])

    def _empty_dict(self) -> None:
        self.stack.append({})

    def _tuple(self) -> None:
        self.stack.append(tuple(self._pop_marked()))

    def _tuple_of(self, size: int) -> None:
        self.stack.append(tuple([self._pop() for _ in range(size)][::-1]))

    def _tuple1(self) -> None:
        self._tuple_of(1)

    def _tuple2(self) -> None:
        self._tuple_of(2)

    def _tuple3(self) -> None:
        self._tuple_of(3)

    def _list(self) -> None:
        self.stack.append(self._pop_marked())

    def _dict(self) -> None:
        self.stack.append(dict(_pairs(self._pop_marked())))

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        values = self._pop_marked()
        self._top(list).extend(values)

    def _setitem(self) -> None:
        value, key = self._pop(), self._pop()
        self._top(dict)[key] = value

    def _setitems(self) -> None:
        values = self._pop_marked()
        self._top(dict).update(_pairs(values))

    # --- what would import and call

    def _global(self, names: str) -> None:
        module, name = names.split(" ", 1)
        self.stack.append(Global(module, name))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a global is named by two strings")
        self.stack.append(Global(module, name))

    def _reduce(self) -> None:
        self._make(new=False)

    def _newobj(self) -> None:
        self._make(new=True)

    def _make(self, new: bool) -> None:
        args, function = self._pop(), self._pop()
        if not (isinstance(function, Global) and isinstance(args, tuple)):
            raise ValueError("only a global can be called, with a tuple")
        if function.name == "_reconstructor" and len(args) == 3 and isinstance(args[0], Global):
            # Protocols 0 and 1 make instances this way.
            function, args, new = args[0], (), True
        self.stack.append(Instance(function, args, new=new))

    def _build(self) -> None:
        state = self._pop()
        self._top(Instance).state = state


def _pairs(values: list[Any]) -> Iterator[tuple[Any, Any]]:
    if len(values) % 2:
        raise ValueError("a key without a value")
    return zip(values[::2], values[1::2])


def loads(data: bytes) -> Any:
    """The value that a pickle describes, of plain values, :class:`Global` and :class:`Instance`.

    Raises MXNetError, with the position, for bytes that are no pickle or use what no array or plain value needs.
    """
    machine = _Machine()
    position: int | None = 0
    name = "start"
    try:
        for opcode, argument, at in pickletools.genops(data):
            position, name = at, opcode.name
            if name != "STOP":
                machine.run(name, argument)
        (value,) = machine.stack
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise MXNetError(f"Damaged pickle at byte {position} of {len(data)} ({name}): {error}") from None
    if isinstance(value, _Mark):
        raise MXNetError("Damaged pickle: it describes no value")
    return value


def dumps(value: Any) -> bytes:
    """The pickle of what :func:`loads` returns: plain values, :class:`Global` and :class:`Instance`.

    Raises MXNetError for values of any other type.
    """
    return b"".join((b"\x80\x04", *_encode(value), b"."))


def _encode(value: Any) -> Iterator[bytes]:
    match value:
        case None:
            yield b"N"
        case bool():
            yield b"\x88" if value else b"\x89"
        case int():
            number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            yield b"\x8b" + struct.pack("<i", len(number)) + number
        case float():
            yield b"G" + struct.pack(">d", value)
        case str():
            text = value.encode("utf-8", "surrogatepass")
            yield b"\x8d" + struct.pack("<Q", len(text)) + text
        case bytes():
            yield b"\x8e" + struct.pack("<Q", len(value))
            yield value
        case tuple():
            yield b"("
            for item in value:
                yield from _encode(item)
            yield b"t"
        case list():
            yield b"]("
            for item in value:
                yield from _encode(item)
            yield b"e"
        case dict():
            yield b"}("
            for key, item in value.items():
                yield from _encode(key)
                yield from _encode(item)
            yield b"u"
        case Global():
            yield f"c{value.module}\n{value.name}\n".encode()
        case Instance():
            yield from _encode(value.callable)
            yield from _encode(value.args)
            yield b"\x81" if value.new else b"R"
            if value.state is not None:
                yield from _encode(value.state)
                yield b"b"
        case _:
            raise MXNetError(f"Cannot pickle {value!r} of type {type(value).__name__} as plain data")
