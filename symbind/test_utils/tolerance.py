"""How far two numbers of a type may lie apart and still count as equal, where a test does not say."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = [
    "default_atols", "default_dtype", "default_numeric_eps", "default_rtols", "effective_dtype", "get_atol",
    "get_etol", "get_rtol", "get_tolerance", "get_tols",
]  # fmt: skip

#: One number for all types, or one for each.
Tolerance = float | Mapping[np.dtype, float] | None

_EXACT = {np.dtype(name): 0.0 for name in (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
)}  # fmt: skip


def default_dtype() -> type[np.generic]:
    """The type of numbers where nothing says otherwise: ``numpy.float32``."""
    return np.float32


def default_rtols() -> dict[np.dtype, float]:
    """The relative tolerance of every type."""
    return _EXACT | {np.dtype("float16"): 1e-2, np.dtype("float32"): 1e-4, np.dtype("float64"): 1e-5}


def default_atols() -> dict[np.dtype, float]:
    """The absolute tolerance of every type."""
    return _EXACT | {np.dtype("float16"): 1e-1, np.dtype("float32"): 1e-3, np.dtype("float64"): 1e-20}


def default_numeric_eps() -> dict[np.dtype, float]:
    """The step of finite differences in every type: a power of two, so that adding it loses no bits of its own."""
    return {np.dtype("float16"): 2.0**-6, np.dtype("float32"): 2.0**-9, np.dtype("float64"): 2.0**-14}


def effective_dtype(dat: Any) -> np.dtype:
    """The type whose precision the numbers in ``dat`` really have: their own."""
    return np.dtype(dat.dtype)


def get_tolerance(dat: Any, tol: Tolerance, default_tol: Mapping[np.dtype, float]) -> float:
    """``tol`` if it is a number, otherwise its entry for the type of ``dat``, otherwise that of ``default_tol``."""
    if isinstance(tol, numbers.Real):
        return float(tol)
    dtype = effective_dtype(dat)
    return (tol or {}).get(dtype, default_tol[dtype])  # type: ignore[union-attr]


def get_tols(x: Any, y: Any, rtol: Tolerance, atol: Tolerance) -> tuple[float, float]:
    """Relative and absolute tolerance for comparing ``x`` with ``y``: those of the coarser type."""
    pair = [np.asarray(v) if isinstance(v, (numbers.Number, list, tuple)) else v for v in (x, y)]
    return (
        max(get_tolerance(v, rtol, default_rtols()) for v in pair),
        max(get_tolerance(v, atol, default_atols()) for v in pair),
    )


def get_rtol(rtol: float | None = None, dtype: Any = np.float64) -> float:
    """``rtol``, or the default for ``dtype`` if it is None."""
    return default_rtols()[np.dtype(dtype)] if rtol is None else rtol


def get_atol(atol: float | None = None, dtype: Any = np.float64) -> float:
    """``atol``, or the default for ``dtype`` if it is None."""
    return default_atols()[np.dtype(dtype)] if atol is None else atol


def get_etol(etol: float | None = None) -> float:
    """Which part of all elements may differ: ``etol``, or none if it is None."""
    return 0 if etol is None else etol
