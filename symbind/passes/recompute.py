"""Recomputation: a value that is cheap to make again need not be kept from the forward to the backward pass.

Training keeps activations alive for the backward pass, and they are most of its memory. Some of them, such as the
output of batch normalization, are a fast function of other values that are kept anyway. Those are dropped after their
last forward use and computed a second time right before the backward pass wants them: by the same operator, or one that
is faster, because it finds statistics there that the first had to take.

A dropped value may come from others that are dropped: the outputs of residual blocks, each the sum of the one before
and of a branch whose normalization nobody keeps either. They are made again together, when the last of them is wanted,
so that only a few may follow on each other.

Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016), in its simplest case: nothing else is kept longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from ..graph.node import Entry, Node, execution_order, post_order

__all__ = ["recompute"]

# Smaller values are not worth an instruction.
SMALLEST = 1 << 18
#: How many dropped values may come from each other: all of them are there again while the first is needed.
LONGEST = 4


def recompute(heads: Sequence[Entry], gradients: Sequence[Entry], num_bytes: Callable[[Entry], int]) -> list[Entry]:
    """``gradients`` of a graph in which cheap forward values are computed again for the backward pass."""
    forward = set(post_order(heads))
    order = execution_order([*heads, *gradients])
    copies = _Chooser(order, heads, gradients, num_bytes).copies()
    if not copies:
        return list(gradients)

    rewritten: dict[Node, Node] = {}

    def current(entry: Entry) -> Entry:
        copy = copies.get(entry.node)
        if copy is not None and entry.index in entry.node.op.recomputable and num_bytes(entry) >= SMALLEST:
            return Entry(copy, entry.index)
        return Entry(rewritten.get(entry.node, entry.node), entry.index)

    for node in order:
        if node.is_variable or node in forward:
            continue
        unread = node.op.unread_inputs(node.params)
        inputs = tuple(entry if i in unread and entry.node in forward else current(entry)
                       for i, entry in enumerate(node.inputs))  # fmt: skip
        if inputs != node.inputs:
            rewritten[node] = Node(node.op, node.name, node.attrs, inputs, node.params, node.serial)
    return [current(entry) for entry in gradients]


class _Chooser:
    """Decides which forward nodes run again, and when."""

    def __init__(
        self,
        order: Sequence[Node],
        heads: Sequence[Entry],
        gradients: Sequence[Entry],
        num_bytes: Callable[[Entry], int],
    ) -> None:
        forward = set(post_order(heads))
        self._forward = [node for node in order if node in forward and not node.is_variable]
        self._heads, self._num_bytes = set(heads), num_bytes
        self._first, self._last = _backward_uses(order, forward, gradients)
        #: The nodes whose large outputs are dropped, each with the number of such that its inputs come from.
        self._dropped: dict[Node, int] = {}
        #: Nodes on the way to those, of which the backward pass itself wants nothing large.
        self._passing: set[Node] = set()

    def copies(self) -> dict[Node, Node]:
        """The second run of each node that has one."""
        begin: dict[Node, float] = {}
        for node in self._forward:
            if self._drop(node):
                begin[node] = min(self._first[e] for e in self._large(node) if e in self._first)
        # What a value is made of must be there before it.
        for node in reversed(self._forward):
            for source, _ in node.inputs if node in begin else ():
                if source in self._dropped or source in self._passing:
                    begin[source] = min(begin.get(source, begin[node]), begin[node])
        again = [node for node in self._forward if node in begin]
        copies: dict[Node, Node] = {}
        for i, node in enumerate(again):
            inputs = [
                Entry(copies[e.node], e.index) if e.node in copies and e in self._large(e.node) else e
                for e in node.inputs
            ]
            serial = begin[node] - 0.75 + 0.2 * i / len(again)
            operator, inputs, params = node.op.again(node, inputs)
            copies[node] = Node(operator, f"{node.name}_again", None, inputs, params, serial)
        return copies

    def _large(self, node: Node) -> list[Entry]:
        """Outputs that could be computed again, and are worth it."""
        entries = [Entry(node, i) for i in node.op.recomputable]
        return [entry for entry in entries if self._num_bytes(entry) >= SMALLEST]

    def _drop(self, node: Node) -> bool:
        """Drop the large outputs of ``node``, if that frees memory and keeps nothing else alive for longer."""
        wanted = [entry for entry in self._large(node) if entry in self._last]
        if not wanted or not self._heads.isdisjoint(wanted):
            return False
        begin = min(self._first.get(entry, inf) for entry in wanted)
        passing, before = [], 0
        for entry in node.inputs:
            if entry.node in self._dropped:
                before = max(before, self._dropped[entry.node])
            elif not self._is_there(entry, begin):
                if not self._may_pass(entry.node, begin):
                    return False
                passing.append(entry.node)
        if before == LONGEST:
            return False
        self._dropped[node] = before + 1
        self._passing.update(passing)
        return True

    def _is_there(self, entry: Entry, begin: float) -> bool:
        """Whether somebody keeps ``entry`` until the backward node ``begin`` anyway."""
        kept = self._last.get(entry, 0) >= begin and entry.node not in self._dropped
        return kept or entry.node.is_variable or entry in self._heads

    def _may_pass(self, node: Node, begin: float) -> bool:
        """Whether the node can run again on what is there, and the backward pass has no other use for its output."""
        if node.is_variable or not node.op.recomputable or any(entry in self._last for entry in self._large(node)):
            return False  # what small it gives besides is kept
        return all(self._is_there(entry, begin) for entry in node.inputs)


def _backward_uses(
    order: Sequence[Node], forward: set[Node], gradients: Sequence[Entry]
) -> tuple[dict[Entry, float], dict[Entry, float]]:
    """The serials of the first and the last backward node that reads each forward value."""
    first: dict[Entry, float] = {}
    last: dict[Entry, float] = {}
    for node in order:
        if node.is_variable or node in forward:
            continue
        unread = node.op.unread_inputs(node.params)
        for i, entry in enumerate(node.inputs):
            if i not in unread and entry.node in forward:
                first.setdefault(entry, node.serial)
                last[entry] = node.serial
    for entry in gradients:
        if entry.node in forward:  # handed out as it is: it has to stay
            last[entry] = inf
    return first, last
