"""Steps of gradient descent: plain, with momentum, by sign."""

from __future__ import annotations

import torch

from .operator import Sample, register
from .parameter import Float, Param
from .update import (
    CLIP,
    DECAY,
    LAZY,
    MOMENTUM,
    RATE,
    RESCALE,
    MixedPrecision,
    Update,
    average,
    bounded,
)

__all__ = ["SGD", "SGDMomentum"]


@register
class SGD(Update):
    r"""A step of gradient descent: :math:`w' = w - \eta (g + \lambda w)`."""

    name = "sgd_update"
    aliases = ("_sparse_sgd_update",)
    lr, wd, rescale_grad, clip_gradient, lazy_update = RATE, DECAY, RESCALE, CLIP, LAZY
    samples = (Sample((2, 3), (2, 3), lr=0.1, wd=0.01),)

    def step(self, p, weight, grad, g, out):
        bounded(p, grad, g).add_(weight, alpha=p.wd)
        torch.add(weight, g, alpha=-p.lr, out=out)


@register
class SGDMomentum(Update):
    r"""A step of gradient descent with momentum: :math:`m \leftarrow \mu m - \eta (g + \lambda w);\; w' = w + m`."""

    name = "sgd_mom_update"
    aliases = ("_sparse_sgd_mom_update",)
    inputs = ("weight", "grad", "mom")
    states = ("mom",)
    lr, momentum, wd, rescale_grad, clip_gradient, lazy_update = RATE, MOMENTUM, DECAY, RESCALE, CLIP, LAZY
    samples = (Sample((2, 3), (2, 3), (2, 3), lr=0.1, momentum=0.9),)

    def step(self, p, weight, grad, g, mom, out):
        bounded(p, grad, g).add_(weight, alpha=p.wd)
        mom.mul_(p.momentum).add_(g, alpha=-p.lr)
        torch.add(weight, mom, out=out)


@register
class NesterovMomentum(Update):
    r"""A step of Nesterov's accelerated gradient descent.

    .. math:: w' = w + \mu^2 m - (1 + \mu) \eta (g + \lambda w);\quad m \leftarrow \mu m - \eta (g + \lambda w)

    The second :math:`w` is read after the first is written, so with ``out=weight`` the momentum takes the decay of the
    new weight.

    Source: Sutskever, Martens, Dahl and Hinton, *On the importance of initialization and momentum in deep learning*,
    ICML 2013.
    """

    name = "nag_mom_update"
    inputs = ("weight", "grad", "mom")
    states = ("mom",)
    lr, momentum, wd, rescale_grad, clip_gradient = RATE, MOMENTUM, DECAY, RESCALE, CLIP
    samples = (Sample((2, 3), (2, 3), (2, 3), lr=0.1, momentum=0.9, wd=0.01),)

    def step(self, p, weight, grad, g, mom, out):
        bounded(p, grad, g)
        ahead = (1 + p.momentum) * p.lr
        mom.mul_(p.momentum)
        torch.mul(weight, 1 - ahead * p.wd, out=out).add_(g, alpha=-ahead).add_(mom, alpha=p.momentum)
        mom.add_(g, alpha=-p.lr).add_(weight, alpha=-p.lr * p.wd)


@register
class SignSGD(Update):
    r"""A step of fixed length in every element: :math:`w' = (1 - \eta\lambda) w - \eta\,\mathrm{sign}(g)`.

    Source: Bernstein, Wang, Azizzadenesheli and Anandkumar, *signSGD: compressed optimisation for non-convex
    problems*, ICML 2018.
    """

    name = "signsgd_update"
    lr, wd, rescale_grad, clip_gradient = RATE, DECAY, RESCALE, CLIP
    samples = (Sample((2, 3), (2, 3), lr=0.1),)

    def step(self, p, weight, grad, g, out):
        bounded(p, grad, g).sign_()
        torch.mul(weight, 1 - p.lr * p.wd, out=out).add_(g, alpha=-p.lr)


@register
class Signum(Update):
    r"""A step of fixed length in the direction of the momentum.

    .. math:: m \leftarrow \mu m - (1 - \mu)(g + \lambda w);\quad w' = (1 - \eta\,wd\_lh) w + \eta\,\mathrm{sign}(m)

    Source: Bernstein, Wang, Azizzadenesheli and Anandkumar, *signSGD: compressed optimisation for non-convex
    problems*, ICML 2018.
    """

    name = "signum_update"
    inputs = ("weight", "grad", "mom")
    states = ("mom",)
    lr, momentum, wd, rescale_grad, clip_gradient = RATE, MOMENTUM, DECAY, RESCALE, CLIP
    wd_lh = Param(Float, 0.0, "Weight decay that acts on the weight itself, apart from the gradient.")
    samples = (Sample((2, 3), (2, 3), (2, 3), lr=0.1, momentum=0.9),)

    def step(self, p, weight, grad, g, mom, out):
        average(mom, p.momentum, bounded(p, grad, g).add_(weight, alpha=p.wd).neg_())
        torch.mul(weight, 1 - p.lr * p.wd_lh, out=out).add_(torch.sign(mom, out=g), alpha=p.lr)


for _rule in (SGD(), SGDMomentum(), NesterovMomentum()):
    register(MixedPrecision(_rule))
