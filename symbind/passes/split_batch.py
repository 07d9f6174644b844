"""Splitting the batch: where images are large, a few samples at a time go through the layers, instead of all.

The first layers of a network for images make arrays that no cache holds when a whole batch goes through a layer before
the next: every layer then waits for memory. Samples do not depend on each other in inference. So the layers whose
arrays are too large, and what leads to them, are there once for each part of the batch, one part after the other, and
the rows of what they give are joined for the layers behind them. Only one part's inner values exist at a time: the
arena shrinks as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..base import MXNetError
from ..graph.node import Entry, Node, execution_order
from ..graph.registry import find

__all__ = ["split_batch"]

#: Parameters are read again for every part. What that costs must be less than this share of what it saves.
MOST_PARAMETERS = 0.5


@dataclass
class _Region:
    """The nodes that run once for each part, in running order, the samples that they work on, and in how many parts."""

    nodes: list[Node]
    samples: int
    parts: int

    @property
    def cut(self) -> list[Entry]:
        """What comes from outside with samples in it."""
        inside = set(self.nodes)
        read = (node.inputs[i] for node in self.nodes for i in node.op.sample_inputs(node.params))
        return list(dict.fromkeys(entry for entry in read if entry.node not in inside))


def split_batch(
    outputs: Sequence[Entry],
    shapes: Mapping[Node, Sequence[tuple[int, ...]]],
    num_bytes: Callable[[Entry], int],
    cache_bytes: int,
) -> list[Entry]:
    """``outputs`` of an equivalent graph whose nodes each touch ``cache_bytes`` at a time, as far as that can be."""
    order = execution_order(outputs)
    region = _find_region(order, shapes, num_bytes, cache_bytes)
    return list(outputs) if region is None else _split(order, outputs, region)


# ---- what is split --------------------------------------------------------------------------------------------------


def _find_region(
    order: Sequence[Node],
    shapes: Mapping[Node, Sequence[tuple[int, ...]]],
    num_bytes: Callable[[Entry], int],
    cache_bytes: int,
) -> _Region | None:
    """The nodes that touch more than ``cache_bytes``, and those that lead to them, if they can be split with profit."""

    def samples_of(node: Node) -> int:
        """How many samples a node works on, each on its own; 0 if it mixes them."""
        if node.is_variable:
            return 0
        positions = node.op.sample_inputs(node.params)
        made = [shapes[node][i] for i in range(node.num_visible_outputs)]
        given = [shapes[entry.node][entry.index] for entry in node.inputs]
        counts = {shape[:1] for shape in (*made, *(given[i] for i in positions))}
        if not positions or len(counts) > 1:
            return 0
        # A parameter may turn out to have a number for each sample.
        one = [(1, *shape[1:]) if i in positions else shape for i, shape in enumerate(given)]
        try:
            _, found = node.op.infer_shape(node.params, one, [None] * node.num_outputs)
        except MXNetError:
            return 0
        alone = [shape is not None and shape[:1] == (1,) for shape in found[: len(made)]]
        return made[0][0] if all(alone) else 0

    def touched(node: Node) -> int:
        return sum(map(num_bytes, {Entry(node), *(node.inputs[i] for i in node.op.sample_inputs(node.params))}))

    def parameters(node: Node) -> int:
        read = set(node.op.sample_inputs(node.params))
        return sum(num_bytes(entry) for i, entry in enumerate(node.inputs) if i not in read)

    counts = {node: count for node in order if (count := samples_of(node)) > 1}
    samples = counts.get(max(counts, key=touched, default=order[0]), 0)
    # All that works on samples of variables, and waits for nobody who has seen the whole batch.
    able: set[Node] = set()
    behind: set[Node] = set()
    for node in order:
        sources = {source for source, _ in node.inputs}
        if counts.get(node) == samples:
            read = {node.inputs[i].node for i in node.op.sample_inputs(node.params)}
            if all(source.is_variable or source in able for source in read) and not (sources - read) & behind:
                able.add(node)
        if node in able or sources & behind:
            behind.add(node)
    large = [node for node in order if node in able and touched(node) > cache_bytes]
    if not large:
        return None
    nodes: set[Node] = set()
    pending = list(large)
    while pending:
        node = pending.pop()
        if node not in nodes:
            nodes.add(node)
            pending += able.intersection(node.inputs[i].node for i in node.op.sample_inputs(node.params))
    in_cache = max(1, int(samples * cache_bytes / max(map(touched, large))))
    parts = -(-samples // in_cache)
    if (parts - 1) * sum(map(parameters, nodes)) > MOST_PARAMETERS * sum(map(touched, large)):
        return None
    return _Region([node for node in order if node in nodes], samples, parts)


# ---- splitting ------------------------------------------------------------------------------------------------------


def _split(order: Sequence[Node], outputs: Sequence[Entry], region: _Region) -> list[Entry]:
    inside, cut = set(region.nodes), region.cut
    last = region.nodes[-1].serial
    given = {e.node for node in inside for e in node.inputs if e.node not in inside}
    # The copies run after all that they read, and before the original last one would have been over.
    first = max((node.serial for node in given if node.serial < last), default=last - 1)
    bounds = [region.samples * i // region.parts for i in range(region.parts + 1)]
    step = (last - first) / (region.parts * (len(cut) + len(inside)) + 1)
    serial = first
    pieces: dict[Entry, list[Entry]] = {Entry(node, i): [] for node in region.nodes for i in range(node.num_outputs)}
    for begin, end in pairwise(bounds):
        rows: dict[Entry, Entry] = {}
        for entry in cut:
            serial += step
            attrs = {"axis": "0", "begin": str(begin), "end": str(end)}
            rows[entry] = Entry(Node(find("slice_axis"), f"{entry.name}_{begin}_{end}", attrs, [entry], serial=serial))
        for node in region.nodes:
            serial += step
            read = node.op.sample_inputs(node.params)
            inputs = [rows[entry] if i in read else entry for i, entry in enumerate(node.inputs)]
            copy = Node(node.op, f"{node.name}_{begin}_{end}", node.attrs, inputs, node.params, serial)
            rows.update((Entry(node, i), Entry(copy, i)) for i in range(node.num_outputs))
        for entry, parts in pieces.items():
            parts.append(rows[entry])
    return _behind(order, outputs, inside, pieces, last)


def _behind(
    order: Sequence[Node],
    outputs: Sequence[Entry],
    inside: set[Node],
    pieces: Mapping[Entry, Sequence[Entry]],
    last: float,
) -> list[Entry]:
    """The rest of the graph, on the joined rows. What ran before the last part was there now runs after it."""
    late = [node for node in order if node.serial <= last and node not in inside]
    following = min((node.serial for node in order if node.serial > last), default=last + 1)
    step = (following - last) / (len(pieces) + len(late) + 1)
    serial = last
    replaced: dict[Entry, Entry] = {}

    def current(entry: Entry) -> Entry:
        nonlocal serial
        if entry in pieces and entry not in replaced:
            serial += step
            parts = pieces[entry]
            attrs: dict[str, Any] = {"num_args": str(len(parts)), "dim": "0"}
            replaced[entry] = Entry(Node(find("Concat"), f"{entry.node.name}_joined", attrs, parts, serial=serial))
        return replaced.get(entry, entry)

    for node in order:
        if node in inside or node.is_variable:
            continue
        inputs = tuple(map(current, node.inputs))
        if inputs != node.inputs:
            place = node.serial
            if place <= last:
                serial += step
                place = serial
            copy = Node(node.op, node.name, node.attrs, inputs, node.params, place)
            replaced.update((Entry(node, i), Entry(copy, i)) for i in range(node.num_outputs))
    return [current(entry) for entry in outputs]
