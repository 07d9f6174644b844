"""Optimizers: rules that turn gradients into better weights, and the updater that applies them by index."""

from .adaptive import AdaDelta, AdaGrad, Ftrl, GroupAdaGrad, RMSProp
from .descent import DCASGD, NAG, SGD, SGLD, Signum, Test, ccSGD
from .layerwise import LAMB, LARS, LBSGD
from .moments import FTML, Adam, Adamax, Nadam
from .optimizer import Optimizer, create, register
from .rule import RuleOptimizer
from .updater import Updater, get_updater

__all__ = [
    "DCASGD",
    "FTML",
    "LAMB",
    "LARS",
    "LBSGD",
    "NAG",
    "SGD",
    "SGLD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "Adamax",
    "Ftrl",
    "GroupAdaGrad",
    "Nadam",
    "Optimizer",
    "RMSProp",
    "RuleOptimizer",
    "Signum",
    "Test",
    "Updater",
    "ccSGD",
    "create",
    "get_updater",
    "register",
]
