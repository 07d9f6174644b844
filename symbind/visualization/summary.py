"""The table of layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from ..graph import Entry, Node, Symbol, post_order
from .facts import Shape, complete_shapes, known_shapes, require_symbol

__all__ = ["print_summary"]

COLUMNS = ("Layer (type)", "Output Shape", "Param #", "Previous Layer")


def print_summary(
    symbol: Symbol,
    shape: Mapping[str, Sequence[int]] | None = None,
    line_length: int = 120,
    positions: Sequence[float] = (0.44, 0.64, 0.74, 1.0),
) -> None:
    """Print a table of the layers of a network, with one row for each operator and for the first input.

    Parameters
    ----------
    symbol : Symbol
    shape : dict from names of inputs to shapes, optional
        Without it the table has no output shapes, and only the parameters whose shape is known anyway are counted.
    line_length : int
        Characters in a line.
    positions : sequence of 4 numbers
        Where the columns end: parts of the line if the last one is at most 1, else characters.

    Output shapes are printed without their first axis, which counts the samples. ``Param #`` is how many numbers the
    layer's own variables hold, with those that several layers share counted at the first; inputs named in ``shape``,
    labels and auxiliary states are no parameters.

    Raises
    ------
    TypeError
        If ``symbol`` is no Symbol.
    ValueError
        If ``shape`` does not determine all shapes.
    """
    require_symbol(symbol)
    if positions[-1] <= 1:
        positions = [int(line_length * part) for part in positions]
    ends = [int(end) for end in positions]
    for line in _table(symbol, shape, line_length, ends):
        print(line)


def _table(
    symbol: Symbol, given: Mapping[str, Sequence[int]] | None, line_length: int, ends: Sequence[int]
) -> Iterator[str]:
    order = post_order(symbol.entries)
    shapes = known_shapes(symbol, {}) if given is None else complete_shapes(symbol, given)
    counts = _parameter_counts(order, shapes, given or {})
    yield "_" * line_length
    yield _row(COLUMNS, ends)
    yield "=" * line_length
    shown = [node for i, node in enumerate(order) if i == 0 or not node.is_variable]
    for node in shown:
        output = "x".join(map(str, shapes[Entry(node, 0)][1:])) if given is not None else ""
        inputs = [e.node.name for e in node.inputs if not e.node.is_variable or e.node is order[0]]
        title = f"{node.name}({'null' if node.op is None else node.op.name})"
        yield _row((title, output, str(counts[node]), inputs[0] if inputs else ""), ends)
        for name in inputs[1:]:
            yield _row(("", "", "", name), ends)
        yield ("=" if node is shown[-1] else "_") * line_length
    yield f"Total params: {sum(counts.values())}"
    yield "_" * line_length


def _row(fields: Sequence[str], ends: Sequence[int]) -> str:
    """The fields, each cut or filled up to where its column ends."""
    line = ""
    for field, end in zip(fields, ends):
        line = (line + field)[:end].ljust(end)
    return line


def _parameter_counts(
    order: Sequence[Node], shapes: Mapping[Entry, Shape], given: Mapping[str, Sequence[int]]
) -> dict[Node, int]:
    counts = dict.fromkeys(order, 0)
    # The first node is what the network is fed with, be it named in ``given`` or not.
    counted = {order[0]} if order else set()
    for node in order:
        if node.op is None:
            continue
        states = set(node.op.auxiliary_inputs(node.params))
        for i, (entry, input_name) in enumerate(zip(node.inputs, node.op.input_names(node.params))):
            variable = entry.node
            if not variable.is_variable or i in states or variable in counted:
                continue
            counted.add(variable)
            if variable.name in given or variable.name.endswith("label"):
                continue
            if shapes[entry]:
                counts[node] += math.prod(shapes[entry])
            elif input_name == "bias":
                # Known without any shape: one number for each output channel.
                counts[node] += int(node.attrs.get("num_filter", node.attrs.get("num_hidden", 0)))
    return counts
