"""Activation functions."""

from __future__ import annotations

from functools import partial

import torch

from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Enum, Param
from .shapes import same_shape

_KINDS = ("relu", "sigmoid", "softrelu", "softsign", "tanh")
# Beyond this, log(1 + exp(x)) is x to the last bit of a float64, and the exponential still far from overflow.
_SOFTRELU_IS_LINEAR = 40


@register
class Activation(Operator):
    r"""An activation function, number by number.

    ========  =====================================
    relu      :math:`\max(x, 0)`
    sigmoid   :math:`1 / (1 + e^{-x})`
    softrelu  :math:`\log(1 + e^x)`
    softsign  :math:`x / (1 + |x|)`
    tanh      :math:`\tanh x`
    ========  =====================================

    The output has the shape and type of ``data``.
    """

    name = "Activation"
    act_type = Param(Enum(*_KINDS), doc="Which function.")
    samples = tuple(Sample((6,), act_type=kind, values={0: [-1.5, -0.7, -0.2, 0.3, 0.8, 1.4]}) for kind in _KINDS)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def inplace_pairs(self, p):
        return () if p.act_type == "softsign" else ((0, 0),)

    def gradient(self, p, x, y, dy):
        return [apply("_backward_Activation", dy[0], y[0], act_type=p.act_type)]

    def kernel(self, p, inputs, outputs, env):
        data, output = inputs[0], outputs[0]
        if p.act_type == "softsign":

            def softsign() -> None:
                torch.abs(data, out=output)
                torch.div(data, output.add_(1), out=output)

            return softsign
        return {
            "relu": partial(torch.clamp_min, data, 0, out=output),
            "sigmoid": partial(torch.sigmoid, data, out=output),
            "softrelu": partial(torch.ops.aten.softplus.out, data, 1, _SOFTRELU_IS_LINEAR, out=output),
            "tanh": partial(torch.tanh, data, out=output),
        }[p.act_type]


@register
class ActivationGradient(Operator):
    r"""Gradient of Activation from the head gradient and the *output* :math:`y`, so that the data need not be kept.

    ========  ==============================
    relu      :math:`dx = dy\,[y > 0]`
    sigmoid   :math:`dx = dy\,y (1 - y)`
    softrelu  :math:`dx = dy\,(1 - e^{-y})`
    softsign  :math:`dx = dy\,(1 - |y|)^2`
    tanh      :math:`dx = dy\,(1 - y^2)`
    ========  ==============================
    """

    name = "_backward_Activation"
    inputs = ("head_grad", "output")
    act_type = Param(Enum(*_KINDS), doc="Which function.")
    samples = tuple(Sample((2, 3), (2, 3), act_type=kind, values={1: (0.1, 0.9)}) for kind in _KINDS)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def inplace_pairs(self, p):
        # The others work on the output's memory before they read the head gradient.
        return ((1, 0),) if p.act_type in ("softrelu", "softsign") else ((0, 0), (1, 0))

    def gradient(self, p, x, y, dy):
        head, output = x
        again = apply("_backward_Activation", dy[0], output, act_type=p.act_type)
        if p.act_type == "relu":
            return [again, ZERO]
        curvature = {
            "sigmoid": lambda: 1 - 2 * output,
            "softrelu": lambda: apply("exp", -output),
            "softsign": lambda: 2 * (output - apply("sign", output)),
            "tanh": lambda: -2 * output,
        }[p.act_type]()
        return [again, dy[0] * head * curvature]

    def kernel(self, p, inputs, outputs, env):
        head, output = inputs
        result = outputs[0]

        def softrelu() -> None:
            torch.neg(output, out=result)
            result.expm1_().neg_().mul_(head)

        def softsign() -> None:
            torch.abs(output, out=result)
            result.sub_(1).square_().mul_(head)

        aten = torch.ops.aten
        return {
            "relu": partial(aten.threshold_backward.grad_input, head, output, 0, grad_input=result),
            "sigmoid": partial(aten.sigmoid_backward.grad_input, head, output, grad_input=result),
            "softrelu": softrelu,
            "softsign": softsign,
            "tanh": partial(aten.tanh_backward.grad_input, head, output, grad_input=result),
        }[p.act_type]
