"""String attributes of nodes: scopes that attach them, and the few keys that are stored under another name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = [
    "HIDDEN_KEYS",
    "AttrScope",
    "current_attributes",
    "no_attributes",
    "stored_key",
    "with_plain_spellings",
]

# Annotations that are stored as ``__key__`` on any node, so that they never clash with operator parameters.
HIDDEN_KEYS = ("ctx_group", "force_mirroring", "lr_mult", "mirror_stage", "wd_mult")


def stored_key(key: str) -> str:
    """The key under which attribute ``key`` is kept: ``lr_mult`` is kept as ``__lr_mult__``."""
    return f"__{key}__" if key in HIDDEN_KEYS else key


def with_plain_spellings(attrs: Mapping[str, str]) -> dict[str, str]:
    """``attrs`` with the plain spelling added for each hidden key, as listings show them."""
    listed = dict(attrs)
    for key in HIDDEN_KEYS:
        if (stored := stored_key(key)) in attrs:
            listed[key] = attrs[stored]
    return listed


class _Current(threading.local):
    def __init__(self) -> None:
        self.stack: list[dict[str, str]] = [{}]


_current = _Current()


class _HasCurrent(type):
    """Gives the class, not its instances, the attribute ``current``."""

    @property
    def current(cls) -> AttrScope:
        return AttrScope(**_current.stack[-1])

    @current.setter
    def current(cls, scope: AttrScope) -> None:
        _current.stack[-1] = dict(scope._attributes)


class AttrScope(metaclass=_HasCurrent):
    """Attach string attributes to every symbol created inside a ``with`` block.

    Scopes nest: the inner one wins where both set a key, and an explicit ``attr=`` wins over both. Values must be
    strings (ValueError otherwise). ``AttrScope.current`` is what is in force in this thread, and may be set.
    """

    def __init__(self, **attributes: str) -> None:
        self._attributes = _checked(attributes)

    def get(self, attr: Mapping[str, str] | None) -> dict[str, str]:
        """This scope's attributes overridden by ``attr``."""
        return {**self._attributes, **_checked(attr or {})}

    def __enter__(self) -> AttrScope:
        _current.stack.append({**_current.stack[-1], **self._attributes})
        return self

    def __exit__(self, *exc: object) -> None:
        _current.stack.pop()


def current_attributes(attr: Mapping[str, str] | None = None) -> dict[str, str]:
    """The attributes of all scopes in force in this thread, overridden by ``attr``."""
    return {**_current.stack[-1], **_checked(attr or {})}


def _checked(attributes: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in attributes.items():
        if not isinstance(value, str):
            raise ValueError(f"Attributes need to be string: {key} is {value!r}")
    return attributes


@contextmanager
def no_attributes() -> Iterator[None]:
    """A block in which no scope is in force, for nodes that the user did not write."""
    _current.stack.append({})
    try:
        yield
    finally:
        _current.stack.pop()
