"""Losses of regression and support vector machines, and losses that the user makes: their gradient is their own."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .cross_entropy import Labels
from .gradient_control import Identity
from .operator import Operator, Sample, register
from .parameter import Bool, Enum, Float, Param
from .shapes import merge, product, same_shape


class RegressionOutput(Operator):
    """A function of the data whose gradient is that of a distance to the label; made from the table below."""

    inputs = ("data", "label")
    unread = (1,)
    ignores_head_gradient = True
    samples = (Sample((2, 3), (2, 3)), Sample((2, 1), (2,), grad_scale=0.5))
    grad_scale = Param(Float, 1.0, "Factor of the gradient.")

    def __init__(self, kind: str, output: str, gradient: str) -> None:
        self.name = f"{kind}RegressionOutput"
        self.aliases = (f"_sparse_{self.name}",)
        self.is_identity = output == "x"
        self.alias = ((0, 0),) if self.is_identity else ()
        self.inplace = ((0, 0),)
        self.__doc__ = rf""":math:`y = {output}`, with the gradient

        .. math:: \frac{{\partial L}}{{\partial x}} = \frac{{grad\_scale}}{{M}}\, {gradient}

        whatever the head gradient, for :math:`M` numbers per sample of ``label``. The label gets no gradient. The
        output has the shape of ``data``; ``label`` has the same number of samples and of numbers. If it is not given
        it has the shape of ``data``, or :math:`(N)` for data of shape :math:`(N, 1)`.

        Raises MXNetError if the label does not fit.
        """

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        label = inputs[1]
        if data is not None:
            if label is None:
                label = data[:1] if data[1:] == (1,) else data
            elif 0 not in (*data, *label) and (label[0] != data[0] or product(label) != product(data)):
                raise MXNetError(f"A label of shape {label} does not fit data of shape {data}")
        return [data, label], [data]

    def gradient(self, p, x, y, dy):
        return [apply(f"_backward_{self.name}", x[1], y[0], grad_scale=p.grad_scale), None]

    def kernel(self, p, inputs, outputs, env):
        if self.is_identity:
            return partial(outputs[0].copy_, inputs[0])
        return partial(torch.sigmoid, inputs[0], out=outputs[0])


class RegressionGradient(Operator):
    """Gradient of the regression loss of that name from its label and output, see there."""

    inputs = ("label", "output")
    inplace = ((1, 0),)
    grad_scale = Param(Float, 1.0, "Factor of the gradient.")

    def __init__(self, kind: str) -> None:
        self.name = f"_backward_{kind}RegressionOutput"
        self.is_absolute = kind == "MAE"

    def infer_shape(self, p, inputs, outputs):
        output = merge(inputs[1], outputs[0])
        return [inputs[0], output], [output]

    def kernel(self, p, inputs, outputs, env):
        label, output = inputs
        result = outputs[0]
        label = label.view(output.shape)
        scale = p.grad_scale / (label.numel() // label.shape[0])
        if self.is_absolute:
            compare = partial(torch.gt, output, label, out=result)
            return lambda: compare().mul_(2 * scale).sub_(scale)
        subtract = partial(torch.sub, output, label, out=result)
        return subtract if scale == 1 else lambda: subtract().mul_(scale)


for _kind, _output, _gradient in (
    ("Linear", "x", "(y - label)"),
    ("Logistic", "1 / (1 + e^{-x})", "(y - label)"),
    ("MAE", "x", r"\begin{cases} 1 & y > label \\ -1 & \text{else} \end{cases}"),
):
    register(RegressionOutput(_kind, _output, _gradient))
    register(RegressionGradient(_kind))


# ---- support vector machine ---------------------------------------------------------------------


class _SVMOutput(Operator):
    margin = Param(Float, 1.0, "Distance to the boundary that is wanted.")
    regularization_coefficient = Param(Float, 1.0, "Factor of the loss.")
    use_linear = Param(Bool, False, "The hinge itself instead of its square.")


@register
class SVMOutput(_SVMOutput):
    r"""Identity whose gradient is that of a hinge loss of one class against the rest.

    .. math:: y = x, \qquad L = c \sum_k \max(0,\; m - t_k x_k)^2, \qquad
              t_k = \begin{cases} 1 & k = label \\ -1 & \text{else}\end{cases}

    with :math:`m` = ``margin`` and :math:`c` = ``regularization_coefficient``; ``use_linear`` leaves out the square.
    The head gradient does not matter, and the label gets no gradient.

    Shapes: ``data`` :math:`(N, K)` (more axes count as one of their product), ``label`` :math:`(N)`.
    """

    name = "SVMOutput"
    inputs = ("data", "label")
    unread = (1,)
    ignores_head_gradient = True
    samples = (Sample((3, 4), (3,), integer=(1,), high=4), Sample((3, 2), (3,), integer=(1,), high=2, use_linear=True))
    alias = ((0, 0),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        return [data, inputs[1] if data is None else merge(inputs[1], data[:-1])], [data]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_SVMOutput", x[1], y[0], **vars(p)), None]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class SVMOutputGradient(_SVMOutput):
    """Gradient of SVMOutput from its label and output, see there."""

    name = "_backward_SVMOutput"
    inputs = ("label", "output")

    def infer_shape(self, p, inputs, outputs):
        output = merge(inputs[1], outputs[0])
        return [inputs[0], output], [output]

    def kernel(self, p, inputs, outputs, env):
        samples = inputs[1].shape[0]
        output, result = inputs[1].view(samples, -1), outputs[0].view(samples, -1)
        labels = Labels(inputs[0].reshape(-1)[:samples].unsqueeze(1), output.shape[1], -2, output.dtype)
        sign = torch.empty_like(output)

        def run() -> None:
            labels.read()
            # 1 for the wrong classes, -1 for the right one.
            sign.fill_(1).scatter_add_(1, labels.chosen, labels.mark)
            # The violation of the margin: m - t x.
            torch.mul(output, sign, out=result)
            result.add_(p.margin).clamp_(min=0)
            if p.use_linear:
                result.sign_()
            else:
                result.mul_(2)
            result.mul_(sign).mul_(p.regularization_coefficient)

        return run


# ---- losses given by the user -------------------------------------------------------------------


class _MakeLoss(Operator):
    grad_scale = Param(Float, 1.0, "Factor of the gradient.")
    valid_thresh = Param(Float, 0.0, "Numbers above this are valid.")
    normalization = Param(
        Enum("batch", "null", "valid"),
        "null",
        "Divide the gradient by nothing, the batch size, or the number of valid numbers.",
    )


@register
class MakeLoss(_MakeLoss, Identity):
    r"""Makes a loss of any value: :math:`y = x`, with the gradient :math:`\partial L / \partial x = grad\_scale / n`.

    The normalizer :math:`n` is 1, the batch size, or the number of :math:`x` above ``valid_thresh`` (1 if there is
    none). The head gradient does not matter. The output has the shape of ``data``.
    """

    name = "MakeLoss"
    ignores_head_gradient = True
    samples = (Sample((2, 3)), Sample((2, 3), normalization="valid", grad_scale=2.0))

    def gradient(self, p, x, y, dy):
        return [apply("_backward_MakeLoss", x[0], **vars(p))]


@register
class MakeLossGradient(_MakeLoss):
    """Gradient of MakeLoss, see there."""

    name = "_backward_MakeLoss"

    def unread_inputs(self, p):
        return () if p.normalization == "valid" else (0,)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p, inputs, outputs, env):
        data, result = inputs[0], outputs[0]
        if p.normalization != "valid":
            return partial(result.fill_, p.grad_scale / (data.shape[0] if p.normalization == "batch" else 1))
        valid = torch.empty_like(data, dtype=torch.bool)
        count = torch.empty((), dtype=torch.int64, device=data.device)
        axes = tuple(range(data.dim()))

        def run() -> None:
            torch.gt(data, p.valid_thresh, out=valid)
            torch.sum(valid, axes, out=count)
            result.fill_(p.grad_scale).div_(count.clamp_(min=1))

        return run


@register
class MakeLossSimple(Identity):
    """Makes a loss of any value: :math:`y = x`, with a gradient of ones whatever the head gradient."""

    name = "make_loss"
    aliases = ("_sparse_make_loss",)
    outputs = ("loss",)
    ignores_head_gradient = True
    samples = (Sample((2, 3)),)

    def gradient(self, p, x, y, dy):
        return [apply("ones_like", x[0])]
