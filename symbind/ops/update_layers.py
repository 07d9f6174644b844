"""Rules whose step is as long as the norms of a layer's weight and gradient say: LAMB and LARS.

The conventions are those of :mod:`.update`.
"""

from __future__ import annotations

import torch

from ..base import MXNetError
from .kernels import sequence
from .operator import Operator, Sample, register
from .parameter import Bool, Float, Int, Param
from .shapes import product, same_shape
from .update import (
    CLIP,
    FIRST_BETA,
    RATE,
    RESCALE,
    SECOND_BETA,
    MixedPrecision,
    Update,
    average,
    average_square,
    bounded,
)

__all__ = ["Lamb", "LambLength", "LambStep"]


class Lamb(Update):
    r"""The direction of a step of LAMB, whose length :class:`lamb_update_phase2 <LambLength>` decides; step t from 1.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g;\quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2;\quad
        y = \frac{\hat m}{\sqrt{\hat v} + \epsilon} + \lambda w

    where with ``bias_correction`` :math:`\hat m = m / (1 - \beta_1^t)` and :math:`\hat v = v / (1 - \beta_2^t)`, else
    they are :math:`m` and :math:`v`.

    Source: You et al., *Large batch optimization for deep learning: training BERT in 76 minutes*, ICLR 2020.
    """

    name = "lamb_update_phase1"
    inputs = ("weight", "grad", "mean", "var")
    states = ("mean", "var")
    beta1, beta2 = FIRST_BETA, SECOND_BETA
    epsilon = Param(Float, 1e-6, "Added to the root that is divided by.")
    t = Param(Int, doc="Number of the step, from 1.")
    bias_correction = Param(Bool, True, "Correct the averages for having begun at zero.")
    wd = Param(Float, doc="Weight decay.")
    rescale_grad, clip_gradient = RESCALE, CLIP
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), values={3: (0.1, 1)}, t=2, wd=0.01),)

    def step(self, p, weight, grad, g, mean, var, out):
        bounded(p, grad, g)
        average(mean, p.beta1, g)
        average_square(var, p.beta2, g)
        first, second = (1 - p.beta1**p.t, 1 - p.beta2**p.t) if p.bias_correction else (1.0, 1.0)
        root = torch.div(var, second, out=g).sqrt_().add_(p.epsilon)
        torch.mul(weight, p.wd, out=out).addcdiv_(mean, root, value=1 / first)


class MixedPrecisionLamb(MixedPrecision):
    """The direction is taken in single precision and left there; ``weight32`` is only read."""

    def __init__(self, rule: Lamb) -> None:
        super().__init__(rule)
        self.states = rule.states
        self.inplace = ()

    @property
    def doc(self) -> str:
        return (
            f"{self.rule.name} of ``weight32``, a copy of the weight in single precision.\n\n"
            "The output, the direction of the step, is float32 too, and ``weight32`` stays as it is until phase 2."
        )

    def infer_dtype(self, p, inputs, outputs):
        told, _ = super().infer_dtype(p, inputs, [None])
        return told, [torch.float32]

    def kernel(self, p, inputs, outputs, env):
        _, grad, *states, master = inputs
        single = torch.empty_like(master)
        step = self.rule.kernel(p, [master, single, *states], outputs, env)

        def run() -> None:
            single.copy_(grad)
            step()

        return run


