"""Which engine a program gets."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

import torch

from .engine import Engine
from .onednn.library import available, load, unavailable_reason
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
    """The engine for ``device``: the one chosen by :func:`use_engine` or ``SYMBIND_ENGINE``, else the fastest.

    Raises Unavailable, which says why, if oneDNN is chosen for the CPU and is not there.
    """
    name = _chosen.name or os.environ.get("SYMBIND_ENGINE")
    if name:
        _check(name)
    if name == "torch" or device.type != "cpu":
        return _TORCH
    engine = _onednn()
    if engine is None and name == "onednn":
        load()
    return engine or _TORCH


@cache
def _onednn() -> Engine | None:
    """oneDNN's engine, where there is the library. The log says once that it is missing, loudly if it was to be had."""
    if available():
        from .onednn.graph_engine import OneDnnEngine

        return OneDnnEngine()
    is_published = sys.platform == "linux" and platform.machine() == "x86_64"
    level = logging.WARNING if is_published else logging.INFO
    logging.getLogger(__name__).log(level, "Running on torch's kernels, which are slower: %s", unavailable_reason())
    return None


def _check(name: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"There is no engine called {name!r}; available are {sorted(_NAMES)}")
    return name


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    # The threads of kernels do not come along into a forked process, which would wait for them for ever.
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))
