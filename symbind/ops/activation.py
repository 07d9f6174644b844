"""Activation functions."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import sequence
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Enum, Float, Param, Params
from .shapes import Shape, is_known, merge, same_shape

aten = torch.ops.aten

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
    elementwise = True
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
            "softrelu": partial(aten.softplus.out, data, 1, _SOFTRELU_IS_LINEAR, out=output),
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
    elementwise = True
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

        return {
            "relu": partial(aten.threshold_backward.grad_input, head, output, 0, grad_input=result),
            "sigmoid": partial(aten.sigmoid_backward.grad_input, head, output, grad_input=result),
            "softrelu": softrelu,
            "softsign": softsign,
            "tanh": partial(aten.tanh_backward.grad_input, head, output, grad_input=result),
        }[p.act_type]


# ---- leaky rectifiers ---------------------------------------------------------------------------

_LEAKY_KINDS = ("elu", "gelu", "leaky", "prelu", "rrelu", "selu")
# Klambauer et al. chose these so that mean 0 and variance 1 reproduce themselves.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class _Leaky(Operator):
    act_type = Param(Enum(*_LEAKY_KINDS), "leaky", "Which function.")
    slope = Param(Float, 0.25, "The slope of leaky; the limit of elu is its negative.")
    lower_bound = Param(Float, 0.125, "Least slope of rrelu.")
    upper_bound = Param(Float, 0.334, "Greatest slope of rrelu.")


def _mean_slope(p: Params) -> float:
    """What rrelu uses during inference."""
    return (p.lower_bound + p.upper_bound) / 2


def _needs_data(p: Params) -> bool:
    """Whether the gradient cannot be told from the output, for that has another sign than the data."""
    return p.act_type == "gelu" or (p.act_type in ("leaky", "elu") and p.slope < 0)


def _spread_slopes(gamma: Shape, data: Shape) -> Shape:
    """The shape in which slopes broadcast over data: one axis of them is that of channels, more are the first axes."""
    axes = (1, *gamma) if len(gamma) == 1 < len(data) else gamma
    spread = (*axes, *[1] * (len(data) - len(axes)))
    if len(spread) > len(data) or any(slopes not in (1, size) for slopes, size in zip(spread, data)):
        raise MXNetError(f"gamma of prelu has shape {gamma}, which does not broadcast over data of shape {data}")
    return spread


def _rectify_partly(data: torch.Tensor, slope: torch.Tensor, output: torch.Tensor) -> Kernel:
    """From the rectified number, the slope's part of the way back to the number: all 0 if that is positive."""
    rectify = partial(torch.clamp_min, data, 0, out=output)
    return sequence([rectify, partial(torch.lerp, output, data, slope.expand_as(data), out=output)])


