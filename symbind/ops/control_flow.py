"""Loops and branches: operators that run graphs of their own.

A node of these operators holds graphs (the body of a loop, the two branches of a choice), each a function of its
variables in their listed order; parameters say which input of the node is which variable. How users write them is in
:mod:`symbind.symbol.control_flow`.

A graph is bound once, as any symbol is, and then run for every step. The backward pass of a loop keeps the states
between the steps but nothing from inside a step: it runs each step again, with the same random numbers, before it
differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from ..base import MXNetError
from ..graph import registry
from ..graph.compose import apply_operator, attribute_text
from ..graph.node import Entry
from ..graph.symbol import Symbol
from .operator import Environment, Kernel, Operator, register
from .parameter import Count, Int, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge
from .subgraph import DTYPES, SHAPES, Bound, Graph, Inference

__all__: list[str] = []


class _ControlFlow(Operator):
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


class _ControlFlowGradient(Operator):
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


def _known(arrays: Sequence[torch.Tensor], positions: Sequence[int]) -> list[tuple[tuple[int, ...], torch.dtype]]:
    return [(tuple(arrays[i].shape), arrays[i].dtype) for i in positions]


# ---- loops ---------------------------------------------------------------------------------------------------------


class _Roles(NamedTuple):
    """Pairs (input of the node, variable of the body), by what the loop does with them."""

    data: list[tuple[int, int]]
    """Cut along the first axis, a row for each step."""
    states: list[tuple[int, int]]
    """Replaced by an output of the body at each step."""
    others: list[tuple[int, int]]


class _Loop(_ControlFlow):
    """A body that is run again and again: some outputs are stacked, the others are the states for the next step.

    Hidden outputs: the states before each step; a seed for each; how many there were, for a loop that may end early.
    """

    ends_early = False

    def roles(self, p: Params) -> _Roles:
        raise NotImplementedError

    def check_outputs(self, p):
        super().check_outputs(p)
        states = len(self.roles(p).states)
        if p.num_out_data < 0 or p.num_out_data + states != p.num_outputs:
            raise MXNetError(
                f"{self.name} has {states} states and num_out_data={p.num_out_data}, but num_outputs={p.num_outputs}"
            )

    def most_steps(self, p: Params) -> int:
        """The number of steps if parameters say it, else 0."""
        return 0

    def num_outputs(self, p):
        return p.num_outputs + len(self.roles(p).states) + 1 + self.ends_early

    def infer(self, rules, p, inputs, outputs):
        roles, body, count = self.roles(p), p.graphs[-1], p.num_out_data
        steps = self.most_steps(p)
        for stacked in (*(inputs[i] for i, _ in roles.data), *outputs[:count]):
            (steps,) = merge((steps,), (rules.steps(stacked),))
        inner: list[Any] = [None] * len(body.names)
        for i, variable in roles.data:
            inner[variable] = rules.row(inputs[i])
        for (i, variable), final in zip(roles.states, outputs[count:]):
            inner[variable] = rules.merge(inputs[i], final)
        for i, variable in roles.others:
            inner[variable] = inputs[i]
        for _ in range(2):  # a state may be known from what replaces it only
            inner, made = rules.infer(body, inner)
            for (_, variable), after in zip(roles.states, made[count:]):
                inner[variable] = rules.merge(inner[variable], after)
        known = list(inputs)
        for i, variable in roles.data:
            known[i] = rules.stack(steps, inner[variable])
        for i, variable in (*roles.states, *roles.others):
            known[i] = inner[variable]
        states = [inner[variable] for _, variable in roles.states]
        shown = [rules.stack(steps, array) for array in made[:count]] + states
        history = [rules.stack(steps, array) for array in states]
        return known, [*shown, *history, rules.counter(steps), *[rules.counter(1)] * self.ends_early]

    def kernel(self, p, inputs, outputs, env):
        roles, count = self.roles(p), p.num_out_data
        stacked, states = outputs[:count], outputs[count : p.num_outputs]
        history, seeds = outputs[p.num_outputs :][: len(states)], outputs[p.num_outputs + len(states)]
        body = Bound(p.graphs[-1], self.body_inputs(p, inputs), env)
        # Everything that a step copies, as views made once.
        rows = [(body.inputs[variable], inputs[i].unbind(0)) for i, variable in roles.data]
        kept = [(body.inputs[v], state, past.unbind(0)) for (_, v), state, past in zip(roles.states, states, history)]
        made = [(source, target.unbind(0)) for source, target in zip(body.outputs, stacked)]
        next_states = list(zip(states, body.outputs[count:]))
        is_random = any(graph.is_random for graph in p.graphs)

        def begin() -> None:
            if is_random:
                seeds.random_(generator=env.generator)
            for i, variable in roles.others:
                body.inputs[variable].copy_(inputs[i])
            for (i, _), state in zip(roles.states, states):
                state.copy_(inputs[i])

        def step(t: int) -> None:
            for variable, values in rows:
                variable.copy_(values[t])
            for variable, state, past in kept:
                past[t].copy_(state)
                variable.copy_(state)
            body.forward(seeds[t])
            for source, targets in made:
                targets[t].copy_(source)
            for state, source in next_states:
                state.copy_(source)

        def end() -> None:
            for i, variable in roles.others:
                if variable in p.graphs[-1].auxiliary:
                    inputs[i].copy_(body.inputs[variable])

        return self.loop(p, inputs, outputs, env, begin, step, end)

    def loop(
        self,
        p: Params,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        env: Environment,
        begin: Callable[[], None],
        step: Callable[[int], None],
        end: Callable[[], None],
    ) -> Kernel:
        """The call that runs ``begin``, the steps, and ``end``."""
        raise NotImplementedError

    def body_inputs(self, p: Params, inputs: Sequence[torch.Tensor]) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shapes and types of the variables of the body."""
        known = _known(inputs, self.graph_inputs(p)[-1])
        for _, variable in self.roles(p).data:
            shape, dtype = known[variable]
            known[variable] = (shape[1:], dtype)
        return known


