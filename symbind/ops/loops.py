"""Loops: a graph that is run again and again, over the rows of arrays or while a condition holds.

The backward pass of a loop keeps the states between the steps but nothing from inside a step: it runs each step again,
with the same random numbers, before it differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from ..base import MXNetError
from .control_flow import ControlFlow, ControlFlowGradient, described, truth
from .operator import Environment, Kernel, register
from .parameter import Count, Int, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge
from .subgraph import Bound

__all__: list[str] = []


class _Roles(NamedTuple):
    """Pairs (input of the node, variable of the body), by what the loop does with them."""

    data: list[tuple[int, int]]
    """Cut along the first axis, a row for each step."""
    states: list[tuple[int, int]]
    """Replaced by an output of the body at each step."""
    others: list[tuple[int, int]]


def _rows(array: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What each step sees of an array to loop over: numbers as arrays of one."""
    return (array if array.dim() > 1 else array.unsqueeze(1)).unbind(0)


class _Loop(ControlFlow):
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
            known[i] = rules.rows(inputs[i], steps, inner[variable])
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
        rows = [(body.inputs[variable], _rows(inputs[i])) for i, variable in roles.data]
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
        known = described(inputs, self.graph_inputs(p)[-1])
        for _, variable in self.roles(p).data:
            shape, dtype = known[variable]
            known[variable] = (shape[1:] or (1,), dtype)
        return known


class _LoopGradient(ControlFlowGradient):
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

        loads = [(body.inputs[v], _rows(values[i])) for i, v in roles.data]
        loads += [(body.inputs[v], past.unbind(0)) for (_, v), past in zip(roles.states, history)]
        stores = [(_rows(outputs[i]), body.gradients[v]) for i, v in roles.data if v in requests]
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
        condition = Bound(p.graphs[0], described(inputs, p.cond_input_locs), env)
        holds = truth(self.name, condition)
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
