"""Softmax over the last axis, by itself and in the output layer; over other axes and for logarithms torch is better."""

from __future__ import annotations

import torch

from ....ops.shapes import normalize_axis, product
from ...engine import Implementation
from ..declarations import Arg
from ..implementation import PrimitiveImplementation, Request, choose, implements
from ..memory import MemoryDesc
from ..reduction import Softmax

_LAST = Softmax(axis=1)


def _rows(rows: int, columns: int) -> MemoryDesc:
    return MemoryDesc.plain((rows, columns), torch.float32)


def _forward(request: Request, desc: MemoryDesc) -> Implementation:
    primitive = choose([lambda: _LAST.forward(desc, desc, training=True)])
    unread = [None] * (len(request.inputs) - 1)
    return PrimitiveImplementation(primitive, [Arg.SRC, *unread], [Arg.DST])


def _backward(request: Request, desc: MemoryDesc) -> Implementation:
    """The gradient from the head gradient and the result, which come first among the inputs."""
    forward = _LAST.forward(desc, desc, training=True)
    primitive = choose([lambda: _LAST.backward(forward, desc, desc, desc)])
    unread = [None] * (len(request.inputs) - 2)
    return PrimitiveImplementation(primitive, [Arg.DIFF_DST, Arg.DST, *unread], [Arg.DIFF_SRC])


def _plain_softmax(request: Request) -> MemoryDesc | None:
    """The arrays of a node of the softmax family as rows, if its softmax is the plain one over the last axis."""
    p, shape = request.node.params, request.outputs[0].shape
    is_plain = p.temperature in (None, 1) and not p.use_length
    if not is_plain or normalize_axis(p.axis, len(shape)) != len(shape) - 1:
        return None
    return _rows(product(shape[:-1]), shape[-1])


@implements("softmax")
def softmax(request: Request) -> Implementation | None:
    rows = _plain_softmax(request)
    return None if rows is None else _forward(request, rows)


@implements("_backward_softmax")
def softmax_gradient(request: Request) -> Implementation | None:
    rows = _plain_softmax(request)
    return None if rows is None else _backward(request, rows)


@implements("SoftmaxOutput")
def softmax_output(request: Request) -> Implementation | None:
    samples, classes, places = request.node.op.groups(request.node.params, request.inputs[0].shape)
    return _forward(request, _rows(samples, classes)) if places == 1 else None
