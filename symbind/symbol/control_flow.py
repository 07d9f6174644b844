"""``mx.sym.contrib.foreach``, ``while_loop`` and ``cond``: loops and branches as nodes of a graph.

The functions that users give are called once, on variables that stand for the values of one step. What they return is
cut out of the surrounding graph and becomes a graph inside the node: values from outside, variables among them, become
further variables of it, and further inputs of the node.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..graph import registry
from ..graph.attribute import AttrScope, current_attributes
from ..graph.compose import apply_operator, attribute_text, substitute
from ..graph.node import Entry, Node, post_order
from ..graph.symbol import Symbol, apply, var
from ..nested import flatten, like, nesting

__all__ = ["cond", "foreach", "while_loop"]

# The attribute by which nodes know the graph they were made for.
MARK = "__subgraph_name__"


class _Counters(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, Iterator[int]] = defaultdict(itertools.count)


_counters = _Counters()


# ---- graphs inside nodes -------------------------------------------------------------------------------------------


class _Inner(NamedTuple):
    """A graph that was cut out."""

    heads: list[Entry]
    variables: list[Node]
    outside: dict[Node, Entry]
    """For the variables that stand for values from outside, these values."""

    def source(self, variable: Node) -> Entry:
        """The value outside that ``variable`` is."""
        return self.outside.get(variable, Entry(variable))


def _unique_mark(name: str) -> str:
    """A name for a new graph; inside another one it begins with that one's."""
    outer = current_attributes().get(MARK)
    name = name if outer is None else f"{outer}${name}"
    return f"{name}{next(_counters.by_name[name])}"


def _placeholders(symbols: Sequence[Symbol]) -> list[Symbol]:
    """Variables that stand for ``symbols`` in the graph that is being made."""
    entries = [symbol.entries[0] for symbol in symbols]
    return [var(f"{entry.node.name}-{entry.index}") for entry in entries]


def _cut_out(outputs: Sequence[Symbol], states: Sequence[Symbol], mark: str) -> _Inner:
    """The graph of ``outputs`` and ``states``, as far as it was made under ``mark``.

    Every head is a node of its own operator in the graph, and no state is a node that gives an output, too: there is
    a copying node for what is not. To be called where ``mark`` is the current one.
    """
    heads: list[Entry] = []
    output_names = {symbol.name for symbol in outputs}
    for position, symbol in enumerate((*outputs, *states)):
        (entry,) = symbol.entries
        is_state = position >= len(outputs)
        if entry.node.is_variable or entry.node.attrs.get(MARK) != mark or (is_state and symbol.name in output_names):
            (entry,) = apply("identity", symbol).entries
        heads.append(entry)

    def is_inside(node: Node) -> bool:
        return node.attrs.get(MARK) == mark

    crossing: dict[Entry, Entry] = {}
    for node in post_order(heads):
        if is_inside(node):
            for entry in node.inputs:
                if not is_inside(entry.node) and entry not in crossing:
                    crossing[entry] = Entry(Node(None, entry.name))
    heads = substitute(heads, crossing)
    variables = [node for node in post_order(heads) if node.is_variable]
    return _Inner(heads, variables, {new.node: old for old, new in crossing.items()})


def _make_node(
    operator: str, inputs: Sequence[Entry], graphs: Sequence[_Inner], count: int, **params: Any
) -> Iterator[Symbol]:
    """The outputs of a new node."""
    params.update(num_args=len(inputs) + len(graphs), num_outputs=count)
    attrs = {key: attribute_text(value) for key, value in params.items()}
    node = apply_operator(
        registry.find(operator),
        inputs,
        {**attrs, **current_attributes()},
        hint=operator,
        subgraphs=[graph.heads for graph in graphs],
    )
    return (Symbol([Entry(node, i)]) for i in range(count))


