"""Which engine a program gets."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .engine import Engine
from .torch_engine import TorchEngine

__all__ = ["engine_for", "use_engine"]

_ENGINES: dict[str, Engine] = {"torch": TorchEngine()}


class _Chosen(threading.local):
    name: str | None = None


_chosen = _Chosen()


@contextmanager
def use_engine(name: str) -> Iterator[None]:
    """Executors bound inside the block run on the engine called ``name``; ValueError if there is none."""
    _check(name)
    before = _chosen.name
    _chosen.name = name
    try:
        yield
    finally:
        _chosen.name = before


def engine_for(device: torch.device) -> Engine:
    """The engine for ``device``: the one chosen by :func:`use_engine` or ``SYMBIND_ENGINE``, else the fastest."""
    name = _chosen.name or os.environ.get("SYMBIND_ENGINE")
    if name:
        return _ENGINES[_check(name)]
    return _ENGINES["torch"]


def _check(name: str) -> str:
    if name not in _ENGINES:
        raise ValueError(f"There is no engine called {name!r}; available are {sorted(_ENGINES)}")
    return name
