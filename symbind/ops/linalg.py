"""Linear algebra on stacks of matrices: the last two axes are the matrix, all before them count the matrices.

The gradients are those of M. Seeger et al., *Auto-Differentiating Linear Algebra*, arXiv:1710.08717, written with the
operators of this family themselves.
"""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Bool, Float, Int, Param
from .shapes import merge, normalize_axis, square

__all__: list[str] = []


def _stack(tensor: torch.Tensor) -> torch.Tensor:
    """All matrices in one batch."""
    return tensor.view(-1, *tensor.shape[-2:])


def _transposed(symbol):
    return apply("SwapAxis", symbol, dim1=-2, dim2=-1)


def _product(left, right, **params):
    return apply("_linalg_gemm2", left, right, **params)


class _SquareToSquare(Operator):
    """Base of the operators that make a square matrix of each square matrix."""

    inputs = ("A",)

    def infer_shape(self, p, inputs, outputs):
        shape = square(merge(inputs[0], outputs[0]), self.name)
        return [shape], [shape]


# ---- general products ----------------------------------------------------------------------------------------------


class _Gemm(Operator):
    """The parameters of both products, and what they share."""

    transpose_a = Param(Bool, False, "Multiply by the transpose of A")
    transpose_b = Param(Bool, False, "Multiply by the transpose of B")
    alpha = Param(Float, 1.0, "Factor of the product")

    def infer_shape(self, p, inputs, outputs):
        a, b = inputs[:2]
        if a is None or b is None:
            return inputs, outputs
        if len(a) < 2 or len(a) != len(b):
            raise MXNetError(f"{self.name} needs matrices in arrays of one rank, not {a} and {b}")
        axis = normalize_axis(p.axis, len(a))
        if axis == len(a) - 1:
            raise MXNetError(f"axis {p.axis} of {self.name} is the axis of columns")
        rows_a, columns_a = (a[-1], a[axis]) if p.transpose_a else (a[axis], a[-1])
        rows_b, columns_b = (b[-1], b[axis]) if p.transpose_b else (b[axis], b[-1])
        if columns_a and rows_b and columns_a != rows_b:
            raise MXNetError(f"Incompatible matrix dimensions for multiplication: {a} and {b} with {vars(p)}")
        counts = [(*shape[:axis], *shape[axis + 1 : -1]) for shape in (a, b)]
        count = merge(*counts)
        out = (*count[:axis], rows_a, *count[axis:], columns_b)
        for shape in (*inputs[2:], *outputs):
            out = merge(out, shape)
        return [a, b, *[out] * (len(inputs) - 2)], [out]

    def gradients_of_product(self, p, a, b, dy):
        """Gradients with respect to the two factors."""
        ta, tb = p.transpose_a, p.transpose_b
        common = {"alpha": p.alpha, "axis": p.axis}
        return [
            _product(b, dy, transpose_a=tb, transpose_b=True, **common)
            if ta
            else _product(dy, b, transpose_b=not tb, **common),
            _product(dy, a, transpose_a=True, transpose_b=ta, **common)
            if tb
            else _product(a, dy, transpose_a=not ta, **common),
        ]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        beta = p.beta if len(inputs) == 3 else 0.0
        if p.axis % out.dim() == out.dim() - 2:
            a, b, *c = map(_stack, inputs)
            a, b = (a.mT if p.transpose_a else a), (b.mT if p.transpose_b else b)
            out = _stack(out)
            return partial(torch.baddbmm, *(c or [out]), a, b, beta=beta, alpha=p.alpha, out=out)
        # The rows lie on an outer axis: matrices with gaps between their rows, which only matmul takes in any number.
        a, b, *c = (tensor.movedim(p.axis, -2) for tensor in inputs)
        a, b = (a.mT if p.transpose_a else a), (b.mT if p.transpose_b else b)
        out = out.movedim(p.axis, -2)

        def run() -> None:
            product = torch.matmul(a, b).mul_(p.alpha)
            out.copy_(product.add_(c[0], alpha=beta) if c else product)

        return run


