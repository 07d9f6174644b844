"""``mx.engine``: bulks of operators. A program here is one bulk already, so the size is only kept for who asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["bulk", "set_bulk_size"]


class _Current(threading.local):
    size = 15


_current = _Current()


def set_bulk_size(size: int) -> int:
    """Set the largest number of operators in a bulk; returns what it was. Nothing runs differently."""
    before, _current.size = _current.size, int(size)
    return before


@contextmanager
def bulk(size: int) -> Iterator[None]:
    """A block with another bulk size."""
    before = set_bulk_size(size)
    try:
        yield
    finally:
        set_bulk_size(before)
