"""``mx.contrib``: what once was new. Operators by names without ``_contrib_``, loaders, TensorBoard, amp, text."""

from ..ndarray import contrib as ndarray  # type: ignore[attr-defined]  # made from the operators
from ..symbol import contrib as symbol
from . import amp, autograd, io, svrg_optimization, tensorboard, text

nd = ndarray
sym = symbol

__all__ = ["amp", "autograd", "io", "nd", "ndarray", "svrg_optimization", "sym", "symbol", "tensorboard", "text"]
