"""Counting values by intervals."""

from __future__ import annotations

import torch

from ..base import MXNetError
from .operator import Operator, Sample, register
from .parameter import Floats, Int, Optional, Param
from .shapes import merge

__all__: list[str] = []


@register
class Histogram(Operator):
    """How many elements lie in each of a row of intervals; the second output is the edges of the intervals.

    The intervals are between the ascending numbers of ``bins`` (n + 1,), or ``bin_cnt`` equal ones that fill
    ``range``, in which case ``bins`` is no input. An interval holds its lower edge and not its upper one, but the last
    holds both; elements outside count nowhere. Counts are 64-bit integers, edges have the type of the data.
    """

    name = "_histogram"
    inputs = ("data", "bins")
    bin_cnt = Param(Optional(Int), None, "Number of equal intervals")
    range = Param(Optional(Floats), None, "Lower end of the first and upper end of the last of equal intervals")
    zero_gradient = True
    samples = (Sample((5,), (3,), values={1: [-1, 0, 0.5]}), Sample((2, 3), bin_cnt=4, range=(-0.5, 1.0)))

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if (p.bin_cnt is None) != (p.range is None):
            raise MXNetError(f"bin_cnt={p.bin_cnt} and range={p.range} of _histogram should both or neither be given")
        if p.bin_cnt is not None and (p.bin_cnt < 1 or len(p.range) != 2 or p.range[0] >= p.range[1]):
            raise MXNetError(f"_histogram cannot divide the range {p.range} into {p.bin_cnt} intervals")
        return p

    def input_names(self, p):
        return self.inputs if p.bin_cnt is None else self.inputs[:1]

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        if p.bin_cnt is not None:
            return inputs, [(p.bin_cnt,), (p.bin_cnt + 1,)]
        edges = merge(inputs[1], outputs[1])
        if edges is None or not edges[0]:
            return inputs, outputs
        if len(edges) != 1 or edges[0] < 2:
            raise MXNetError(f"bins of _histogram must be a vector of 2 or more edges, not {edges}")
        return [inputs[0], edges], [(edges[0] - 1,), edges]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[1]
        return [dtype, *inputs[1:]], [torch.int64, dtype]

    def kernel(self, p, inputs, outputs, env):
        data, (counts, edges) = inputs[0].view(-1), outputs
        bounds = torch.empty(edges.shape, dtype=torch.float64, device=env.device)
        if p.bin_cnt is not None:
            low, high = p.range
            torch.linspace(low, high, p.bin_cnt + 1, out=bounds)

        def run() -> None:
            if p.bin_cnt is None:
                bounds.copy_(inputs[1])
            edges.copy_(bounds)
            values = data.double()
            # The number of edges that are not above each element; the last interval takes its upper edge as well.
            place = torch.bucketize(values, bounds, right=True).sub_((values == bounds[-1]).long())
            counts.copy_(torch.bincount(place, minlength=len(bounds) + 1)[1 : len(bounds)])

        return run
