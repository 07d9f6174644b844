"""What the table and the drawings want to know about a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..graph import Entry, Node, Symbol

__all__ = ["Shape", "complete_shapes", "known_shapes", "looks_like_weight", "require_symbol", "weight_nodes"]

Shape = tuple[int, ...]

WEIGHT_SUFFIXES = (
    "_weight", "_bias", "_beta", "_gamma", "_moving_var", "_moving_mean", "_running_var", "_running_mean",
)  # fmt: skip
WEIGHT_INPUTS = frozenset(
    ["weight", "bias", "gamma", "beta", "moving_mean", "moving_var", "parameters", "state", "state_cell"]
)


def require_symbol(symbol: Any) -> None:
    """TypeError unless ``symbol`` is a Symbol."""
    if not isinstance(symbol, Symbol):
        raise TypeError(f"symbol must be a Symbol, not {type(symbol).__name__}")


def known_shapes(symbol: Symbol, given: Mapping[str, Sequence[int]]) -> dict[Entry, Shape]:
    """The shape of every value of the graph as far as it follows from the given ones: ``()`` where the rank is not
    known, 0 for an unknown dimension."""
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape_partial(**{name: tuple(dims) for name, dims in given.items()})
    return dict(zip(internals.entries, shapes or []))


def complete_shapes(symbol: Symbol, given: Mapping[str, Sequence[int]]) -> dict[Entry, Shape]:
    """The shape of every value of the graph; ValueError if the given ones do not determine them all."""
    shapes = known_shapes(symbol, given)
    unknown = [entry.name for entry in symbol.get_internals().entries if not _is_complete(shapes.get(entry, ()))]
    if unknown:
        some = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise ValueError(f"Input shape is incomplete: from {dict(given)} the shape of {some} does not follow")
    return shapes


def _is_complete(shape: Shape) -> bool:
    return len(shape) > 0 and all(shape)


def looks_like_weight(name: str) -> bool:
    """Whether a variable of that name is, by MXNet's custom, a parameter of a layer."""
    return name.endswith(WEIGHT_SUFFIXES)


def weight_nodes(order: Iterable[Node]) -> set[Node]:
    """The variables that are parameters or states of layers: by their name, or because every operator that uses them
    has such an input there."""
    used_as_weight: dict[Node, bool] = {}
    for node in order:
        if node.op is None:
            continue
        for entry, input_name in zip(node.inputs, node.op.input_names(node.params)):
            if entry.node.is_variable:
                as_weight = looks_like_weight(entry.node.name) or input_name in WEIGHT_INPUTS
                used_as_weight[entry.node] = used_as_weight.get(entry.node, True) and as_weight
    return {node for node, as_weight in used_as_weight.items() if as_weight}