def _expand(values: Any) -> Any:
    """``values`` with a list in place of each symbol of several outputs."""
    if isinstance(values, Symbol):
        return values if len(values.entries) == 1 else list(values)
    return [_expand(value) for value in values] if isinstance(values, (list, tuple)) else values


# ---- what users call -----------------------------------------------------------------------------------------------


def foreach(
    body: Callable[[Any, Any], tuple[Any, Any]], data: Any, init_states: Any, name: str = "foreach"
) -> tuple[Any, Any]:
    r"""A loop over the first axis of arrays: :math:`(y_t, s_{t+1}) = body(x_t, s_t)`.

    ``data`` and ``init_states`` are symbols or (nested) lists of them; ``body(rows, states)`` gets and returns symbols
    in the same nesting, the states in that of ``init_states``. Returns the outputs, stacked along a new first axis,
    and the final states. Gradients flow to the data, the initial states, and all that the body reads from outside.
    Rows of an array with a single axis are arrays of one number.

    Raises TypeError for what is no symbol, ValueError if the body returns states in another nesting, AssertionError
    if it leaves data or states unused.
    """
    data, init_states = _expand(data), _expand(init_states)
    rows, states = flatten(data, Symbol, "foreach input"), flatten(init_states, Symbol, "foreach states")
    mark = _unique_mark(name)
    with AttrScope(**{MARK: mark}):
        row_variables, state_variables = _placeholders(rows), _placeholders(states)
        result = body(like(data, iter(row_variables)), like(init_states, iter(state_variables)))
        outputs, new_states = map(_expand, result)
        flat_outputs = flatten(outputs, Symbol, "foreach output")
        flat_states = flatten(new_states, Symbol, "foreach loop_vars")
        if nesting(new_states) != nesting(init_states):
            raise ValueError("The input and output loop_vars have different format")
        graph = _cut_out(flat_outputs, flat_states, mark)

    def places(placeholders: Sequence[Symbol], what: str) -> list[int]:
        nodes = [symbol.entries[0].node for symbol in placeholders]
        if any(node not in graph.variables for node in nodes):
            raise AssertionError(f"the {what} arrays have to be used in the loop body")
        return [graph.variables.index(node) for node in nodes]

    in_data, in_states = places(row_variables, "data"), places(state_variables, "state")
    remaining = [i for i in range(len(graph.variables)) if i not in {*in_data, *in_states}]
    results = _make_node(
        "_foreach",
        [*(s.entries[0] for s in (*rows, *states)), *(graph.source(graph.variables[i]) for i in remaining)],
        [graph],
        len(graph.heads),
        num_out_data=len(flat_outputs),
        in_data_locs=in_data,
        in_state_locs=in_states,
        remain_locs=remaining,
    )
    return like(outputs, results), like(new_states, results)


class _Inputs:
    """The inputs of a node that holds several graphs.

    A placeholder is one input for all graphs, and with ``share`` so is a variable from outside.
    """

    def __init__(self, share: bool) -> None:
        self.entries: list[Entry] = []
        self._share = share
        self._place_of: dict[Any, int] = {}

    def places(self, graph: _Inner, placeholders: Sequence[Symbol] = (), values: Sequence[Symbol] = ()) -> list[int]:
        """For each variable of ``graph`` the number of the input that it is."""
        number = {symbol.entries[0].node: k for k, symbol in enumerate(placeholders)}
        listed = []
        for variable in graph.variables:
            k = number.get(variable)
            source = graph.source(variable) if k is None else values[k].entries[0]
            key = k if k is not None else source if self._share and source.node.is_variable else variable
            if key not in self._place_of:
                self._place_of[key] = len(self.entries)
                self.entries.append(source)
            listed.append(self._place_of[key])
        return listed


