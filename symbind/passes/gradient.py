"""Reverse-mode differentiation: a graph in, the graph of its gradient out.

The rule of each operator lives with the operator; this pass walks the graph backwards, hands every node the gradients
of its outputs, and adds up where a value was used more than once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..base import MXNetError
from ..graph.attribute import no_attributes
from ..graph.naming import NameManager, Prefix
from ..graph.node import Entry, Node, post_order
from ..graph.symbol import Symbol, apply
from ..ops.operator import ZERO

__all__ = ["Gradient", "build_gradient", "gradient_symbol"]


class Gradient(NamedTuple):
    """The gradient of some heads.

    ``of`` holds the value for each variable that the heads depend on smoothly; a variable that only reaches them
    through labels and states is absent. ``head_gradients`` are the variables that stand for the gradients of the
    heads, in their order; None for a head that needs none because only losses lie behind it.

    ``names`` says what values on the way are: ``fc_backward_output0`` is what the first input of the node ``fc`` gets
    from it, without a number if it has but one; ``sum_grad_output`` is the sum for a value used more than once.
    """

    of: dict[Node, Entry]
    head_gradients: list[Entry | None]
    names: dict[Entry, str]


def build_gradient(heads: Sequence[Entry], wanted: Collection[Node]) -> Gradient:
    """The gradient of ``heads`` with respect to the variables ``wanted``; nothing else is built."""
    order = post_order(heads)
    leads_to_wanted = set(wanted)
    for node in order:
        if any(source in leads_to_wanted for source, _ in node.inputs):
            leads_to_wanted.add(node)

    # Per value: the symbol of its gradient so far, or ZERO.
    gradients: dict[Entry, Symbol | object] = {}
    summed: dict[Entry, None] = {}
    names: dict[Entry, str] = {}

    def contribute(entry: Entry, gradient: Symbol | object | None) -> None:
        if gradient is None or entry.node not in leads_to_wanted:
            return
        so_far = gradients.get(entry)
        if so_far is None or so_far is ZERO:
            gradients[entry] = gradient
        elif gradient is not ZERO:
            # Added as soon as both are there, so that the parts need not be kept until the last one comes.
            gradients[entry] = apply("_grad_add", so_far, gradient)  # type: ignore[arg-type]
            summed[entry] = None

    head_variables = []
    with no_attributes():
        with NameManager():
            for entry in heads:
                variable = Symbol([Entry(Node(None, f"{entry.name}_grad"))])
                head_variables.append(variable.entries[0])
                contribute(entry, variable)

        for node in reversed(order):
            if node.is_variable or node not in leads_to_wanted:
                continue
            outputs = [Entry(node, i) for i in range(node.num_outputs)]
            arrived = [gradients.get(entry) for entry in outputs]
            if all(g is None for g in arrived):
                continue
            several = len(node.inputs) - len(node.auxiliary_inputs) > 1
            passed_on = [gradient.entries[0] for gradient in arrived if isinstance(gradient, Symbol)]
            with Prefix(f"{node.name}_backward_"):
                for i, (entry, gradient) in enumerate(zip(node.inputs, _node_gradient(node, outputs, arrived))):
                    contribute(entry, gradient)
                    if isinstance(gradient, Symbol) and gradient.entries[0] not in passed_on:
                        name = f"{node.name}_backward_output{i if several else ''}"
                        names.setdefault(gradient.entries[0], name)

        of: dict[Node, Entry] = {}
        with Prefix("gradient_"):
            for node in wanted:
                found = gradients.get(Entry(node))
                if found is ZERO:
                    found = apply("zeros_like", Symbol([Entry(node)]))
                if found is not None:
                    of[node] = found.entries[0]  # type: ignore[attr-defined]

    for entry in summed:
        names[gradients[entry].entries[0]] = "sum_grad_output"  # type: ignore[union-attr]
    used = set(post_order(of.values()))
    return Gradient(of, [v if v.node in used else None for v in head_variables], names)


def _node_gradient(node: Node, outputs: Sequence[Entry], arrived: Sequence[Symbol | object | None]) -> Sequence[object]:
    """The gradients of one node's inputs."""
    if all(g is None or g is ZERO for g in arrived):
        return [ZERO] * len(node.inputs)
    values = [Symbol([entry]) for entry in outputs]
    heads = [
        apply("zeros_like", y) if g is None or g is ZERO else g  # an output that nothing was computed from
        for g, y in zip(arrived, values)
    ]
    try:
        result = node.op.gradient(node.params, [Symbol([e]) for e in node.inputs], values, heads)
    except MXNetError as error:
        raise MXNetError(f"Cannot differentiate node {node.name}: {error}") from error
    if len(result) != len(node.inputs):
        raise MXNetError(f"The gradient of {node.op.name} gave {len(result)} values for {len(node.inputs)} inputs")
    return result


def gradient_symbol(symbol: Symbol, names: Sequence[str]) -> Symbol:
    """:meth:`Symbol.gradient`: one output per name in ``names``."""
    arguments = {node.name: node for node in symbol._variables(auxiliary=False)}
    for name in names:
        if name not in arguments:
            raise ValueError(f"{name!r} is not an argument of {symbol!r}; its arguments are {list(arguments)}")
    wanted = [arguments[name] for name in names]
    gradient = build_gradient(symbol.entries, wanted)
    with no_attributes(), Prefix("gradient_"):
        return Symbol(
            [
                gradient.of[node] if node in gradient.of else apply("zeros_like", Symbol([Entry(node)])).entries[0]
                for node in wanted
            ]
        )
