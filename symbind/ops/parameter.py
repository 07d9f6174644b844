"""Typed operator parameters: how each kind reads its text and is described in errors and documentation."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..base import MXNetError
from ..dtype import as_torch

__all__ = [
    "REQUIRED", "AtMost", "Bool", "Count", "DType", "Enum", "Float", "Floats", "Int", "Kind", "Optional", "Param",
    "Params", "Shape", "String", "parse_parameters",
]  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A type of parameter: its name in messages, and the function that reads it from text (ValueError if it can't)."""

    name: str
    read: Callable[[str], Any]


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


def _read_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("true", "1"):
        return True
    if lowered in ("false", "0"):
        return False
    raise ValueError(text)


def _read_int(text: str) -> int:
    text = text.strip()
    if not re.fullmatch(r"[+-]?\d{1,19}L?", text):
        raise ValueError(text)
    return int(text.rstrip("L"))


def _read_float(text: str) -> float:
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return float(lowered == "true")
    return float(re.sub(r"(?<=[\d.])f$", "", lowered))  # as a number is written in C++


def _read_sequence(text: str) -> tuple[Any, ...]:
    # Python 2 wrote its long integers as 8L.
    value = ast.literal_eval(re.sub(r"(?<=\d)L\b", "", text.strip()))
    if isinstance(value, (int, float)):
        return (value,)
    if not isinstance(value, (tuple, list)):
        raise ValueError(text)
    return tuple(value)


def _read_shape(text: str) -> tuple[int | None, ...]:
    try:
        items = _read_sequence(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(text) from None
    for item in items:
        if item is not None and (not isinstance(item, int) or isinstance(item, bool)):
            raise ValueError(text)
    return items


def _read_floats(text: str) -> tuple[float, ...]:
    try:
        items = _read_sequence(text)
        return tuple(float(item) for item in items)
    except (SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(text) from None


def _read_dtype(text: str) -> torch.dtype:
    try:
        return as_torch(text.strip())
    except MXNetError:
        raise ValueError(text) from None


Bool = Kind("boolean", _read_bool)
Int = Kind("int", _read_int)
Float = Kind("float", _read_float)
String = Kind("string", str)
# A tuple of ints; None stands for "to the end" where an operator allows it.
Shape = Kind("Shape(tuple)", _read_shape)
Floats = Kind("tuple of <float>", _read_floats)
DType = Kind("dtype", _read_dtype)


def AtMost(most: int) -> Kind:
    """A whole number up to ``most``, for numbers of things of which lists are made."""

    def read(text: str) -> int:
        number = _read_int(text)
        if number > most:
            raise ValueError(text)
        return number

    return Kind(f"int (at most {most})", read)


# How many inputs or outputs a node has. Lists of that length are made before the number can be compared with anything,
# so it must not be any number that a damaged file holds.
Count = AtMost(2**17)


def Enum(*values: str) -> Kind:
    """One of ``values``."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return Kind("{" + ", ".join(repr(v) for v in values) + "}", read)


def Optional(kind: Kind) -> Kind:
    """``kind``, or None."""
    return Kind(f"{kind.name} or None", lambda text: None if text.strip() == "None" else kind.read(text))


@dataclass(frozen=True)
class Param:
    """Declaration of one parameter: its kind, its default (:data:`REQUIRED` if it has none) and its meaning."""

    kind: Kind
    default: Any = REQUIRED
    doc: str = ""


class Params:
    """The typed parameters of one node, as attributes. Equal exactly if all of them are, in type and value."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:  # for the type checker: attributes come from the declaration
        raise AttributeError(f"This operator has no parameter {name!r}")

    # Names with two underscores cannot meet a parameter; there is one called ``key``.

    def __key(self) -> tuple[Any, ...]:
        # NaN differs from itself; its text does not. The type keeps 1, 1.0 and True apart.
        return tuple(
            (name, type(value).__name__, repr(value) if isinstance(value, float) and math.isnan(value) else value)
            for name, value in sorted(self.__dict__.items())
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self.__key() == other.__key()

    def __hash__(self) -> int:
        return hash(self.__key())

    def __repr__(self) -> str:
        return f"Params({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"


def parse_parameters(
    operator: str, declared: Mapping[str, Param], attrs: Mapping[str, str], node_name: str = ""
) -> Params:
    """Read ``attrs`` by the declaration; keys like ``__lr_mult__`` are annotations and pass unread.

    Raises MXNetError naming a parameter that is unknown, missing, or not of its kind.
    """

    def where() -> str:
        given = ", ".join([f'name="{node_name}"', *(f'{k}="{v}"' for k, v in attrs.items())])
        return f", in operator {operator}({given})"

    values = {}
    for key, text in attrs.items():
        param = declared.get(key)
        if param is None:
            # An operator without parameters takes any for an annotation.
            if not declared or (key.startswith("__") and key.endswith("__")):
                continue
            raise MXNetError(f"Cannot find argument '{key}', Possible Arguments:\n{_listing(declared)}{where()}")
        try:
            values[key] = param.kind.read(text)
        except (ValueError, OverflowError):
            if param.kind.name.startswith("{"):
                raise MXNetError(
                    f"Invalid Input: '{text}' for {key}, valid values are: {param.kind.name}{where()}"
                ) from None
            raise MXNetError(
                f"Invalid Parameter format for {key} expect {param.kind.name} but value='{text}'{where()}"
            ) from None
    for key, param in declared.items():
        if key not in values:
            if param.default is REQUIRED:
                raise MXNetError(f"Required parameter {key} of {param.kind.name} is not presented{where()}")
            values[key] = param.default
    return Params(values)


def _listing(declared: Mapping[str, Param]) -> str:
    lines = ["----------------"]
    for key, param in declared.items():
        default = "required" if param.default is REQUIRED else f"optional, default={param.default!r}"
        lines.append(f"{key} : {param.kind.name}, {default}\n    {param.doc}")
    return "\n".join(lines) + "\n"
