"""``mx.contrib``: what once was new. Operators by their names without ``_contrib_``, and TensorBoard."""

from ..ndarray import contrib as ndarray  # type: ignore[attr-defined]  # made from the operators
from ..symbol import contrib as symbol
from . import autograd, tensorboard

nd = ndarray
sym = symbol

__all__ = ["autograd", "nd", "ndarray", "sym", "symbol", "tensorboard"]
