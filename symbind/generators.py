"""The sources of random numbers: one generator per device, which ``mx.random.seed`` sets."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from .context import Context

__all__ = ["generator", "seed"]

_lock = threading.Lock()
_generators: dict[torch.device, torch.Generator] = {}
# What generators of devices that were not used yet will start from: without a seed, every run is the same.
_initial_seed = 0


def generator(device: torch.device) -> torch.Generator:
    """The generator that every random operator on ``device`` draws from. torch locks it while a kernel draws."""
    with _lock:
        found = _generators.get(device)
        if found is None:
            found = _generators[device] = torch.Generator(device).manual_seed(_initial_seed)
        return found


def seed(seed_state: int, ctx: Context | str = "all") -> None:
    """Start the random numbers of one context, or of ``'all'`` devices, afresh.

    The same seed gives the same numbers again on the same kind of device (and the same version of torch); they are
    not MXNet's numbers. All ``cpu(i)`` share one generator. Iterators that shuffle use NumPy's generator instead.

    Raises ValueError if ``seed_state`` is not an integer, TypeError if ``ctx`` is no context.
    """
    global _initial_seed
    if not isinstance(seed_state, (int, np.integer)):
        raise ValueError(f"seed_state must be int, not {seed_state!r}")
    state = _as_uint64(seed_state)
    if isinstance(ctx, Context):
        generator(ctx.device).manual_seed(state)
    elif ctx == "all":
        with _lock:
            _initial_seed = state
            for existing in _generators.values():
                existing.manual_seed(state)
    else:
        raise TypeError(f"ctx must be a Context or 'all', not {ctx!r}")


def _as_uint64(value: Any) -> int:
    """Any integer as one that torch accepts; negative ones stay distinct from positive ones."""
    return int(value) % 2**64
