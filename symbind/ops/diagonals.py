"""Diagonals and triangles of matrices: taken out in a row, and put back among zeros."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, Int, Param
from .shapes import is_known, merge, normalize_axis, square

__all__: list[str] = []


@register
class Diag(Operator):
    """The diagonal of two axes of an array, as last axis of the result; or a matrix with a vector on its diagonal.

    Element i of the diagonal is at (i, i + k) of ``axis1`` and ``axis2``. A vector of n elements becomes a square
    matrix of n + :math:`|k|` rows. Raises MXNetError if the array has no such diagonal.
    """

    name = "diag"
    k = Param(Int, 0, "Which diagonal: 0 the main one, positive above it, negative below")
    axis1 = Param(Int, 0, "The axis of rows")
    axis2 = Param(Int, 1, "The axis of columns")
    samples = (Sample((3,), k=1), Sample((3, 4), k=-1), Sample((2, 3, 4), axis1=0, axis2=-1))

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        if len(data) == 1:
            side = data[0] and data[0] + abs(p.k)
            return inputs, [merge((side, side), outputs[0])]
        rows, columns = normalize_axis(p.axis1, len(data), "axis1"), normalize_axis(p.axis2, len(data), "axis2")
        if rows == columns:
            raise MXNetError(f"axis1 and axis2 cannot refer to the same axis {p.axis1}")
        length = 0
        if data[rows] and data[columns]:
            length = min(data[rows] + min(p.k, 0), data[columns] - max(p.k, 0))
            if length < 1:
                raise MXNetError(f"Diagonal k={p.k} of axes {p.axis1}, {p.axis2} does not exist in the shape {data}")
        rest = [n for axis, n in enumerate(data) if axis not in (rows, columns)]
        return inputs, [merge((*rest, length), outputs[0])]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_diag", dy[0], x[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if data.dim() == 1:
            return _put(data, out.diagonal(p.k), out)
        return partial(out.copy_, data.diagonal(p.k, p.axis1, p.axis2))


def _put(values: torch.Tensor, diagonal: torch.Tensor, whole: torch.Tensor) -> Kernel:
    def run() -> None:
        whole.zero_()
        diagonal.copy_(values)

    return run


@register
class DiagGradient(Operator):
    """Gradient of :class:`Diag`: the head gradient put back on the diagonal, or taken off it."""

    name = "_backward_diag"
    inputs = ("ograd", "data")
    unread = (1,)
    parameters = Diag.parameters
    samples = (Sample((4, 4), (3,), k=1), Sample((2,), (3, 4), k=-1))

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data], [data]

    def gradient(self, p, x, y, dy):
        return [apply("diag", dy[0], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        ograd, out = inputs[0], outputs[0]
        if out.dim() == 1:
            return partial(out.copy_, ograd.diagonal(p.k))
        return _put(ograd, out.diagonal(p.k, p.axis1, p.axis2), out)


# ---- of square matrices in stacks, the last two axes ---------------------------------------------------------------


class _Places(Operator):
    """Base of the operators that take elements of square matrices in a row, or put them there.

    ``places`` are the (row, column) numbers of the elements in a matrix of a given side, ``count`` says how many.
    """

    inputs = ("A",)

    def places(self, p, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        raise NotImplementedError

    def count(self, p, side: int) -> int:
        raise NotImplementedError

    def extracted(self, p, matrices):
        """Shape of the elements in a row, from the shape of the matrices."""
        if not is_known(matrices):
            return None
        if matrices[-1] <= abs(p.offset):
            raise MXNetError(f"Illegal offset {p.offset} for matrices of dimension {matrices[-1]}")
        return (*matrices[:-2], self.count(p, matrices[-1]))

    def positions(self, p, matrices: torch.Tensor, device: torch.device) -> torch.Tensor:
        """The elements' positions in a flattened matrix."""
        side = matrices.shape[-1]
        rows, columns = self.places(p, side)
        return (rows * side + columns).to(device)


