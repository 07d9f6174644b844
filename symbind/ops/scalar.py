"""Operators on an array and a number.

They compute the functions of :data:`~symbind.ops.elementwise.PAIR_FUNCTIONS`; the number takes the place of one array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch

from ..graph.symbol import Symbol, apply
from .elementwise import PAIR_FUNCTIONS
from .kernels import scalar_like
from .operator import Operator, Sample, register
from .parameter import Bool, Float, Param
from .shapes import same_shape

__all__: list[str] = []

#: ``gradient(scalar, x, y, dy)``
Rule = Callable[[float, Symbol, Symbol, Symbol], Symbol]


class ScalarOperator(Operator):
    """An operator of an array ``data`` and a number ``scalar``.

    ``function`` is a key of :data:`PAIR_FUNCTIONS`; ``reverse`` makes the number its left operand.
    """

    elementwise = True
    inplace = ((0, 0),)
    scalar = Param(Float, 1.0, "The number")
    is_int = Param(Bool, True, "Keep the type of whole-number arrays, cutting the scalar; false: compute in float64")

    def __init__(self, name: str, alias: str, function: str, gradient: Rule | None, reverse: bool = False) -> None:
        self.name = name
        self.aliases = (alias,)
        self.function = PAIR_FUNCTIONS[function]
        self.rule = gradient
        self.reverse = reverse
        self.zero_gradient = gradient is None
        array, number = self.function.ranges[:: -1 if reverse else 1]
        self.samples = tuple(Sample((2, 3), values={0: array}, scalar=n) for n in (number[1], number[1] * 0.75))
        operands = ("``scalar``", "``data``") if reverse else ("``data``", "``scalar``")
        self.__doc__ = f""":math:`{self.function.formula}` number by number, of :math:`l` = {operands[0]} and
        :math:`r` = {operands[1]}; shape and type are those of ``data``.

        An array of whole numbers meets the whole part of the scalar, one of truth values does so as int64. With
        ``is_int=False`` both are computed in float64 instead, and so is the output. Statements in brackets are 1 where
        they hold and 0 elsewhere.
        """

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0]
        if data == torch.bool and p.is_int:
            return inputs, [torch.int64]
        if p.is_int or (data is not None and data.is_floating_point):
            return super().infer_dtype(p, inputs, outputs)
        # A float64 output may come from float64 or from any whole numbers.
        return inputs, [outputs[0] if data is None else torch.float64]

    def gradient(self, p, x, y, dy):
        if self.rule is None:
            return super().gradient(p, x, y, dy)
        return [self.rule(p.scalar, x[0], y[0], dy[0])]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        scalar = scalar_like(p.scalar, out)
        if data.dtype == out.dtype:
            return self._compute(data, scalar, out)
        compute = self._compute(out, scalar, out)

        def run() -> None:
            out.copy_(data)
            compute()

        return run

    def _compute(self, data, scalar, out):
        return self.function.kernel(*((scalar, data) if self.reverse else (data, scalar)), out)


class PowerScalar(ScalarOperator):
    def _compute(self, data, scalar, out):
        if out.is_floating_point():
            # torch has quick ways for squares, roots and inverses, but takes them for Python numbers only.
            return partial(torch.pow, data, scalar.item(), out=out)
        return super()._compute(data, scalar, out)


def _power_gradient(scalar: float, x: Symbol, y: Symbol, dy: Symbol) -> Symbol:
    # The derivative of a square is the most frequent one, and needs no power.
    return dy * (x if scalar == 2 else x ** (scalar - 1)) * scalar


def _rmod_gradient(scalar: float, x: Symbol, y: Symbol, dy: Symbol) -> Symbol:
    return -(apply("floor", scalar / x) * dy)


for _operator in (
    ScalarOperator("_plus_scalar", "_PlusScalar", "add", lambda s, x, y, dy: dy),
    ScalarOperator("_minus_scalar", "_MinusScalar", "sub", lambda s, x, y, dy: dy),
    ScalarOperator("_rminus_scalar", "_RMinusScalar", "sub", lambda s, x, y, dy: -dy, reverse=True),
    ScalarOperator("_mul_scalar", "_MulScalar", "mul", lambda s, x, y, dy: dy * s),
    ScalarOperator("_div_scalar", "_DivScalar", "div", lambda s, x, y, dy: dy / s),
    ScalarOperator("_rdiv_scalar", "_RDivScalar", "div", lambda s, x, y, dy: -(dy * y / x), reverse=True),
    ScalarOperator("_mod_scalar", "_ModScalar", "mod", lambda s, x, y, dy: dy),
    ScalarOperator("_rmod_scalar", "_RModScalar", "mod", _rmod_gradient, reverse=True),
    PowerScalar("_power_scalar", "_PowerScalar", "power", _power_gradient),
    ScalarOperator(
        "_rpower_scalar",
        "_RPowerScalar",
        "power",
        lambda s, x, y, dy: dy * y * (math.log(s) if s > 0 else -math.inf if s == 0 else math.nan),
        reverse=True,
    ),
    ScalarOperator("_maximum_scalar", "_MaximumScalar", "maximum", lambda s, x, y, dy: dy * (x >= s)),
    ScalarOperator("_minimum_scalar", "_MinimumScalar", "minimum", lambda s, x, y, dy: dy * (x <= s)),
    ScalarOperator("_hypot_scalar", "_HypotScalar", "hypot", lambda s, x, y, dy: dy * x / y),
    *(
        ScalarOperator(f"_{name}_scalar", f"_{name.title().replace('_', '')}Scalar", name, None)
        for name in (
            "equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal",
            "logical_and", "logical_or", "logical_xor",
        )
    ),
):  # fmt: skip
    register(_operator)