def while_loop(
    cond: Callable[..., Symbol],
    func: Callable[..., tuple[Any, Any]],
    loop_vars: Any,
    max_iterations: int | None = None,
    name: str = "while_loop",
) -> tuple[Any, Any]:
    r"""A loop that goes on while a condition holds: :math:`(y_t, v_{t+1}) = func(v_t)` while :math:`cond(v_t)`.

    ``loop_vars`` is a symbol or a list; both functions get them one by one. ``cond`` returns one number; ``func``
    returns outputs (a symbol, a nested list, or None) and new loop variables of the same shapes. Returns the outputs,
    stacked along a new first axis of length ``max_iterations`` with zeros for the steps that were not made, and the
    final loop variables. Gradients flow to the loop variables and to what ``func`` reads from outside.

    Raises ValueError without ``max_iterations`` or loop variables, if their number changes, or if one of them plays
    no part in ``func``; TypeError for what is no symbol.
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    variables = flatten(loop_vars, Symbol, "loop_vars")
    if not variables:
        raise ValueError("loop_vars should contain at least one element")

    mark = _unique_mark(f"{name}_cond")
    with AttrScope(**{MARK: mark}):
        placeholders_of_condition = _placeholders(variables)
        holds = cond(*placeholders_of_condition)
        if not isinstance(holds, Symbol):
            raise ValueError(f"Return of cond must be a Symbol, not {type(holds).__name__}")
        condition = _cut_out([], [holds], mark)
    mark = _unique_mark(f"{name}_func")
    with AttrScope(**{MARK: mark}):
        placeholders = _placeholders(variables)
        outputs, new_variables = map(_expand, func(*placeholders))
        outputs = [] if outputs is None else outputs
        flat_outputs = flatten(outputs, Symbol, "func output")
        flat_variables = flatten(new_variables, Symbol, "new loop_vars")
        if len(flat_variables) != len(variables):
            raise ValueError("The number of loop_vars should be consistent during the loop")
        body = _cut_out(flat_outputs, flat_variables, mark)
    nodes = [symbol.entries[0].node for symbol in placeholders]
    for k, node in enumerate(nodes):
        if node not in body.variables:
            raise ValueError(f"The {k + 1}-th loop_var doesn't involve into the computation")

    inputs = _Inputs(share=False)
    condition_places = inputs.places(condition, placeholders_of_condition, variables)
    body_places = inputs.places(body, placeholders, variables)
    results = _make_node(
        "_while_loop",
        inputs.entries,
        [condition, body],
        len(body.heads),
        num_out_data=len(flat_outputs),
        max_iterations=max_iterations,
        cond_input_locs=condition_places,
        func_input_locs=body_places,
        func_var_locs=[body.variables.index(node) for node in nodes],
    )
    return like(outputs, results), like(new_variables, results)


def cond(pred: Symbol, then_func: Callable[[], Any], else_func: Callable[[], Any], name: str = "cond") -> Any:
    """One of two branches: what ``then_func`` returns if ``pred`` (one number) is not 0, else what ``else_func`` does.

    Both functions return symbols, or nested lists, for the same number of outputs of the same shapes; only the branch
    that is taken is computed. Gradients flow to all that this branch reads.

    Raises TypeError for what is no symbol, ValueError if the branches have different numbers of outputs.
    """
    results: list[Any] = []
    graphs = []
    for part, function in (("pred", lambda: pred), ("then", then_func), ("else", else_func)):
        mark = _unique_mark(f"{name}_{part}")
        with AttrScope(**{MARK: mark}):
            result = _expand(function())
            graphs.append(_cut_out(flatten(result, Symbol, f"{name} {part} output"), [], mark))
        results.append(result)
    if len(graphs[1].heads) != len(graphs[2].heads):
        raise ValueError("Number of outputs differs between then-branch and else-branch")
    inputs = _Inputs(share=True)
    places = [inputs.places(graph) for graph in graphs]
    outputs = _make_node(
        "_cond",
        inputs.entries,
        graphs,
        len(graphs[1].heads),
        cond_input_locs=places[0],
        then_input_locs=places[1],
        else_input_locs=places[2],
    )
    return like(results[1], outputs)
