"""``mx.nd.sparse``: arrays of which most elements are zero, made from all that they are usually given as.

The operators that MXNet has for sparse arrays are functions here as well; see :mod:`.sparse_operators` for what they
return. Symbols are always computed densely: an executor takes sparse arrays and makes them dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..context import Context, current_context
from ..dtype import as_torch
from . import creation, pairs  # creation calls this module in turn, for storages other than the default
from .conversion import as_tensor
from .memory import allocate
from .ndarray import NDArray
from .sparse_array import BaseSparseNDArray, CSRNDArray, RowSparseNDArray

__all__ = [
    "BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "add", "array", "csr_matrix", "divide", "empty", "multiply",
    "row_sparse_array", "subtract", "zeros",
]  # fmt: skip

add, subtract, multiply, divide = pairs.add, pairs.subtract, pairs.multiply, pairs.divide


def csr_matrix(
    arg1: Any, shape: Sequence[int] | None = None, ctx: Context | None = None, dtype: Any = None
) -> CSRNDArray:
    """A matrix in compressed sparse rows, copied from

    * a dense matrix: what is not zero in it,
    * a csr array, or a ``scipy.sparse.csr_matrix``,
    * ``(M, N)``, its shape: all zeros,
    * ``(data, indices, indptr)``, what :class:`CSRNDArray` consists of,
    * ``(data, (row, col))``, elements and their places; where two have the same place, they are added.

    ``shape`` is inferred from the largest numbers if there is none. The type is that of what was given, float32 for
    lists. Raises ValueError if it is none of these, or the parts do not fit together.
    """
    context = ctx or current_context()
    if isinstance(arg1, tuple) and len(arg1) == 2 and not isinstance(arg1[1], (tuple, list)) and np.ndim(arg1[0]) == 0:
        made = _zeros("csr", _expected(arg1, shape), context, dtype)
    elif isinstance(arg1, tuple) and len(arg1) == 2:
        (values, (rows, columns)) = arg1
        made = _from_coordinates(_part(values, context, dtype), _index(rows, context), _index(columns, context), shape)
    elif isinstance(arg1, tuple) and len(arg1) == 3:
        values, columns, starts = arg1
        made = _from_parts(_part(values, context, dtype), _index(columns, context), _index(starts, context), shape)
    elif isinstance(arg1, CSRNDArray):
        made = arg1._converted(as_torch(dtype or arg1.dtype), context)
    elif isinstance(arg1, BaseSparseNDArray):
        raise ValueError(f"Unexpected input type: {type(arg1).__name__}")
    elif hasattr(arg1, "tocsr"):
        given = arg1.tocsr()
        given.sum_duplicates()
        parts = (_index(given.indices, context), _index(given.indptr, context))
        made = _from_parts(_part(given.data, context, dtype), *parts, shape or given.shape)
    else:
        made = CSRNDArray.from_dense(_part(arg1, context, dtype), context)
    _expected(made.shape, shape)
    return made  # type: ignore[return-value]


def row_sparse_array(
    arg1: Any, shape: Sequence[int] | None = None, ctx: Context | None = None, dtype: Any = None
) -> RowSparseNDArray:
    """An array of which some rows are stored, copied from

    * a dense array: the rows that are not all zeros,
    * a row_sparse array,
    * ``(D0, D1, ...)``, its shape: all zeros,
    * ``(data, indices)``, rows and their numbers.

    ``shape`` and the type are found as in :func:`csr_matrix`. Raises ValueError if it is none of these, or the parts do
    not fit together.
    """
    context = ctx or current_context()
    if isinstance(arg1, tuple) and len(arg1) > 1 and np.ndim(arg1[0]) == 0:
        made = _zeros("row_sparse", _expected(arg1, shape), context, dtype)
    elif isinstance(arg1, tuple) and len(arg1) == 2:
        rows, numbers = _part(arg1[0], context, dtype), _index(arg1[1], context)
        wanted = tuple(shape or (int(numbers.max()) + 1 if len(numbers) else 0, *rows.shape[1:]))
        if tuple(rows.shape) != (len(numbers), *wanted[1:]):
            raise ValueError(f"Rows of shape {tuple(rows.shape)} with {len(numbers)} numbers make no array of {wanted}")
        _check(numbers, wanted[0], "row number")
        made = RowSparseNDArray(rows, numbers, wanted, context)
    elif isinstance(arg1, RowSparseNDArray):
        made = arg1._converted(as_torch(dtype or arg1.dtype), context)
    elif isinstance(arg1, (BaseSparseNDArray, tuple)):
        raise ValueError(f"Unexpected input type: {type(arg1).__name__}")
    else:
        made = RowSparseNDArray.from_dense(_part(arg1, context, dtype), context)
    _expected(made.shape, shape)
    return made  # type: ignore[return-value]


def zeros(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """All zeros: nothing is stored. ValueError for an unknown ``stype``."""
    if stype == "default":
        return creation.zeros(shape, ctx, dtype)
    return _zeros(stype, (shape,) if isinstance(shape, int) else tuple(shape), ctx or current_context(), dtype)


def empty(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """The same as :func:`zeros`."""
    return zeros(stype, shape, ctx, dtype)


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of a sparse array, or of a matrix of ``scipy.sparse``. ValueError for dense arrays: see ``tostype``."""
    if isinstance(source_array, RowSparseNDArray):
        return row_sparse_array(source_array, None, ctx, dtype)
    if isinstance(source_array, CSRNDArray) or hasattr(source_array, "tocsr"):
        return csr_matrix(source_array, None, ctx, dtype)
    raise ValueError(f"Sparse arrays are made of sparse ones, not of {type(source_array).__name__}; see tostype")


