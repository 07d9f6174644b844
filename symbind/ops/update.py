"""One step of an optimizer as an operator: from a weight, its gradient and states to the new weight.

States (momenta, running averages) change in place, so in a graph they are auxiliary states; the new weight is the
output, which ``out=weight`` puts where the old one was. Rules for whole layers are in
:mod:`.update_layers`, those for many weights at a time in :mod:`.update_many`.

In the formulas w is the weight, η is ``lr``, λ is ``wd``, and g is the gradient times ``rescale_grad``, bounded to
±``clip_gradient``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from ..base import MXNetError
from .operator import Environment, Kernel, Operator, Sample, register
from .parameter import Bool, Float, Int, Param, Params
from .shapes import merge, product, same_shape

__all__ = [
    "CLIP", "FIRST_BETA", "RATE", "RESCALE", "SECOND_BETA", "SGD", "AdamW", "MixedPrecision", "MixedPrecisionAdamW",
    "SGDMomentum", "Update", "average", "average_square", "bounded",
]  # fmt: skip

Tensors = Sequence[torch.Tensor]

RATE = Param(Float, doc="Learning rate.")
DECAY = Param(Float, 0.0, "Weight decay: the share of the weight that is added to the gradient.")
RESCALE = Param(Float, 1.0, "Factor of the gradient.")
CLIP = Param(Float, -1.0, "Bound of the rescaled gradient's elements; negative for none.")
LAZY = Param(Bool, True, "Accepted for MXNet's sake: gradients are dense, so no row is ever absent.")
MOMENTUM = Param(Float, 0.0, "Share of the momentum that is kept.")
FIRST_BETA = Param(Float, 0.9, "Share that the mean of gradients keeps.")
SECOND_BETA = Param(Float, 0.999, "Share that the mean of squared gradients keeps.")
EPSILON = Param(Float, 1e-8, "Added to the root that is divided by.")
BOUND = Param(Float, -1.0, "Bound of the new weight's elements; not positive for none.")


def bounded(p: Params, grad: torch.Tensor, out: torch.Tensor, decayed: torch.Tensor | None = None) -> torch.Tensor:
    """g in ``out``; with ``decayed``, that weight's decay is added before the bound."""
    torch.mul(grad, p.rescale_grad, out=out)
    if decayed is not None:
        out.add_(decayed, alpha=p.wd)
    if p.clip_gradient >= 0:
        out.clamp_(-p.clip_gradient, p.clip_gradient)
    return out


def average(mean: torch.Tensor, keep: float, value: torch.Tensor) -> torch.Tensor:
    """``mean ← keep · mean + (1 − keep) · value``."""
    return mean.mul_(keep).add_(value, alpha=1 - keep)


def average_square(mean: torch.Tensor, keep: float, value: torch.Tensor) -> torch.Tensor:
    """``mean ← keep · mean + (1 − keep) · value²``."""
    return mean.mul_(keep).addcmul_(value, value, value=1 - keep)


class Update(Operator):
    """A rule for one weight. All inputs, the weight among them, have one shape and one type."""

    inputs: Sequence[str] = ("weight", "grad")
    #: Names of the inputs that the rule changes in place.
    states: Sequence[str] = ()
    needs_all_inputs = True
    inplace: Sequence[tuple[int, int]] = ((0, 0),)
    #: ``step(p, weight, grad, g, *states, out)`` changes the states and writes the new weight into ``out``, which may
    #: be the weight itself; ``g`` is scratch memory of the size of the gradient.
    step: Callable[..., None]

    def auxiliary_inputs(self, p):
        return [self.inputs.index(state) for state in self.states]

    def mutated_inputs(self, p):
        return self.auxiliary_inputs(p)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p: Params, inputs: Tensors, outputs: Tensors, env: Environment) -> Kernel:
        if not outputs[0].is_floating_point():
            raise MXNetError(f"{self.name} works on floating-point weights, not {outputs[0].dtype}")
        weight, grad, *states = inputs
        return partial(self.step, p, weight, grad, torch.empty_like(grad), *states, outputs[0])


class MixedPrecision(Update):
    """The rule of another operator on ``weight32``, a copy of the weight in single precision.

    ``weight32`` is a state as the others are, all of them float32; the output is that copy after the step, in the
    type of ``weight`` and ``grad``.
    """

    def __init__(self, rule: Update) -> None:
        self.rule = rule
        self.name = f"mp_{rule.name}"
        self.inputs = (*rule.inputs, "weight32")
        self.states = (*rule.states, "weight32")
        self.parameters = rule.parameters
        self.samples = [
            Sample(*shapes, shapes[0], low=sample.low, values=sample.values, named=sample.params)
            for sample in rule.samples
            for shapes in [sample.shapes]
        ]

    @property
    def doc(self) -> str:
        return (
            f"{self.rule.name} on ``weight32``, a copy of the weight in single precision, in which it is rounded less."
            "\n\nThe output is the new copy in the type of ``weight`` and ``grad``; all else is float32 and follows "
            f"the rule of {self.rule.name}."
        )

    def infer_shape(self, p, inputs, outputs):
        # weight32 has the shape of the weight; the rule says what the others have.
        weight = merge(inputs[0], inputs[-1])
        told, outputs = self.rule.infer_shape(p, [weight, *inputs[1:-1]], outputs)
        return [*told, told[0]], outputs

    def infer_dtype(self, p, inputs, outputs):
        low = next((t for t in (*inputs[:2], *outputs) if t is not None), None)
        return [low, low, *[torch.float32] * (len(inputs) - 2)], [low]

    def kernel(self, p, inputs, outputs, env):
        _, grad, *states, master = inputs
        single = torch.empty_like(master)
        step = self.rule.kernel(p, [master, single, *states], [master], env)

        def run() -> None:
            single.copy_(grad)
            step()
            outputs[0].copy_(master)

        return run


# ---- gradient descent ----------------------------------------------------------------------------------------------


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


# ---- adaptive rules ------------------------------------------------------------------------------------------------


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


for _rule in (SGD(), SGDMomentum(), NesterovMomentum()):
    register(MixedPrecision(_rule))
register(AdamW)
register(MixedPrecisionAdamW(AdamW()))