class _LoopGradient(_ControlFlowGradient):
    """Steps from the last to the first: each is run again, and then differentiated."""

    def kernel(self, p, inputs, outputs, env):
        heads, values, hidden = self.split(p, inputs)
        roles, count = self.forward.roles(p), p.num_out_data
        history, seeds = hidden[: len(roles.states)], hidden[len(roles.states)]
        graph = p.graphs[-1]
        known = self.forward.body_inputs(p, values)
        floating = {v for v, (_, dtype) in enumerate(known) if dtype.is_floating_point} - set(graph.auxiliary)
        requests = {v: "write" for _, v in (*roles.data, *roles.states) if v in floating}
        requests.update({v: "add" for _, v in roles.others if v in floating})
        body = Bound(graph, known, env, requests)

        loads = [(body.inputs[v], values[i].unbind(0)) for i, v in roles.data]
        loads += [(body.inputs[v], past.unbind(0)) for (_, v), past in zip(roles.states, history)]
        stores = [(outputs[i].unbind(0), body.gradients[v]) for i, v in roles.data if v in requests]
        carried = [
            (outputs[i], head, body.head_gradients[count + j], body.gradients[v])
            for j, ((i, v), head) in enumerate(zip(roles.states, heads[count:]))
            if v in requests
        ]
        stacked = [(target, head.unbind(0)) for target, head in zip(body.head_gradients, heads[:count])]
        summed = [(outputs[i], body.gradients[v]) for i, v in roles.others if v in requests]

        def run() -> None:
            for i, variable in roles.others:
                body.inputs[variable].copy_(values[i])
            for output in outputs:
                output.zero_()
            for _, total in summed:
                total.zero_()
            for state, head, _, _ in carried:
                state.copy_(head)
            for t in reversed(range(int(hidden[-1]) if self.forward.ends_early else len(seeds))):
                for variable, past in loads:
                    variable.copy_(past[t])
                body.forward(seeds[t])
                for target, head in stacked:
                    target.copy_(head[t])
                for state, _, target, _ in carried:
                    target.copy_(state)
                body.backward()
                for rows, gradient in stores:
                    rows[t].copy_(gradient)
                for state, _, _, gradient in carried:
                    state.copy_(gradient)
            for output, total in summed:
                output.copy_(total)
            for i, variable in roles.others:
                if variable in graph.auxiliary:
                    values[i].copy_(body.inputs[variable])

        return run


@register
class Foreach(_Loop):
    """A loop over the rows of arrays; see :func:`symbind.symbol.control_flow.foreach`.

    Inputs: the data, the initial states, and what else the body reads. Outputs: those of each step, stacked along a
    new first axis, and the final states.
    """

    name = "_foreach"
    num_subgraphs = 1
    parameters = {
        "num_args": Param(Count, doc="Number of inputs, and one for the body."),
        "num_outputs": Param(Count, doc="Number of outputs of the body."),
        "num_out_data": Param(Count, doc="How many of them are stacked; the others are states."),
        "in_state_locs": Param(ShapeKind, doc="Which variables of the body are the states."),
        "in_data_locs": Param(ShapeKind, doc="Which variables of the body are rows of the data."),
        "remain_locs": Param(ShapeKind, doc="The other variables of the body."),
    }

    def attach(self, p, subgraphs):
        if sorted((*p.in_data_locs, *p.in_state_locs, *p.remain_locs)) != list(range(self.count_inputs(p))):
            raise MXNetError(
                f"The variables of the body of {self.name} must each have one role, but in_data_locs={p.in_data_locs}, "
                f"in_state_locs={p.in_state_locs}, remain_locs={p.remain_locs} for {self.count_inputs(p)} inputs"
            )
        return super().attach(p, subgraphs)

    def roles(self, p):
        inputs = iter(range(self.count_inputs(p)))
        parts = (p.in_data_locs, p.in_state_locs, p.remain_locs)
        return _Roles(*([(next(inputs), variable) for variable in part] for part in parts))

    def graph_inputs(self, p):
        variables = (*p.in_data_locs, *p.in_state_locs, *p.remain_locs)
        return [[variables.index(v) for v in range(len(variables))]]

    def loop(self, p, inputs, outputs, env, begin, step, end):
        steps = len(outputs[-1])

        def run() -> None:
            begin()
            for t in range(steps):
                step(t)
            end()

        return run


