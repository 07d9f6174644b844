"""Splitting the batch: where images are large, a few samples at a time go through the layers, instead of all.

The first layers of a network for images make arrays that no cache holds when a whole batch goes through a layer before
the next: every layer then waits for memory. Samples do not depend on each other in inference. So the layers whose
arrays are too large, and what leads to them, are there once for each half of the batch, one half after the other, and
the rows of what they give are joined for the layers behind them. What is still too large in a half is halved again, so
that each layer gets as many samples at a time as fit. Only one part's inner values exist at a time: the arena shrinks
as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ..base import MXNetError
from ..graph.node import Entry, Node, execution_order
from ..graph.registry import find

__all__ = ["split_batch"]

#: Parameters are read again for every part. What that costs must be less than this share of what it saves.
MOST_PARAMETERS = 0.5

Shapes = Mapping[Node, Sequence[tuple[int, ...]]]


def split_batch(
    outputs: Sequence[Entry], shapes: Shapes, num_bytes: Callable[[Entry], int], cache_bytes: int
) -> list[Entry]:
    """``outputs`` of an equivalent graph whose nodes each touch ``cache_bytes`` at a time, as far as that can be."""
    order = execution_order(outputs)
    touched = {node: sum(map(num_bytes, _touched(node))) for node in order if not node.is_variable}
    if max(touched.values(), default=0) <= cache_bytes:
        return list(outputs)
    samples, able = _find_samples(order, shapes, touched)
    bytes_of_one = {node: touched[node] / samples for node in able}
    large = [node for node in able if touched[node] > cache_bytes]
    inside = _leading_to(large, able)
    parts = _Parts([node for node in able if node in inside], bytes_of_one, cache_bytes)
    # What other nodes and the caller read is joined in the end.
    wanted = [entry for node in order if node not in inside for entry in node.inputs if entry.node in inside]
    joined = parts.rows(dict.fromkeys([*wanted, *(entry for entry in outputs if entry.node in inside)]), samples)
    read_again = sum((count - 1) * _parameters(node, num_bytes) for node, count in parts.copies.items())
    if read_again >= MOST_PARAMETERS * sum(touched[node] for node in large):
        return list(outputs)
    return _with_joined(order, outputs, parts, joined)


# ---- what is split --------------------------------------------------------------------------------------------------


def _with_samples(node: Node) -> list[Entry]:
    """The inputs that have samples."""
    return [node.inputs[i] for i in node.op.sample_inputs(node.params)]


def _touched(node: Node) -> set[Entry]:
    """The arrays with samples that a node reads and writes."""
    return {Entry(node), *_with_samples(node)}


def _find_samples(order: Sequence[Node], shapes: Shapes, touched: Mapping[Node, int]) -> tuple[int, dict[Node, None]]:
    """How many samples there are, and all nodes that work on those of variables and wait for nobody who mixes them.

    Where nodes disagree on the number, the one that has ``touched`` the most bytes is right.
    """
    counts = {node: count for node in order if (count := _count_samples(node, shapes)) > 1}
    largest = max(counts, key=touched.__getitem__, default=None)
    samples = 0 if largest is None else counts[largest]
    able: dict[Node, None] = {}
    behind: set[Node] = set()
    for node in order:
        sources = {source for source, _ in node.inputs}
        if counts.get(node) == samples:
            read = {source for source, _ in _with_samples(node)}
            if all(source.is_variable or source in able for source in read) and not (sources - read) & behind:
                able[node] = None
        if node in able or sources & behind:
            behind.add(node)
    return samples, able


def _count_samples(node: Node, shapes: Shapes) -> int:
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


def _leading_to(nodes: Iterable[Node], able: Collection[Node]) -> set[Node]:
    """``nodes``, and those of ``able`` that make their samples."""
    found: set[Node] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += [source for source, _ in _with_samples(node) if source in able]
    return found


def _parameters(node: Node, num_bytes: Callable[[Entry], int]) -> int:
    """Bytes of the inputs that have no samples."""
    return sum(map(num_bytes, {*node.inputs} - _touched(node)))


# ---- splitting ------------------------------------------------------------------------------------------------------


class _Parts:
    """Makes the copies of nodes for parts of the batch.

    ``made`` are the new nodes, in the order they shall run, and ``copies`` says how many there are of each.
    """

    def __init__(self, nodes: Sequence[Node], bytes_of_one: Mapping[Node, float], cache_bytes: int) -> None:
        self.nodes = nodes
        self.made: list[Node] = []
        self.copies: Counter[Node] = Counter()
        self._bytes_of_one, self._cache_bytes = bytes_of_one, cache_bytes

    def rows(self, wanted: Iterable[Entry], samples: int) -> dict[Entry, Entry]:
        """The values ``wanted`` of all samples."""
        pieces = self._pieces(self.nodes, wanted, 0, samples)
        return {entry: self._joined(entry, pieces[entry], 0, samples) for entry in wanted}

    def _pieces(
        self, nodes: Sequence[Node], wanted: Iterable[Entry], begin: int, end: int
    ) -> dict[Entry, list[Entry]]:
        """``wanted`` values of ``nodes`` for the samples from ``begin`` to ``end``, each in parts that follow.

        What is too large for all of them is made in halves first.
        """
        count = end - begin
        large = [node for node in nodes if self._bytes_of_one[node] * count > self._cache_bytes and count > 1]
        first = _leading_to(large, set(nodes))
        rest = [node for node in nodes if node not in first]
        found: dict[Entry, list[Entry]] = {}
        if first:
            read = [entry for node in rest for entry in _with_samples(node)]
            needed = dict.fromkeys(entry for entry in (*read, *wanted) if entry.node in first)
            inner, middle = [node for node in nodes if node in first], (begin + end) // 2
            halves = [self._pieces(inner, needed, *ends) for ends in ((begin, middle), (middle, end))]
            found = {entry: [piece for half in halves for piece in half[entry]] for entry in needed}
        for node in rest:
            inputs = list(node.inputs)
            for i in node.op.sample_inputs(node.params):
                entry = inputs[i]
                if entry not in found:
                    name = f"{entry.name}_{begin}_{end}"
                    found[entry] = [self._add("slice_axis", name, [entry], axis=0, begin=begin, end=end)]
                inputs[i] = self._joined(entry, found[entry], begin, end)
                found[entry] = [inputs[i]]
            copy = Node(node.op, f"{node.name}_{begin}_{end}", node.attrs, inputs, node.params)
            self.made.append(copy)
            self.copies[node] += 1
            found.update((Entry(node, i), [Entry(copy, i)]) for i in range(node.num_outputs))
        return found

    def _joined(self, entry: Entry, pieces: Sequence[Entry], begin: int, end: int) -> Entry:
        if len(pieces) == 1:
            return pieces[0]
        return self._add("Concat", f"{entry.name}_{begin}_{end}", pieces, num_args=len(pieces), dim=0)

    def _add(self, operator: str, name: str, inputs: Sequence[Entry], **params: int) -> Entry:
        node = Node(find(operator), name, {key: str(value) for key, value in params.items()}, inputs)
        self.made.append(node)
        return Entry(node)


def _with_joined(
    order: Sequence[Node], outputs: Sequence[Entry], parts: _Parts, joined: Mapping[Entry, Entry]
) -> list[Entry]:
    """The rest of the graph, reading what is ``joined``; what ran before all of that was there now runs after it."""
    inside = set(parts.nodes)
    last = parts.nodes[-1].serial
    given = [source.serial for node in inside for source, _ in node.inputs if source not in inside]
    first = max((serial for serial in given if serial < last), default=last - 1)
    _number(parts.made, first, last)
    replaced = dict(joined)
    late: list[Node] = []
    for node in order:
        inputs = tuple(replaced.get(entry, entry) for entry in node.inputs)
        if node in inside or inputs == node.inputs:
            continue
        copy = Node(node.op, node.name, node.attrs, inputs, node.params, node.serial)
        if node.serial <= last:
            late.append(copy)
        replaced.update((Entry(node, i), Entry(copy, i)) for i in range(node.num_outputs))
    _number(late, last, min((node.serial for node in order if node.serial > last), default=last + 1))
    return [replaced.get(entry, entry) for entry in outputs]


def _number(nodes: Sequence[Node], above: float, below: float) -> None:
    """Give ``nodes`` places between two others."""
    for i, node in enumerate(nodes, 1):
        node.serial = above + (below - above) * i / (len(nodes) + 1)