@register
class LeakyReLU(_Leaky):
    r"""Rectifiers that let something of negative numbers through. For :math:`x > 0`, but for selu and gelu,
    :math:`y = x`; otherwise:

    =====  ==========================================================================================
    leaky  :math:`y = slope \cdot x`
    prelu  :math:`y = \gamma x` with slopes that are learned: one for each channel (axis 1), or one for all
    rrelu  :math:`y = a x`, the slope :math:`a` drawn for each number between ``lower_bound`` and
           ``upper_bound`` while training, and their mean during inference
    elu    :math:`y = slope\,(e^x - 1)`
    selu   :math:`y = \lambda \alpha (e^x - 1)`, and :math:`y = \lambda x` for :math:`x > 0`, with
           :math:`\lambda` = 1.0507…, :math:`\alpha` = 1.6733…
    gelu   :math:`y = x\,\Phi(x)` for all :math:`x`, with the normal distribution :math:`\Phi`
    =====  ==========================================================================================

    Shapes: output as ``data``; ``gamma`` (only for prelu) :math:`(C)` or (1,), or with more axes, which are the first
    of ``data`` and broadcast: :math:`(N, C)` has a slope for each channel of each sample. rrelu has a second output
    ``mask`` with the slopes that were drawn, zeros during inference.

    Raises MXNetError if gamma does not fit.

    Sources: He et al., *Delving deep into rectifiers*, 2015 (prelu); Xu et al., *Empirical evaluation of rectified
    activations*, 2015 (rrelu); Clevert et al., *Exponential linear units*, 2016; Klambauer et al.,
    *Self-normalizing neural networks*, 2017; Hendrycks and Gimpel, *Gaussian error linear units*, 2016.
    """

    name = "LeakyReLU"
    inputs = ("data", "gamma")
    sample_wise = (0,)
    mode_dependent = True
    random = True
    samples = (
        *(Sample((4,), act_type=kind, values={0: [-1.5, -0.7, 0.3, 0.8]}) for kind in ("elu", "gelu", "selu")),
        Sample((4,), slope=-0.5, values={0: [-1.5, -0.7, 0.3, 0.8]}),
        Sample((4,), act_type="elu", slope=-0.5, values={0: [-1.5, -0.7, 0.3, 0.8]}),
        Sample((2, 2), slope=0.1, values={0: [-1.5, -0.7, 0.3, 0.8]}),
        # One slope only: draws would differ from call to call of a finite difference.
        Sample((4,), act_type="rrelu", lower_bound=0.2, upper_bound=0.2, values={0: [-1.5, -0.7, 0.3, 0.8]}),
        Sample((2, 2, 1), (2,), act_type="prelu", values={0: [-1.5, -0.7, 0.3, 0.8]}),
        Sample((2, 2), (1,), act_type="prelu", values={0: [-1.5, -0.7, 0.3, 0.8]}),
        Sample((2, 1, 2), (2, 1), act_type="prelu", values={0: [-1.5, -0.7, 0.3, 0.8]}),
    )

    def input_names(self, p):
        return self.inputs if p.act_type == "prelu" else self.inputs[:1]

    def num_outputs(self, p):
        return 2 if p.act_type == "rrelu" else 1

    def output_names(self, p):
        return ("output", "mask") if p.act_type == "rrelu" else None

    def variable_attrs(self, p, input_name):
        return {"__init__": '["Constant", {"value": 0.25}]'} if input_name == "gamma" else {}

    def inplace_pairs(self, p):
        return ((0, 0),) if p.act_type in ("leaky", "elu", "selu") else ()

    def infer_shape(self, p, inputs, outputs):
        data = outputs[0]
        for shape in (inputs[0], *outputs[1:]):
            data = merge(data, shape)
        if p.act_type != "prelu":
            return [data], [data] * len(outputs)
        gamma = inputs[1]
        if data is not None:
            if gamma is None:
                if len(data) < 2:
                    raise MXNetError(f"prelu has a slope for each channel (axis 1), but the data has shape {data}")
                gamma = data[1:2]
            if is_known(gamma) and is_known(data):
                _spread_slopes(gamma, data)
        return [data, gamma], [data]

    def gradient(self, p, x, y, dy):
        if p.act_type == "prelu":
            return list(apply("_backward_LeakyReLU_prelu", dy[0], *x))
        saved = x[0] if _needs_data(p) else y[0]
        return [apply("_backward_LeakyReLU", dy[0], saved, *y[1:], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, output = inputs[0], outputs[0]
        if p.act_type == "prelu":
            gamma = inputs[1]
            return _rectify_partly(data, gamma.view(_spread_slopes(tuple(gamma.shape), tuple(data.shape))), output)
        if p.act_type == "rrelu":
            mask = outputs[1]
            if env.is_train:
                draw = partial(mask.uniform_, p.lower_bound, p.upper_bound, generator=env.generator)
                return sequence([draw, _rectify_partly(data, mask, output)])
            return sequence([mask.zero_, partial(aten.leaky_relu.out, data, _mean_slope(p), out=output)])
        return {
            "leaky": partial(aten.leaky_relu.out, data, p.slope, out=output),
            "elu": partial(aten.elu.out, data, p.slope, 1, 1, out=output),
            "selu": partial(aten.elu.out, data, _SELU_ALPHA, _SELU_SCALE, 1, out=output),
            "gelu": partial(aten.gelu.out, data, approximate="none", out=output),
        }[p.act_type]


@register
class LeakyReLUGradient(_Leaky):
    """Gradient of LeakyReLU but for prelu, from the output if that tells it: then the data need not be kept."""

    name = "_backward_LeakyReLU"
    mode_dependent = True
    elementwise = True

    def input_names(self, p):
        saved = "data" if _needs_data(p) else "output"
        return ("head_grad", saved, "mask") if p.act_type == "rrelu" else ("head_grad", saved)

    def inplace_pairs(self, p):
        return () if p.act_type == "rrelu" else ((0, 0), (1, 0))

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p, inputs, outputs, env):
        head, saved, *mask = inputs
        result = outputs[0]
        if p.act_type == "rrelu" and env.is_train:
            positive = torch.empty_like(saved, dtype=torch.bool)
            return sequence([
                partial(torch.gt, saved, 0, out=positive),
                partial(torch.mul, head, mask[0], out=result),
                partial(torch.where, positive, head, result, out=result),
            ])  # fmt: skip
        from_output = not _needs_data(p)
        leaky, elu = aten.leaky_relu_backward.grad_input, aten.elu_backward.grad_input
        return {
            "leaky": partial(leaky, head, saved, p.slope, from_output, grad_input=result),
            "rrelu": partial(leaky, head, saved, _mean_slope(p), from_output, grad_input=result),
            "elu": partial(elu, head, p.slope, 1, 1, from_output, saved, grad_input=result),
            "selu": partial(elu, head, _SELU_ALPHA, _SELU_SCALE, 1, from_output, saved, grad_input=result),
            "gelu": partial(aten.gelu_backward.grad_input, head, saved, approximate="none", grad_input=result),
        }[p.act_type]


@register
class PReLUGradient(Operator):
    r"""Gradient of LeakyReLU's prelu: :math:`dx = dy` or :math:`\gamma dy`, :math:`d\gamma = \sum dy \min(x, 0)`."""

    name = "_backward_LeakyReLU_prelu"
    inputs = ("head_grad", "data", "gamma")
    inplace = ((0, 0), (1, 0))

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        data = merge(merge(inputs[0], inputs[1]), outputs[0])
        gamma = merge(inputs[2], outputs[1])
        return [data, data, gamma], [data, gamma]

    def kernel(self, p, inputs, outputs, env):
        head, data, gamma = inputs
        d_data, d_gamma = outputs
        spread = _spread_slopes(tuple(gamma.shape), tuple(data.shape))
        slope = gamma.view(spread).expand_as(data)
        d_slope = d_gamma.view(spread)

        def run() -> None:
            by_data, by_slope = aten._prelu_kernel_backward(head, data, slope)
            d_data.copy_(by_data)
            d_slope.copy_(by_slope.sum_to_size(spread))

        return run


# ---- hard sigmoid -------------------------------------------------------------------------------


class _HardSigmoid(Operator):
    elementwise = True

    alpha = Param(Float, 0.2, "Slope.")
    beta = Param(Float, 0.5, "Value at zero.")

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)


