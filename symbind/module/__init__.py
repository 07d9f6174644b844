"""Modules: a symbol with its parameters and optimizer, and the loops that train, score and predict with it."""

from .base_module import BaseModule
from .module import Module

__all__ = ["BaseModule", "Module"]