class LambLength(Update):
    r"""The step of LAMB along the direction ``g`` that phase 1 found, as long as the layer's norms say.

    .. math:: w' = w - \eta \frac{r_1}{r_2} g

    ``r1`` is the norm of the weight, kept within ``lower_bound`` and ``upper_bound``, and ``r2`` that of ``g``, each an
    array of one element; if one of them is zero the ratio counts as 1.

    Source: You et al., *Large batch optimization for deep learning: training BERT in 76 minutes*, ICLR 2020.
    """

    name = "lamb_update_phase2"
    inputs = ("weight", "g", "r1", "r2")
    lr = RATE
    lower_bound = Param(Float, -1.0, "Smallest r1; negative for none.")
    upper_bound = Param(Float, -1.0, "Largest r1; negative for none.")
    samples = (Sample((2, 3), (2, 3), (1,), (1,), low=0.1, lr=0.1, lower_bound=0.2),)

    def infer_shape(self, p, inputs, outputs):
        weight, g, *norms = inputs
        for norm in norms:
            if norm is not None and product(norm) > 1:
                raise MXNetError(f"r1 and r2 of {self.name} are one number each, not an array of shape {norm}")
        same, outputs = same_shape([weight, g], outputs)
        return [*same, *(norm or (1,) for norm in norms)], outputs

    def step(self, p, weight, direction, g, r1, r2, out):
        r1 = r1.reshape(())
        if p.lower_bound >= 0:
            r1 = r1.clamp_min(p.lower_bound)
        if p.upper_bound >= 0:
            r1 = r1.clamp_max(p.upper_bound)
        r2 = r2.reshape(())
        ratio = torch.where((r1 == 0) | (r2 == 0), 1.0, r1 / r2)
        torch.add(weight, torch.mul(direction, ratio, out=g), alpha=-p.lr, out=out)


class MixedPrecisionLambLength(MixedPrecision):
    """The direction comes in single precision already."""

    def infer_dtype(self, p, inputs, outputs):
        low = inputs[0] or outputs[0]
        return [low, *[torch.float32] * 4], [low]


class LambStep(Lamb):
    """Both phases of LAMB in one: lamb_update_phase1, then lamb_update_phase2 with the norms of w and the direction."""

    name = "lamb_update"
    length = LambLength()
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), values={3: (0.1, 1)}, t=2, wd=0.01, lr=0.1),)

    def kernel(self, p, inputs, outputs, env):
        weight = inputs[0]
        direction = torch.empty_like(weight)
        norms = weight.new_empty(1), weight.new_empty(1)
        return sequence([
            super().kernel(p, inputs, [direction], env),
            lambda: torch.linalg.vector_norm(weight.view(1, -1), dim=1, out=norms[0]),
            lambda: torch.linalg.vector_norm(direction.view(1, -1), dim=1, out=norms[1]),
            self.length.kernel(p, [weight, direction, *norms], outputs, env),
        ])  # fmt: skip


register(Lamb)
register(MixedPrecisionLamb(Lamb()))
register(LambLength)
register(MixedPrecisionLambLength(LambLength()))


@register
class LayerRates(Operator):
    r"""Learning rates of LARS from norms: each layer's in proportion to its weight over its gradient.

    .. math:: \eta'_i = \eta_i\,\frac{eta\,\|w_i\|}{\|g_i\| + \lambda_i \|w_i\| + eps}

    with :math:`\|g\|` of the rescaled gradient; where a norm is zero the rate stays. All inputs and the output are
    float32 arrays with a number for each layer; sums of squares as :class:`multi_sum_sq <SumsOfSquares>` gives them.

    Source: You, Gitman and Ginsburg, *Large batch training of convolutional networks*, 2017.
    """

    name = "multi_lars"
    inputs = ("lrs", "weights_sum_sq", "grads_sum_sq", "wds")
    inplace = ((0, 0),)
    eta = Param(Float, doc="Trust coefficient.")
    eps = Param(Float, doc="Added to the divisor.")
    rescale_grad = Param(Float, 1.0, "Factor of the gradients.")
    samples = (Sample((3,), (3,), (3,), (3,), low=0.1, eta=0.1, eps=0.01),)

    def infer_shape(self, p, inputs, outputs):
        known = next((s for s in (*inputs, *outputs) if s is not None), None)
        return [known] * 4, [known]

    def kernel(self, p, inputs, outputs, env):
        rates, weights, grads, decays = inputs
        out = outputs[0]

        def run() -> None:
            weight, grad = weights.sqrt(), grads.sqrt().mul_(p.rescale_grad)
            ratio = weight.mul(p.eta).div_(grad.add(decays * weight).add_(p.eps))
            torch.mul(rates, ratio.masked_fill_((weight == 0) | (grad == 0), 1), out=out)

        return run
