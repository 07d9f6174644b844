"""Operators run one by one on arrays of their own: no plan, no arena, no executor between a kernel and its test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import symbind.ops  # noqa: F401  registers the operators
from symbind.graph import registry
from symbind.graph.compose import attribute_text
from symbind.graph.node import Entry, Node, post_order
from symbind.graph.symbol import Symbol, apply, var
from symbind.ops.operator import ZERO, Environment

__all__ = ["call", "check_gradient", "evaluate", "infer"]


def evaluate(symbol: Symbol, arrays: Mapping[str, Any], is_train: bool = True) -> list[np.ndarray]:
    """The outputs of ``symbol``; ``arrays`` are the values of its variables by name."""
    env = Environment(is_train, torch.device("cpu"), torch.Generator().manual_seed(0))
    values: dict[Entry, torch.Tensor] = {}
    for node in post_order(symbol.entries):
        if node.op is None:
            values[Entry(node)] = torch.from_numpy(np.array(arrays[node.name], order="C"))
            continue
        inputs = [values[entry] for entry in node.inputs]
        for i, output in enumerate(_run(node, inputs, env)):
            values[Entry(node, i)] = output
    return [values[entry].numpy() for entry in symbol.entries]


def _run(node: Node, inputs: list[torch.Tensor], env: Environment) -> list[torch.Tensor]:
    op: Any = node.op
    unknown = [None] * node.num_outputs
    _, shapes = op.infer_shape(node.params, [tuple(t.shape) for t in inputs], unknown)
    _, dtypes = op.infer_dtype(node.params, [t.dtype for t in inputs], unknown)
    # Filled with a number that no kernel means, so that an element it forgets to write shows.
    outputs = [torch.empty(shape, dtype=dtype).fill_(77) for shape, dtype in zip(shapes, dtypes)]
    unread = set(op.unread_inputs(node.params))
    inputs = [t.clone().fill_(55) if i in unread else t for i, t in enumerate(inputs)]
    before = [t.data_ptr() for t in outputs]
    kernel = op.kernel(node.params, inputs, outputs, env)
    kernel()
    first = [t.clone() for t in outputs]
    kernel()
    assert [t.data_ptr() for t in outputs] == before, f"{op.name} left the memory it was given"
    if not op.random and not op.mutated_inputs(node.params):
        for one, two in zip(first, outputs):
            assert torch.equal(one, two) or one.isnan().any(), f"{op.name} gives something else the second time"
    return outputs


def call(operator: str, *arrays: Any, is_train: bool = True, **params: Any) -> Any:
    """The visible outputs of one operator on ``arrays``; the array itself if there is one."""
    symbol = apply(operator, *[var(f"x{i}") for i in range(len(arrays))], **params)
    values = {f"x{i}": array for i, array in enumerate(arrays)}
    outputs = evaluate(symbol, values, is_train)
    return outputs[0] if len(outputs) == 1 else outputs


def infer(
    operator: str,
    inputs: Sequence[tuple[int, ...] | None],
    outputs: Sequence[tuple[int, ...] | None] | None = None,
    **params: Any,
) -> tuple[list[Any], list[Any]]:
    """``infer_shape`` of one operator, unmerged."""
    op: Any = registry.find(operator)
    attrs = {key: attribute_text(value) for key, value in params.items()}
    if op.variadic is not None:
        attrs.setdefault(op.variadic, str(len(inputs)))
    p = op.parse(attrs)
    told = op.infer_shape(p, list(inputs), list(outputs or [None] * op.num_outputs(p)))
    return list(told[0]), list(told[1])


def check_gradient(operator: str, *arrays: Any, wrt: Sequence[int] = (0,), seed: int = 0, **params: Any) -> None:
    """The declared gradient against central differences of the operator itself, in double precision."""
    from symbind.passes.gradient import build_gradient

    names = [f"x{i}" for i in range(len(arrays))]
    variables = [var(name) for name in names]
    symbol = apply(operator, *variables, **params)
    values = {name: np.asarray(array, "float64") for name, array in zip(names, arrays)}
    outputs = evaluate(symbol, values)
    random = np.random.RandomState(seed)
    heads = [random.uniform(-1, 1, output.shape) for output in outputs]

    gradient = build_gradient(symbol.entries, [variables[i].entries[0].node for i in wrt])
    entries = [gradient.of[variables[i].entries[0].node] for i in wrt]
    assert ZERO not in entries
    head_values = {e.node.name: head for e, head in zip(gradient.head_gradients, heads) if e is not None}
    computed = evaluate(Symbol(entries), values | head_values)

    step = 1e-6
    for position, got in zip(wrt, computed):
        array = values[names[position]]
        expected = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            sums = []
            for shift in (step, -step):
                array[index] = kept + shift
                sums.append(sum((o * h).sum() for o, h in zip(evaluate(symbol, values), heads)))
            array[index] = kept
            expected[index] = (sums[0] - sums[1]) / (2 * step)
        np.testing.assert_allclose(got, expected, atol=1e-6, err_msg=f"gradient of {operator} for input {position}")
