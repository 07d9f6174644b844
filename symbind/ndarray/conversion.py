"""From whatever NumPy makes an array of to a torch tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["as_tensor"]


def as_tensor(source: Any, dtype: torch.dtype | None = None, device: torch.device | None = None) -> torch.Tensor:
    """A new contiguous tensor with the values of ``source``, in its own type unless ``dtype`` says another.

    TypeError if ``source`` is no array of numbers (a ragged list, text, complex numbers …).
    """
    try:
        values = np.asarray(source, order="C")
    except (ValueError, TypeError) as error:
        raise TypeError(f"source_array must be array like object: {error}") from None
    if values.dtype.kind not in "biuf":
        raise TypeError(f"source_array must be array like object of numbers, not of type {values.dtype}")
    if values.dtype == np.longdouble:
        values = values.astype(np.float64)
    elif not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    # torch.tensor copies; unlike from_numpy it takes read-only arrays without a warning.
    return torch.tensor(values, dtype=dtype, device=device)
