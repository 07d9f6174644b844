"""``mx.nd.contrib.foreach``, ``while_loop`` and ``cond``: on arrays these are Python's own loops and branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..nested import flatten, like, nesting
from .ndarray import NDArray
from .recording import record_named

__all__ = ["cond", "foreach", "while_loop"]


def _stack(steps: list[list[NDArray]], length: int | None = None) -> list[NDArray]:
    """The arrays of all steps along a new first axis, filled up with zeros to ``length``."""
    stacked = []
    for arrays in zip(*steps):
        padding = 0 if length is None else length - len(arrays)
        parts = [*arrays, *[NDArray(torch.zeros_like(arrays[0].tensor), arrays[0].context)] * padding]
        whole = NDArray(torch.stack([part.tensor for part in parts]), arrays[0].context)
        record_named("stack", parts, whole, num_args=len(parts))
        stacked.append(whole)
    return stacked


def foreach(body: Callable[[Any, Any], tuple[Any, Any]], data: Any, init_states: Any) -> tuple[Any, Any]:
    """A loop over the first axis of arrays; see :func:`symbind.symbol.control_flow.foreach`.

    Raises TypeError for what is no array, ValueError if the data are of different lengths, or the body returns states
    in another nesting.
    """
    flat = flatten(data, NDArray, "foreach input")
    flatten(init_states, NDArray, "foreach states")
    if len({len(array) for array in flat}) != 1:
        raise ValueError(f"The data of a loop need one length, but their shapes are {[array.shape for array in flat]}")
    states, outputs = init_states, None
    steps: list[list[NDArray]] = []
    for t in range(len(flat[0])):
        outputs, states = body(like(data, (array[t] for array in flat)), states)
        steps.append(flatten(outputs, NDArray, "foreach output"))
        flatten(states, NDArray, "foreach loop_vars")
        if nesting(states) != nesting(init_states):
            raise ValueError("The input and output loop_vars have different format")
    return like(outputs, iter(_stack(steps))), states


def while_loop(
    cond: Callable[..., NDArray],
    func: Callable[..., tuple[Any, Any]],
    loop_vars: Any,
    max_iterations: int | None = None,
) -> tuple[Any, Any]:
    """A loop that goes on while a condition holds; see :func:`symbind.symbol.control_flow.while_loop`.

    Without a single step there are no outputs, but an empty list. Raises ValueError without ``max_iterations`` or loop
    variables, or if their number changes; TypeError for what is no array.
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    variables = flatten(loop_vars, NDArray, "loop_vars")
    if not variables:
        raise ValueError("loop_vars should contain at least one element")
    count = len(variables)
    final: Any = loop_vars
    outputs: Any = []
    steps: list[list[NDArray]] = []
    while len(steps) < max_iterations and bool(cond(*variables)):
        outputs, final = func(*variables)
        outputs = [] if outputs is None else outputs
        steps.append(flatten(outputs, NDArray, "func output"))
        variables = flatten(final, NDArray, "new loop_vars")
        if len(variables) != count:
            raise ValueError("The length of loop_vars should be consistent during the loop")
    return like(outputs, iter(_stack(steps, max_iterations))), final


def cond(pred: NDArray, then_func: Callable[[], Any], else_func: Callable[[], Any]) -> Any:
    """What ``then_func`` returns if ``pred`` (one number) is not 0, otherwise what ``else_func`` does.

    Raises ValueError if ``pred`` is more than one number.
    """
    return then_func() if bool(pred.asscalar()) else else_func()
