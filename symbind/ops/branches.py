"""Branches: one of two graphs, as a condition says."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .control_flow import ControlFlow, ControlFlowGradient, described, truth
from .operator import register
from .parameter import Count, Param
from .parameter import Shape as ShapeKind
from .subgraph import Bound, Graph

__all__: list[str] = []


@register
class Cond(ControlFlow):
    """One of two branches, as a condition says; see :func:`symbind.symbol.control_flow.cond`.

    Hidden outputs: the number of the branch, and a seed.
    """

    name = "_cond"
    num_subgraphs = 3
    num_results = 2
    parameters = {
        "num_args": Param(Count, doc="Number of inputs, and three for the condition and the branches."),
        "num_outputs": Param(Count, doc="Number of outputs of either branch."),
        "cond_input_locs": Param(ShapeKind, doc="The inputs that the variables of the condition are."),
        "then_input_locs": Param(ShapeKind, doc="The inputs that the variables of the first branch are."),
        "else_input_locs": Param(ShapeKind, doc="The inputs that the variables of the second branch are."),
    }

    def graph_inputs(self, p):
        return [p.cond_input_locs, p.then_input_locs, p.else_input_locs]

    def num_outputs(self, p):
        return p.num_outputs + 2

    def infer(self, rules, p, inputs, outputs):
        known, made = list(inputs), list(outputs[: p.num_outputs])
        for graph, positions in zip(p.graphs, self.graph_inputs(p)):
            told, results = rules.infer(graph, [known[i] for i in positions])
            for i, seen in zip(positions, told):
                known[i] = rules.merge(known[i], seen)
            if graph is not p.graphs[0]:
                made = [rules.merge(a, b) for a, b in zip(made, results)]
        return known, [*made, rules.counter(1), rules.counter(1)]

    def kernel(self, p, inputs, outputs, env):
        condition, *branches = (
            Bound(graph, described(inputs, positions), env) for graph, positions in zip(p.graphs, self.graph_inputs(p))
        )
        holds = truth(self.name, condition)
        *results, number, seed = outputs

        def run() -> None:
            seed.random_(generator=env.generator)
            _load(condition, inputs, p.cond_input_locs)
            condition.forward(seed)
            chosen = 0 if holds() else 1
            number.fill_(chosen)
            branch, positions = branches[chosen], self.graph_inputs(p)[1 + chosen]
            _load(branch, inputs, positions)
            branch.forward(seed)
            for target, source in zip(results, branch.outputs):
                target.copy_(source)
            _keep_states(branch, p.graphs[1 + chosen], inputs, positions)

        return run


@register
class CondGradient(ControlFlowGradient):
    """Gradient of _cond: that of the branch which was taken; the condition has none."""

    name = "_backward_cond"
    forward = Cond()
    parameters = Cond.parameters
    num_subgraphs = Cond.num_subgraphs

    def kernel(self, p, inputs, outputs, env):
        heads, values, (number, seed) = self.split(p, inputs)
        branches = []
        for graph, positions in zip(p.graphs[1:], self.forward.graph_inputs(p)[1:]):
            wanted = [v for v, i in enumerate(positions) if values[i].is_floating_point() and v not in graph.auxiliary]
            bound = Bound(graph, described(values, positions), env, dict.fromkeys(wanted, "write"))
            branches.append((bound, positions))

        def run() -> None:
            branch, positions = branches[int(number)]
            _load(branch, values, positions)
            branch.forward(seed)
            for target, head in zip(branch.head_gradients, heads):
                target.copy_(head)
            branch.backward()
            for output in outputs:
                output.zero_()
            for gradient, i in zip(branch.gradients, positions):
                if gradient is not None:
                    outputs[i].add_(gradient)
            _keep_states(branch, p.graphs[1 + int(number)], values, positions)

        return run


def _load(bound: Bound, values: Sequence[torch.Tensor], positions: Sequence[int]) -> None:
    """Give the graph its inputs, those of the node at ``positions``."""
    for variable, i in zip(bound.inputs, positions):
        variable.copy_(values[i])


def _keep_states(bound: Bound, graph: Graph, values: Sequence[torch.Tensor], positions: Sequence[int]) -> None:
    """Write what the graph made of its auxiliary states back to where they came from."""
    for variable in graph.auxiliary:
        values[positions[variable]].copy_(bound.inputs[variable])
