"""Products of matrices: the dense layer, ``dot`` and ``batch_dot``, with their gradients.

All run as the library's matmul on plain arrays; that needs no conversions, and is twice as fast as torch on CPUs that
are not Intel's. A product with a vector is bound by memory instead, where torch is better.
"""

from __future__ import annotations

from typing import NamedTuple

from ....ops.shapes import product
from ...engine import Implementation, Value
from ..declarations import Arg
from ..implementation import Operand, PrimitiveImplementation, Request, View, choose, implements
from ..matmul import matmul
from ..memory import MemoryDesc


class _Factor(NamedTuple):
    """An input of a node, by position, as a matrix or a batch of them."""

    position: int
    desc: MemoryDesc

    @property
    def transpose(self) -> _Factor:
        return _Factor(self.position, _transpose(self.desc))


def _transpose(desc: MemoryDesc) -> MemoryDesc:
    *batch, row, column = range(len(desc.shape))
    return desc.permute([*batch, column, row])


def _matrix(value: Value, row_axes: int) -> MemoryDesc:
    """A plain array with its first ``row_axes`` axes as rows and the others as columns."""
    shape = product(value.shape[:row_axes]), product(value.shape[row_axes:])
    return MemoryDesc.plain(shape, value.dtype)


def _product(request: Request, left: _Factor, right: _Factor, result: MemoryDesc) -> Implementation | None:
    """``result = left @ right``; None for a product with a vector."""
    if len(result.shape) == 2 and 1 in result.shape and left.desc.shape[1] > 1:
        return None
    operands: list[Operand | None] = [None] * len(request.inputs)
    operands[left.position], operands[right.position] = Arg.SRC, Arg.WEIGHTS
    primitive = choose([lambda: matmul(left.desc, right.desc, result, post_ops=request.post_ops(result))])
    return PrimitiveImplementation(primitive, operands, [Arg.DST])


def _product_transposed(request: Request, left: _Factor, right: _Factor, result: MemoryDesc) -> Implementation | None:
    """``result = (left @ right).T``, for there are kernels that read transposed matrices but none that write them."""
    return _product(request, right.transpose, left.transpose, result)


# ---- the dense layer ----------------------------------------------------------------------------


def _rows(request: Request, data: Value) -> MemoryDesc:
    """The data of a dense layer as a matrix."""
    return _matrix(data, 1 if request.node.params.flatten else len(data.shape) - 1)


@implements("FullyConnected")
def fully_connected(request: Request) -> Implementation | None:
    data, weight, *biases = request.inputs
    output = request.outputs[0]
    rows, result = _rows(request, data), _matrix(output, len(output.shape) - 1)
    bias = MemoryDesc.plain((1, product(biases[0].shape)), biases[0].dtype) if biases else None
    view, post_ops = View(weight, (1, 0)), request.post_ops(result)
    if weight.reused:
        # Converted once, into what the kernel otherwise makes for itself every time.
        packed = choose([lambda: matmul(rows, view.any, result, bias=bias, post_ops=post_ops)])
        weights: Operand = (Arg.WEIGHTS, view)
    elif 1 in result.shape:
        return None
    else:
        packed = choose([lambda: matmul(rows, view.plain, result, bias=bias, post_ops=post_ops)])
        weights = Arg.WEIGHTS
    return PrimitiveImplementation(packed, [Arg.SRC, weights, *[Arg.BIAS] * len(biases)], [Arg.DST])


@implements("_backward_FullyConnected_data")
def fully_connected_data_gradient(request: Request) -> Implementation | None:
    head, weight, data = request.inputs
    slopes, result = _matrix(head, len(head.shape) - 1), _rows(request, data)
    if not weight.reused:
        return _product(request, _Factor(0, slopes), _Factor(1, _matrix(weight, 1)), result)
    view = View(weight)
    packed = choose([lambda: matmul(slopes, view.any, result, post_ops=request.post_ops(result))])
    return PrimitiveImplementation(packed, [Arg.SRC, (Arg.WEIGHTS, view), None], [Arg.DST])


@implements("_backward_FullyConnected_weight")
def fully_connected_weight_gradient(request: Request) -> Implementation | None:
    head, data = request.inputs
    slopes = _Factor(0, _matrix(head, len(head.shape) - 1))
    return _product(request, slopes.transpose, _Factor(1, _rows(request, data)), _matrix(request.outputs[0], 1))


# ---- dot and batch_dot --------------------------------------------------------------------------


def _left(value: Value, transposed: bool) -> MemoryDesc:
    """The first factor of ``dot`` as it lies: what is summed over is its last axis, or its first if transposed."""
    return _matrix(value, 1 if transposed else len(value.shape) - 1)


def _right(value: Value, transposed: bool) -> MemoryDesc:
    """The second factor likewise, the other way round."""
    return _matrix(value, len(value.shape) - 1 if transposed else 1)


def _turned(factor: _Factor, transposed: bool) -> _Factor:
    return factor.transpose if transposed else factor


@implements("dot")
def dot(request: Request) -> Implementation | None:
    p, (lhs, rhs) = request.node.params, request.inputs
    left = _turned(_Factor(0, _left(lhs, p.transpose_a)), p.transpose_a)
    right = _turned(_Factor(1, _right(rhs, p.transpose_b)), p.transpose_b)
    result = MemoryDesc.plain((left.desc.shape[0], right.desc.shape[1]), lhs.dtype)
    return _product(request, left, right, result)


@implements("_backward_dot_lhs")
def dot_gradient_lhs(request: Request) -> Implementation | None:
    p, (head, rhs, lhs) = request.node.params, request.inputs
    right = _turned(_Factor(1, _right(rhs, p.transpose_b)), p.transpose_b)
    slopes = _Factor(0, MemoryDesc.plain((product(head.shape) // right.desc.shape[1], right.desc.shape[1]), head.dtype))
    multiply = _product_transposed if p.transpose_a else _product
    return multiply(request, slopes, right.transpose, _left(lhs, p.transpose_a))


@implements("_backward_dot_rhs")
def dot_gradient_rhs(request: Request) -> Implementation | None:
    p, (head, lhs, rhs) = request.node.params, request.inputs
    left = _turned(_Factor(1, _left(lhs, p.transpose_a)), p.transpose_a)
    slopes = _Factor(0, MemoryDesc.plain((left.desc.shape[0], product(head.shape) // left.desc.shape[0]), head.dtype))
    multiply = _product_transposed if p.transpose_b else _product
    return multiply(request, left.transpose, slopes, _right(rhs, p.transpose_b))


@implements("batch_dot")
def batch_dot(request: Request) -> Implementation | None:
    p = request.node.params
    lhs, rhs, result = (
        MemoryDesc.plain((product(value.shape[:-2]), *value.shape[-2:]), value.dtype)
        for value in (*request.inputs, *request.outputs)
    )
    left, right = _turned(_Factor(0, lhs), p.transpose_a), _turned(_Factor(1, rhs), p.transpose_b)
    return _product(request, left, right, result)
