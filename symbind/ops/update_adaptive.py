"""Steps that are scaled element by element, by what the gradients were before."""

from __future__ import annotations

import torch

from ..base import MXNetError
from .operator import Sample, register
from .parameter import Float, Int, Param, Params
from .shapes import product, same_shape
from .update import (
    BOUND,
    CLIP,
    DECAY,
    EPSILON,
    FIRST_BETA,
    LAZY,
    RATE,
    RESCALE,
    SECOND_BETA,
    MixedPrecision,
    Update,
    average,
    average_square,
    bounded,
)

__all__ = ["AdamW", "MixedPrecisionAdamW"]


@register
class Adam(Update):
    r"""A step of Adam, without its correction for the first steps, which callers put into ``lr``.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g;\quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2;\quad
        w' = w - \eta \frac{m}{\sqrt{v} + \epsilon}

    where :math:`g` has :math:`\lambda w` added before it is bounded.

    Source: Kingma and Ba, *Adam: a method for stochastic optimization*, ICLR 2015.
    """

    name = "adam_update"
    aliases = ("_sparse_adam_update",)
    inputs = ("weight", "grad", "mean", "var")
    states = ("mean", "var")
    lr, beta1, beta2, epsilon = RATE, FIRST_BETA, SECOND_BETA, EPSILON
    wd, rescale_grad, clip_gradient, lazy_update = DECAY, RESCALE, CLIP, LAZY
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), values={3: (0.1, 1)}, lr=0.1),)

    def step(self, p, weight, grad, g, mean, var, out):
        bounded(p, grad, g, decayed=weight)
        average(mean, p.beta1, g)
        torch.sqrt(average_square(var, p.beta2, g), out=g).add_(p.epsilon)
        torch.addcdiv(weight, mean, g, value=-p.lr, out=out)


class AdamW(Update):
    r"""A step of Adam with a decay that does not pass through the averages.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g;\quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2;\quad
        w' = w - s \left(\eta \frac{m}{\sqrt{v} + \epsilon} + \lambda w\right)

    with :math:`s` for ``eta``. ``rescale_grad`` is an array of one element; if that is zero, infinite or NaN, as after
    an overflow of a scaled loss, nothing changes.

    Source: Loshchilov and Hutter, *Decoupled weight decay regularization*, ICLR 2019.
    """

    name = "_adamw_update"
    inputs = ("weight", "grad", "mean", "var", "rescale_grad")
    states = ("mean", "var")
    lr, beta1, beta2, epsilon, wd = RATE, FIRST_BETA, SECOND_BETA, EPSILON, DECAY
    eta = Param(Float, doc="Factor of the whole step, as a schedule gives it.")
    clip_gradient = CLIP
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), (1,), values={3: (0.1, 1), 4: [1]}, lr=0.1, eta=1),)

    def infer_shape(self, p, inputs, outputs):
        *same, scale = inputs
        if scale is not None and product(scale) > 1:
            raise MXNetError(f"rescale_grad of {self.name} is one number, not an array of shape {scale}")
        same, outputs = same_shape(same, outputs)
        return [*same, scale or (1,)], outputs

    def infer_dtype(self, p, inputs, outputs):
        same, outputs = super().infer_dtype(p, inputs[:-1], outputs)
        return [*same, torch.float32], outputs

    def step(self, p, weight, grad, g, mean, var, rescale_grad, out):
        scale = rescale_grad.item()
        if scale == 0 or scale - scale != 0:
            out.copy_(weight)
            return
        torch.mul(grad, scale, out=g)
        if p.clip_gradient >= 0:
            g.clamp_(-p.clip_gradient, p.clip_gradient)
        average(mean, p.beta1, g)
        torch.sqrt(average_square(var, p.beta2, g), out=g).add_(p.epsilon)
        torch.mul(weight, 1 - p.eta * p.wd, out=out).addcdiv_(mean, g, value=-p.eta * p.lr)


class MixedPrecisionAdamW(MixedPrecision):
    """The order of inputs differs: the number to rescale by comes last, after ``weight32``."""

    def __init__(self, rule: AdamW) -> None:
        super().__init__(rule)
        self.name = "_mp_adamw_update"
        self.inputs = (*rule.inputs[:-1], "weight32", "rescale_grad")
        self.samples = [Sample(*[(2, 3)] * 5, (1,), values={3: (0.1, 1), 5: [1]}, lr=0.1, eta=1)]

    def infer_shape(self, p, inputs, outputs):
        *inputs, master, scale = inputs
        (*told, scale, master), outputs = super().infer_shape(p, [*inputs, scale, master], outputs)
        return [*told, master, scale], outputs

    def kernel(self, p, inputs, outputs, env):
        *inputs, master, scale = inputs
        return super().kernel(p, [*inputs, scale, master], outputs, env)


