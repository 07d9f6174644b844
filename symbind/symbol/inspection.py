"""Listing and composing symbols by plain functions, as programs translated from R write them."""

from __future__ import annotations

from typing import Any

from ..graph.symbol import Symbol

__all__ = ["apply", "arguments", "children", "internals", "outputs"]


def apply(net: Symbol, **kwargs: Any) -> Symbol:
    """``net`` with variables replaced: ``apply(net, data=other, name="compose")`` is ``net(data=other, …)``."""
    return net(**kwargs)


def arguments(net: Symbol) -> list[str]:
    """Names of the arguments; see :meth:`Symbol.list_arguments`."""
    return net.list_arguments()


def outputs(net: Symbol) -> list[str]:
    """Names of the outputs; see :meth:`Symbol.list_outputs`."""
    return net.list_outputs()


def internals(net: Symbol) -> Symbol:
    """All values of the graph; see :meth:`Symbol.get_internals`."""
    return net.get_internals()


def children(net: Symbol) -> Symbol | None:
    """The inputs of the head; see :meth:`Symbol.get_children`."""
    return net.get_children()
