"""Automatic names: who invents ``fullyconnected0``."""

from __future__ import annotations

import threading
from collections import Counter

__all__ = ["NameManager", "Prefix", "current_names"]


class _Current(threading.local):
    def __init__(self) -> None:
        self.stack: list[NameManager] = [NameManager()]


class _HasCurrent(type):
    """Gives the class, not its instances, the attribute ``current``."""

    @property
    def current(cls) -> NameManager:
        return _current.stack[-1]

    @current.setter
    def current(cls, manager: NameManager) -> None:
        _current.stack[-1] = manager


class NameManager(metaclass=_HasCurrent):
    """Gives ``hint0``, ``hint1`` … to nodes without a name, counting each hint on its own.

    Use as a context manager to start counting afresh inside a block. ``NameManager.current`` is the manager in force
    in this thread, and may be set: ``NameManager.current.get(None, "block")`` is a name for a node of one's own.
    """

    def __init__(self) -> None:
        self._counter: Counter[str] = Counter()

    def get(self, name: str | None, hint: str) -> str:
        """``name`` if the user gave one, otherwise the next automatic name for ``hint``."""
        if name:
            return name
        number = self._counter[hint]
        self._counter[hint] += 1
        return f"{hint}{number}"

    def __enter__(self) -> NameManager:
        _current.stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _current.stack.pop()


class Prefix(NameManager):
    """A manager that puts ``prefix`` before every name, given or automatic; variables are not affected."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        return self._prefix + super().get(name, hint)


_current = _Current()


def current_names() -> NameManager:
    """The manager in force in this thread."""
    return _current.stack[-1]
