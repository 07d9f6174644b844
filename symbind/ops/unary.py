"""Functions of one number, applied number by number: one table, and the few that have parameters.

Every gradient uses the output instead of the input where it can, so that the input's memory is free after the forward
pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from ..dtype import as_numpy
from ..graph.symbol import Symbol, apply
from .kernels import KernelBuilder, direct, scalar_like, through_float64
from .operator import ZERO, Operator, Sample, register
from .parameter import Float, Int, Param
from .shapes import same_shape

__all__: list[str] = []

#: ``derivative(x, y, dy)``: the gradient of the input.
Rule = Callable[[Symbol, Symbol, Symbol], Symbol]


class Unary(Operator):
    """A function of one number."""

    elementwise = True

    def __init__(
        self,
        name: str,
        formula: str,
        kernel: KernelBuilder,
        gradient: Rule | None = None,
        domain: tuple[float, float] = (-2.0, 2.0),
        aliases: Sequence[str] | None = None,
        inplace: bool = True,
    ) -> None:
        self.name = name
        self.aliases = (f"_sparse_{name}",) if aliases is None else aliases
        self.build = kernel
        self.rule = gradient
        self.zero_gradient = gradient is None
        self.inplace = ((0, 0),) if inplace else ()
        self.samples = (Sample((2, 3), values={0: domain}),)
        self.__doc__ = f""":math:`{formula}` of every number :math:`x` of ``data``.

        Shape and type are those of ``data``; whole numbers are computed in double precision and cut.
        """

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        if self.rule is None:
            return super().gradient(p, x, y, dy)
        return [self.rule(x[0], y[0], dy[0])]

    def kernel(self, p, inputs, outputs, env):
        return self.build(inputs[0], outputs[0])


# ---- functions that are several calls of torch --------------------------------------------------


def _softsign(x, out=None):
    denominator = torch.abs(x, out=out).add_(1)
    return torch.div(x, denominator, out=out)


def _cbrt(x, out=None):
    return torch.abs(x, out=out).pow_(1 / 3).copysign_(x)


def _rcbrt(x, out=None):
    return torch.abs(x, out=out).pow_(-1 / 3).copysign_(x)


def _gamma(x, out=None):
    # Below zero the sign changes at every whole number, where there is a pole.
    sign = torch.where(x.floor() % 2 != 0, -1.0, 1.0).masked_fill_(x == x.floor(), math.nan).masked_fill_(x >= 0, 1)
    return torch.mul(torch.lgamma(x, out=out).exp_(), sign, out=out)


def _gamma_kernel(x, out):
    if out.is_floating_point():
        return partial(_gamma, x, out=out)
    # Factorials: a logarithm that is a little too small must not cost one when the number is cut.
    return lambda: out.copy_(_gamma(x.double()).round_())


def _round(x, out):
    # Half away from zero: torch rounds half to even, so those that went to zero must go back. Every step is exact.
    def run() -> None:
        nearest = torch.round(x)
        sign = torch.sign(x)
        went_to_zero = (x - nearest).mul_(sign).eq_(0.5)
        torch.addcmul(nearest, sign, went_to_zero, out=out)

    return run


def _rint(x, out):
    # Half down: those halves that torch rounded up must go back.
    def run() -> None:
        nearest = torch.round(x)
        torch.sub(nearest, (x - nearest).eq_(-0.5), out=out)

    return run


def _unless_whole(kernel: KernelBuilder) -> KernelBuilder:
    return lambda x, out: kernel(x, out) if x.is_floating_point() else partial(out.copy_, x)


# ---- the table ----------------------------------------------------------------------------------

_OVER_TWO_ROOT_PI = 2 / math.sqrt(math.pi)
_POSITIVE = (0.5, 2.0)
_INSIDE = (-0.9, 0.9)
_BESIDE_ZERO = (0.2, 2.0)

for _operator in (
    Unary("relu", r"\max(x, 0)", lambda x, out: partial(torch.clamp_min, x, 0, out=out),
          lambda x, y, dy: apply("_backward_relu", dy, y), _BESIDE_ZERO),
    Unary("sigmoid", r"1 / (1 + e^{-x})", through_float64(torch.sigmoid),
          lambda x, y, dy: apply("_backward_sigmoid", dy, y)),
    Unary("tanh", r"\tanh x", through_float64(torch.tanh),
          lambda x, y, dy: apply("_backward_tanh", dy, y)),
    Unary("softsign", r"x / (1 + |x|)", through_float64(_softsign),
          lambda x, y, dy: dy * apply("square", 1 - apply("abs", y)), aliases=(), inplace=False),
    Unary("exp", "e^x", through_float64(torch.exp), lambda x, y, dy: dy * y),
    Unary("expm1", "e^x - 1", through_float64(torch.expm1), lambda x, y, dy: dy * (y + 1)),
    Unary("log", r"\ln x", through_float64(torch.log), lambda x, y, dy: dy / x, _POSITIVE),
    Unary("log10", r"\log_{10} x", through_float64(torch.log10), lambda x, y, dy: dy / (x * math.log(10)), _POSITIVE),
    Unary("log1p", r"\ln (1 + x)", through_float64(torch.log1p), lambda x, y, dy: dy / (x + 1), _INSIDE),
    Unary("log2", r"\log_2 x", through_float64(torch.log2), lambda x, y, dy: dy / (x * math.log(2)), _POSITIVE),
    Unary("sqrt", r"\sqrt x", through_float64(torch.sqrt), lambda x, y, dy: dy / y * 0.5, _POSITIVE),
    Unary("rsqrt", r"1 / \sqrt x", through_float64(torch.rsqrt), lambda x, y, dy: dy * y / x * -0.5, _POSITIVE),
    Unary("cbrt", r"\sqrt[3] x", through_float64(_cbrt), lambda x, y, dy: dy / apply("square", y) / 3,
          _POSITIVE, inplace=False),
    Unary("rcbrt", r"1 / \sqrt[3] x", through_float64(_rcbrt), lambda x, y, dy: dy * y / x / -3,
          _POSITIVE, aliases=(), inplace=False),
    Unary("square", "x^2", direct(torch.square), lambda x, y, dy: dy * x * 2),
    Unary("reciprocal", "1 / x", through_float64(torch.reciprocal), lambda x, y, dy: -(dy * apply("square", y)),
          _POSITIVE, aliases=()),
    Unary("abs", "|x|", direct(torch.abs), lambda x, y, dy: dy * apply("sign", x), _BESIDE_ZERO),
    Unary("negative", "-x", direct(torch.neg), lambda x, y, dy: -dy),
    Unary("sign", r"x / |x|, \; 0 \mapsto 0", direct(torch.sign)),
    Unary("round", r"\mathrm{sign}(x) \lfloor |x| + \tfrac12 \rfloor", _unless_whole(_round)),
    Unary("rint", r"\lceil x - \tfrac12 \rceil", _unless_whole(_rint)),
    Unary("ceil", r"\lceil x \rceil", direct(torch.ceil)),
    Unary("floor", r"\lfloor x \rfloor", direct(torch.floor)),
    Unary("trunc", r"\mathrm{sign}(x) \lfloor |x| \rfloor", direct(torch.trunc)),
    Unary("fix", r"\mathrm{sign}(x) \lfloor |x| \rfloor", direct(torch.trunc)),
    Unary("sin", r"\sin x", through_float64(torch.sin), lambda x, y, dy: dy * apply("cos", x)),
    Unary("cos", r"\cos x", through_float64(torch.cos), lambda x, y, dy: -(dy * apply("sin", x))),
    Unary("tan", r"\tan x", through_float64(torch.tan), lambda x, y, dy: dy * (apply("square", y) + 1), _INSIDE),
    Unary("arcsin", r"\arcsin x", through_float64(torch.asin),
          lambda x, y, dy: dy * apply("rsqrt", 1 - apply("square", x)), _INSIDE),
    Unary("arccos", r"\arccos x", through_float64(torch.acos),
          lambda x, y, dy: -(dy * apply("rsqrt", 1 - apply("square", x))), _INSIDE),
    Unary("arctan", r"\arctan x", through_float64(torch.atan), lambda x, y, dy: dy / (apply("square", x) + 1)),
    Unary("sinh", r"\sinh x", through_float64(torch.sinh), lambda x, y, dy: dy * apply("cosh", x)),
    Unary("cosh", r"\cosh x", through_float64(torch.cosh), lambda x, y, dy: dy * apply("sinh", x)),
    Unary("arcsinh", r"\mathrm{arsinh}\, x", through_float64(torch.asinh),
          lambda x, y, dy: dy * apply("rsqrt", apply("square", x) + 1)),
    Unary("arccosh", r"\mathrm{arcosh}\, x", through_float64(torch.acosh),
          lambda x, y, dy: dy * apply("rsqrt", apply("square", x) - 1), (1.2, 3.0)),
    Unary("arctanh", r"\mathrm{artanh}\, x", through_float64(torch.atanh),
          lambda x, y, dy: dy / (1 - apply("square", x)), _INSIDE),
    Unary("degrees", r"180 x / \pi", through_float64(torch.rad2deg), lambda x, y, dy: dy * (180 / math.pi)),
    Unary("radians", r"\pi x / 180", through_float64(torch.deg2rad), lambda x, y, dy: dy * (math.pi / 180)),
    Unary("gamma", r"\Gamma(x)", _gamma_kernel,
          lambda x, y, dy: dy * y * apply("_polygamma", x), _POSITIVE, inplace=False),
    Unary("gammaln", r"\ln |\Gamma(x)|", through_float64(torch.lgamma),
          lambda x, y, dy: dy * apply("_polygamma", x), _POSITIVE),
    Unary("erf", r"\tfrac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt", through_float64(torch.erf),
          lambda x, y, dy: dy * apply("exp", -apply("square", x)) * _OVER_TWO_ROOT_PI, aliases=()),
    Unary("erfinv", r"\mathrm{erf}^{-1}(x)", through_float64(torch.erfinv),
          lambda x, y, dy: dy * apply("exp", apply("square", y)) / _OVER_TWO_ROOT_PI, _INSIDE, aliases=()),
    Unary("logical_not", "[x = 0]", direct(torch.logical_not), aliases=()),
):  # fmt: skip
    register(_operator)


# ---- derivatives that torch computes in one pass ------------------------------------------------


class _FromOutput(Operator):
    """Base of gradients computed from the head gradient and the output of the function."""

    inputs = ("head_gradient", "output")
    elementwise = True
    inplace = ((0, 0), (1, 0))
    samples = (Sample((2, 3), (2, 3), values={1: (0.1, 0.9)}),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)


@register
class ReluGradient(_FromOutput):
    r""":math:`dy \cdot [y > 0]`, the gradient of :math:`y = \max(x, 0)`."""

    name = "_backward_relu"

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0], x[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.ops.aten.threshold_backward.grad_input, *inputs, 0, grad_input=outputs[0])


@register
class SigmoidGradient(_FromOutput):
    r""":math:`dy \cdot y (1 - y)`, the gradient of :math:`y = 1 / (1 + e^{-x})`."""

    name = "_backward_sigmoid"

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0], x[1]), dy[0] * x[0] * (1 - x[1] * 2)]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.ops.aten.sigmoid_backward.grad_input, *inputs, grad_input=outputs[0])


@register
class TanhGradient(_FromOutput):
    r""":math:`dy \cdot (1 - y^2)`, the gradient of :math:`y = \tanh x`."""

    name = "_backward_tanh"

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0], x[1]), dy[0] * x[0] * x[1] * -2]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.ops.aten.tanh_backward.grad_input, *inputs, grad_input=outputs[0])


# ---- functions with parameters ------------------------------------------------------------------


@register
class Copy(Operator):
    """The input itself: a second name for the same values."""

    name = "_copy"
    aliases: Sequence[str] = ("identity",)
    elementwise = True
    identity = True
    alias = ((0, 0),)
    samples = (Sample((2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [dy[0]]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class CopyTo(Copy):
    """The input itself, in ``out``, which may be on another device and of another type."""

    name = "_copyto"
    aliases = ()

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [outputs[0] or inputs[0]]


@register
class Quadratic(Operator):
    """:math:`a x^2 + b x + c` of every number :math:`x` of ``data``, in its shape and type."""

    name = "_contrib_quadratic"
    elementwise = True
    a = Param(Float, 0.0, "Factor of the square")
    b = Param(Float, 0.0, "Factor of the number itself")
    c = Param(Float, 0.0, "The constant")
    samples = (Sample((2, 3), a=2, b=-1, c=0.5),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [dy[0] * (x[0] * (2 * p.a) + p.b)]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        a, b, c = (scalar_like(number, out) for number in (p.a, p.b, p.c))

        def run() -> None:
            torch.mul(data, a, out=out).add_(b).mul_(data).add_(c)

        return run


@register
class Clip(Operator):
    r""":math:`\min(\max(x, a_{\min}), a_{\max})` of every number :math:`x` of ``data``.

    Shape and type are those of ``data``; whole numbers meet the whole parts of the bounds. The gradient passes where
    :math:`a_{\min} \le x \le a_{\max}`. NaN stays NaN, except where inference fuses the operator with a layer on the
    CPU: there it becomes :math:`a_{\min}`.
    """

    name = "clip"
    aliases = ("_sparse_clip",)
    elementwise = True
    inplace = ((0, 0),)
    a_min = Param(Float, doc="Lower bound")
    a_max = Param(Float, doc="Upper bound")
    samples = (Sample((3, 4), a_min=-0.4, a_max=0.6),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [apply("_backward_clip", dy[0], x[0], a_min=p.a_min, a_max=p.a_max)]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if out.is_floating_point():
            return partial(torch.clamp, data, p.a_min, p.a_max, out=out)
        kind = torch.iinfo(out.dtype)
        low, high = (int(min(max(bound, kind.min), kind.max)) for bound in (p.a_min, p.a_max))
        return partial(torch.clamp, data, low, high, out=out)


@register
class ClipGradient(Operator):
    r""":math:`dy \cdot [a_{\min} \le x \le a_{\max}]`, the gradient of :class:`Clip`."""

    name = "_backward_clip"
    inputs = ("head_gradient", "data")
    elementwise = True
    inplace = ((0, 0), (1, 0))
    a_min = Param(Float, doc="Lower bound")
    a_max = Param(Float, doc="Upper bound")
    samples = (Sample((3, 4), (3, 4), a_min=-0.4, a_max=0.6),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0], x[1], a_min=p.a_min, a_max=p.a_max), ZERO]

    def kernel(self, p, inputs, outputs, env):
        # torch's function excludes the bounds; the next number outside makes them count as inside.
        number = as_numpy(outputs[0].dtype)
        below = float(np.nextafter(number(p.a_min), number(-math.inf)))
        above = float(np.nextafter(number(p.a_max), number(math.inf)))
        return partial(torch.ops.aten.hardtanh_backward.grad_input, *inputs, below, above, grad_input=outputs[0])


@register
class SmoothL1(Operator):
    r"""A square near zero, the absolute value beyond, joined smoothly at :math:`1/\sigma^2`.

    .. math:: f(x) = \begin{cases} (\sigma x)^2 / 2 & |x| < 1/\sigma^2 \\ |x| - 1/(2 \sigma^2) & \text{else} \end{cases}

    Shape and type are those of ``data``. Source: Girshick, "Fast R-CNN" (2015), with the width :math:`\sigma` of
    Ren et al., "Faster R-CNN" (2015).
    """

    name = "smooth_l1"
    scalar = Param(Float, 1.0, r"The width σ")
    elementwise = True
    inplace = ((0, 0),)
    samples = (Sample((3, 4), low=-2, high=2, scalar=1), Sample((3, 4), scalar=1.5))

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        # σ²x near zero and ±1 beyond is one clipped line.
        return [apply("clip", x[0] * p.scalar**2, a_min=-1, a_max=1) * dy[0]]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        beta = 1 / p.scalar**2 if p.scalar else math.inf
        if not out.is_floating_point():
            zero = torch.zeros((), dtype=torch.float64, device=env.device)
            return lambda: out.copy_(torch.ops.aten.smooth_l1_loss(data.double(), zero, 0, beta))
        zero = torch.zeros((), dtype=out.dtype, device=env.device)
        return partial(torch.ops.aten.smooth_l1_loss.out, data, zero, 0, beta, out=out)


@register
class Polygamma(Operator):
    r""":math:`\psi^{(n)}(x)`, derivative ``n`` of :math:`\psi(x) = \tfrac{d}{dx} \ln \Gamma(x)`."""

    name = "_polygamma"
    n = Param(Int, 0, "Order of the derivative; 0 is the digamma function")
    elementwise = True
    inplace = ((0, 0),)
    samples = (Sample((2, 3), low=0.5, high=2), Sample((2, 3), low=0.5, high=2, n=1))

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [dy[0] * apply(self.name, x[0], n=p.n + 1)]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.polygamma, p.n, inputs[0], out=outputs[0])
