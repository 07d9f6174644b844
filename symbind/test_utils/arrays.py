"""Random shapes and arrays, and arithmetic on NumPy arrays that tests compare with.

Everything random is drawn from NumPy's global generator: ``numpy.random.seed`` repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, MutableSequence, Sequence
from typing import Any

import numpy as np

from ..context import Context
from ..ndarray import NDArray, arange, array
from .tolerance import default_dtype

__all__ = [
    "assign_each", "assign_each2", "collapse_sum_like", "create_2d_tensor", "create_vector", "np_reduce",
    "rand_coord_2d", "rand_ndarray", "rand_shape_2d", "rand_shape_3d", "rand_shape_nd", "random_arrays",
    "random_sample", "random_uniform_arrays",
]  # fmt: skip

Shape = tuple[int, ...]


# ---- random shapes -------------------------------------------------------------------------------------------------


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> Shape:
    """A shape of ``num_dim`` sizes from 1 (or 0) to ``dim``."""
    return _shape((dim,) * num_dim, allow_zero_size)


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> Shape:
    """A shape of two sizes from 1 (or 0) to the given ones."""
    return _shape((dim0, dim1), allow_zero_size)


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False) -> Shape:
    """A shape of three sizes from 1 (or 0) to the given ones."""
    return _shape((dim0, dim1, dim2), allow_zero_size)


def _shape(largest: Sequence[int], allow_zero_size: bool) -> Shape:
    return tuple(int(np.random.randint(0 if allow_zero_size else 1, size + 1)) for size in largest)


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[int, int]:
    """A point in ``[x_low, x_high)`` × ``[y_low, y_high)``."""
    return int(np.random.randint(x_low, x_high)), int(np.random.randint(y_low, y_high))


# ---- random arrays -------------------------------------------------------------------------------------------------


def random_arrays(*shapes: Shape) -> Any:
    """A NumPy array of standard normal float32 numbers for each shape: a list, or the array if there is one shape."""
    arrays = [np.asarray(np.random.standard_normal(shape), default_dtype()) for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def random_uniform_arrays(
    *shapes: Shape, low: float = 0.0, high: float = 1.0, dtype: Any = np.float32
) -> list[np.ndarray]:
    """A NumPy array of numbers uniform in ``[low, high)`` for each shape, always as a list."""
    return [np.asarray(np.random.uniform(low, high, shape), dtype) for shape in shapes]


def random_sample(population: MutableSequence[Any], k: int) -> MutableSequence[Any]:
    """``k`` different members of ``population``, in random order. ValueError if it has less."""
    if not 0 <= k <= len(population):
        raise ValueError(f"Cannot draw {k} of {len(population)} members")
    shuffled = population[:]
    np.random.shuffle(shuffled)
    return shuffled[:k]


def rand_ndarray(
    shape: Shape,
    stype: str = "default",
    density: float | None = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
    distribution: str | None = None,
    ctx: Context | None = None,
) -> NDArray:
    """An NDArray of random numbers: standard normal, or uniform in [0, 1) where a sparse one stores something.

    Parameters
    ----------
    stype : ``'default'``, ``'row_sparse'`` or ``'csr'``.
    density : the probability that a row, or an element of a csr array, is stored; by default drawn at random.
    modifier_func : a function of a number, applied to what a row_sparse array stores.
    shuffle_csr_indices, distribution : accepted; the columns of a row are in order, and all alike.
    """
    if stype == "default":
        return array(random_arrays(shape), ctx, dtype)
    share = np.random.uniform() if density is None else density
    stored = np.random.uniform(size=shape if stype == "csr" else shape[0]) < share
    values = np.zeros(shape, default_dtype())
    values[stored] = np.random.uniform(size=values[stored].shape)
    if modifier_func is not None and stype == "row_sparse":
        values[stored] = assign_each(values[stored], modifier_func)
    return array(values, ctx, dtype).tostype(stype)


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> NDArray:
    """An array in which each element is the number of its row."""
    return array(np.repeat(np.arange(rows)[:, None], columns, axis=1), dtype=dtype)


def create_vector(size: int, dtype: Any = np.int64) -> NDArray:
    """The numbers from 0 to ``size - 1``."""
    return arange(0, size, dtype=dtype)


# ---- arithmetic with NumPy -----------------------------------------------------------------------------------------


def np_reduce(
    dat: np.ndarray, axis: int | Sequence[int] | None, keepdims: bool, numpy_reduce_func: Callable[..., Any]
) -> np.ndarray:
    """``numpy_reduce_func(dat, axis=…)`` over one, several or all axes, one axis after the other."""
    axes = range(dat.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    reduced = {a % dat.ndim for a in axes}
    result = dat
    for a in sorted(reduced, reverse=True):
        result = numpy_reduce_func(result, axis=a)
    if keepdims:
        result = np.reshape(result, [1 if a in reduced else size for a, size in enumerate(dat.shape)])
    return result


def collapse_sum_like(a: np.ndarray, shape: Shape) -> np.ndarray:
    """The sum of ``a`` over the axes along which ``shape`` broadcasts to its shape: the gradient of broadcasting.

    ValueError if it does not broadcast to that.
    """
    if math.prod(shape) == 0 or a.size == 0:
        return np.zeros(shape, a.dtype)
    if np.broadcast_shapes(a.shape, shape) != a.shape:
        raise ValueError(f"An array of shape {shape} does not broadcast to {a.shape}")
    missing = a.ndim - len(shape)
    axes = [i for i, size in enumerate(a.shape) if i < missing or shape[i - missing] != size]
    return a.sum(axis=tuple(axes)).reshape(shape)


def assign_each(the_input: Any, function: Callable[[Any], Any] | None) -> np.ndarray:
    """``function`` of every element, or a copy if it is None."""
    values = np.array(the_input)
    return values if function is None else np.vectorize(function, otypes=[float])(values)


def assign_each2(input1: Any, input2: Any, function: Callable[[Any, Any], Any] | None) -> np.ndarray:
    """``function`` of every pair of elements of two arrays of one shape, or a copy of the first if it is None."""
    one, two = np.array(input1), np.asarray(input2)
    if function is None:
        return one
    if one.shape != two.shape:
        raise ValueError(f"The shapes {one.shape} and {two.shape} differ")
    return np.vectorize(function, otypes=[float])(one, two)