@register
class ForeachGradient(_LoopGradient):
    """Gradient of _foreach."""

    name = "_backward_foreach"
    forward = Foreach()
    parameters = Foreach.parameters
    num_subgraphs = Foreach.num_subgraphs


@register
class WhileLoop(_Loop):
    """A loop that goes on while a condition holds; see :func:`symbind.symbol.control_flow.while_loop`.

    Inputs: the loop variables and what else the condition and the body read. Outputs: those of each step, stacked
    along a new first axis of length ``max_iterations``, with zeros for the steps that were not made; and the final
    loop variables.
    """

    name = "_while_loop"
    num_subgraphs = 2
    ends_early = True
    parameters = {
        "num_args": Param(Count, doc="Number of inputs, and two for the condition and the body."),
        "num_outputs": Param(Count, doc="Number of outputs of the body."),
        "num_out_data": Param(Count, doc="How many of them are stacked; the others are loop variables."),
        "max_iterations": Param(Int, doc="Number of steps after which the loop ends in any case."),
        "cond_input_locs": Param(ShapeKind, doc="The inputs that the variables of the condition are."),
        "func_input_locs": Param(ShapeKind, doc="The inputs that the variables of the body are."),
        "func_var_locs": Param(ShapeKind, doc="Which variables of the body are the loop variables."),
    }

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.max_iterations <= 0:
            raise MXNetError(f"max_iterations of a loop must be positive, not {p.max_iterations}")
        if not all(0 <= i < len(p.func_input_locs) for i in p.func_var_locs):
            raise MXNetError(f"func_var_locs={p.func_var_locs} must point into func_input_locs={p.func_input_locs}")
        return p

    def most_steps(self, p):
        return p.max_iterations

    def roles(self, p):
        pairs = [(i, variable) for variable, i in enumerate(p.func_input_locs)]
        states = [pairs[variable] for variable in p.func_var_locs]
        return _Roles([], states, [pair for pair in pairs if pair not in states])

    def graph_inputs(self, p):
        return [p.cond_input_locs, p.func_input_locs]

    def infer(self, rules, p, inputs, outputs):
        known, made = super().infer(rules, p, inputs, outputs)
        told, _ = rules.infer(p.graphs[0], [known[i] for i in p.cond_input_locs])
        for i, seen in zip(p.cond_input_locs, told):
            known[i] = rules.merge(known[i], seen)
        return known, made

    def loop(self, p, inputs, outputs, env, begin, step, end):
        condition = Bound(p.graphs[0], _known(inputs, p.cond_input_locs), env)
        holds = _truth(self.name, condition)
        variables = dict(zip((i for i, _ in self.roles(p).states), outputs[p.num_out_data : p.num_outputs]))
        loads = [(x, variables.get(i, inputs[i])) for x, i in zip(condition.inputs, p.cond_input_locs)]
        stacked, seeds, count = outputs[: p.num_out_data], outputs[-2], outputs[-1]

        def run() -> None:
            begin()
            made = 0
            while made < p.max_iterations:
                for variable, value in loads:
                    variable.copy_(value)
                condition.forward(seeds[made])
                if not holds():
                    break
                step(made)
                made += 1
            count.fill_(made)
            for array in stacked:
                array[made:].zero_()
            end()

        return run


@register
class WhileLoopGradient(_LoopGradient):
    """Gradient of _while_loop; the condition has none."""

    name = "_backward_while_loop"
    forward = WhileLoop()
    parameters = WhileLoop.parameters
    num_subgraphs = WhileLoop.num_subgraphs


def _truth(name: str, bound: Bound) -> Callable[[], bool]:
    """Whether the one output of a condition is true, once it has run."""
    if len(bound.outputs) != 1 or bound.outputs[0].numel() != 1:
        shapes = [tuple(output.shape) for output in bound.outputs]
        raise MXNetError(f"The condition of {name} must be one number, but has the shapes {shapes}")
    return lambda: bool(bound.outputs[0].item())


# ---- choices -------------------------------------------------------------------------------------------------------


@register
class Cond(_ControlFlow):
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
            Bound(graph, _known(inputs, positions), env) for graph, positions in zip(p.graphs, self.graph_inputs(p))
        )
        holds = _truth(self.name, condition)
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
class CondGradient(_ControlFlowGradient):
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
            branches.append((Bound(graph, _known(values, positions), env, dict.fromkeys(wanted, "write")), positions))

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
    for variable, i in zip(bound.inputs, positions):
        variable.copy_(values[i])


def _keep_states(bound: Bound, graph: Graph, values: Sequence[torch.Tensor], positions: Sequence[int]) -> None:
    """Write what the graph made of its auxiliary states back to where they came from."""
    for variable in graph.auxiliary:
        values[positions[variable]].copy_(bound.inputs[variable])
