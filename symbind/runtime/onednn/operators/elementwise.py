"""Functions of single numbers.

Most are as fast in torch, which runs over any layout whose padding they leave zero; here are those that are not.
"""

from __future__ import annotations

from ...engine import Implementation, Value
from ...torch_engine import TorchImplementation
from ..declarations import Algorithm, Arg
from ..elementwise import Elementwise, binary
from ..implementation import PrimitiveImplementation, Request, View, choose, implements


@implements("tanh")
def tanh(request: Request) -> Implementation:
    return _function(Elementwise(Algorithm.TANH), request.inputs[0])


@implements("sigmoid")
def sigmoid(request: Request) -> Implementation:
    return _function(Elementwise(Algorithm.LOGISTIC), request.inputs[0])


@implements("Activation")
def activation(request: Request) -> Implementation | None:
    functions = {"tanh": Algorithm.TANH, "sigmoid": Algorithm.LOGISTIC}
    algorithm = functions.get(request.node.params.act_type)
    return None if algorithm is None else _function(Elementwise(algorithm), request.inputs[0])


def _function(function: Elementwise, data: Value) -> Implementation:
    view = View(data)
    primitive = choose([lambda: function.forward(view.desc, view.desc, training=True)])
    return PrimitiveImplementation(primitive, [(Arg.SRC, view)], [(Arg.DST, view)])


@implements("elemwise_add", "_grad_add")
def add(request: Request) -> Implementation:
    left, right = request.inputs
    # Both in the layout of the one that has been laid out.
    laid_out = right if left.layout is None else left
    view = View(laid_out)
    primitive = choose([lambda: binary(Algorithm.ADD, *[view.desc] * 3, post_ops=request.post_ops(view.desc))])
    return PrimitiveImplementation(primitive, [(Arg.SRC, view), (Arg.SRC_1, view)], [(Arg.DST, view)])


@implements("LeakyReLU")
def leaky_relu(request: Request) -> Implementation | None:
    # All but these have a second array. Zero stays zero, so that padding does not matter.
    if request.node.params.act_type not in ("elu", "gelu", "leaky", "selu"):
        return None
    return TorchImplementation(request.node, request.inputs[0].layout)


@implements("Dropout", "_backward_Dropout")
def dropout(request: Request) -> Implementation | None:
    # Where the mask shares no draws it has the shape of the data, and may lie like it. Zero stays zero.
    if request.node.params.axes:
        return None
    return TorchImplementation(request.node, request.inputs[0].layout)