class _Extract(_Places):
    def infer_shape(self, p, inputs, outputs):
        matrices = square(inputs[0], self.name)
        return [matrices], [merge(self.extracted(p, matrices), outputs[0])]

    def gradient(self, p, x, y, dy):
        return [apply(self.name.replace("extract", "make"), dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        positions = self.positions(p, inputs[0], env.device)
        flat, out = inputs[0].view(-1, inputs[0].shape[-1] ** 2), outputs[0].view(-1, len(positions))
        return partial(torch.index_select, flat, 1, positions, out=out)


class _Make(_Places):
    def side(self, p, count: int) -> int:
        """Side of the matrices that hold ``count`` numbers each."""
        raise NotImplementedError

    def infer_shape(self, p, inputs, outputs):
        a = inputs[0]
        if a is None or not a[-1]:
            return inputs, outputs
        side = self.side(p, a[-1])
        return inputs, [merge((*a[:-1], side, side), outputs[0])]

    def gradient(self, p, x, y, dy):
        return [apply(self.name.replace("make", "extract"), dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        positions = self.positions(p, out, env.device)
        rows, flat = inputs[0].view(-1, len(positions)), out.view(-1, out.shape[-1] ** 2)
        return lambda: flat.zero_().index_copy_(1, positions, rows)


class _Diagonal(_Places):
    offset = Param(Int, 0, "Which diagonal: 0 the main one, positive above it, negative below")

    def places(self, p, side):
        steps = torch.arange(side - abs(p.offset))
        return steps - min(p.offset, 0), steps + max(p.offset, 0)

    def count(self, p, side):
        return side - abs(p.offset)


class _TriangleElements(_Places):
    offset = Param(Int, 0, "Diagonal that bounds the triangle; if it is not the main one, its sign says which triangle")
    lower = Param(Bool, True, "The lower triangle, where offset is 0")

    def places(self, p, side):
        lower = p.offset < 0 or (p.offset == 0 and p.lower)
        places = (torch.tril_indices if lower else torch.triu_indices)(side, side, p.offset)
        return places[0], places[1]

    def count(self, p, side):
        longest = side - abs(p.offset)
        return longest * (longest + 1) // 2


@register
class ExtractDiag(_Diagonal, _Extract):
    """The diagonals of square matrices: (…, n, n) → (…, n - :math:`|offset|`)."""

    name = "_linalg_extractdiag"
    aliases = ("linalg_extractdiag",)
    samples = (Sample((2, 3, 3), offset=-1),)


@register
class MakeDiag(_Diagonal, _Make):
    """Square matrices with the input on a diagonal, zeros elsewhere: (…, n) → (…, m, m), m = n + :math:`|offset|`."""

    name = "_linalg_makediag"
    aliases = ("linalg_makediag",)
    samples = (Sample((2, 2), offset=1),)

    def side(self, p, count):
        return count + abs(p.offset)


@register
class ExtractTrian(_TriangleElements, _Extract):
    """The triangles of square matrices, row by row: (…, n, n) → (…, m(m+1)/2), m = n - :math:`|offset|`."""

    name = "_linalg_extracttrian"
    aliases = ("linalg_extracttrian",)
    samples = (Sample((2, 3, 3)), Sample((3, 3), offset=1))


@register
class MakeTrian(_TriangleElements, _Make):
    """Square matrices with the input in a triangle, row by row, zeros elsewhere: (…, m(m+1)/2) → (…, n, n)."""

    name = "_linalg_maketrian"
    aliases = ("linalg_maketrian",)
    samples = (Sample((2, 6), lower=False), Sample((3,), offset=-1))

    def side(self, p, count):
        side = int((2 * count) ** 0.5)
        if side * (side + 1) != 2 * count:
            raise MXNetError(f"Input tensor of maketrian has {count} numbers in a row, which fill no triangle")
        return side + abs(p.offset)
