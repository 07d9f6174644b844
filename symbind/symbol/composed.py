"""Functions of ``mx.sym.contrib`` that are more than one operator, beside loops and branches."""

from __future__ import annotations

import math

from ..graph.symbol import Symbol, apply
from .random import uniform

__all__ = ["rand_zipfian"]


def rand_zipfian(true_classes: Symbol, num_sampled: int, range_max: int) -> tuple[Symbol, Symbol, Symbol]:
    r"""Classes drawn from a distribution close to Zipf's, and how often they and ``true_classes`` are to be expected.

    .. math:: P(c) = \ln((c + 2) / (c + 1)) / \ln(range\_max + 1)

    Returns ``num_sampled`` classes (int64), expected counts in the shape of ``true_classes`` and those of the samples,
    in float64. Classes are thought to be numbered by falling frequency, and may be drawn several times.
    """
    log_range = math.log(range_max + 1)
    drawn = uniform(0, log_range, shape=(num_sampled,), dtype="float64")
    sampled = apply("cast", apply("exp", drawn) - 1, dtype="int64") % range_max

    def expected(classes: Symbol) -> Symbol:
        numbers = apply("cast", classes, dtype="float64")
        return apply("log", (numbers + 2.0) / (numbers + 1.0)) / log_range * num_sampled

    return sampled, expected(true_classes), expected(sampled)
