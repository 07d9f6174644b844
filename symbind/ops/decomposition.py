"""Decompositions of stacks of matrices whose factors are unique up to signs: LQ and symmetric eigenvalues.

The gradients are those of M. Seeger et al., *Auto-Differentiating Linear Algebra*, arXiv:1710.08717.
"""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .shapes import merge, square

__all__: list[str] = []


@register
class Gelqf(Operator):
    r"""LQ factors: :math:`A = L Q` with L lower triangular and orthonormal rows in Q, :math:`Q Q^T = 1`.

    Shapes: ``A`` (…, m, n) with :math:`m \le n`; outputs Q (…, m, n) and L (…, m, m), in this order. The signs of the
    rows are those of LAPACK. Raises MXNetError for more rows than columns.
    """

    name = "_linalg_gelqf"
    aliases = ("linalg_gelqf",)
    inputs = ("A",)
    samples = (Sample((2, 3)), Sample((2, 2, 2)))

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[0], outputs[0])
        if shape is None:
            return inputs, outputs
        if len(shape) < 2 or (shape[-1] and shape[-2] > shape[-1]):
            raise MXNetError(f"gelqf needs matrices with no more rows than columns, not {shape}")
        rows = shape[-2]
        return [shape], [shape, merge(outputs[1], (*shape[:-1], rows))]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_linalg_gelqf", *dy, *y)]

    def kernel(self, p, inputs, outputs, env):
        q, low = outputs

        def run() -> None:
            orthogonal, upper = torch.linalg.qr(inputs[0].mT)
            q.copy_(orthogonal.mT)
            low.copy_(upper.mT)

        return run


@register
class GelqfGradient(Operator):
    r"""The gradient of :class:`Gelqf`.

    .. math:: dA = L^{-T} (dQ + \operatorname{copyltu}(L^T dL - dQ Q^T) Q)

    where copyltu copies the lower triangle of a matrix to its upper one.
    """

    name = "_backward_linalg_gelqf"
    inputs = ("dQ", "dL", "Q", "L")

    def infer_shape(self, p, inputs, outputs):
        whole = merge(merge(inputs[0], inputs[2]), outputs[0])
        low = square(merge(inputs[1], inputs[3]), self.name)
        return [whole, low, whole, low], [whole]

    def kernel(self, p, inputs, outputs, env):
        d_q, d_low, q, low = inputs

        def run() -> None:
            middle = low.mT @ d_low - d_q @ q.mT
            symmetric = middle.tril() + middle.tril(-1).mT
            outputs[0].copy_(torch.linalg.solve_triangular(low.mT, d_q + symmetric @ q, upper=True))

        return run


@register
class Syevd(Operator):
    r"""Eigenvalues and eigenvectors of symmetric matrices: :math:`A = U^T \operatorname{diag}(\lambda) U`.

    Shapes: ``A`` (…, n, n); outputs U (…, n, n), an eigenvector in each row, and λ (…, n), the smallest first. Only the
    lower triangle of A is read. The largest number of a vector is positive. The gradient needs all eigenvalues to
    differ.
    """

    name = "_linalg_syevd"
    inputs = ("A",)
    # Of larger matrices only one triangle is read, while the gradient is that of symmetric ones.
    samples = (Sample((2, 1, 1)),)

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        shape = square(merge(inputs[0], outputs[0]), self.name)
        return [shape], [shape, merge(outputs[1], shape and shape[:-1])]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_linalg_syevd", *dy, *y)]

    def kernel(self, p, inputs, outputs, env):
        vectors, values = outputs

        def run() -> None:
            eigenvalues, columns = torch.linalg.eigh(inputs[0])
            values.copy_(eigenvalues)
            largest = columns.gather(-2, columns.abs().argmax(-2, keepdim=True))
            torch.mul(columns.mT, largest.sign().mT, out=vectors)

        return run


@register
class SyevdGradient(Operator):
    r"""The gradient of :class:`Syevd`.

    .. math:: dA = U^T (\operatorname{sym}(dU U^T \circ E) + \operatorname{diag}(d\lambda)) U, \quad
        E_{ij} = 1 / (\lambda_i - \lambda_j), \; E_{ii} = 0
    """

    name = "_backward_linalg_syevd"
    inputs = ("dU", "dL", "U", "L")

    def infer_shape(self, p, inputs, outputs):
        whole = square(merge(merge(inputs[0], inputs[2]), outputs[0]), self.name)
        values = merge(merge(inputs[1], inputs[3]), whole and whole[:-1])
        return [whole, values, whole, values], [whole]

    def kernel(self, p, inputs, outputs, env):
        d_vectors, d_values, vectors, values = inputs

        def run() -> None:
            differences = values.unsqueeze(-1) - values.unsqueeze(-2)
            inner = d_vectors @ vectors.mT / differences.diagonal_scatter(torch.full_like(values, torch.inf), 0, -2, -1)
            inner = (inner + inner.mT) / 2 + torch.diag_embed(d_values)
            outputs[0].copy_(vectors.mT @ inner @ vectors)

        return run
