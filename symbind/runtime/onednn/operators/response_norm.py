"""Local response normalization over neighbouring channels."""

from __future__ import annotations

from ...engine import Implementation, Value
from ..declarations import Arg
from ..implementation import PrimitiveImplementation, Request, View, choose, implements
from ..library import Unsupported
from ..normalization import LocalResponseNormalization


class _Layer:
    """Both directions, for the gradient reads what only the library has noted.

    In blocks of channels: plain images have no gradient but the reference, and with channels last the library's
    gradient is wrong for some numbers of them.
    """

    def __init__(self, request: Request, data: Value) -> None:
        p = request.node.params
        if p.nsize % 2 == 0:
            raise Unsupported("MXNet and oneDNN differ about the middle of an even number of channels")
        layer = LocalResponseNormalization(p.nsize, p.alpha, p.beta, p.knorm)
        self.data = View(data)
        desc = self.data.channel_blocks
        self.forward = choose([lambda: layer.forward(desc, desc, training=True)])
        self.backward = choose([lambda: layer.backward(self.forward, desc, desc, desc)])


@implements("LRN")
def forward(request: Request) -> Implementation:
    layer = _Layer(request, request.inputs[0])
    noted = View(request.outputs[1])
    results = [(Arg.DST, layer.data), (Arg.WORKSPACE, noted)]
    return PrimitiveImplementation(layer.forward, [(Arg.SRC, layer.data)], results)


@implements("_backward_LRN")
def backward(request: Request) -> Implementation:
    _, data, output, noted = request.inputs
    layer = _Layer(request, data)
    operands = [(Arg.DIFF_DST, layer.data), (Arg.SRC, layer.data), None, (Arg.WORKSPACE, View(noted))]
    made = PrimitiveImplementation(layer.backward, operands, [(Arg.DIFF_SRC, layer.data)])
    made.input_layouts = [*made.input_layouts[:2], output.layout, *made.input_layouts[3:]]  # unread, as it may lie
    return made
