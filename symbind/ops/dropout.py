"""Dropout."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import MaybeShape, Operator, Sample, register
from .parameter import Bool, Enum, Float, Optional, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge, normalize_axis


class _Dropout(Operator):
    mode_dependent = True

    p = Param(Float, 0.5, "Probability of setting a number to zero.")
    mode = Param(Enum("always", "training"), "training", "Whether inference drops numbers as well.")
    axes = Param(ShapeKind, (), "Axes along which one draw serves all.")
    cudnn_off = Param(Optional(Bool), False, "Accepted for MXNet's sake.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if not 0 <= p.p <= 1:
            raise MXNetError(f"value {p.p} for Parameter p of Dropout exceed bound [0,1]")
        return p

    @staticmethod
    def mask_shape(p: Params, data: MaybeShape) -> MaybeShape:
        if data is None:
            return None
        shared = {normalize_axis(axis, len(data)) for axis in p.axes}
        return tuple(1 if axis in shared else n for axis, n in enumerate(data))

    @staticmethod
    def is_active(p: Params, is_train: bool) -> bool:
        return p.p > 0 and (is_train or p.mode == "always")


@register
class Dropout(_Dropout):
    r"""Sets numbers to zero at random, and makes up for it by enlarging the others.

    .. math:: y = x \cdot m, \qquad m = \begin{cases} 0 & \text{with probability } p \\ 1/(1-p) & \text{else}\end{cases}

    During inference, unless ``mode="always"``, :math:`y = x`. The output has the shape of ``data``; the mask
    :math:`m`, a hidden output, has length 1 along ``axes``.

    Raises MXNetError if ``p`` is no probability.

    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR 2014.
    """

    name = "Dropout"
    outputs = ("output", "mask")
    random = True
    inplace = ((0, 0),)
    # Draws would differ from call to call of a finite difference; the mask is tested with _backward_Dropout.
    samples = (Sample((2, 3), p=0.0),)

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def sample_inputs(self, p):
        return () if self.is_active(p, is_train=False) else (0,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        return [data], [data, self.mask_shape(p, data)]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_Dropout", dy[0], y[1], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0]
        output, mask = outputs
        if not self.is_active(p, env.is_train):
            return partial(output.copy_, data)
        keep, generator = 1 - p.p, env.generator

        def run() -> None:
            # Several times faster than torch's bernoulli_.
            mask.uniform_(generator=generator).lt_(keep)
            torch.mul(data, mask.mul_(1 / keep) if keep else mask, out=output)

        return run


@register
class DropoutGradient(_Dropout):
    r"""Gradient of Dropout: :math:`dx = dy \cdot m`, or :math:`dy` where nothing was dropped."""

    name = "_backward_Dropout"
    inputs = ("head_grad", "mask")
    inplace = ((0, 0),)
    # Whole numbers, for the mask has no gradient.
    samples = (Sample((2, 3), (2, 3), integer=(1,)), Sample((2, 3), (2, 1), axes=(1,), integer=(1,)))

    def infer_shape(self, p, inputs, outputs):
        head = merge(inputs[0], outputs[0])
        return [head, self.mask_shape(p, head)], [head]

    def gradient(self, p, x, y, dy):
        # The mask is drawn, not computed: nothing flows back to it.
        return [apply("_backward_Dropout", dy[0], x[1], **vars(p)), None]

    def kernel(self, p, inputs, outputs, env):
        head, mask = inputs
        if self.is_active(p, env.is_train):
            return partial(torch.mul, head, mask, out=outputs[0])
        return partial(outputs[0].copy_, head)
