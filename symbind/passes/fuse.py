"""Fusing: several nodes become one where an engine has a kernel that does their work together.

What can be fused is the engine's knowledge, told in patterns. The pass finds where they apply and makes sure that no
value is lost: one that is used outside of what is fused must be given by the new nodes too, or all stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ..graph.node import Entry, Node, execution_order

__all__ = ["Fusion", "Pattern", "Users", "fuse"]

#: ``users(value)``: the nodes that read a value; whoever takes the outputs of the graph counts as a variable.
Users = Callable[[Entry], Collection[Node]]


class Fusion(NamedTuple):
    """Nodes that can go, and which values of new nodes are those of theirs. Others of their values are lost.

    New nodes run at the place of the last of ``nodes``, and must take over its serial; what they read has to be there
    before, with a smaller serial.
    """

    nodes: Collection[Node]
    values: Mapping[Entry, Entry]


class Pattern(NamedTuple):
    """Something to look for.

    ``last`` names the operators that the last of the nodes may have. ``rewrite(node, users)`` is asked about each such
    node; it looks at what leads to it and returns what to do, or None if this is not it. Whether somebody else needs
    the values is not its concern.
    """

    last: Collection[str]
    rewrite: Callable[[Node, Users], Fusion | None]


def fuse(outputs: Sequence[Entry], patterns: Sequence[Pattern]) -> list[Entry]:
    """``outputs`` of an equivalent graph in which ``patterns`` are applied where they can be.

    Nodes are visited in running order, so that a chain grows from its start: the first pattern that fits a node is
    applied, and what it makes is looked at again.
    """
    by_operator: dict[str, list[Pattern]] = {}
    for pattern in patterns:
        for name in pattern.last:
            by_operator.setdefault(name, []).append(pattern)
    graph = _Graph(outputs)
    for original in execution_order(outputs):
        node = None if original.is_variable else graph.brought_up_to_date(original)
        while node is not None:
            node = _fuse_once(graph, node, by_operator.get(node.op.name, ()))
    return [graph.current(entry) for entry in outputs]


def _fuse_once(graph: _Graph, node: Node, patterns: Sequence[Pattern]) -> Node | None:
    """Apply the first pattern that fits; returns the node that stands in the place of ``node``, None if none did."""
    for pattern in patterns:
        fusion = pattern.rewrite(node, graph.users)
        if fusion is not None and graph.keeps_all(fusion, node):
            graph.replace(fusion)
            return graph.current(Entry(node)).node
    return None


class _Graph:
    """A graph in the course of being rewritten, from its inputs on: who reads what, and what has been replaced."""

    def __init__(self, outputs: Sequence[Entry]) -> None:
        self._users: dict[Entry, dict[Node, None]] = {}
        self._replaced: dict[Entry, Entry] = {}
        self._known: set[Node] = set()
        self._add(outputs)
        caller = Node(None, "caller")
        for entry in outputs:
            self._users.setdefault(entry, {})[caller] = None

    def current(self, entry: Entry) -> Entry:
        """The value that ``entry`` has become."""
        while entry in self._replaced:
            entry = self._replaced[entry]
        return entry

    def users(self, entry: Entry) -> Collection[Node]:
        return self._users.get(entry, {}).keys()

    def brought_up_to_date(self, node: Node) -> Node:
        """``node``, or the copy of it that reads what its inputs have become."""
        inputs = tuple(map(self.current, node.inputs))
        if inputs == node.inputs:
            return node
        copy = Node(node.op, node.name, node.attrs, inputs, node.params, node.serial)
        self.replace(Fusion([node], {Entry(node, i): Entry(copy, i) for i in range(node.num_outputs)}))
        return copy

    def keeps_all(self, fusion: Fusion, last: Node) -> bool:
        """Whether everybody else who reads values of the fused nodes still finds them, and in time."""
        for node in fusion.nodes:
            for entry in (Entry(node, i) for i in range(node.num_outputs)):
                others = [user for user in self.users(entry) if user not in fusion.nodes]
                if others and entry not in fusion.values:
                    return False
                if any(user.serial < last.serial for user in others if not user.is_variable):
                    return False
        return True

    def replace(self, fusion: Fusion) -> None:
        """Let the new nodes take over from the fused ones."""
        for node in fusion.nodes:
            for entry in map(self.current, node.inputs):
                self._users[entry].pop(node, None)
        self._add(fusion.values.values())
        for old, new in fusion.values.items():
            self._users.setdefault(new, {}).update(self._users.pop(old, {}))
            self._replaced[old] = new

    def _add(self, entries: Iterable[Entry]) -> None:
        """Note what the nodes read that ``entries`` come from."""
        pending = [entry.node for entry in entries]
        while pending:
            node = pending.pop()
            if node not in self._known:
                self._known.add(node)
                for entry in node.inputs:
                    self._users.setdefault(entry, {})[node] = None
                    pending.append(entry.node)