@register
class Gemm(_Gemm):
    r"""Product and sum of matrices: :math:`Y = \alpha\, op(A)\, op(B) + \beta C`, op being transposition or nothing.

    The arrays have one rank and, but for the two axes of matrices, equal dimensions. ``axis`` is the axis of rows; the
    last one is the axis of columns.
    """

    name = "_linalg_gemm"
    aliases = ("linalg_gemm",)
    inputs = ("A", "B", "C")
    beta = Param(Float, 1.0, "Factor of C")
    axis = Param(Int, -2, "Axis of the rows")
    inplace = ((2, 0),)
    samples = (
        Sample((2, 2, 3), (2, 3, 2), (2, 2, 2), alpha=0.5, beta=2.0),
        Sample((3, 2, 2), (2, 2, 3), (2, 2, 2), transpose_a=True, transpose_b=True, axis=0),
    )

    def gradient(self, p, x, y, dy):
        return [*self.gradients_of_product(p, x[0], x[1], dy[0]), dy[0] * p.beta]


@register
class Gemm2(_Gemm):
    r"""Product of matrices: :math:`Y = \alpha\, op(A)\, op(B)`, op being transposition or nothing.

    The arrays have one rank and, but for the two axes of matrices, equal dimensions. ``axis`` is the axis of rows; the
    last one is the axis of columns.
    """

    name = "_linalg_gemm2"
    aliases = ("linalg_gemm2",)
    inputs = ("A", "B")
    axis = Param(Int, -2, "Axis of the rows")
    samples = (
        Sample((2, 2, 3), (2, 3, 2), alpha=0.5),
        Sample((2, 3, 2), (2, 3, 4), transpose_a=True),
        Sample((2, 2, 3), (2, 4, 3), transpose_b=True),
        Sample((3, 2, 2), (4, 2, 3), transpose_a=True, transpose_b=True, axis=0),
    )

    def gradient(self, p, x, y, dy):
        return self.gradients_of_product(p, x[0], x[1], dy[0])


@register
class Syrk(Operator):
    r"""Matrices times their own transposes: :math:`Y = \alpha A A^T`, or :math:`\alpha A^T A` with ``transpose``."""

    name = "_linalg_syrk"
    aliases = ("linalg_syrk",)
    inputs = ("A",)
    transpose = Param(Bool, False, "Transpose the first factor instead of the second")
    alpha = Param(Float, 1.0, "Factor of the product")
    samples = (Sample((2, 2, 3), alpha=0.5), Sample((3, 2), transpose=True))

    def infer_shape(self, p, inputs, outputs):
        a = inputs[0]
        if a is None:
            return inputs, outputs
        if len(a) < 2:
            raise MXNetError(f"{self.name} needs matrices, not {a}")
        side = a[-1] if p.transpose else a[-2]
        return inputs, [merge((*a[:-2], side, side), outputs[0])]

    def gradient(self, p, x, y, dy):
        left, right = (x[0], dy[0]) if p.transpose else (dy[0], x[0])
        once = _product(left, right, alpha=p.alpha)
        flags = {"transpose_a": not p.transpose, "transpose_b": p.transpose, "alpha": p.alpha}
        return [apply("_linalg_gemm", left, right, once, **flags)]

    def kernel(self, p, inputs, outputs, env):
        a, out = _stack(inputs[0]), _stack(outputs[0])
        left, right = (a.mT, a) if p.transpose else (a, a.mT)
        return partial(torch.baddbmm, out, left, right, beta=0, alpha=p.alpha, out=out)


# ---- triangular matrices -------------------------------------------------------------------------------------------


