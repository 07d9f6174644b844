"""Enlarging one image by repeating its pixels, in the layout that the image has been given."""

from __future__ import annotations

from ...engine import Implementation, Value
from ..declarations import Algorithm, Arg
from ..implementation import PrimitiveImplementation, Request, View, choose, implements
from ..pooling import Resampling
from ..primitive import Primitive

# Positions are rounded such that a whole factor repeats every pixel.
_RESAMPLING = Resampling(Algorithm.RESAMPLING_NEAREST)


def _is_simple(request: Request, image: Value) -> bool:
    p = request.node.params
    return p.sample_type == "nearest" and p.num_args == 1 and image.layout is not None


def _forward(small: View, large: View) -> Primitive:
    return choose([lambda: _RESAMPLING.forward(small.desc, large.any, training=True)])


@implements("UpSampling")
def forward(request: Request) -> Implementation | None:
    if not _is_simple(request, request.inputs[0]):
        return None
    small, large = View(request.inputs[0]), View(request.outputs[0])
    return PrimitiveImplementation(_forward(small, large), [(Arg.SRC, small)], [(Arg.DST, large)])


@implements("_backward_UpSampling")
def backward(request: Request) -> Implementation | None:
    head, image = request.inputs[:2]
    if not _is_simple(request, image):
        return None
    small, large = View(image), View(head)
    forward = _forward(small, large)
    primitive = choose([lambda: _RESAMPLING.backward(forward, forward.descs[Arg.SRC], forward.descs[Arg.DST])])
    return PrimitiveImplementation(primitive, [(Arg.DIFF_DST, large), None], [(Arg.DIFF_SRC, small)])
