"""``mx.contrib.svrg_optimization``: stochastic gradients of less variance."""

from . import svrg_module
from .svrg_module import SVRGModule

__all__ = ["SVRGModule", "svrg_module"]