def _zeros(stype: str, shape: Sequence[int], ctx: Context, dtype: Any) -> BaseSparseNDArray:
    wanted = as_torch("float32" if dtype is None else dtype)
    none = torch.zeros(0, dtype=torch.int64, device=ctx.device)
    if stype == "csr":
        if len(shape) != 2:
            raise ValueError(f"A csr array is a matrix, and has no shape {tuple(shape)}")
        starts = allocate((shape[0] + 1,), torch.int64, ctx.device).zero_()
        return CSRNDArray(none.to(wanted), none, starts, shape, ctx)
    if stype == "row_sparse":
        return RowSparseNDArray(torch.zeros((0, *shape[1:]), dtype=wanted, device=ctx.device), none, shape, ctx)
    raise ValueError(f"Unknown storage type {stype!r}; expected 'default', 'row_sparse' or 'csr'")


def _part(values: Any, ctx: Context, dtype: Any) -> torch.Tensor:
    """Elements as a new tensor: arrays keep their type, lists become float32, unless ``dtype`` says otherwise."""
    own = getattr(values, "dtype", np.float32) if dtype is None else dtype
    if isinstance(values, NDArray):
        return values.tensor.to(ctx.device, as_torch(own), copy=True)
    return as_tensor(values, as_torch(own), ctx.device)


def _index(values: Any, ctx: Context) -> torch.Tensor:
    return _part(values, ctx, "int64")


def _check(numbers: torch.Tensor, size: int, what: str) -> None:
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < size):
        raise ValueError(f"A {what} is not in 0..{size - 1}: {numbers.tolist()[:20]}")


def _expected(shape: Sequence[int], wanted: Sequence[int] | None) -> Sequence[int]:
    if wanted is not None and tuple(shape) != tuple(wanted):
        raise ValueError(f"Shape mismatch detected. {tuple(shape)} v.s. {tuple(wanted)}")
    return shape


def _from_parts(
    values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, shape: Sequence[int] | None
) -> CSRNDArray:
    if values.dim() != 1 or columns.dim() != 1 or starts.dim() != 1 or not len(starts) or len(values) != len(columns):
        parts = ", ".join(str(tuple(part.shape)) for part in (values, columns, starts))
        raise ValueError(f"data, indices and indptr of a csr array must be vectors that fit together, not {parts}")
    wanted = tuple(shape or (len(starts) - 1, int(columns.max()) + 1 if len(columns) else 0))
    counts = starts.diff()
    if len(wanted) != 2 or len(starts) != wanted[0] + 1:
        raise ValueError(f"indptr of length {len(starts)} makes no matrix of shape {wanted}")
    if starts[0] != 0 or starts[-1] != len(values) or (len(counts) and counts.min() < 0):
        raise ValueError(f"indptr must grow from 0 to {len(values)}: {starts.tolist()[:20]}")
    _check(columns, wanted[1], "column number")
    return CSRNDArray(values, columns, starts, wanted)


def _from_coordinates(
    values: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, shape: Sequence[int] | None
) -> CSRNDArray:
    if not values.shape == rows.shape == columns.shape or values.dim() != 1:
        raise ValueError(f"data, row and col must be vectors of one length, not {values.shape}, {rows.shape} and so on")
    wanted = tuple(shape or (int(part.max()) + 1 if len(part) else 0 for part in (rows, columns)))
    for part, size, what in ((rows, wanted[0], "row number"), (columns, wanted[1], "column number")):
        _check(part, size, what)
    keys, places = (rows * wanted[1] + columns).unique(return_inverse=True)
    stored = torch.zeros(len(keys), dtype=values.dtype, device=values.device).index_add_(0, places, values)
    empty_one = _zeros("csr", wanted, current_context(), "float32")
    return empty_one.with_keys(keys, stored)  # type: ignore[return-value]
