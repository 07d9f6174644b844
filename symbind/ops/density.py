"""Densities of random numbers: how likely samples are under distributions whose parameters are arrays.

Parameters of shape (s…) stand for as many distributions; the samples of each are an array (t…), so that ``sample`` has
the shape (s…, t…). Every distribution is declared by the logarithm of its density and the derivatives of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Bool, Param
from .shapes import merge, product

__all__: list[str] = []


@dataclass(frozen=True)
class Distribution:
    """``log`` is the logarithm of the density, ``slopes`` are its derivatives by the sample and each parameter.

    That by a sample which counts something is zero.
    """

    name: str
    parameters: tuple[str, ...]
    formula: str
    log: Callable[..., Tensor]
    slopes: Callable[..., tuple[Tensor, ...]]
    samples: Sequence[Sample]
    #: The last axis of sample and parameter is one vector.
    of_vectors: bool = False


def _rows(distribution: Distribution, sample: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Samples as (S, T), or (S, T, k) of vectors; parameters as (S, 1), or (S, 1, k)."""
    vector = sample.shape[-1:] if distribution.of_vectors else ()
    count = parameters[0].numel() // (product(vector) if vector else 1)
    return [sample.reshape(count, -1, *vector), *(each.reshape(count, 1, *vector) for each in parameters)]


class _OfDistribution(Operator):
    is_log = Param(Bool, False, "Whether to give the logarithm of the density.")

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution

    def _check(self, sample, parameter):
        """The shape of the sample and that of its densities."""
        if sample is None or parameter is None:
            return sample, None
        last = 1 if self.distribution.of_vectors else 0
        head, tail = parameter[: len(parameter) - last], parameter[len(parameter) - last :]
        if len(sample) < len(parameter):
            raise MXNetError(f"sample of {self.name} needs the axes of its parameters, {parameter}, but has {sample}")
        sample = merge(sample, (*head, *[0] * (len(sample) - len(parameter)), *tail))
        return sample, sample[: len(sample) - last]


