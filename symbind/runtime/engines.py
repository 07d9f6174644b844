"""Which engine a program gets."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from .engine import Engine
from .torch_engine import TorchEngine

__all__ = ["engine_for", "use_engine"]

_TORCH = TorchEngine()
_NAMES = ("onednn", "torch")


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
        _check(name)
    if name == "torch" or device.type != "cpu":
        return _TORCH
    return _onednn() or _TORCH


@cache
def _onednn() -> Engine | None:
    """oneDNN's engine, where there is the library; that there is none is said once, where one could be."""
    from .onednn import library

    if library.available():
        from .onednn.graph_engine import OneDnnEngine

        return OneDnnEngine()
    if platform.machine() in ("x86_64", "AMD64"):
        logging.getLogger(__name__).info("Running on torch's kernels: %s", library.unavailable_reason())
    return None


def _check(name: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"There is no engine called {name!r}; available are {sorted(_NAMES)}")
    return name
