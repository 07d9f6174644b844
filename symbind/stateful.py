"""Stateful: objects that can tell what they have become since they were made, and become that again.

It is how a training that was stopped goes on: the script makes its metric, optimizer and callbacks anew, as it did the
first time, and each takes back what had changed since. What a script would give anyway (functions, symbols, files) is
no part of a state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .ndarray import NDArray

__all__ = ["Stateful", "state_of"]

_PLAIN = (type(None), bool, int, float, str, bytes, np.generic, NDArray)


class Stateful:
    """An object whose state is its attributes: plain values, arrays, containers of these, and other stateful objects.

    Attributes of any other type stay as they are. A class that knows better defines both methods anew.
    """

    def state_dict(self) -> dict[str, Any]:
        """The attributes that make the state."""
        state: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, Stateful):
                state[name] = value.state_dict()
            elif _holds_stateful(value):
                state[name] = [item.state_dict() for item in value]
            elif _is_plain(value):
                state[name] = value
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`, of an object that was made as this one was."""
        for name, value in state.items():
            own = getattr(self, name, None)
            if isinstance(own, Stateful):
                own.load_state_dict(value)
            elif isinstance(own, list) and _holds_stateful(own):
                for item, part in zip(own, value, strict=True):
                    item.load_state_dict(part)
            else:
                setattr(self, name, value)


def state_of(part: Any) -> dict[str, Any] | None:
    """The state of anything that can tell one, else None."""
    return part.state_dict() if hasattr(part, "state_dict") else None


def _holds_stateful(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Stateful) for item in value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    # Not subclasses: a named tuple would come back as a tuple.
    if type(value) in (list, tuple):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)
