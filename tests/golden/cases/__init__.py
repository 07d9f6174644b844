"""Every recorded operator call, one table per family of operators. Importable without MXNet and without symbind."""

from __future__ import annotations

from . import convolution, creation, elementwise, layers, loss, matrix, rare, reduce, shape
from .case import Case, table

__all__ = ["FAMILIES", "Case"]

# One archive per family: ``operators_<family>.npz``.
FAMILIES: dict[str, dict[str, Case]] = {
    family: table(cases)
    for module in (elementwise, reduce, shape, matrix, creation, layers, convolution, loss, rare)
    for family, cases in module.FAMILIES.items()
}
