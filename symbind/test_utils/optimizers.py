"""Whether two optimizers do the same."""

from __future__ import annotations

from typing import Any

from ..ndarray import NDArray
from ..optimizer import Optimizer
from ..random import uniform
from .comparison import assert_almost_equal, compare_ndarray_tuple

__all__ = ["compare_optimizer"]


def compare_optimizer(
    opt1: Optimizer,
    opt2: Optimizer,
    shape: Any,
    dtype: Any,
    w_stype: str = "default",
    g_stype: str = "default",
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
    ntensors: int = 1,
) -> None:
    """AssertionError unless both optimizers make the same of a random weight and gradient.

    ``opt2`` gets the weight and the gradient in the storages ``w_stype`` and ``g_stype``, ``opt1`` in dense ones. If
    ``shape`` is a list of ``ntensors`` shapes, ``opt2`` gets all weights in one call. With ``compare_states``, what
    they keep from step to step must agree too.
    """
    several = isinstance(shape, list)
    shapes = shape if several else [shape]
    if len(shapes) != ntensors:
        raise ValueError(f"ntensors is {ntensors}, but there are {len(shapes)} shapes")
    weights = [uniform(shape=s, dtype=dtype) for s in shapes]
    gradients = [uniform(shape=s, dtype=dtype) for s in shapes]
    others: list[NDArray] = [w.tostype(w_stype) for w in weights]
    other_gradients = [g.tostype(g_stype) for g in gradients]
    states = [opt1.create_state_multi_precision(i, w) for i, w in enumerate(weights)]
    other_states = [opt2.create_state_multi_precision(i, w) for i, w in enumerate(others)]
    if compare_states:
        compare_ndarray_tuple(tuple(states), tuple(other_states), rtol, atol)

    for i, (weight, gradient, state) in enumerate(zip(weights, gradients, states)):
        opt1.update_multi_precision(i, weight, gradient, state)
    if several:
        opt2.update_multi_precision(list(range(ntensors)), others, other_gradients, other_states)  # type: ignore
    else:
        opt2.update_multi_precision(0, others[0], other_gradients[0], other_states[0])
    if compare_states:
        compare_ndarray_tuple(tuple(states), tuple(other_states), rtol, atol)
    for weight, other in zip(weights, others):
        assert_almost_equal(weight, other, rtol, atol)
