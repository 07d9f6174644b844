"""Element types: one table that relates MXNet's type codes, NumPy's types, torch's types and their names.

A dtype inside the package (graph, ops, passes, runtime) is always a member of :class:`torch.dtype`; names and
NumPy types exist at the edges only, and :func:`as_torch` / :func:`as_numpy` are the doors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .base import MXNetError

__all__ = ["CODES", "as_numpy", "as_torch", "from_code", "name_of", "to_code"]

# MXNet's integer codes, as they stand in files and in ``__dtype__`` attributes.
CODES: dict[int, torch.dtype] = {
    0: torch.float32,
    1: torch.float64,
    2: torch.float16,
    3: torch.uint8,
    4: torch.int32,
    5: torch.int8,
    6: torch.int64,
    7: torch.bool,
    12: torch.bfloat16,
}
_CODE_OF = {dtype: code for code, dtype in CODES.items()}

_NAMES = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.uint8: "uint8",
    torch.int32: "int32",
    torch.int8: "int8",
    torch.int64: "int64",
    torch.bool: "bool",
    torch.bfloat16: "bfloat16",
}
_BY_NAME = {name: dtype for dtype, name in _NAMES.items()}

# NumPy has no bfloat16; its arrays leave the package as float32.
_NUMPY = {
    dtype: np.dtype("float32" if dtype is torch.bfloat16 else name).type for dtype, name in _NAMES.items()
}


def as_torch(dtype: Any) -> torch.dtype:
    """The torch dtype of a name, NumPy type or dtype, torch dtype, or MXNet type code (int)."""
    if isinstance(dtype, torch.dtype):
        if dtype in _NAMES:
            return dtype
    elif isinstance(dtype, int) and not isinstance(dtype, bool):
        if dtype in CODES:
            return CODES[dtype]
    elif isinstance(dtype, str) and dtype in _BY_NAME:
        return _BY_NAME[dtype]
    else:
        try:
            name = np.dtype(dtype).name
        except (TypeError, ValueError, SyntaxError):  # NumPy parses text as a list of fields
            name = ""
        if name in _BY_NAME:
            return _BY_NAME[name]
    raise MXNetError(f"Unknown dtype {dtype!r}; expected one of {', '.join(_BY_NAME)}")


def as_numpy(dtype: torch.dtype) -> type[np.generic]:
    """The NumPy scalar type (``numpy.float32`` …) that arrays of ``dtype`` have outside the package."""
    return _NUMPY[dtype]


def name_of(dtype: torch.dtype) -> str:
    """``'float32'``, ``'int64'`` …"""
    return _NAMES[dtype]


def to_code(dtype: torch.dtype) -> int:
    """MXNet's integer code of ``dtype``."""
    return _CODE_OF[dtype]


def from_code(code: int) -> torch.dtype:
    """The dtype of one of MXNet's integer codes; MXNetError if there is none."""
    if code not in CODES:
        raise MXNetError(f"Unknown dtype code {code}; expected one of {sorted(CODES)}")
    return CODES[code]