def _write(p: Params, weight: torch.Tensor, out: torch.Tensor) -> None:
    """A new weight within its bounds."""
    if p.clip_weights > 0:
        torch.clamp(weight, -p.clip_weights, p.clip_weights, out=out)
    elif weight is not out:
        out.copy_(weight)


@register
class RMSProp(Update):
    r"""A step divided by the root of the mean squared gradient.

    .. math:: n \leftarrow \gamma_1 n + (1 - \gamma_1) g^2;\quad w' = w - \eta \frac{g}{\sqrt{n + \epsilon}}

    where :math:`g` has :math:`\lambda w` added before it is bounded.

    Source: Tieleman and Hinton, *Neural networks for machine learning*, lecture 6.5, 2012.
    """

    name = "rmsprop_update"
    inputs = ("weight", "grad", "n")
    states = ("n",)
    lr = RATE
    gamma1 = Param(Float, 0.95, "Share that the mean of squared gradients keeps.")
    epsilon, wd, rescale_grad, clip_gradient, clip_weights = EPSILON, DECAY, RESCALE, CLIP, BOUND
    samples = (Sample((2, 3), (2, 3), (2, 3), values={2: (0.1, 1)}, lr=0.1, clip_weights=0.5),)

    def step(self, p, weight, grad, g, n, out):
        bounded(p, grad, g, decayed=weight)
        root = average_square(n, p.gamma1, g).add(p.epsilon).sqrt_()
        _write(p, torch.addcdiv(weight, g, root, value=-p.lr, out=out), out)


@register
class CentredRMSProp(Update):
    r"""A step with momentum, divided by the standard deviation of gradients.

    .. math:: n \leftarrow \gamma_1 n + (1 - \gamma_1) g^2;\quad \bar g \leftarrow \gamma_1 \bar g + (1 - \gamma_1) g;
        \quad \delta \leftarrow \gamma_2 \delta - \eta \frac{g}{\sqrt{n - \bar g^2 + \epsilon}};\quad w' = w + \delta

    where :math:`g` has :math:`\lambda w` added before it is bounded.

    Source: Graves, *Generating sequences with recurrent neural networks*, 2013, equations 38 to 45.
    """

    name = "rmspropalex_update"
    inputs = ("weight", "grad", "n", "g", "delta")
    states = ("n", "g", "delta")
    lr = RATE
    gamma1 = Param(Float, 0.95, "Share that the means of gradients and of their squares keep.")
    gamma2 = Param(Float, 0.9, "Share of the last step that is kept.")
    epsilon, wd, rescale_grad, clip_gradient, clip_weights = EPSILON, DECAY, RESCALE, CLIP, BOUND
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), (2, 3), values={2: (1, 2)}, lr=0.1),)

    def step(self, p, weight, grad, g, n, mean, delta, out):
        bounded(p, grad, g, decayed=weight)
        average_square(n, p.gamma1, g)
        average(mean, p.gamma1, g)
        deviation = torch.addcmul(n, mean, mean, value=-1).add_(p.epsilon).sqrt_()
        delta.mul_(p.gamma2).addcdiv_(g, deviation, value=-p.lr)
        _write(p, torch.add(weight, delta, out=out), out)


@register
class FTRL(Update):
    r"""A step of "follow the regularized leader", which keeps unneeded weights at exactly zero.

    .. math:: z \leftarrow z + g - \frac{\sqrt{n + g^2} - \sqrt{n}}{\eta} w;\quad n \leftarrow n + g^2

    .. math:: w' = \frac{\mathrm{sign}(z)\,\lambda_1 - z}{(\beta + \sqrt{n}) / \eta + \lambda}
        \text{ where } |z| > \lambda_1, \text{ else } 0

    Source: McMahan et al., *Ad click prediction: a view from the trenches*, KDD 2013.
    """

    name = "ftrl_update"
    aliases = ("_sparse_ftrl_update",)
    inputs = ("weight", "grad", "z", "n")
    states = ("z", "n")
    lr = RATE
    lamda1 = Param(Float, 0.01, "Below this a weight's accumulated gradient leaves it at zero.")
    beta = Param(Float, 1.0, "Added to the root of the squared gradients.")
    wd, rescale_grad, clip_gradient = DECAY, RESCALE, CLIP
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), values={3: (0.1, 1)}, lr=0.1),)

    def step(self, p, weight, grad, g, z, n, out):
        bounded(p, grad, g)
        root = n.sqrt()
        n.addcmul_(g, g)
        z.add_(g).addcmul_(n.sqrt().sub_(root), weight, value=-1 / p.lr)
        # Where |z| is within the threshold the numerator shrinks to zero.
        shrunk = torch.nn.functional.softshrink(z, p.lamda1)
        torch.div(shrunk.neg_(), n.sqrt().add_(p.beta).div_(p.lr).add_(p.wd), out=out)


