"""Nodes and entries: the graph itself, and the one walk over it that everything else uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .registry import OperatorType

__all__ = ["Entry", "Node", "execution_order", "post_order"]

_serials = itertools.count()


class Node:
    """An operator applied to inputs, or a variable (``op is None``).

    A node never changes what it computes: ``op``, ``params`` and ``inputs`` are fixed at construction, so the inputs
    of a node are always older than the node. Only the string attributes may be edited, for annotations.

    ``serial`` counts nodes as they are made; sorting by it is a topological order, and the one in which programs run.
    A rewritten copy of a node keeps the original's place by taking over its serial.

    ``versions`` and ``control_deps`` are only set on nodes that come from a file: what it says of how often each input
    had been updated, and which nodes run before this one though it reads nothing of theirs. They belong to the graph,
    are listed and written back; programs, in which nodes do nothing but make values, have no need of them.
    """

    __slots__ = ("__weakref__", "attrs", "control_deps", "inputs", "name", "op", "params", "serial", "versions")

    def __init__(
        self,
        op: OperatorType | None,
        name: str,
        attrs: dict[str, str] | None = None,
        inputs: Sequence[Entry] = (),
        params: Any = None,
        serial: float | None = None,
        versions: Sequence[int] | None = None,
        control_deps: Sequence[Node] = (),
    ) -> None:
        # An OperatorType, or None; the rooms above know it as the fuller Operator that it is.
        self.op: Any = op
        self.name = name
        self.attrs = {} if attrs is None else attrs
        self.inputs = tuple(inputs)
        self.serial: float = next(_serials) if serial is None else serial
        self.versions = versions
        self.control_deps = tuple(control_deps)
        # Parsed once; a copy of a node passes its own along.
        self.params = op.parse(self.attrs, name) if op is not None and params is None else params

    def copy(self, copies: Mapping[Node, Node], inputs: Sequence[Entry], name: str | None = None) -> Node:
        """This node on other ``inputs``, and behind the ``copies`` of the nodes that it comes after."""
        control_deps = [copies.get(node, node) for node in self.control_deps]
        return Node(
            self.op,
            self.name if name is None else name,
            dict(self.attrs),
            inputs,
            self.params,
            versions=self.versions,
            control_deps=control_deps,
        )

    @property
    def is_variable(self) -> bool:
        """Whether the node is an input of the graph rather than an operator."""
        return self.op is None

    @property
    def num_outputs(self) -> int:
        """Values produced, hidden ones included."""
        return 1 if self.op is None else self.op.num_outputs(self.params)

    @property
    def num_visible_outputs(self) -> int:
        """How many outputs users see: the first ones; the others are for the gradient."""
        return 1 if self.op is None else self.op.num_visible_outputs(self.params)

    @property
    def auxiliary_inputs(self) -> Sequence[int]:
        """Positions of the inputs that are auxiliary states, which the operator updates."""
        return () if self.op is None else self.op.auxiliary_inputs(self.params)

    @property
    def subgraphs(self) -> Sequence[Sequence[Entry]]:
        """The heads of the graphs that the node runs, such as the body of a loop."""
        return () if self.op is None else self.op.subgraphs(self.params)

    def output_name(self, index: int) -> str:
        """The name under which output ``index`` is listed: ``fc1_output``, ``split0_output1``, ``data``."""
        if self.op is None:
            return self.name
        suffixes = self.op.output_names(self.params)
        if suffixes is not None:
            return f"{self.name}_{suffixes[index]}"
        return f"{self.name}_output" if self.num_outputs == 1 else f"{self.name}_output{index}"

    def __repr__(self) -> str:
        return f"<Node {self.name}: {self.op.name if self.op else 'variable'}>"


class Entry(NamedTuple):
    """One value of the graph: output ``index`` of ``node``."""

    node: Node
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody needs here

    @property
    def name(self) -> str:
        """What the value is called in lists of outputs."""
        return self.node.output_name(self.index)


def post_order(entries: Iterable[Entry]) -> list[Node]:
    """All nodes that ``entries`` depend on, each once, inputs before users, depth first and left to right.

    This order is part of the interface: arguments, auxiliary states and JSON nodes are listed in it. What a node comes
    after without reading it is visited behind its inputs.
    """
    return _walk(entries, lambda node: itertools.chain((source for source, _ in node.inputs), node.control_deps))


def execution_order(entries: Iterable[Entry]) -> list[Node]:
    """All nodes whose values ``entries`` are made from, in the order in which they were made.

    Unlike :func:`post_order` this keeps the gradient of a layer together, as the gradient pass made it, so values die
    as early as they can.
    """
    return sorted(_walk(entries, lambda node: (source for source, _ in node.inputs)), key=lambda node: node.serial)


def _walk(entries: Iterable[Entry], before: Callable[[Node], Iterator[Node]]) -> list[Node]:
    """Depth first, with a stack of its own, so that the depth of a graph is limited by memory alone."""
    order: list[Node] = []
    seen: set[Node] = set()
    for head in entries:
        if head.node in seen:
            continue
        seen.add(head.node)
        stack = [(head.node, before(head.node))]
        while stack:
            node, pending = stack[-1]
            for child in pending:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, before(child)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order
