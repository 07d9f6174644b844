"""``mx.nd.add`` and its like: functions of two operands, each an array or a number; arrays broadcast.

Arrays must agree in type; the result has it too, comparisons (0 or 1) included. Two numbers give a number.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .arithmetic import is_number
from .ndarray import NDArray

__all__ = [
    "add", "divide", "equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and", "logical_or",
    "logical_xor", "maximum", "minimum", "modulo", "multiply", "not_equal", "power", "subtract", "true_divide",
]  # fmt: skip


def _apply(function: str, lhs: Any, rhs: Any, of_numbers: Callable[[Any, Any], Any]) -> Any:
    if isinstance(lhs, NDArray):
        return lhs._combined(function, rhs)
    if isinstance(rhs, NDArray):
        return rhs._combined(function, lhs, reverse=True)
    for value in (lhs, rhs):
        if not is_number(value):
            raise TypeError(f"type {type(value)} not supported: an operand must be an NDArray or a number")
    return of_numbers(lhs, rhs)


def add(lhs: Any, rhs: Any) -> Any:
    """``lhs + rhs``"""
    return _apply("add", lhs, rhs, operator.add)


def subtract(lhs: Any, rhs: Any) -> Any:
    """``lhs - rhs``"""
    return _apply("sub", lhs, rhs, operator.sub)


def multiply(lhs: Any, rhs: Any) -> Any:
    """``lhs * rhs``"""
    return _apply("mul", lhs, rhs, operator.mul)


def divide(lhs: Any, rhs: Any) -> Any:
    """``lhs / rhs``; arrays of whole numbers divide towards zero."""
    return _apply("div", lhs, rhs, operator.truediv)


true_divide = divide


def modulo(lhs: Any, rhs: Any) -> Any:
    """``lhs % rhs`` with the sign of ``rhs``; zero where an array's divisor is zero."""
    return _apply("mod", lhs, rhs, operator.mod)


def power(base: Any, exp: Any) -> Any:
    """``base ** exp``"""
    return _apply("power", base, exp, operator.pow)


def maximum(lhs: Any, rhs: Any) -> Any:
    """The larger of the two."""
    return _apply("maximum", lhs, rhs, max)


def minimum(lhs: Any, rhs: Any) -> Any:
    """The smaller of the two."""
    return _apply("minimum", lhs, rhs, min)


def equal(lhs: Any, rhs: Any) -> Any:
    """1 where ``lhs == rhs``, else 0."""
    return _apply("equal", lhs, rhs, lambda x, y: int(x == y))


def not_equal(lhs: Any, rhs: Any) -> Any:
    """1 where ``lhs != rhs``, else 0."""
    return _apply("not_equal", lhs, rhs, lambda x, y: int(x != y))


def greater(lhs: Any, rhs: Any) -> Any:
    """1 where ``lhs > rhs``, else 0."""
    return _apply("greater", lhs, rhs, lambda x, y: int(x > y))


def greater_equal(lhs: Any, rhs: Any) -> Any:
    """1 where ``lhs >= rhs``, else 0."""
    return _apply("greater_equal", lhs, rhs, lambda x, y: int(x >= y))


def lesser(lhs: Any, rhs: Any) -> Any:
    """1 where ``lhs < rhs``, else 0."""
    return _apply("lesser", lhs, rhs, lambda x, y: int(x < y))


def lesser_equal(lhs: Any, rhs: Any) -> Any:
    """1 where ``lhs <= rhs``, else 0."""
    return _apply("lesser_equal", lhs, rhs, lambda x, y: int(x <= y))


def logical_and(lhs: Any, rhs: Any) -> Any:
    """1 where both are other than 0, else 0."""
    return _apply("logical_and", lhs, rhs, lambda x, y: int(bool(x) and bool(y)))


def logical_or(lhs: Any, rhs: Any) -> Any:
    """1 where at least one is other than 0, else 0."""
    return _apply("logical_or", lhs, rhs, lambda x, y: int(bool(x) or bool(y)))


def logical_xor(lhs: Any, rhs: Any) -> Any:
    """1 where exactly one is other than 0, else 0."""
    return _apply("logical_xor", lhs, rhs, lambda x, y: int(bool(x) != bool(y)))
