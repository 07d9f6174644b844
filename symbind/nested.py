"""Lists of lists, as users of loops nest their arrays and symbols."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["flatten", "like", "nesting"]


def flatten(values: Any, kind: type, what: str) -> list[Any]:
    """The items of (nested) lists of ``kind``; TypeError, naming ``what``, if there is anything else in them."""
    if isinstance(values, kind):
        return [values]
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{what} must be (nested) list of {kind.__name__}, but got {values!r} of type {type(values)}")
    return [item for value in values for item in flatten(value, kind, what)]


def like(template: Any, items: Iterator[Any]) -> Any:
    """``items`` in the nesting of ``template``."""
    if not isinstance(template, (list, tuple)):
        return next(items)
    return [like(part, items) for part in template]


def nesting(values: Any) -> Any:
    """How ``values`` are nested, to compare."""
    return [nesting(value) for value in values] if isinstance(values, (list, tuple)) else None