@register
class Triangle(_SquareToSquare):
    """The lower or upper triangle of each matrix, from the diagonal ``offset`` on; zeros in the rest."""

    name = "_linalg_triangle"
    lower = Param(Bool, True, "Keep the lower triangle")
    offset = Param(Int, 0, "Diagonal where the triangle ends, counted from the main one upwards")
    samples = (Sample((2, 3, 3), offset=-1), Sample((3, 3), lower=False))

    def gradient(self, p, x, y, dy):
        return [apply("_linalg_triangle", dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.tril if p.lower else torch.triu, inputs[0], p.offset, out=outputs[0])


class _Triangular(Operator):
    """Base of the operators that multiply by a triangular matrix or its inverse; its other triangle is never read."""

    inputs = ("A", "B")
    transpose = Param(Bool, False, "Use the transpose of A")
    rightside = Param(Bool, False, "A stands on the right of B")
    lower = Param(Bool, True, "A is the lower triangle, otherwise the upper one")
    alpha = Param(Float, 1.0, "Factor of the result")
    samples = tuple(
        Sample((2, 2, 2), (2, 3, 2) if right else (2, 2, 3), values={0: [1.5, 0.3, -0.4, 2, 1, 0.5, 0.7, -1.2]},
               transpose=transpose, rightside=right, lower=not right, alpha=0.5)
        for transpose in (False, True) for right in (False, True)
    )  # fmt: skip

    def infer_shape(self, p, inputs, outputs):
        a, b = square(inputs[0], self.name), merge(inputs[1], outputs[0])
        if a is not None and b is not None:
            if len(a) != len(b):
                raise MXNetError(f"{self.name} needs arrays of one rank, not {a} and {b}")
            count, (side,) = merge(a[:-2], b[:-2]), merge(a[-1:], b[-1:] if p.rightside else b[-2:-1])
            a = (*count, side, side)
            b = (*count, b[-2], side) if p.rightside else (*count, side, b[-1])
        return [a, b], [b]

    def flags(self, p, **changes):
        return {"transpose": p.transpose, "rightside": p.rightside, "lower": p.lower, **changes}

    def gradient_of_factor(self, p, to_result, other, factor):
        """The triangle of the gradient for A, when ``to_result`` and ``other`` are the matrices on its two sides."""
        left, right = (other, to_result) if p.rightside else (to_result, other)
        if p.transpose:
            left, right = right, left
        on_the_right = {"transpose_a": True} if p.rightside else {"transpose_b": True}
        return apply("_linalg_triangle", _product(left, right, alpha=factor, **on_the_right), lower=p.lower)


@register
class Trmm(_Triangular):
    r"""Products with triangular matrices: :math:`Y = \alpha\, op(A) B`, with ``rightside`` :math:`\alpha B\, op(A)`."""

    name = "_linalg_trmm"
    aliases = ("linalg_trmm",)

    def gradient(self, p, x, y, dy):
        to_b = apply(self.name, x[0], dy[0], alpha=p.alpha, **self.flags(p, transpose=not p.transpose))
        return [self.gradient_of_factor(p, dy[0], x[1], p.alpha), to_b]

    def kernel(self, p, inputs, outputs, env):
        a, b, out = _stack(inputs[0]), _stack(inputs[1]), _stack(outputs[0])
        cut = torch.tril if p.lower else torch.triu
        triangle = torch.empty_like(a)
        factor = triangle.mT if p.transpose else triangle
        left, right = (b, factor) if p.rightside else (factor, b)

        def run() -> None:
            cut(a, out=triangle)
            torch.baddbmm(out, left, right, beta=0, alpha=p.alpha, out=out)

        return run


@register
class Trsm(_Triangular):
    r"""Solutions of triangular systems: :math:`op(A) Y = \alpha B`, with ``rightside`` :math:`Y\, op(A) = \alpha B`."""

    name = "_linalg_trsm"
    aliases = ("linalg_trsm",)

    def gradient(self, p, x, y, dy):
        solved = apply(self.name, x[0], dy[0], **self.flags(p, transpose=not p.transpose))
        return [self.gradient_of_factor(p, solved, y[0], -1.0), solved * p.alpha]

    def kernel(self, p, inputs, outputs, env):
        a, b, out = _stack(inputs[0]), _stack(inputs[1]), _stack(outputs[0])
        a = a.mT if p.transpose else a
        # Transposed, a lower triangle is an upper one.
        upper, left = p.lower == p.transpose, not p.rightside

        def run() -> None:
            out.copy_(torch.linalg.solve_triangular(a, b, upper=upper, left=left)).mul_(p.alpha)

        return run


# ---- Cholesky ------------------------------------------------------------------------------------------------------


@register
class Potrf(_SquareToSquare):
    r"""Cholesky factors: lower triangular :math:`L` with :math:`L L^T = A`, A symmetric and positive definite.

    Without ``lower`` they are the upper triangular :math:`U = L^T`.

    Raises MXNetError where A is not.
    """

    name = "_linalg_potrf"
    aliases = ("linalg_potrf",)
    lower = Param(Bool, True, "Make lower triangles, otherwise upper ones")
    # Of larger matrices only one triangle is read, while the gradient is that of symmetric ones.
    samples = (Sample((2, 1, 1), low=0.5, high=2), Sample((2, 1, 1), low=0.5, high=2, lower=False))

    def gradient(self, p, x, y, dy):
        factor, change = (y[0], dy[0]) if p.lower else (_transposed(y[0]), _transposed(dy[0]))
        middle = _product(factor, change, transpose_a=True)
        strictly = apply("_linalg_triangle", middle, offset=-1)
        symmetric = apply("_linalg_triangle", middle) + _transposed(strictly)
        half = apply("_linalg_trsm", factor, symmetric, rightside=True, alpha=0.5)
        return [apply("_linalg_trsm", factor, half, transpose=True)]

    def kernel(self, p, inputs, outputs, env):
        def run() -> None:
            try:
                torch.linalg.cholesky(inputs[0], upper=not p.lower, out=outputs[0])
            except torch.linalg.LinAlgError as error:
                raise MXNetError(f"potrf of a matrix that is not positive definite: {error}") from error

        return run


@register
class Potri(_SquareToSquare):
    r"""Inverses from Cholesky factors: :math:`Y = (L L^T)^{-1}` for lower triangular L.

    Without ``lower``, :math:`Y = (U^T U)^{-1}` for upper triangular U.
    """

    name = "_linalg_potri"
    aliases = ("linalg_potri",)
    lower = Param(Bool, True, "A is the lower triangle, otherwise the upper one")
    samples = (
        Sample((2, 2, 2), values={0: [1.5, 0, -0.4, 2, 1, 0, 0.7, 1.2]}),
        Sample((2, 2), values={0: [1.5, -0.4, 0, 2]}, lower=False),
    )

    def gradient(self, p, x, y, dy):
        factor = x[0] if p.lower else _transposed(x[0])
        both = dy[0] + _transposed(dy[0])
        inner = _product(y[0], both)
        solved = apply("_linalg_trsm", factor, inner, transpose=True, rightside=True, alpha=-1.0)
        change = apply("_linalg_triangle", solved)
        return [change if p.lower else _transposed(change)]

    def kernel(self, p, inputs, outputs, env):
        return lambda: outputs[0].copy_(torch.cholesky_inverse(inputs[0], upper=not p.lower))


# ---- determinants and inverses -------------------------------------------------------------------------------------


class _Numbers(Operator):
    """Base of the operators that make one number of each matrix; (1,) for a single matrix."""

    inputs = ("A",)

    def infer_shape(self, p, inputs, outputs):
        a = square(inputs[0], self.name)
        if a is None:
            return inputs, outputs
        return [a], [merge(a[:-2] or (1,), out) for out in outputs]


class _NumbersGradient(Operator):
    """Base of their gradients: one factor for each matrix comes in, a matrix for each goes out."""

    inputs = ("factor", "A")

    def infer_shape(self, p, inputs, outputs):
        a = square(merge(inputs[1], outputs[0]), self.name)
        return [inputs[0], a], [a]


@register
class SumLogDiag(_Numbers):
    r"""Sum of the logarithms of the diagonal of each matrix: :math:`y = \sum_i \log A_{ii}`."""

    name = "_linalg_sumlogdiag"
    aliases = ("linalg_sumlogdiag",)
    samples = (Sample((2, 2, 2), low=0.5, high=2), Sample((2, 2), low=0.5, high=2))

    def gradient(self, p, x, y, dy):
        return [apply("_backward_linalg_sumlogdiag", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        diagonal = _stack(inputs[0]).diagonal(0, -2, -1)
        logarithms = torch.empty(diagonal.shape, dtype=diagonal.dtype, device=env.device)
        out = outputs[0].view(-1)

        def run() -> None:
            torch.sum(torch.log(diagonal, out=logarithms), -1, out=out)

        return run


@register
class SumLogDiagGradient(_NumbersGradient):
    r"""Gradient of :class:`SumLogDiag`: :math:`dA_{ii} = dy / A_{ii}`, zero off the diagonal."""

    name = "_backward_linalg_sumlogdiag"

    def kernel(self, p, inputs, outputs, env):
        factor, diagonal = inputs[0].view(-1, 1), _stack(inputs[1]).diagonal(0, -2, -1)
        target = _stack(outputs[0]).diagonal(0, -2, -1)

        def run() -> None:
            outputs[0].zero_()
            torch.div(factor, diagonal, out=target)

        return run


@register
class Inverse(_SquareToSquare):
    """Inverses of square matrices. Raises MXNetError where there is none."""

    name = "_linalg_inverse"
    aliases = ("linalg_inverse",)
    samples = (Sample((2, 2, 2), values={0: [1.5, 0.3, -0.4, 2, 1, 0.5, 0.7, -1.2]}),)

    def gradient(self, p, x, y, dy):
        return [_product(_product(y[0], dy[0], transpose_a=True), y[0], transpose_b=True, alpha=-1.0)]

    def kernel(self, p, inputs, outputs, env):
        def run() -> None:
            try:
                torch.linalg.inv(inputs[0], out=outputs[0])
            except torch.linalg.LinAlgError as error:
                raise MXNetError(f"inverse of a singular matrix: {error}") from error

        return run


@register
class Det(_Numbers):
    """Determinants of square matrices."""

    name = "_linalg_det"
    aliases = ("linalg_det",)
    outputs = ("output0",)
    samples = (Sample((2, 2, 2)), Sample((2, 2)))

    def num_recorded_outputs(self, p):
        # Files count an LU factorization and its pivots, which MXNet keeps as hidden outputs.
        return 3

    def gradient(self, p, x, y, dy):
        return [apply("_backward_linalg_det", dy[0] * y[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.linalg.det, _stack(inputs[0]), out=outputs[0].view(-1))


@register
class SLogDet(_Numbers):
    r"""Sign and logarithm of the absolute value of determinants: two outputs, of which the sign has no gradient."""

    name = "_linalg_slogdet"
    aliases = ("linalg_slogdet",)
    samples = (Sample((2, 2, 2)),)

    def num_outputs(self, p):
        return 2

    def num_recorded_outputs(self, p):
        # As of det.
        return 4

    def gradient(self, p, x, y, dy):
        return [apply("_backward_linalg_det", dy[1], x[0])]

    def kernel(self, p, inputs, outputs, env):
        result = tuple(out.view(-1) for out in outputs)
        return partial(torch.linalg.slogdet, _stack(inputs[0]), out=result)


@register
class DetGradient(_NumbersGradient):
    r"""Gradient of :class:`Det` and :class:`SLogDet`: :math:`dA = f A^{-T}`, f being dy·det A or dy."""

    name = "_backward_linalg_det"

    def kernel(self, p, inputs, outputs, env):
        factor, a, out = inputs[0].view(-1, 1, 1), _stack(inputs[1]), _stack(outputs[0])
        return lambda: torch.mul(torch.linalg.inv(a).mT, factor, out=out)
