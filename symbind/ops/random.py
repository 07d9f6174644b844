"""Random numbers: one table of distributions, each drawn in three ways, and what is not of that kind.

A distribution is drawn with numbers as parameters into a given shape (``_random_normal``), into the shape of another
array (``_random_normal_like``), or with arrays as parameters, several times for each of their elements
(``_sample_normal``). The stream of numbers is the executor's generator; it is not MXNet's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .creation import CONTEXT, asked_shape
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, DType, Float, Int, Optional, Param, Shape
from .shapes import merge, product, same_shape

__all__: list[str] = []

#: ``draw(out, generator, *parameters)`` fills ``out``; the parameters are tensors that broadcast to its shape.
Draw = Callable[..., Any]


# ---- drawing ------------------------------------------------------------------------------------


def _uniform(out: torch.Tensor, generator: torch.Generator, low: torch.Tensor, high: torch.Tensor) -> None:
    out.uniform_(generator=generator).mul_(high - low).add_(low)


def _normal(out: torch.Tensor, generator: torch.Generator, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    out.normal_(generator=generator).mul_(deviation).add_(mean)


def _exponential(out: torch.Tensor, generator: torch.Generator, rate: torch.Tensor) -> None:
    out.exponential_(generator=generator).div_(rate)


def _gamma(out: torch.Tensor, generator: torch.Generator, shape: torch.Tensor, scale: torch.Tensor) -> None:
    out.copy_(_standard_gamma(shape, out, generator)).mul_(scale)


def _poisson(out: torch.Tensor, generator: torch.Generator, rate: torch.Tensor) -> None:
    out.copy_(torch.poisson(_wide(rate).expand(out.shape), generator))


def _negative_binomial(out: torch.Tensor, generator: torch.Generator, k: torch.Tensor, p: torch.Tensor) -> None:
    # Poisson numbers whose rate is itself gamma distributed.
    rate = _standard_gamma(k, out, generator) * ((1 - p) / p)
    _poisson(out, generator, rate)


def _generalized_negative_binomial(
    out: torch.Tensor, generator: torch.Generator, mu: torch.Tensor, alpha: torch.Tensor
) -> None:
    # Without dispersion it is a Poisson distribution.
    spread = alpha > 0
    rate = _standard_gamma(torch.where(spread, 1 / alpha, 1), out, generator) * (mu * alpha)
    _poisson(out, generator, torch.where(spread, rate, mu))


def _standard_gamma(shape: torch.Tensor, out: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch._standard_gamma(_wide(shape).expand(out.shape).contiguous(), generator=generator)


def _wide(parameter: torch.Tensor) -> torch.Tensor:
    # torch draws these in float32 and float64 only.
    return parameter.to(torch.promote_types(parameter.dtype, torch.float32))


# ---- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Distribution:
    """A distribution of numbers, and what its operators share."""

    name: str
    doc: str
    parameters: dict[str, Param]
    draw: Draw
    #: What the parameters must satisfy, and the test of it.
    condition: str
    is_valid: Callable[..., bool]
    #: Names of the parameters as input arrays, if they differ.
    inputs: tuple[str, ...] = ()

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.inputs or tuple(self.parameters)


DISTRIBUTIONS = (
    Distribution(
        "uniform",
        r"uniform between ``low`` and ``high``",
        {"low": Param(Float, 0.0, "Lower bound"), "high": Param(Float, 1.0, "Upper bound")},
        _uniform,
        "low <= high",
        lambda low, high: low <= high,
    ),
    Distribution(
        "normal",
        r"normal, :math:`p(x) \propto \exp(-(x - \mu)^2 / 2 \sigma^2)`",
        {"loc": Param(Float, 0.0, "Mean μ"), "scale": Param(Float, 1.0, "Standard deviation σ")},
        _normal,
        "scale > 0",
        lambda loc, scale: scale > 0,
        inputs=("mu", "sigma"),
    ),
    Distribution(
        "gamma",
        r"gamma distributed, :math:`p(x) \propto x^{\alpha - 1} e^{-x / \beta}`",
        {"alpha": Param(Float, 1.0, "Shape α"), "beta": Param(Float, 1.0, "Scale β")},
        _gamma,
        "alpha > 0 and beta > 0",
        lambda alpha, beta: alpha > 0 and beta > 0,
    ),
    Distribution(
        "exponential",
        r"exponentially distributed, :math:`p(x) = \lambda e^{-\lambda x}`",
        {"lam": Param(Float, 1.0, "Rate λ")},
        _exponential,
        "lam > 0",
        lambda lam: lam > 0,
    ),
    Distribution(
        "poisson",
        r"Poisson distributed, :math:`p(n) = \lambda^n e^{-\lambda} / n!`",
        {"lam": Param(Float, 1.0, "Mean λ")},
        _poisson,
        "lam >= 0",
        lambda lam: lam >= 0,
    ),
    Distribution(
        "negative_binomial",
        r"the failures before success ``k``, which comes with probability ``p`` each time",
        {"k": Param(Int, 1, "Number of successes"), "p": Param(Float, 1.0, "Probability of a success")},
        _negative_binomial,
        "k >= 0 and 0 < p <= 1",
        lambda k, p: k >= 0 and 0 < p <= 1,
    ),
    Distribution(
        "generalized_negative_binomial",
        r"negative binomial, of mean :math:`\mu` and variance :math:`\mu + \alpha \mu^2`",
        {"mu": Param(Float, 1.0, "Mean μ"), "alpha": Param(Float, 1.0, "Dispersion α")},
        _generalized_negative_binomial,
        "mu >= 0 and alpha >= 0",
        lambda mu, alpha: mu >= 0 and alpha >= 0,
    ),
)

_DRAW_TYPE = Param(Optional(DType), None, "Type of the output; float32 if None")


# ---- the three ways to draw ---------------------------------------------------------------------


class _NumberParameters(Operator):
    """Base of the draws whose parameters are numbers."""

    random = True
    distribution: Distribution

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        values = {key: getattr(p, key) for key in self.distribution.parameters}
        if not self.distribution.is_valid(**values):
            given = ", ".join(f"{key}={value}" for key, value in values.items())
            raise MXNetError(f"{self.name} needs {self.distribution.condition}, not {given} (node {node_name!r})")
        return p

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        dtype = torch.promote_types(out.dtype, torch.float32)
        numbers = [
            torch.tensor(getattr(p, key), dtype=dtype, device=out.device) for key in self.distribution.parameters
        ]
        return partial(self.distribution.draw, out, env.generator, *numbers)


class Draws(_NumberParameters):
    """Independent random numbers in a given shape."""

    inputs = ()
    samples = (Sample(shape=(2, 3)),)

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        name = distribution.name
        self.name = f"_random_{name}"
        self.aliases = (f"random_{name}", *([name] if name in ("uniform", "normal") else []))
        self.parameters = {
            **distribution.parameters,
            "shape": Param(Optional(Shape), None, "Shape of the output; 0 for a dimension that follows from its users"),
            "ctx": CONTEXT,
            "dtype": _DRAW_TYPE,
        }
        self.__doc__ = f"""Independent random numbers, {distribution.doc}.

        Raises MXNetError unless {distribution.condition}.
        """

    def infer_shape(self, p, inputs, outputs):
        return [], [asked_shape(p.shape)]

    def infer_dtype(self, p, inputs, outputs):
        return [], [p.dtype or torch.float32]


class DrawsLike(_NumberParameters):
    """Independent random numbers in the shape of another array."""

    unread = (0,)
    zero_gradient = True
    samples = (Sample((2, 3)),)

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        self.name = f"_random_{distribution.name}_like"
        self.parameters = distribution.parameters
        self.__doc__ = f"""Independent random numbers, {distribution.doc}.

        They come in the shape and type of ``data``, whose values do not matter.

        Raises MXNetError unless {distribution.condition}.
        """

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)


class DrawsForEach(Operator):
    """Independent random numbers for each element of arrays of parameters."""

    random = True
    zero_gradient = True
    shape = Param(Optional(Shape), (), "How many draws for each element, as further dimensions of the output")
    dtype = _DRAW_TYPE

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        self.name = f"_sample_{distribution.name}"
        self.aliases = (f"sample_{distribution.name}",)
        self.inputs = distribution.input_names
        arrays = ((2, 3),) * len(self.inputs)
        self.samples = (Sample(*arrays, low=0.2, high=0.9), Sample(*arrays, low=0.2, high=0.9, shape=(4,)))
        self.__doc__ = f"""Independent random numbers, {distribution.doc}, for each element of the inputs.

        The inputs are the parameters, all of one shape (*S*); the output has the shape (*S*, *shape*).

        Raises MXNetError if the shapes or types of the inputs differ.
        """

    def infer_shape(self, p, inputs, outputs):
        (known, *_), _ = same_shape(inputs, [])
        if known is None:
            return inputs, outputs
        return [known] * len(inputs), [known + tuple(p.shape or ())]

    def infer_dtype(self, p, inputs, outputs):
        return super().infer_dtype(p, inputs, [])[0], [p.dtype or torch.float32]

    def kernel(self, p, inputs, outputs, env):
        draws = (1,) * len(p.shape or ())
        parameters = [x.view(tuple(x.shape) + draws) for x in inputs]
        return partial(self.distribution.draw, outputs[0], env.generator, *parameters)


for _distribution in DISTRIBUTIONS:
    register(Draws(_distribution))
    register(DrawsLike(_distribution))
    register(DrawsForEach(_distribution))


# ---- other random operators ---------------------------------------------------------------------


@register
class RandomIntegers(Operator):
    """Independent whole numbers, uniform in ``low`` … ``high - 1``.

    Raises MXNetError unless low < high.
    """

    name = "_random_randint"
    aliases = ("random_randint",)
    inputs = ()
    random = True
    low = Param(Int, doc="Smallest number")
    high = Param(Int, doc="Bound above all numbers")
    shape = Param(Optional(Shape), None, "Shape of the output; 0 for a dimension that follows from its users")
    ctx = CONTEXT
    dtype = Param(Optional(DType), None, "Type of the output, int32 or int64; int32 if None")
    samples = (Sample(shape=(2, 3), named={"low": -2, "high": 5}),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.low >= p.high:
            raise MXNetError(f"{self.name} needs low < high, not low={p.low}, high={p.high} (node {node_name!r})")
        return p

    def infer_shape(self, p, inputs, outputs):
        return [], [asked_shape(p.shape)]

    def infer_dtype(self, p, inputs, outputs):
        return [], [p.dtype or torch.int32]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].random_, p.low, p.high, generator=env.generator)


@register
class SampleMultinomial(Operator):
    r"""Draws from distributions over :math:`0 \dots k-1`, which are the rows of ``data`` (*S*, k).

    The output (*S*, *shape*) holds the numbers drawn. With ``get_prob``, a second output holds the logarithms of
    their probabilities; its gradient, :math:`1/p` where the number was drawn, is what policy gradients need
    (Williams, "Simple statistical gradient-following algorithms", 1992).
    """

    name = "_sample_multinomial"
    aliases = ("sample_multinomial",)
    random = True
    shape = Param(Optional(Shape), (), "How many draws for each row, as further dimensions of the output")
    get_prob = Param(Bool, False, "Also give the logarithms of the probabilities")
    dtype = Param(DType, torch.int32, "Type of the numbers drawn")
    samples = (Sample((2, 3), low=0.2, high=1, shape=(4,), get_prob=True), Sample((3,), low=0.2, high=1, get_prob=True))

    def num_outputs(self, p):
        return 2 if p.get_prob else 1

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        drawn = data[:-1] + tuple(p.shape or ()) or (1,)
        return [data], [drawn] * len(outputs)

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or (outputs[1] if p.get_prob else None)
        return [data], [p.dtype, *([data] if p.get_prob else [])]

    def gradient(self, p, x, y, dy):
        if not p.get_prob:
            return [ZERO]
        return [apply("_backward_sample_multinomial", dy[1], x[0], y[0])]

    def kernel(self, p, inputs, outputs, env):
        rows = inputs[0].view(-1, inputs[0].shape[-1])
        draws = product(p.shape or ())
        drawn, *logarithms = (out.view(-1, draws) for out in outputs)

        def run() -> None:
            numbers = torch.multinomial(_wide(rows), draws, replacement=True, generator=env.generator)
            drawn.copy_(numbers)
            for logarithm in logarithms:
                torch.gather(rows, 1, numbers, out=logarithm).log_()

        return run


@register
class SampleMultinomialGradient(Operator):
    r"""Sum of :math:`dy / p` over the draws of each number, the gradient of the logarithms of the rows in ``data``."""

    name = "_backward_sample_multinomial"
    inputs = ("head_gradient", "data", "drawn")
    samples = (Sample((2, 4), (2, 3), (2, 4), low=0.2, high=3, integer=(2,)),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, inputs[2]], [data]

    def infer_dtype(self, p, inputs, outputs):
        (head, data), (out,) = super().infer_dtype(p, inputs[:2], outputs)
        return [head, data, inputs[2]], [out]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0].view(-1, outputs[0].shape[-1])
        rows = inputs[1].view(out.shape)
        head, drawn = (x.view(len(rows), -1) for x in (inputs[0], inputs[2]))

        def run() -> None:
            numbers = drawn.long()
            out.zero_().scatter_add_(1, numbers, head / rows.gather(1, numbers))

        return run


@register
class Shuffle(Operator):
    """``data`` with its elements along the first axis in random order."""

    name = "_shuffle"
    aliases = ("shuffle",)
    random = True
    samples = (Sample((5, 2)),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]

        def run() -> None:
            order = torch.randperm(len(data), generator=env.generator, device=data.device)
            torch.index_select(data, 0, order, out=out)

        return run
