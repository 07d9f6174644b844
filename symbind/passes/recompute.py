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
    again = _Chooser(order, forward, heads, gradients, num_bytes).run_again()
    if not again:
        return list(gradients)

    rewritten: dict[Node, Node] = {}

    def current(entry: Entry) -> Entry:
        return again.get(entry) or Entry(rewritten.get(entry.node, entry.node), entry.index)

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
        forward: set[Node],
        heads: Sequence[Entry],
        gradients: Sequence[Entry],
        num_bytes: Callable[[Entry], int],
    ) -> None:
        self._forward = [node for node in order if node in forward and not node.is_variable]
        #: What the caller gets: it is there to the end.
        self._given = {*heads, *(entry for entry in gradients if entry.node in forward)}
        self._num_bytes = num_bytes
        self._first, self._last = _backward_uses(order, forward)
        #: The nodes whose large outputs are dropped, each with the number of such that its inputs come from.
        self._dropped: dict[Node, int] = {}
        #: The backward node that first wants what is computed again. Nodes on the way to those that are dropped, of
        #: which the backward pass itself wants nothing large, are here as well.
        self._begin: dict[Node, float] = {}

    def run_again(self) -> dict[Entry, Entry]:
        """By value that is computed a second time: where it then comes from."""
        for node in self._forward:
            self._drop(node)
        # What a value is made of must be there before it.
        for node in reversed(self._forward):
            for source, _ in node.inputs if node in self._begin else ():
                if source in self._begin:
                    self._begin[source] = min(self._begin[source], self._begin[node])
        nodes = [node for node in self._forward if node in self._begin]
        again: dict[Entry, Entry] = {}
        for i, node in enumerate(nodes):
            serial = self._begin[node] - 0.75 + 0.2 * i / len(nodes)
            operator, inputs, params = node.op.again(node, [again.get(entry, entry) for entry in node.inputs])
            copy = Node(operator, f"{node.name}_again", None, inputs, params, serial)
            again.update({entry: Entry(copy, entry.index) for entry in self._large(node)})
        return again

    def _large(self, node: Node) -> list[Entry]:
        """Outputs that could be computed again, and are worth it."""
        entries = [Entry(node, i) for i in node.op.recomputable]
        return [entry for entry in entries if self._num_bytes(entry) >= SMALLEST]

    def _drop(self, node: Node) -> None:
        """Drop the large outputs of ``node``, if that frees memory and keeps nothing else alive for longer."""
        wanted = [entry for entry in self._large(node) if entry in self._last]
        if not wanted or not self._given.isdisjoint(wanted):
            return
        begin = min(self._first[entry] for entry in wanted)
        passing, before = [], 0
        for entry in node.inputs:
            if entry.node in self._dropped:
                before = max(before, self._dropped[entry.node])
            elif not self._is_there(entry, begin):
                if not self._may_pass(entry.node, begin):
                    return
                passing.append(entry.node)
        if before < LONGEST:
            self._dropped[node] = before + 1
            for made in (node, *passing):
                self._begin[made] = min(self._begin.get(made, begin), begin)

    def _is_there(self, entry: Entry, begin: float) -> bool:
        """Whether somebody keeps ``entry`` until the backward node ``begin`` anyway."""
        kept = self._last.get(entry, 0) >= begin and entry.node not in self._dropped
        return kept or entry.node.is_variable or entry in self._given

    def _may_pass(self, node: Node, begin: float) -> bool:
        """Whether the node can run again on what is there, and the backward pass has no other use for its output."""
        if node.is_variable or not node.op.recomputable or any(entry in self._last for entry in self._large(node)):
            return False  # what small it gives besides is kept
        return all(self._is_there(entry, begin) for entry in node.inputs)


def _backward_uses(order: Sequence[Node], forward: set[Node]) -> tuple[dict[Entry, float], dict[Entry, float]]:
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
    return first, last
