"""Operators that let values pass and stop, bend or replace their gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Bool, Float, Param
from .shapes import merge, same_shape

__all__ = ["Identity"]


class Identity(Operator):
    """The output is the data itself, in its shape and type; what is special is the gradient."""

    alias = ((0, 0),)
    elementwise = True
    identity = True

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class BlockGrad(Identity):
    """The data itself, :math:`y = x`; nothing of the gradient passes. The output has the shape of ``data``."""

    name = "BlockGrad"
    aliases = ("stop_gradient", "_sparse_stop_gradient")
    zero_gradient = True


@register
class GradientMultiplier(Identity):
    """The data itself, :math:`y = x`; the gradient is multiplied: :math:`dx = scalar · dy`.

    A negative number turns the gradient around (Ganin and Lempitsky, *Unsupervised domain adaptation by
    backpropagation*, ICML 2015).
    """

    name = "_contrib_gradientmultiplier"
    scalar = Param(Float, 1.0, "Factor of the gradient.")
    is_int = Param(Bool, True, "Accepted for MXNet's sake.")
    has_surrogate_gradient = True
    samples = (Sample((2, 3), scalar=-0.5),)

    def gradient(self, p, x, y, dy):
        return [dy[0] * p.scalar]


class StraightThrough(Operator):
    """A step function whose gradient is taken for 1; made from the table below."""

    inplace = ((0, 0),)
    elementwise = True
    has_surrogate_gradient = True
    samples = (Sample((5,), values={0: [-1.5, -0.4, 0.0, 0.5, 2.6]}),)

    def __init__(
        self, name: str, formula: str, step: Callable[..., torch.Tensor], keeps_whole_numbers: bool = False
    ) -> None:
        self.name = name
        self.keeps_whole_numbers = keeps_whole_numbers
        self.aliases = (f"_sparse_{name}",)
        self.step = step
        self.__doc__ = rf""":math:`y = {formula}` with the gradient of the identity, :math:`dx = dy`.

        The output has the shape and type of ``data``.

        Source: Bengio, Léonard and Courville, *Estimating or propagating gradients through stochastic neurons for
        conditional computation*, 2013.
        """

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [dy[0]]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if not out.is_floating_point() and self.keeps_whole_numbers:
            return partial(out.copy_, data)
        return partial(self.step, data, out=out)


def _round_away(data: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Nearest whole number, halves away from zero (torch.round takes them to even numbers)."""
    sign = torch.sign(data)
    return torch.mul(torch.abs(data, out=out).add_(0.5).floor_(), sign, out=out)


register(StraightThrough("_contrib_round_ste", r"\operatorname{round}(x)", _round_away, keeps_whole_numbers=True))
register(StraightThrough("_contrib_sign_ste", r"\operatorname{sign}(x)", torch.sign))


class _KLSparseReg(Operator):
    sparseness_target = Param(Float, 0.1, "Mean activation that is wanted.")
    penalty = Param(Float, 0.001, "Factor of the penalty.")
    momentum = Param(Float, 0.9, "Share of its old value that the moving average keeps.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if not 0 < p.sparseness_target < 1:
            raise MXNetError(f"sparseness_target={p.sparseness_target} must lie between 0 and 1")
        return p


@register
class IdentityAttachKLSparseReg(_KLSparseReg):
    r"""The data itself, whose gradient pulls the mean of each column towards a target.

    .. math:: y = x, \qquad dx = dy + \lambda \Bigl(\frac{1 - \rho}{1 - \bar x} - \frac{\rho}{\bar x}\Bigr)

    the gradient of the divergence :math:`\lambda\,\mathrm{KL}(\rho \,\|\, \bar x)` from the mean activation, for
    activations in (0, 1), :math:`\rho` = ``sparseness_target``, :math:`\lambda` = ``penalty``. The moving average
    :math:`\bar x` of each column is an auxiliary state that the backward pass updates before it is used.

    Shapes: ``data`` :math:`(N, K, …)`, ``moving_avg`` :math:`(K)`, output as ``data``.

    Raises MXNetError if the target is no probability.

    Source: Ng, *Sparse autoencoder*, CS294A lecture notes, 2011.
    """

    name = "IdentityAttachKLSparseReg"
    auxiliary = ("moving_avg",)
    alias = ((0, 0),)
    has_surrogate_gradient = True
    samples = (Sample((3, 2, 2), (2,), values={0: (0.1, 0.9), 1: (0.2, 0.8)}),)

    def variable_attrs(self, p, input_name):
        return {"__init__": '["zero", {}]'} if input_name == "moving_avg" else {}

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        average = inputs[1]
        if data is not None:
            if len(data) < 2:
                raise MXNetError(f"Data of {self.name} must have two axes or more, but has shape {data}")
            average = merge(average, data[1:2])
        return [data, average], [data]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_IdentityAttachKLSparseReg", dy[0], *x, **vars(p)), None]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class IdentityAttachKLSparseRegGradient(_KLSparseReg):
    """Gradient of IdentityAttachKLSparseReg, see there."""

    name = "_backward_IdentityAttachKLSparseReg"
    inputs = ("head_grad", "data", "moving_avg")
    inplace = ((0, 0),)

    def mutated_inputs(self, p):
        return (2,)

    def infer_shape(self, p, inputs, outputs):
        head = merge(merge(inputs[0], inputs[1]), outputs[0])
        return [head, head, inputs[2]], [head]

    def kernel(self, p, inputs, outputs, env):
        head, data, average = inputs
        others = [axis for axis in range(data.dim()) if axis != 1]
        mean, pull, push = (torch.empty_like(average) for _ in range(3))
        column = [-1 if axis == 1 else 1 for axis in range(data.dim())]

        def run() -> None:
            average.lerp_(torch.mean(data, others, out=mean), 1 - p.momentum)
            torch.reciprocal(average, out=pull).mul_(p.penalty * p.sparseness_target)
            torch.sub(average, 1, out=push).reciprocal_().mul_(p.penalty * (1 - p.sparseness_target))
            torch.sub(head, pull.add_(push).view(column), out=outputs[0])

        return run