@register
class HardSigmoid(_HardSigmoid):
    r""":math:`y = \min(1, \max(0, \alpha x + \beta))`, number by number. The output has the shape of ``data``."""

    name = "hard_sigmoid"
    inplace = ((0, 0),)
    samples = (Sample((5,), values={0: [-3.5, -1.0, 0.4, 1.7, 3.1]}),)

    def gradient(self, p, x, y, dy):
        return [apply("_backward_hard_sigmoid", dy[0], y[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        scale = partial(torch.mul, inputs[0], p.alpha, out=outputs[0])
        return lambda: scale().add_(p.beta).clamp_(0, 1)


@register
class HardSigmoidGradient(_HardSigmoid):
    r"""Gradient of hard_sigmoid from its output: :math:`dx = \alpha\,dy\,[0 < y < 1]`."""

    name = "_backward_hard_sigmoid"
    inputs = ("head_grad", "output")
    samples = (Sample((3,), (3,), values={1: [0.2, 0.5, 0.9]}),)

    def gradient(self, p, x, y, dy):
        return [apply("_backward_hard_sigmoid", dy[0], x[1], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        head, output = inputs
        result = outputs[0]

        def run() -> None:
            # y - y² is positive just where the slope is not zero.
            torch.mul(output, output, out=result)
            torch.sub(output, result, out=result).sign_().mul_(p.alpha).mul_(head)

        return run
