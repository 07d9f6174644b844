"""Pooling and its gradient, where MXNet and oneDNN agree about what a window is."""

from __future__ import annotations

from collections.abc import Sequence

from ....graph.node import Node
from ....ops import spatial
from ....ops.pooling import Axis
from ...engine import Implementation, Value
from ..declarations import Algorithm, Arg
from ..implementation import PrimitiveImplementation, Request, View, choose, implements
from ..pooling import Pooling


class _Layer:
    """A pooling as the library sees it, in both directions: the gradient reads what only the library can have noted."""

    def __init__(self, pooling: Pooling, data: View, output: View) -> None:
        self.data, self.output = data, output
        self.forward = choose([lambda: pooling.forward(data.desc, output.any, training=True)])
        described = self.forward.descs[Arg.SRC], self.forward.descs[Arg.DST]
        self.backward = choose([lambda: pooling.backward(self.forward, *described)])

    @classmethod
    def of(cls, node: Node, data: Value, output: Value) -> _Layer | None:
        """None if the library does not know such windows."""
        p = node.params
        rank = len(data.shape) - 2
        first = (0, rank + 1, *range(1, rank + 1)) if spatial.channel_last(p) else None
        data_view, output_view = View(data, first), View(output, first)
        axes = node.op.axes(p, data_view.shape[2:])  # type: ignore[union-attr]
        algorithm = _algorithm(p.pool_type, p.count_include_pad is not False, axes)
        if algorithm is None:
            return None
        kernel, stride, pad = (tuple(axis[i] for axis in axes) for i in (1, 2, 3))
        # May be negative, for a rest that no window reaches.
        after = tuple((axis.number - 1) * axis.stride + axis.kernel - axis.size - axis.pad for axis in axes)
        return cls(Pooling(algorithm, kernel, stride, pad, after), data_view, output_view)


def _algorithm(kind: str, include_padding: bool, axes: Sequence[Axis]) -> Algorithm | None:
    """The library's name for a statistic over these windows; None if it has none."""
    starts = [(-axis.pad, (axis.number - 1) * axis.stride - axis.pad) for axis in axes]
    if any(first + axis.kernel <= 0 or last >= axis.size for (first, last), axis in zip(starts, axes)):
        return None  # a window of nothing but padding
    if kind == "max":
        return Algorithm.POOLING_MAX
    if kind != "avg":
        return None
    if not include_padding:
        return Algorithm.POOLING_AVERAGE_EXCLUDE_PADDING
    if any(last + axis.kernel > axis.size + axis.pad for (_, last), axis in zip(starts, axes)):
        return None  # the last window reaches beyond the padding, and MXNet counts what does not
    return Algorithm.POOLING_AVERAGE_INCLUDE_PADDING


@implements("Pooling")
def forward(request: Request) -> Implementation | None:
    layer = _Layer.of(request.node, request.inputs[0], request.outputs[0])
    if layer is None:
        return None
    # The places of the maxima, as small numbers in a layout that only the library's own gradient reads.
    places = [(Arg.WORKSPACE, View(value)) for value in request.outputs[1:]]
    return PrimitiveImplementation(layer.forward, [(Arg.SRC, layer.data)], [(Arg.DST, layer.output), *places])


@implements("_backward_Pooling")
def backward(request: Request) -> Implementation | None:
    head, data, *saved = request.inputs
    layer = _Layer.of(request.node, data, head)
    if layer is None:
        return None
    places = [(Arg.WORKSPACE, View(value)) for value in saved]
    operands = [(Arg.DIFF_DST, layer.output), None, *places]
    return PrimitiveImplementation(layer.backward, operands, [(Arg.DIFF_SRC, layer.data)])