class Density(_OfDistribution):
    """The density of samples."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution)
        self.name = f"_random_pdf_{distribution.name}"
        self.aliases = (f"random_pdf_{distribution.name}",)
        self.inputs = ("sample", *distribution.parameters)
        self.samples = tuple(
            Sample(*each.shapes, values=each.values, low=each.low, high=each.high, integer=each.integer, is_log=is_log)
            for each in distribution.samples
            for is_log in (False, True)
        )
        vector = ", k" if distribution.of_vectors else ""
        named = " and ".join(f"``{name}``" for name in distribution.parameters)
        self.__doc__ = rf"""Densities of samples :math:`x`, or their logarithms: :math:`p(x) = {distribution.formula}`.

        Shapes: {named} (s…{vector}), ``sample`` (s…, t…{vector}); output (s…, t…). All are of one floating type.
        """

    def infer_shape(self, p, inputs, outputs):
        parameter = None
        for shape in inputs[1:]:
            parameter = merge(parameter, shape)
        sample, output = self._check(inputs[0], parameter)
        return [sample, *[parameter] * (len(inputs) - 1)], [merge(output, outputs[0])]

    def gradient(self, p, x, y, dy):
        gradients = apply(f"_backward{self.name}", dy[0], y[0], *x, **vars(p))
        return [gradients[i] for i in range(len(x))]

    def kernel(self, p, inputs, outputs, env):
        rows, out = _rows(self.distribution, inputs[0], inputs[1:]), outputs[0]

        def run() -> None:
            density = self.distribution.log(*rows)
            out.copy_((density if p.is_log else density.exp_()).reshape(out.shape))

        return run


class DensityGradient(_OfDistribution):
    """The gradients of a density by its sample and by every parameter."""

    def __init__(self, distribution: Distribution) -> None:
        super().__init__(distribution)
        self.name = f"_backward_random_pdf_{distribution.name}"
        self.inputs = ("head_gradient", "density", "sample", *distribution.parameters)

    def num_outputs(self, p):
        return 1 + len(self.distribution.parameters)

    def infer_shape(self, p, inputs, outputs):
        whole, parts = merge(inputs[2], outputs[0]), None
        for shape in (*inputs[3:], *outputs[1:]):
            parts = merge(parts, shape)
        whole, density = self._check(whole, parts)
        density = merge(density, merge(inputs[0], inputs[1]))
        count = len(self.distribution.parameters)
        return [density, density, whole, *[parts] * count], [whole, *[parts] * count]

    def kernel(self, p, inputs, outputs, env):
        head, density = inputs[:2]
        rows = _rows(self.distribution, inputs[2], inputs[3:])

        def run() -> None:
            factor = head if p.is_log else head * density
            factor = factor.reshape(rows[0].shape[:2])
            if self.distribution.of_vectors:
                factor = factor.unsqueeze(2)
            first, *others = self.distribution.slopes(*rows)
            outputs[0].copy_((first * factor).reshape(outputs[0].shape))
            for slope, out in zip(others, outputs[1:]):
                out.copy_((slope * factor).sum(1).reshape(out.shape))

        return run


# ---- the distributions --------------------------------------------------------------------------

_ln, _ln_gamma, _psi = torch.log, torch.lgamma, torch.digamma


def _log_normal(x, mu, sigma):
    return ((x - mu) / sigma).square_().mul_(-0.5) - _ln(sigma * math.sqrt(2 * math.pi))


def _normal_slopes(x, mu, sigma):
    from_mean = (x - mu) / sigma**2
    return -from_mean, from_mean, (from_mean * (x - mu) - 1) / sigma


def _log_gamma(x, alpha, beta):
    return alpha * _ln(beta) + (alpha - 1) * _ln(x) - beta * x - _ln_gamma(alpha)


def _gamma_slopes(x, alpha, beta):
    return (alpha - 1) / x - beta, _ln(beta) + _ln(x) - _psi(alpha), alpha / beta - x


def _log_poisson(x, lam):
    return x * _ln(lam) - _ln_gamma(x + 1) - lam


def _log_negative_binomial(x, k, p):
    return _ln_gamma(x + k) - _ln_gamma(x + 1) - _ln_gamma(k) + k * _ln(p) + x * torch.log1p(-p)


def _negative_binomial_slopes(x, k, p):
    return torch.zeros_like(x), _psi(x + k) - _psi(k) + _ln(p), k / p - x / (1 - p)


def _as_negative_binomial(mu, alpha):
    """The k and p of a negative binomial distribution of mean mu whose variance is mu + alpha mu²."""
    return 1 / alpha, 1 / (mu * alpha + 1)


def _generalized_slopes(x, mu, alpha):
    k, p = _as_negative_binomial(mu, alpha)
    none, by_k, by_p = _negative_binomial_slopes(x, k, p)
    return none, -by_p * alpha * p**2, -by_k * k**2 - by_p * mu * p**2


def _log_dirichlet(x, alpha):
    return ((alpha - 1) * _ln(x)).sum(-1) + _ln_gamma(alpha.sum(-1)) - _ln_gamma(alpha).sum(-1)


def _dirichlet_slopes(x, alpha):
    return (alpha - 1) / x, _ln(x) + _psi(alpha.sum(-1, keepdim=True)) - _psi(alpha)


_TWO = ((2, 3), (2,), (2,))


def _counts(*shapes: tuple[int, ...]) -> Sample:
    return Sample(*shapes, low=0.2, high=0.8, values={0: [0, 1, 2, 3, 4, 5]}, integer=(0,))


for _distribution in (
    Distribution(
        "uniform", ("low", "high"), r"1 / (high - low)",
        lambda x, low, high: -_ln(high - low).expand_as(x).contiguous(),
        lambda x, low, high: (torch.zeros_like(x), (1 / (high - low)).expand_as(x), (1 / (low - high)).expand_as(x)),
        [Sample(*_TWO, values={0: (0.4, 0.6), 1: (0.0, 0.3), 2: (0.7, 1.5)})],
    ),
    Distribution(
        "normal", ("mu", "sigma"), r"e^{-(x - \mu)^2 / 2 \sigma^2} / \sqrt{2 \pi} \sigma", _log_normal, _normal_slopes,
        [Sample(*_TWO, values={2: (0.5, 1.5)})],
    ),
    Distribution(
        "gamma", ("alpha", "beta"), r"\beta^\alpha x^{\alpha - 1} e^{-\beta x} / \Gamma(\alpha)",
        _log_gamma, _gamma_slopes, [Sample(*_TWO, low=0.5, high=2)],
    ),
    Distribution(
        "exponential", ("lam",), r"\lambda e^{-\lambda x}",
        lambda x, lam: _ln(lam) - lam * x, lambda x, lam: ((-lam).expand_as(x), 1 / lam - x),
        [Sample((2, 3), (2,), low=0.5, high=2)],
    ),
    Distribution(
        "poisson", ("lam",), r"\lambda^x e^{-\lambda} / x!",
        _log_poisson, lambda x, lam: (torch.zeros_like(x), x / lam - 1), [_counts((2, 3), (2,))],
    ),
    Distribution(
        "negative_binomial", ("k", "p"), r"\tbinom{x + k - 1}{x} p^k (1 - p)^x",
        _log_negative_binomial, _negative_binomial_slopes,
        [_counts(*_TWO)],
    ),
    Distribution(
        "generalized_negative_binomial", ("mu", "alpha"),
        r"\tbinom{x + k - 1}{x} p^k (1 - p)^x, \; k = 1 / \alpha, \; p = 1 / (\mu \alpha + 1)",
        lambda x, mu, alpha: _log_negative_binomial(x, *_as_negative_binomial(mu, alpha)), _generalized_slopes,
        [_counts(*_TWO)],
    ),
    Distribution(
        "dirichlet", ("alpha",), r"\Gamma(\sum_i \alpha_i) \prod_i x_i^{\alpha_i - 1} / \Gamma(\alpha_i)",
        _log_dirichlet, _dirichlet_slopes, [Sample((2, 2, 3), (2, 3), low=0.2, high=2)], of_vectors=True,
    ),
):  # fmt: skip
    register(Density(_distribution))
    register(DensityGradient(_distribution))
