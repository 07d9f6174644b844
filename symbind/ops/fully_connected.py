"""The dense layer and its gradients."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Int, Param
from .shapes import Shape, merge, product


def _columns(shape: Shape, flatten: bool) -> int:
    """How many numbers of an array of ``shape`` make a row; 0 if that is unknown."""
    return product(shape[1:]) if flatten else shape[-1]


def _matrix(array: torch.Tensor, flatten: bool) -> torch.Tensor:
    """``array`` as rows and columns."""
    return array.view(array.shape[0], -1) if flatten else array.view(-1, array.shape[-1])


class _Dense(Operator):
    """What the layer and its gradients have in common: all three are products of matrices."""

    num_hidden = Param(Int, doc="Width H of the output.")
    no_bias = Param(Bool, False, "Leave the bias out.")
    flatten = Param(Bool, True, "Sum over all axes of the data but the first; otherwise over the last axis only.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.num_hidden < 1:
            raise MXNetError(f"num_hidden of {self.name} must be at least 1, not {p.num_hidden}")
        return p


@register
class FullyConnected(_Dense):
    r"""A dense (affine) layer.

    .. math:: y = x W^{\mathsf T} + b

    Shapes: ``data`` :math:`(N, d_1, d_2, …)`, ``weight`` :math:`(H, d_1 d_2 ⋯)`, ``bias`` :math:`(H)`, output
    :math:`(N, H)`. With ``flatten=False``: ``data`` :math:`(…, K)`, ``weight`` :math:`(H, K)`, output :math:`(…, H)`.

    Raises MXNetError if the weight or the bias does not fit.
    """

    name = "FullyConnected"
    aliases = ("_sparse_FullyConnected",)
    inputs = ("data", "weight", "bias")
    sample_wise = (0,)
    row_wise = 0
    samples = (
        Sample((2, 3), (4, 3), (4,), num_hidden=4),
        Sample((2, 3, 2), (2, 6), num_hidden=2, no_bias=True),
        Sample((2, 3, 2), (3, 2), (3,), num_hidden=3, flatten=False),
    )

    def input_names(self, p):
        return self.inputs[:2] if p.no_bias else self.inputs

    def infer_shape(self, p, inputs, outputs):
        data, weight, *bias = inputs
        output = outputs[0]
        if data is not None:
            rows = data[:1] if p.flatten else data[:-1]
            output = merge(output, (*rows, p.num_hidden))
            data = (*output[:-1], *data[len(rows) :])
            weight = merge(weight, (p.num_hidden, _columns(data, p.flatten)))
            if len(data) == len(rows) + 1:
                data = (*data[:-1], weight[1])
            bias = [merge(b, (p.num_hidden,)) for b in bias]
        return [data, weight, *bias], [output]

    def gradient(self, p, x, y, dy):
        data, weight = x[:2]
        gradients = [
            apply("_backward_FullyConnected_data", dy[0], weight, data, **vars(p)),
            apply("_backward_FullyConnected_weight", dy[0], data, **vars(p)),
        ]
        return gradients if p.no_bias else [*gradients, apply("sum", dy[0], axis=-1, exclude=True)]

    def kernel(self, p, inputs, outputs, env):
        data, weight = _matrix(inputs[0], p.flatten), inputs[1].t()
        output = outputs[0].view(-1, p.num_hidden)
        if p.no_bias:
            return partial(torch.mm, data, weight, out=output)
        return partial(torch.addmm, inputs[2], data, weight, out=output)


@register
class FullyConnectedDataGradient(_Dense):
    r"""Gradient of FullyConnected with respect to its data: :math:`dx = dy\, W`, in the shape of ``data``."""

    name = "_backward_FullyConnected_data"
    inputs = ("head_grad", "weight", "data")
    unread = (2,)
    samples = (
        Sample((2, 4), (4, 6), (2, 3, 2), num_hidden=4),
        Sample((2, 3, 4), (4, 2), (2, 3, 2), num_hidden=4, flatten=False),
    )

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[2], outputs[0])
        return [*inputs[:2], data], [data]

    def gradient(self, p, x, y, dy):
        head, weight, _ = x
        return [
            apply("FullyConnected", dy[0], weight, num_hidden=p.num_hidden, no_bias=True, flatten=p.flatten),
            apply("_backward_FullyConnected_weight", head, dy[0], **vars(p)),
            ZERO,
        ]

    def kernel(self, p, inputs, outputs, env):
        head, weight, _ = inputs
        return partial(torch.mm, head.view(-1, p.num_hidden), weight, out=_matrix(outputs[0], p.flatten))


@register
class FullyConnectedWeightGradient(_Dense):
    r"""Gradient of FullyConnected with respect to its weight: :math:`dW = dy^{\mathsf T} x`."""

    name = "_backward_FullyConnected_weight"
    inputs = ("head_grad", "data")
    summed = (0, 1)
    samples = (
        Sample((2, 4), (2, 3, 2), num_hidden=4),
        Sample((2, 3, 4), (2, 3, 2), num_hidden=4, flatten=False),
    )

    def infer_shape(self, p, inputs, outputs):
        head, data = inputs
        weight = None if data is None else (p.num_hidden, _columns(data, p.flatten))
        return [head, data], [merge(outputs[0], weight)]

    def gradient(self, p, x, y, dy):
        head, data = x
        return [
            apply("FullyConnected", data, dy[0], num_hidden=p.num_hidden, no_bias=True, flatten=p.flatten),
            apply("_backward_FullyConnected_data", head, dy[0], data, **vars(p)),
        ]

    def kernel(self, p, inputs, outputs, env):
        head, data = inputs
        rows = head.view(-1, p.num_hidden)
        return partial(torch.mm, rows.t(), _matrix(data, p.flatten), out=outputs[0])
