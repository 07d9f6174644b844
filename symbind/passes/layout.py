"""Layouts: every kernel gets its arrays in the order it runs fastest on, with as few conversions as that needs.

The engine says, node by node, which layouts a kernel wants and gives. Where they differ, a conversion becomes a node
of the graph; one conversion serves all that want the same value in the same layout. Element-wise operators take any
dense layout as it comes, so a layout chosen by one heavy operator reaches the next untouched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from ..graph.node import Entry, Node, execution_order
from ..graph.registry import find

__all__ = ["Arranged", "arrange"]

Shape = tuple[int, ...]

#: Nodes of one operator that must read an array before it is converted for them: a kernel that is not given its
#: favourite layout loses less in one run than a conversion takes.
WORTH_A_CONVERSION = 4


class Chooser(Protocol):
    """What the pass asks of an engine; see :class:`symbind.runtime.engine.Engine`."""

    def implement(self, node: Node, inputs: Sequence[Any], outputs: Sequence[Any], training: bool) -> Any: ...

    def convert(self, value: Any, target: Any) -> Any: ...


class Fallback(Protocol):
    """The operators' own kernels; see :class:`symbind.runtime.torch_engine.TorchImplementation`."""

    def __call__(self, node: Node, layout: Any = None) -> Any:
        """The node on plain arrays, or flat over arrays that share a layout."""

    def keeps_zero(self, node: Node, dtype: torch.dtype) -> bool:
        """Whether an element-wise node makes zeros of zeros."""


@dataclass
class Arranged:
    """The graph with its conversions, how each node runs, and the layout of every value that is not plain."""

    outputs: list[Entry]
    implementations: dict[Node, Any] = field(default_factory=dict)
    layouts: dict[Entry, Any] = field(default_factory=dict)
    conversions: int = 0


def arrange(
    outputs: Sequence[Entry],
    engine: Chooser,
    shapes: dict[Node, list[Shape]],
    dtypes: dict[Node, list[torch.dtype]],
    value: Any,
    fallback: Fallback,
    training: bool,
    settled: Mapping[Node, Any] | None = None,
    movable: Collection[Node] = (),
    like: Mapping[int, Node] | None = None,
) -> Arranged:
    """Choose an implementation for every node; ``outputs`` come out plain.

    ``value(shape, dtype, layout)`` describes an array to the engine, ``fallback`` runs what the engine leaves alone,
    ``training`` says that gradients are computed too. Shapes and types of new nodes are added to the tables.

    Variables are plain, but those in ``settled`` have a layout, and parameters in ``movable`` get the one that the
    first node to read them wants. ``like`` says by position which outputs come out in the layout of which variable.
    """
    result = Arranged([], layouts={Entry(node): layout for node, layout in (settled or {}).items()})
    movable = set(movable).difference(settled or {})
    copies: dict[Node, Node] = {}
    converted: dict[tuple[Entry, Any], Entry] = {}

    def described(entry: Entry) -> Any:
        node, i = entry
        return value(shapes[node][i], dtypes[node][i], result.layouts.get(entry))

    def is_reused(entry: Entry, reader: Node) -> bool:
        """Whether a conversion of ``entry`` for this kind of node serves many: alike in the graph, or run after run."""
        is_kept = entry.node.is_variable or entry.node.op.prepares_parameters
        return (is_kept and not training) or readers[entry, reader.op.name] >= WORTH_A_CONVERSION

    def in_layout(entry: Entry, layout: Any, reader: float) -> Entry:
        """``entry`` in ``layout``, by a conversion that runs just before the node ``reader`` if one is needed."""
        if result.layouts.get(entry) == layout:
            return entry
        found = converted.get((entry, layout))
        if found is None:
            conversion = engine.convert(described(entry), layout)
            if conversion is None:
                return in_layout(in_layout(entry, None, reader), layout, reader)
            serial = max(reader - 0.5, (entry.node.serial + reader) / 2)
            node = Node(find("_convert_layout"), f"{entry.node.name}_in_layout", None, [entry], serial=serial)
            shapes[node], dtypes[node] = [shapes[entry.node][entry.index]], [dtypes[entry.node][entry.index]]
            result.implementations[node] = conversion
            result.conversions += 1
            found = converted[entry, layout] = Entry(node)
            if layout is not None:
                result.layouts[found] = layout
            # Going back costs nothing: the original is still there.
            converted[found, result.layouts.get(entry)] = entry
        return found

    order = execution_order(outputs)
    readers = Counter((entry, node.op.name) for node in order if not node.is_variable for entry in node.inputs)
    for node in order:
        if node.is_variable:
            continue
        inputs = [Entry(copies.get(e.node, e.node), e.index) for e in node.inputs]
        values = [described(e)._replace(reused=is_reused(original, node)) for e, original in zip(inputs, node.inputs)]
        made = [value(s, t, None) for s, t in zip(shapes[node], dtypes[node])]
        chosen = engine.implement(node, values, made, training)
        if chosen is None:
            chosen = fallback(node, _shared_layout(node, values, made, fallback))
        unread = node.op.unread_inputs(node.params)
        wanted = list(inputs)
        for i, (entry, layout) in enumerate(zip(inputs, chosen.input_layouts)):
            if i in unread:
                continue
            if entry.node in movable:
                movable.discard(entry.node)
                # What flows through a network comes first, and anew with every batch: to move that is no use.
                if i > 0 and layout is not None and layout.is_dense:
                    result.layouts[entry] = layout
            wanted[i] = in_layout(entry, layout, node.serial)
        copy = node
        if tuple(wanted) != node.inputs:
            copy = Node(node.op, node.name, node.attrs, wanted, node.params, node.serial)
            copies[node] = copy
            shapes[copy], dtypes[copy] = shapes[node], dtypes[node]
        result.implementations[copy] = chosen
        for i, layout in enumerate(chosen.output_layouts):
            if layout is not None:
                result.layouts[Entry(copy, i)] = layout
    # What leaves the program is converted as soon as it is there.
    for position, (node, i) in enumerate(outputs):
        variable = (like or {}).get(position)
        layout = None if variable is None else result.layouts.get(Entry(variable))
        result.outputs.append(in_layout(Entry(copies.get(node, node), i), layout, node.serial + 0.5))
    return result


def _shared_layout(node: Node, values: Sequence[Any], made: Sequence[Any], fallback: Fallback) -> Any:
    """The layout an element-wise node runs in: that of its first input that has one of its own.

    Padding is zero and must stay so: if there is any, the node runs there only if it makes nothing else of zeros.
    """
    dtypes = {v.dtype for v in (*values, *made)}
    if not node.op.elementwise or len(dtypes) > 1:
        return None
    layout = next((v.layout for v in values if v.layout is not None), None)
    return layout if layout is None or layout.is_dense or fallback.keeps_zero(node, *dtypes) else None
