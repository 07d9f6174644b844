"""The sources of random numbers: one generator per device, which ``mx.random.seed`` sets."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import torch

from .context import Context

__all__ = ["generator", "random_states", "restore_random_states", "seed"]

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


# ---- the states of all generators -----------------------------------------------------------------------------------


def random_states() -> dict[str, Any]:
    """Where every source of random numbers stands: the operators', and those of iterators: NumPy's, Python's, torch's.

    Plain values and arrays, for :func:`restore_random_states`.
    """
    with _lock:
        devices = {str(device): found.get_state().numpy() for device, found in _generators.items()}
    return {
        "seed": _initial_seed,
        "devices": devices,
        "numpy": np.random.get_state(),
        "python": random.getstate(),
        "torch": torch.get_rng_state().numpy(),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Go on with random numbers where ``states``, of :func:`random_states`, say."""
    global _initial_seed
    _initial_seed = states["seed"]
    for device, state in states["devices"].items():
        generator(torch.device(device)).set_state(torch.from_numpy(state))
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])
    torch.set_rng_state(torch.from_numpy(states["torch"]))
