"""What loops and branches share: operators that run graphs of their own.

A node of these operators holds graphs (the body of a loop, the two branches of a choice), each a function of its
variables in their listed order; parameters say which input of the node is which variable. How users write them is in
:mod:`symbind.symbol.control_flow`.

A graph is bound once, as any symbol is, and then run for every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..base import MXNetError
from ..graph import registry
from ..graph.compose import apply_operator, attribute_text
from ..graph.node import Entry
from ..graph.symbol import Symbol
from .operator import Operator
from .parameter import Params
from .subgraph import DTYPES, SHAPES, Bound, Graph, Inference

__all__ = ["ControlFlow", "ControlFlowGradient", "described", "truth"]


class ControlFlow(Operator):
    """Holding graphs, and passing them on to the gradient."""

    variadic = "num_args"
    mode_dependent = True
    #: How many of the graphs, from the last, compute the outputs of the node.
    num_results = 1

    def attach(self, p, subgraphs):
        super().attach(p, subgraphs)
        graphs = tuple(map(Graph, subgraphs))
        for graph, positions in zip(graphs, self.graph_inputs(p)):
            count = self.count_inputs(p)
            if len(positions) != len(graph.names) or not all(0 <= i < count for i in positions):
                raise MXNetError(
                    f"{self.name} has {count} inputs and a graph of {len(graph.names)} variables, "
                    f"but its parameters connect them as {list(positions)}"
                )
        vars(p).update(graphs=graphs)
        self.check_outputs(p)
        return p

    def check_outputs(self, p: Params) -> None:
        """MXNetError if the graphs have other numbers of outputs than the parameters say."""
        for graph in p.graphs[-self.num_results :]:
            count = len(graph.heads)
            if count != p.num_outputs:
                raise MXNetError(f"{self.name} has a graph of {count} outputs, but num_outputs={p.num_outputs}")

    def subgraphs(self, p):
        return [graph.heads for graph in p.graphs]

    def count_inputs(self, p: Params) -> int:
        """How many values the graphs read."""
        return p.num_args - self.num_subgraphs

    def input_names(self, p):
        return [f"arg{i}" for i in range(self.count_inputs(p))]

    def auxiliary_inputs(self, p):
        found = {inputs[i] for graph, inputs in zip(p.graphs, self.graph_inputs(p)) for i in graph.auxiliary}
        return sorted(found)

    def mutated_inputs(self, p):
        return self.auxiliary_inputs(p)

    def num_visible_outputs(self, p):
        return p.num_outputs

    def num_recorded_outputs(self, p):
        return p.num_outputs

    def output_names(self, p):
        visible = ["output"] if p.num_outputs == 1 else [f"output{i}" for i in range(p.num_outputs)]
        return [*visible, *(f"hidden{i}" for i in range(self.num_outputs(p) - p.num_outputs))]

    def graph_inputs(self, p: Params) -> Sequence[Sequence[int]]:
        """For each graph, the input of the node that each of its variables is."""
        raise NotImplementedError

    def infer(
        self, rules: Inference, p: Params, inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Inference of shapes or of element types."""
        raise NotImplementedError

    def infer_shape(self, p, inputs, outputs):
        return self.infer(SHAPES, p, inputs, outputs)

    def infer_dtype(self, p, inputs, outputs):
        return self.infer(DTYPES, p, inputs, outputs)

    def gradient(self, p, x, y, dy):
        backward: Any = registry.find(f"_backward{self.name}")
        attrs = {key: attribute_text(getattr(p, key)) for key in self.parameters}
        values = [value.entries[0] for value in (*dy[: p.num_outputs], *x, *y[p.num_outputs :])]
        node = apply_operator(backward, values, attrs, hint=backward.name, subgraphs=self.subgraphs(p))
        auxiliary = self.auxiliary_inputs(p)
        return [None if i in auxiliary else Symbol([Entry(node, i)]) for i in range(len(x))]


class ControlFlowGradient(Operator):
    """The gradient with respect to all inputs of the node.

    Its inputs are the gradients of the visible outputs, the inputs of the node, and the hidden outputs.
    """

    variadic = "num_args"
    mode_dependent = True
    forward: Any
    """The operator itself."""

    def attach(self, p, subgraphs):
        return self.forward.attach(p, subgraphs)

    def subgraphs(self, p):
        return self.forward.subgraphs(p)

    def input_names(self, p):
        hidden = self.forward.num_outputs(p) - p.num_outputs
        names = [f"head_grad{i}" for i in range(p.num_outputs)]
        return [*names, *self.forward.input_names(p), *(f"hidden{i}" for i in range(hidden))]

    def mutated_inputs(self, p):
        return [p.num_outputs + i for i in self.forward.auxiliary_inputs(p)]

    def num_outputs(self, p):
        return self.forward.count_inputs(p)

    def split(self, p: Params, inputs: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Head gradients, inputs of the node, hidden outputs."""
        first, last = p.num_outputs, p.num_outputs + self.forward.count_inputs(p)
        return inputs[:first], inputs[first:last], inputs[last:]

    def infer(
        self, rules: Inference, p: Params, inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        heads, values, hidden = self.split(p, inputs)
        values = [rules.merge(x, g) for x, g in zip(values, outputs)]
        values, made = self.forward.infer(rules, p, values, [*heads, *hidden])
        return [*made[: p.num_outputs], *values, *made[p.num_outputs :]], values

    def infer_shape(self, p, inputs, outputs):
        return self.infer(SHAPES, p, inputs, outputs)

    def infer_dtype(self, p, inputs, outputs):
        return self.infer(DTYPES, p, inputs, outputs)


# ---- running a graph of a node ---------------------------------------------------------------------------------------


def described(arrays: Sequence[torch.Tensor], positions: Sequence[int]) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Shapes and types of the arrays at these positions."""
    return [(tuple(arrays[i].shape), arrays[i].dtype) for i in positions]


def truth(name: str, bound: Bound) -> Callable[[], bool]:
    """Whether the one output of a condition is true, once it has run."""
    if len(bound.outputs) != 1 or bound.outputs[0].numel() != 1:
        shapes = [tuple(output.shape) for output in bound.outputs]
        raise MXNetError(f"The condition of {name} must be one number, but has the shapes {shapes}")
    return lambda: bool(bound.outputs[0].item())