@register
class FTML(Update):
    r"""A step of "follow the moving leader", step :math:`t` counted from 1.

    .. math:: v \leftarrow \beta_2 v + (1 - \beta_2) g^2;\quad
        d_t = \frac{1 - \beta_1^t}{\eta} \left(\sqrt{\frac{v}{1 - \beta_2^t}} + \epsilon\right)

    .. math:: z \leftarrow \beta_1 z + (1 - \beta_1) g - (d_t - \beta_1 d) w;\quad d \leftarrow d_t;\quad w' = -z / d_t

    where :math:`g` has :math:`\lambda w` added before it is bounded.

    Source: Zheng and Kwok, *Follow the moving leader in deep learning*, ICML 2017.
    """

    name = "ftml_update"
    inputs = ("weight", "grad", "d", "v", "z")
    states = ("d", "v", "z")
    lr = RATE
    beta1 = Param(Float, 0.6, "Share of the past in z and d.")
    beta2, epsilon = SECOND_BETA, EPSILON
    t = Param(Int, doc="Number of the step, from 1.")
    wd, rescale_grad = DECAY, RESCALE
    clip_grad = CLIP
    samples = (Sample((2, 3), (2, 3), (2, 3), (2, 3), (2, 3), values={3: (0.1, 1)}, lr=0.1, t=2),)

    def step(self, p, weight, grad, g, d, v, z, out):
        torch.mul(grad, p.rescale_grad, out=g).add_(weight, alpha=p.wd)
        if p.clip_grad >= 0:
            g.clamp_(-p.clip_grad, p.clip_grad)
        average_square(v, p.beta2, g)
        next_d = v.div(1 - p.beta2**p.t).sqrt_().add_(p.epsilon).mul_((1 - p.beta1**p.t) / p.lr)
        average(z, p.beta1, g).addcmul_(torch.sub(next_d, d, alpha=p.beta1, out=d), weight, value=-1)
        d.copy_(next_d)
        torch.div(z, d, out=out).neg_()


@register
class AdaGrad(Update):
    r"""A step divided by the root of all squared gradients.

    .. math:: h \leftarrow h + g^2;\quad w' = w - \eta \frac{g}{\sqrt{h + \epsilon}}

    Raises MXNetError for a decay other than 0.

    Source: Duchi, Hazan and Singer, *Adaptive subgradient methods*, JMLR 2011.
    """

    name = "_sparse_adagrad_update"
    inputs = ("weight", "grad", "history")
    states = ("history",)
    lr = RATE
    epsilon = Param(Float, 1e-7, "Added under the root that is divided by.")
    wd, rescale_grad, clip_gradient = DECAY, RESCALE, CLIP
    samples = (Sample((2, 3), (2, 3), (2, 3), values={2: (0.1, 1)}, lr=0.1),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.wd != 0:
            raise MXNetError(f"{self.name} knows no weight decay, but wd={p.wd}")
        return p

    def step(self, p, weight, grad, g, history, out):
        bounded(p, grad, g)
        root = history.addcmul_(g, g).add(p.epsilon).sqrt_()
        torch.addcdiv(weight, g, root, value=-p.lr, out=out)


@register
class GroupAdaGrad(Update):
    r"""AdaGrad with one rate for each row: :math:`h_i \leftarrow h_i + \mathrm{mean}_j\, g_{ij}^2`.

    .. math:: w'_{ij} = w_{ij} - \eta \frac{g_{ij}}{\sqrt{h_i + \epsilon}}

    ``history`` has the first dimension of the weight, and 1 for the others.
    """

    name = "_contrib_group_adagrad_update"
    inputs = ("weight", "grad", "history")
    states = ("history",)
    lr, rescale_grad, clip_gradient = RATE, RESCALE, CLIP
    epsilon = Param(Float, 1e-5, "Added under the root that is divided by.")
    samples = (Sample((2, 3), (2, 3), (2, 1), values={2: (0.1, 1)}, lr=0.1),)

    def infer_shape(self, p, inputs, outputs):
        (weight, grad), outputs = same_shape(inputs[:2], outputs)
        if weight is None:
            return [weight, grad, inputs[2]], outputs
        return [weight, grad, (weight[0], *[1] * (len(weight) - 1))], outputs

    def step(self, p, weight, grad, g, history, out):
        bounded(p, grad, g)
        history.add_(g.square().mean(dim=list(range(1, g.dim())), keepdim=True) if g.dim() > 1 else g.square())
        torch.addcdiv(weight, g, history.add(p.epsilon).sqrt_(), value=-p.lr, out=out)


register(AdamW)
register(MixedPrecisionAdamW(AdamW()))
