"""Sums of chosen rows with weights, and the transpose: what sampling an array at any places comes down to.

Pooling a region, or interpolating between pixels, makes each number of the output a sum of a few numbers of the input,
with weights that depend on places but not on channels. With pixels as rows and channels as columns that is
:math:`y_i = \\sum_{k ∈ bag_i} w_k\\, x_{r_k}`, and its gradient with respect to :math:`x` is a sum of the same kind.
torch computes both in one call, each sum in one order, on every device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Bags", "Points", "add_at", "between", "bilinear"]

_bag = torch.ops.aten._embedding_bag_forward_only
_SUM, _MAX = 0, 2


@dataclass(frozen=True)
class Bags:
    """Lists of rows and weights, one after the other in ``rows`` and ``weights``; ``starts`` says where each begins."""

    rows: torch.Tensor
    starts: torch.Tensor
    weights: torch.Tensor

    def sums(self, array: torch.Tensor) -> torch.Tensor:
        """The sum of each bag, of shape (bags, columns), for ``array`` (rows, columns)."""
        return _bag(array, self.rows, self.starts, False, _SUM, False, self.weights)[0]

    def maxima(self, array: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The largest number of each bag, weights aside, and the first row that has it; 0 and -1 for empty bags."""
        largest, _, _, rows = _bag(array, self.rows, self.starts, False, _MAX, False, None)
        return largest, rows.masked_fill_(self.sizes().eq(0).unsqueeze(1), -1)

    def sizes(self) -> torch.Tensor:
        return torch.diff(self.starts, append=self.starts.new_tensor([len(self.rows)]))

    def transposed(self, count: int) -> Bags:
        """The bags that take each of ``count`` rows back to where it was used."""
        bag = torch.repeat_interleave(self.sizes())
        order = self.rows.argsort(stable=True)
        starts = torch.searchsorted(self.rows[order], torch.arange(count, device=order.device))
        return Bags(bag[order], starts, self.weights[order])


# ---- bags of points in the plane ----------------------------------------------------------------


@dataclass(frozen=True)
class Points:
    """For each of some windows along one axis, in the last dimension: points with a weight, 0 for none."""

    places: torch.Tensor
    weights: torch.Tensor

    def times(self, across: Points, first: torch.Tensor, width: int) -> Bags:
        """Bags of all points of windows down (n, P, K) times windows across (n, Q, L), one for each of n·P·Q.

        ``first`` (n, P, Q) is the row of place (0, 0); there are ``width`` places in a line.
        """
        weights = self.weights[:, :, None, :, None] * across.weights[:, None, :, None, :]
        rows = first[..., None, None] + self.places[:, :, None, :, None] * width + across.places[:, None, :, None, :]
        real = weights != 0
        sizes = real.sum((-2, -1)).view(-1)
        return Bags(rows[real], sizes.cumsum(0) - sizes, weights[real])


def between(start: torch.Tensor, stop: torch.Tensor, size: int) -> Points:
    """The whole numbers from ``start`` up to ``stop``, as far as the axis has them, each with one part of the whole."""
    dtype = start.dtype
    start, stop = start.clamp(0, size).long(), stop.clamp(0, size).long()
    length = stop - start
    steps = torch.arange(int(length.max()) if length.numel() else 0, device=start.device)
    there = steps < length.unsqueeze(-1)
    places = torch.where(there, start.unsqueeze(-1) + steps, 0)
    return Points(places, there.to(dtype) / length.unsqueeze(-1).clamp(min=1))


def bilinear(position: torch.Tensor, weight: torch.Tensor, size: int) -> Points:
    """The two pixels around each ``position`` (n, P, K) on an axis of ``size``, by linear interpolation.

    Positions up to one pixel beyond the first and the last count as these; others have no pixels at all.
    """
    weight = weight.where((position >= -1) & (position <= size), 0)
    position = position.clamp(0, size - 1)
    low = position.floor()
    part = position - low
    low = low.long()
    places = torch.stack((low, (low + 1).clamp_max_(size - 1)), -1)
    return Points(places.flatten(-2), torch.stack((weight * (1 - part), weight * part), -1).flatten(-2))


def add_at(target: torch.Tensor, places: torch.Tensor, values: torch.Tensor) -> None:
    """Add ``values`` to the numbers of ``target`` at ``places``, all flat; what meets at one place, always in order."""
    if target.is_cuda:
        target.index_put_((places,), values, accumulate=True)  # sorts the places
    else:
        target.scatter_add_(0, places, values)  # goes through them one by one
