"""Updates from sparse gradients.

A row_sparse gradient of a large table holds few rows. With ``lazy_update`` only these rows of the weight and of its
states are looked at: they are copied out, updated as a parameter of their own, and copied back. Everywhere else not
even weight decay or momentum is applied, which is what MXNet's optimizers of that name do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..ndarray import NDArray
from ..ndarray.sparse import RowSparseNDArray

__all__ = ["is_sparse", "update_rows"]


def is_sparse(weight: NDArray, grad: NDArray) -> bool:
    """Whether an update has to come through :func:`update_rows`."""
    return grad.stype != "default" or weight.stype != "default"


def update_rows(
    update: Callable[[NDArray, NDArray, Any], None], weight: NDArray, grad: NDArray, state: Any, lazy: bool
) -> None:
    """``update(weight, grad, state)``, which works on dense arrays, on those rows that the gradient has.

    If it is not ``lazy``, or the gradient is not row_sparse, on all of them.
    """
    arrays = [weight, *_arrays(state)]
    wholes = [array.tensor for array in arrays]
    rows: Any = slice(None)
    if lazy and isinstance(grad, RowSparseNDArray):
        rows, grad = grad.indices.tensor, grad.data
        parts = [NDArray(whole[rows], weight.context) for whole in wholes]
    else:
        parts = [NDArray(whole, weight.context) for whole in wholes]
        grad = grad.tostype("default")
    update(parts[0], grad, _like(state, iter(parts[1:])))
    for array, whole, part in zip(arrays, wholes, parts):
        whole[rows] = part.tensor
        array.assign(whole)


def _arrays(state: Any) -> list[NDArray]:
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in _arrays(part)]
    return [state] if isinstance(state, NDArray) else []


def _like(state: Any, parts: Iterator[NDArray]) -> Any:
    """``state`` with the arrays in it replaced by ``parts``, one by one."""
    if isinstance(state, (tuple, list)):
        return type(state)(_like(part, parts) for part in state)
    return next(parts) if isinstance(state, NDArray) else state
