"""Matrix products: of two arrays along one axis of each, of matrices in batches, and of columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Count, Enum, Optional, Param
from .shapes import merge, product

__all__: list[str] = []

_STORAGE = Optional(Enum("default", "row_sparse", "csr"))


# ---- dot: arrays of any rank as matrices ---------------------------------------------------------------------------


def _rows(shape, transposed: bool):
    """``lhs`` as a matrix: (dimensions that reach the output, the dimension that is summed over)."""
    return (shape[1:], shape[0]) if transposed else (shape[:-1], shape[-1])


def _columns(shape, transposed: bool):
    """``rhs`` likewise."""
    return (shape[:-1], shape[-1]) if transposed else (shape[1:], shape[0])


def _lhs_matrix(tensor: torch.Tensor, transposed: bool) -> torch.Tensor:
    """``lhs`` as the left matrix (M, K) of the product; a view."""
    rest, summed = _rows(tensor.shape, transposed)
    if transposed:
        return tensor.view(summed, product(rest)).t()
    return tensor.view(product(rest), summed)


def _rhs_matrix(tensor: torch.Tensor, transposed: bool) -> torch.Tensor:
    """``rhs`` as the right matrix (K, N)."""
    rest, summed = _columns(tensor.shape, transposed)
    if transposed:
        return tensor.view(product(rest), summed).t()
    return tensor.view(summed, product(rest))


def _matmul(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> Callable[[], object]:
    """``out = left @ right`` for matrices that may be transposed views, ``out`` as well.

    BLAS takes transposed operands as flags, but a transposed result only by multiplying the other way round.
    """
    if out.is_contiguous():
        return partial(torch.mm, left, right, out=out)
    return partial(torch.mm, right.t(), left.t(), out=out.t())


class _Product(Operator):
    """Base of :class:`Dot` and the two halves of its gradient, which share their parameters."""

    transpose_a = Param(Bool, False, "Sum over the first axis of lhs instead of the last")
    transpose_b = Param(Bool, False, "Sum over the last axis of rhs instead of the first")
    forward_stype = Param(_STORAGE, None, "Storage of the output; every array is dense here")

    def flags(self, p):
        return {"transpose_a": p.transpose_a, "transpose_b": p.transpose_b}


@register
class Dot(_Product):
    r"""Product of arrays: sums over the last axis of ``lhs`` and the first of ``rhs``.

    :math:`y_{i…j…} = \sum_k lhs_{i…k}\, rhs_{kj…}`, the shape being the remaining dimensions of ``lhs`` followed by
    those of ``rhs``; (1,) for two vectors. The usual matrix product for matrices.

    Raises MXNetError if the two axes differ in length.
    """

    name = "dot"
    aliases = ("_sparse_dot",)
    inputs = ("lhs", "rhs")
    samples = (
        Sample((2, 3), (3, 4)),
        Sample((3, 2), (4, 3), transpose_a=True, transpose_b=True),
        Sample((2, 3, 2), (2, 2, 3)),
        Sample((2, 3, 2), (3, 2, 2), transpose_a=True, transpose_b=True),
        Sample((3,), (3,)),
        Sample((3,), (3, 2)),
    )

    def infer_shape(self, p, inputs, outputs):
        lhs, rhs = inputs
        if lhs is None or rhs is None:
            return inputs, outputs
        if len(lhs) == len(rhs) == 1 and (p.transpose_a or p.transpose_b):
            raise MXNetError("Cannot transpose vectors")
        rows, left = _rows(lhs, p.transpose_a)
        columns, right = _columns(rhs, p.transpose_b)
        if left and right and left != right:
            raise MXNetError(f"dot shape error: {list(lhs)} X {list(rhs)} with {self.flags(p)}: {left} != {right}")
        out = merge((*rows, *columns) or (1,), outputs[0])
        if rows or columns:
            rows, columns = out[: len(rows)], out[len(rows) :]
        summed = left or right
        lhs = (summed, *rows) if p.transpose_a else (*rows, summed)
        rhs = (*columns, summed) if p.transpose_b else (summed, *columns)
        return [lhs, rhs], [out]

    def gradient(self, p, x, y, dy):
        return [
            apply("_backward_dot_lhs", dy[0], x[1], x[0], **self.flags(p)),
            apply("_backward_dot_rhs", dy[0], x[0], x[1], **self.flags(p)),
        ]

    def kernel(self, p, inputs, outputs, env):
        left, right = _lhs_matrix(inputs[0], p.transpose_a), _rhs_matrix(inputs[1], p.transpose_b)
        return _matmul(left, right, outputs[0].view(len(left), right.shape[1]))


class _DotGradient(_Product):
    """Base of the halves: ``like`` gives the shape that the gradient has, its values are never read."""

    inputs = ("ograd", "other", "like")
    unread = (2,)

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[2], outputs[0])
        return [inputs[0], inputs[1], shape], [shape]


@register
class DotGradientLhs(_DotGradient):
    r"""Gradient of :class:`Dot` for ``lhs``: as matrices, :math:`dL = dY\, R^T`."""

    name = "_backward_dot_lhs"
    samples = (Sample((2, 4), (3, 4), (2, 3)), Sample((3, 2, 4), (4, 2), (2, 3, 2), transpose_a=True, transpose_b=True))

    def gradient(self, p, x, y, dy):
        return [
            apply("dot", dy[0], x[1], **self.flags(p)),
            apply("_backward_dot_rhs", x[0], dy[0], x[1], **self.flags(p)),
            ZERO,
        ]

    def kernel(self, p, inputs, outputs, env):
        right = _rhs_matrix(inputs[1], p.transpose_b)
        return _matmul(inputs[0].view(-1, right.shape[1]), right.t(), _lhs_matrix(outputs[0], p.transpose_a))


@register
class DotGradientRhs(_DotGradient):
    r"""Gradient of :class:`Dot` for ``rhs``: as matrices, :math:`dR = L^T\, dY`."""

    name = "_backward_dot_rhs"
    samples = (Sample((2, 4), (2, 3), (3, 4)), Sample((3, 2, 4), (2, 3, 2), (4, 2), transpose_a=True, transpose_b=True))

    def gradient(self, p, x, y, dy):
        return [
            apply("dot", x[1], dy[0], **self.flags(p)),
            apply("_backward_dot_lhs", x[0], dy[0], x[1], **self.flags(p)),
            ZERO,
        ]

    def kernel(self, p, inputs, outputs, env):
        left = _lhs_matrix(inputs[1], p.transpose_a)
        return _matmul(left.t(), inputs[0].view(len(left), -1), _rhs_matrix(outputs[0], p.transpose_b))


# ---- batch_dot -----------------------------------------------------------------------------------------------------


@register
class BatchDot(Operator):
    r"""Matrix products one by one: :math:`y_b = A_b B_b`, or of their transposes.

    ``lhs`` is (…, m, k) and ``rhs`` (…, k, n), each with its last two axes exchanged where ``transpose_a`` or
    ``transpose_b`` says so; the leading dimensions, one at least, are equal. The result is (…, m, n).

    Raises MXNetError if the shapes do not fit.
    """

    name = "batch_dot"
    inputs = ("lhs", "rhs")
    transpose_a = Param(Bool, False, "Exchange the last two axes of lhs")
    transpose_b = Param(Bool, False, "Exchange the last two axes of rhs")
    forward_stype = Param(_STORAGE, None, "Storage of the output; every array is dense here")
    samples = tuple(
        Sample((2, 3, 2) if a else (2, 2, 3), (2, 4, 3) if b else (2, 3, 4), transpose_a=a, transpose_b=b)
        for a in (False, True)
        for b in (False, True)
    )

    def infer_shape(self, p, inputs, outputs):
        rank = next((len(shape) for shape in (*inputs, *outputs) if shape is not None), None)
        if rank is None:
            return inputs, outputs
        if rank < 3:
            raise MXNetError(f"batch_dot needs arrays of 3 or more dimensions: {inputs[0]} X {inputs[1]}")

        def exchanged(shape, flag):
            return (*shape[:-2], shape[-1], shape[-2]) if flag else shape

        unknown = (0,) * rank
        lhs = exchanged(merge(inputs[0], unknown), p.transpose_a)
        rhs = exchanged(merge(inputs[1], unknown), p.transpose_b)
        out = merge(outputs[0], unknown)
        batch = merge(merge(lhs[:-2], rhs[:-2]), out[:-2])
        (m,) = merge((lhs[-2],), (out[-2],))
        (k,) = merge((lhs[-1],), (rhs[-2],))
        (n,) = merge((rhs[-1],), (out[-1],))
        lhs, rhs = exchanged((*batch, m, k), p.transpose_a), exchanged((*batch, k, n), p.transpose_b)
        return [lhs, rhs], [(*batch, m, n)]

    def gradient(self, p, x, y, dy):
        a, b = p.transpose_a, p.transpose_b
        lhs, rhs = x

        def product_of(left, right, transpose_a, transpose_b):
            return apply("batch_dot", left, right, transpose_a=transpose_a, transpose_b=transpose_b)

        return [
            product_of(rhs, dy[0], b, True) if a else product_of(dy[0], rhs, False, not b),
            product_of(dy[0], lhs, True, a) if b else product_of(lhs, dy[0], not a, False),
        ]

    def kernel(self, p, inputs, outputs, env):
        lhs, rhs, out = (t.view(-1, *t.shape[-2:]) for t in (*inputs, outputs[0]))
        lhs = lhs.transpose(1, 2) if p.transpose_a else lhs
        rhs = rhs.transpose(1, 2) if p.transpose_b else rhs
        return partial(torch.bmm, lhs, rhs, out=out)


# ---- khatri_rao ----------------------------------------------------------------------------------------------------


@register
class KhatriRao(Operator):
    r"""Column by column Kronecker products of matrices: (m, n), (k, n), … → (mk⋯, n).

    :math:`y_{ik+j,c} = a_{ic} b_{jc}` for two; with more, the product of the first ones takes the place of a.
    """

    name = "khatri_rao"
    variadic = "num_args"
    num_args = Param(Count, doc="Number of matrices")

    def infer_shape(self, p, inputs, outputs):
        columns = 0
        for shape in (*inputs, *outputs):
            if shape is not None:
                _, columns = merge(shape, (0, columns))
        if any(shape is None for shape in inputs):
            return inputs, outputs
        rows = product(shape[0] for shape in inputs)
        return [(shape[0], columns) for shape in inputs], [merge((rows, columns), outputs[0])]

    def kernel(self, p, inputs, outputs, env):
        def run() -> None:
            total = inputs[0]
            for matrix in inputs[1:]:
                total = (total.unsqueeze(1) * matrix).flatten(0, 1)
            outputs[0].copy_(total)

        return run
