"""What operators do to sparse arrays without making them dense.

Three kinds of operators have a rule here; for all others the arrays are made dense, and the result is.

* Element by element: where all operands are zero the result is the same number everywhere. If that is zero, only what
  is stored in one of the operands matters, and the result is stored as they are. Whether it is zero is found by trying.
* Updates of optimizers with ``lazy_update``: rows of which the gradient stores nothing stay as they are, moments too.
* Those that are about storage, and products; one function each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..base import MXNetError
from ..ops.operator import Operator
from ..ops.parameter import Params
from .ndarray import NDArray
from .sparse_array import BaseSparseNDArray, CSRNDArray, RowSparseNDArray, compressed

__all__ = ["run_sparse", "takes_part"]

#: Runs an operator on tensors: all its outputs.
Compute = Callable[[Operator, Params, Sequence[torch.Tensor]], list[torch.Tensor]]


def takes_part(operator: Operator, arrays: Sequence[NDArray]) -> bool:
    """Whether :func:`run_sparse` may have a rule for this call."""
    return operator.name == "cast_storage" or any(isinstance(array, BaseSparseNDArray) for array in arrays)


def run_sparse(operator: Operator, params: Params, arrays: Sequence[NDArray], compute: Compute) -> NDArray | None:
    """The result by one of the rules, or None if there is none for these arrays."""
    rule = _RULES.get(operator.name)
    result = None if rule is None else rule(params, *arrays)
    if result is not None:
        return result
    if operator.elementwise and not operator.random and not operator.mutated_inputs(params):
        return _elementwise(operator, params, arrays, compute)
    if getattr(params, "lazy_update", False):
        return _update_rows(operator, params, arrays, compute)
    return None


def _elementwise(
    operator: Operator, params: Params, arrays: Sequence[NDArray], compute: Compute
) -> BaseSparseNDArray | None:
    first = arrays[0]
    if not isinstance(first, BaseSparseNDArray) or operator.num_outputs(params) != 1:
        return None
    operands = [array for array in arrays if type(array) is type(first) and array.shape == first.shape]
    if len(operands) != len(arrays):
        return None
    zeros = [operand._stored.new_zeros(1) for operand in operands]  # type: ignore[attr-defined]
    (at_zero,) = compute(operator, params, zeros)
    if at_zero.ne(0).any():
        return None
    keys = torch.cat([operand.keys() for operand in operands]).unique()  # type: ignore[attr-defined]
    if not len(keys):
        return first.with_keys(keys, first._stored[:0].to(at_zero.dtype))
    (stored,) = compute(operator, params, [operand.gather(keys) for operand in operands])  # type: ignore[attr-defined]
    return first.with_keys(keys, stored)


def _update_rows(
    operator: Operator, params: Params, arrays: Sequence[NDArray], compute: Compute
) -> NDArray | None:
    names = operator.input_names(params)
    gradient = arrays[names.index("grad")]
    if not isinstance(gradient, RowSparseNDArray) or any(isinstance(a, CSRNDArray) for a in arrays):
        return None
    updated = arrays[0].tensor.clone()
    rows = gradient.keys()
    if not len(rows):
        return NDArray(updated, arrays[0].context)
    parts = [array.gather(rows) if array is gradient else array.tensor[rows] for array in arrays]  # type: ignore[attr-defined]
    updated[rows] = compute(operator, params, parts)[0]
    for i in operator.mutated_inputs(params):
        whole = arrays[i].tensor
        whole[rows] = parts[i]
        arrays[i].assign(whole)
    return NDArray(updated, arrays[0].context)


def _cast(params: Params, data: NDArray) -> NDArray:
    try:
        if isinstance(data, BaseSparseNDArray):
            return data.tostype(params.stype)
        return compressed(data.tensor, params.stype, data.context)
    except ValueError as error:
        raise MXNetError(str(error)) from None


def _retain(params: Params, data: NDArray, indices: NDArray) -> NDArray | None:
    if not isinstance(data, RowSparseNDArray):
        return None
    rows = indices.tensor.long()
    if len(rows) and not (rows.min() >= 0 and rows.max() < data.shape[0]):
        raise MXNetError(f"_sparse_retain: an index of {rows.tolist()} is outside the {data.shape[0]} rows")
    return data.with_keys(rows, data.gather(rows))


def _dot(params: Params, lhs: NDArray, rhs: NDArray) -> NDArray | None:
    """csr x dense; what is transposed on the left is row_sparse unless ``forward_stype`` is ``'default'``."""
    if not isinstance(lhs, CSRNDArray):
        return _dot_to_csr(params, lhs, rhs)
    if isinstance(rhs, CSRNDArray) or rhs.ndim != 2 or lhs._stored.dtype not in (torch.float32, torch.float64):
        return None
    places = torch.stack([lhs.rows(), lhs._columns])
    left = torch.sparse_coo_tensor(places, lhs._stored, lhs.shape, check_invariants=False)
    left = left.t() if params.transpose_a else left
    right = rhs.tensor.t() if params.transpose_b else rhs.tensor
    if left.shape[1] != right.shape[0] or left.dtype != right.dtype:
        return None  # the operator itself says what is wrong
    product = NDArray(torch.sparse.mm(left, right).contiguous(), lhs.context)
    if params.transpose_a and params.forward_stype != "default":
        rows = lhs._columns.unique()
        return RowSparseNDArray(product.tensor[rows], rows, product.shape, lhs.context)
    return product


def _dot_to_csr(params: Params, lhs: NDArray, rhs: NDArray) -> NDArray | None:
    """dense x csr, by the transposed product; csr unless ``forward_stype`` is ``'default'``."""
    if isinstance(lhs, BaseSparseNDArray) or not isinstance(rhs, CSRNDArray) or params.forward_stype == "default":
        return None
    left = lhs.tensor.t() if params.transpose_a else lhs.tensor
    right = rhs.tensor.t() if params.transpose_b else rhs.tensor
    if left.dim() != 2 or left.shape[1] != right.shape[0] or left.dtype != right.dtype:
        return None
    return CSRNDArray.from_dense(left @ right, lhs.context)


def _multiply(params: Params, lhs: NDArray, rhs: NDArray) -> NDArray | None:
    """sparse x dense: zero wherever the sparse one is, whatever the other."""
    sparse, dense = (lhs, rhs) if isinstance(lhs, BaseSparseNDArray) else (rhs, lhs)
    if not isinstance(sparse, BaseSparseNDArray) or isinstance(dense, BaseSparseNDArray):
        return None
    if lhs.shape != rhs.shape or lhs.dtype != rhs.dtype:
        return None
    keys = sparse.keys()
    values = dense.tensor.view(-1) if isinstance(sparse, CSRNDArray) else dense.tensor
    return sparse.with_keys(keys, sparse._stored * values[keys])


def _zeros_like(params: Params, data: NDArray) -> NDArray | None:
    if not isinstance(data, BaseSparseNDArray):
        return None
    return data.with_keys(data.keys()[:0], data._stored[:0])


def _slice(params: Params, data: NDArray) -> NDArray | None:
    """A block of a csr matrix is one."""
    if not isinstance(data, CSRNDArray) or any(step not in (None, 1) for step in params.step):
        return None
    bounds = [
        slice(begin, end).indices(size)[:2] for begin, end, size in zip(params.begin, params.end, data.shape)
    ]
    rows = data[slice(*bounds[0])]
    if len(bounds) == 1:
        return rows
    left, right = bounds[1]
    kept = (rows._columns >= left) & (rows._columns < right)
    starts = torch.nn.functional.pad(kept.cumsum(0), (1, 0))[rows._starts]
    shape = (len(rows), max(0, right - left))
    return CSRNDArray(rows._stored[kept], rows._columns[kept] - left, starts, shape, data.context)


_RULES: dict[str, Callable[..., NDArray | None]] = {
    "_sparse_retain": _retain, "cast_storage": _cast, "dot": _dot, "elemwise_mul": _multiply, "slice": _slice,
    "zeros_like": _zeros_like,
}  # fmt: skip
