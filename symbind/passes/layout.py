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


def arrange(
    outputs: Sequence[Entry],
    engine: Chooser,
    shapes: dict[Node, list[Shape]],
    dtypes: dict[Node, list[torch.dtype]],
    value: Any,
    fallback: Fallback,
    *,
    training: bool,
    settled: Mapping[Node, Any],
    movable: Collection[Node],
    like: Mapping[int, Node],
) -> Arranged:
    """Choose an implementation for every node; ``outputs`` come out plain.

    ``value(shape, dtype, layout)`` describes an array to the engine, ``fallback`` runs what the engine leaves alone,
    ``training`` says that gradients are computed too. Shapes and types of new nodes are added to the tables.

    Variables are plain, but those in ``settled`` have a layout, and parameters in ``movable`` get the one that the
    first node to read them wants. ``like`` says by position which outputs come out in the layout of which variable.
    """
    arranger = _Arranger(execution_order(outputs), engine, shapes, dtypes, value, fallback, training, settled, movable)
    result = arranger.result
    # What leaves the program is converted as soon as it is there.
    for position, (node, i) in enumerate(outputs):
        layout = result.layouts.get(Entry(like[position])) if position in like else None
        result.outputs.append(arranger.in_layout(arranger.copy_of(Entry(node, i)), layout, node.serial + 0.5))
    return result


class _Arranger:
    """Walks a graph in running order, and has every node read its inputs in the layouts that its kernel wants."""

    def __init__(
        self,
        order: Sequence[Node],
        engine: Chooser,
        shapes: dict[Node, list[Shape]],
        dtypes: dict[Node, list[torch.dtype]],
        value: Any,
        fallback: Fallback,
        training: bool,
        settled: Mapping[Node, Any],
        movable: Collection[Node],
    ) -> None:
        self.result = Arranged([], layouts={Entry(node): layout for node, layout in settled.items()})
        self._engine, self._fallback, self._training = engine, fallback, training
        self._shapes, self._dtypes, self._value = shapes, dtypes, value
        self._movable = set(movable).difference(settled)
        self._copies: dict[Node, Node] = {}
        self._converted: dict[tuple[Entry, Any], Entry] = {}
        operators = [node for node in order if not node.is_variable]
        self._readers = Counter((entry, node.op.name) for node in operators for entry in node.inputs)
        for node in operators:
            self._arrange(node)

    def copy_of(self, entry: Entry) -> Entry:
        """What has taken the place of ``entry``."""
        return Entry(self._copies.get(entry.node, entry.node), entry.index)

    def in_layout(self, entry: Entry, layout: Any, reader: float) -> Entry:
        """``entry`` in ``layout``, by a conversion that runs just before the node ``reader`` if one is needed."""
        if self.result.layouts.get(entry) == layout:
            return entry
        found = self._converted.get((entry, layout))
        if found is None:
            conversion = self._engine.convert(self._described(entry), layout)
            if conversion is None:
                return self.in_layout(self.in_layout(entry, None, reader), layout, reader)
            serial = max(reader - 0.5, (entry.node.serial + reader) / 2)
            node = Node(find("_convert_layout"), f"{entry.node.name}_in_layout", None, [entry], serial=serial)
            self._shapes[node] = [self._shapes[entry.node][entry.index]]
            self._dtypes[node] = [self._dtypes[entry.node][entry.index]]
            self.result.implementations[node] = conversion
            found = self._converted[entry, layout] = Entry(node)
            if layout is not None:
                self.result.layouts[found] = layout
            # Going back costs nothing: the original is still there.
            self._converted[found, self.result.layouts.get(entry)] = entry
        return found

    def _arrange(self, node: Node) -> None:
        """Choose how ``node`` runs, and convert what it reads to the layouts of that."""
        inputs = [self.copy_of(entry) for entry in node.inputs]
        chosen = self._chosen(node, inputs)
        unread = node.op.unread_inputs(node.params)
        wanted = list(inputs)
        for i, (entry, layout) in enumerate(zip(inputs, chosen.input_layouts)):
            if i in unread:
                continue
            if entry.node in self._movable:
                self._movable.discard(entry.node)
                # What flows through a network comes first, and anew with every batch: to move that is no use.
                if i > 0 and layout is not None and layout.is_dense:
                    self.result.layouts[entry] = layout
            wanted[i] = self.in_layout(entry, layout, node.serial)
        copy = node
        if tuple(wanted) != node.inputs:
            copy = Node(node.op, node.name, node.attrs, wanted, node.params, node.serial)
            self._copies[node] = copy
            self._shapes[copy], self._dtypes[copy] = self._shapes[node], self._dtypes[node]
        self.result.implementations[copy] = chosen
        for i, layout in enumerate(chosen.output_layouts):
            if layout is not None:
                self.result.layouts[Entry(copy, i)] = layout

    def _chosen(self, node: Node, inputs: Sequence[Entry]) -> Any:
        """The implementation of ``node`` on ``inputs`` as they lie: the engine's, or else the operator's own."""
        values = [
            self._described(entry)._replace(reused=self._is_reused(original, node))
            for entry, original in zip(inputs, node.inputs)
        ]
        made = [self._value(shape, dtype, None) for shape, dtype in zip(self._shapes[node], self._dtypes[node])]
        chosen = self._engine.implement(node, values, made, self._training)
        if chosen is None:
            chosen = self._fallback(node, _shared_layout(node, values, made, self._fallback))
        return chosen

    def _described(self, entry: Entry) -> Any:
        node, i = entry
        return self._value(self._shapes[node][i], self._dtypes[node][i], self.result.layouts.get(entry))

    def _is_reused(self, entry: Entry, reader: Node) -> bool:
        """Whether a conversion of ``entry`` for this kind of node serves many: alike in the graph, or run after run."""
        is_kept = entry.node.is_variable or entry.node.op.prepares_parameters
        return (is_kept and not self._training) or self._readers[entry, reader.op.name] >= WORTH_A_CONVERSION


def _shared_layout(node: Node, values: Sequence[Any], made: Sequence[Any], fallback: Fallback) -> Any:
    """The layout an element-wise node runs in: that of its first input that has one of its own.

    Padding is zero and must stay so: if there is any, the node runs there only if it makes nothing else of zeros.
    """
    dtypes = {v.dtype for v in (*values, *made)}
    if not node.op.elementwise or len(dtypes) > 1:
        return None
    layout = next((v.layout for v in values if v.layout is not None), None)
    return layout if layout is None or layout.is_dense or fallback.keeps_zero(node, *dtypes) else None
