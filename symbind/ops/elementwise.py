"""Operators on pairs of arrays of one shape, and the functions of pairs that broadcasting and scalar operators share.

:data:`PAIR_FUNCTIONS` says once what each function computes and what its gradient is. The operators of equal shape are
made from it here, the broadcasting ones in :mod:`.broadcast`, and those of an array and a number in :mod:`.scalar`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from ..graph.symbol import Symbol, apply
from .kernels import KernelBuilder, direct, through_float64
from .operator import Kernel, Operator, Sample, register
from .parameter import Count, Param
from .shapes import same_shape

__all__ = ["PAIR_FUNCTIONS", "Combine", "PairFunction"]

#: ``combine("mul", a, b)``: the operator of that function in the family whose gradient is being built.
Combine = Callable[[str, Symbol, Symbol], Symbol]
Rule = Callable[[Combine, Symbol, Symbol, Symbol, Symbol], tuple[Symbol, Symbol]]


@dataclass(frozen=True)
class PairFunction:
    """A function of two numbers.

    ``gradient(combine, l, r, y, dy)`` gives the gradients of both before any sum over broadcast dimensions. ``l`` and
    ``r`` may be smaller than ``y`` and ``dy``, so whatever mixes them must go through ``combine``. None: the gradient
    is zero. ``ranges`` are where the operands of samples lie.
    """

    formula: str
    kernel: KernelBuilder
    gradient: Rule | None = None
    ranges: tuple[tuple[float, float], tuple[float, float]] = ((-2.0, 2.0), (-2.0, 2.0))

    def sample(self, left: tuple[int, ...], right: tuple[int, ...]) -> Sample:
        return Sample(left, right, values=dict(enumerate(self.ranges)))


# ---- kernels that differ between whole numbers and floating point -------------------------------


def _divide(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> Kernel:
    if out.is_floating_point():
        return partial(torch.div, left, right, out=out)
    return _zero_by_zero(partial(torch.div, rounding_mode="trunc"), left, right, out)


def _modulo(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> Kernel:
    return _zero_by_zero(torch.remainder, left, right, out)


def _zero_by_zero(
    function: Callable[..., torch.Tensor], left: torch.Tensor, right: torch.Tensor, out: torch.Tensor
) -> Kernel:
    """``function`` with zero wherever ``right`` is zero, for which torch has NaN or, in whole numbers, an error."""

    def run() -> None:
        zero = right == 0
        divisor = right if out.is_floating_point() else right.masked_fill(zero, 1)
        function(left, divisor, out=out)
        out.masked_fill_(zero, 0)

    return run


# ---- gradients ----------------------------------------------------------------------------------


def _divide_gradient(combine: Combine, l: Symbol, r: Symbol, y: Symbol, dy: Symbol) -> tuple[Symbol, Symbol]:
    # −l/r² · dy, from what is there already, so that l need not be kept.
    quotient = combine("div", dy, r)
    return quotient, -(quotient * y)


def _power_gradient(combine: Combine, l: Symbol, r: Symbol, y: Symbol, dy: Symbol) -> tuple[Symbol, Symbol]:
    left = combine("mul", combine("power", l, r - 1), r)
    return left * dy, combine("mul", y, apply("log", l)) * dy


def _hypot_gradient(combine: Combine, l: Symbol, r: Symbol, y: Symbol, dy: Symbol) -> tuple[Symbol, Symbol]:
    share = dy / y
    return combine("mul", share, l), combine("mul", share, r)


PAIR_FUNCTIONS: dict[str, PairFunction] = {
    "add": PairFunction("l + r", direct(torch.add), lambda combine, l, r, y, dy: (dy, dy)),
    "sub": PairFunction("l - r", direct(torch.sub), lambda combine, l, r, y, dy: (dy, -dy)),
    "mul": PairFunction(
        r"l \cdot r",
        direct(torch.mul),
        lambda combine, l, r, y, dy: (combine("mul", dy, r), combine("mul", dy, l)),
    ),
    "div": PairFunction("l / r", _divide, _divide_gradient, ranges=((-2, 2), (0.5, 2))),
    "mod": PairFunction(
        r"l - r \lfloor l / r \rfloor",
        _modulo,
        lambda combine, l, r, y, dy: (dy, -(apply("floor", combine("div", l, r)) * dy)),
        ranges=((1.1, 1.9), (0.6, 1.0)),
    ),
    "power": PairFunction("l^r", through_float64(torch.pow), _power_gradient, ranges=((0.5, 2), (-2, 2))),
    "maximum": PairFunction(
        r"\max(l, r)",
        direct(torch.maximum),
        lambda combine, l, r, y, dy: (combine("greater_equal", l, r) * dy, combine("lesser", l, r) * dy),
    ),
    "minimum": PairFunction(
        r"\min(l, r)",
        direct(torch.minimum),
        lambda combine, l, r, y, dy: (combine("lesser_equal", l, r) * dy, combine("greater", l, r) * dy),
    ),
    "hypot": PairFunction(r"\sqrt{l^2 + r^2}", through_float64(torch.hypot), _hypot_gradient),
    "equal": PairFunction("[l = r]", direct(torch.eq)),
    "not_equal": PairFunction(r"[l \ne r]", direct(torch.ne)),
    "greater": PairFunction("[l > r]", direct(torch.gt)),
    "greater_equal": PairFunction(r"[l \ge r]", direct(torch.ge)),
    "lesser": PairFunction("[l < r]", direct(torch.lt)),
    "lesser_equal": PairFunction(r"[l \le r]", direct(torch.le)),
    "logical_and": PairFunction(r"[l \ne 0 \wedge r \ne 0]", direct(torch.logical_and)),
    "logical_or": PairFunction(r"[l \ne 0 \vee r \ne 0]", direct(torch.logical_or)),
    "logical_xor": PairFunction(r"[(l \ne 0) \ne (r \ne 0)]", direct(torch.logical_xor)),
}


class Elementwise(Operator):
    """An operator of two arrays of equal shape, made from a :class:`PairFunction`."""

    inputs = ("lhs", "rhs")
    elementwise = True
    inplace = ((0, 0), (1, 0))

    def __init__(self, name: str, aliases: Sequence[str], function: PairFunction) -> None:
        self.name = name
        self.aliases = aliases
        self.function = function
        self.zero_gradient = function.gradient is None
        self.recomputable = (0,) if function is PAIR_FUNCTIONS["add"] else ()
        self.samples = (function.sample((2, 3), (2, 3)),)
        self.__doc__ = f""":math:`{function.formula}` number by number, of :math:`l` = ``lhs`` and :math:`r` = ``rhs``.

        Both inputs and the output have one shape and one type; nothing is broadcast (``broadcast_*`` does that).
        Statements in brackets are 1 where they hold and 0 elsewhere, in the type of the inputs. Whole numbers divide
        towards zero, and to zero by zero; the modulo takes the sign of ``rhs``, and is zero for a zero ``rhs``.

        Raises MXNetError if the shapes or types differ.
        """

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        if self.function.gradient is None:
            return super().gradient(p, x, y, dy)
        left, right = x
        return self.function.gradient(_combine, left, right, y[0], dy[0])

    def kernel(self, p, inputs, outputs, env):
        return self.function.kernel(*inputs, outputs[0])


def _combine(function: str, left: Symbol, right: Symbol) -> Symbol:
    return apply(NAMES[function][0], left, right)


#: Function: name of the operator, and its aliases.
NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "add": ("elemwise_add", ("_Plus", "_add", "_plus", "_sparse_elemwise_add")),
    "sub": ("elemwise_sub", ("_Minus", "_minus", "_sub", "_sparse_elemwise_sub")),
    "mul": ("elemwise_mul", ("_Mul", "_mul", "_sparse_elemwise_mul")),
    "div": ("elemwise_div", ("_Div", "_div", "_sparse_elemwise_div")),
    "mod": ("_mod", ("_Mod",)),
    "power": ("_power", ("_Power",)),
    "maximum": ("_maximum", ("_Maximum",)),
    "minimum": ("_minimum", ("_Minimum",)),
    "hypot": ("_hypot", ("_Hypot",)),
    "equal": ("_equal", ("_Equal",)),
    "not_equal": ("_not_equal", ("_Not_Equal",)),
    "greater": ("_greater", ("_Greater",)),
    "greater_equal": ("_greater_equal", ("_Greater_Equal",)),
    "lesser": ("_lesser", ("_Lesser",)),
    "lesser_equal": ("_lesser_equal", ("_Lesser_Equal",)),
    "logical_and": ("_logical_and", ("_Logical_And",)),
    "logical_or": ("_logical_or", ("_Logical_Or",)),
    "logical_xor": ("_logical_xor", ("_Logical_Xor",)),
}

for _function, (_name, _aliases) in NAMES.items():
    register(Elementwise(_name, _aliases, PAIR_FUNCTIONS[_function]))

# The same sum under the name that marks a gradient made of several parts.
register(Elementwise("_grad_add", (), PAIR_FUNCTIONS["add"]))


@register
class AddN(Operator):
    r""":math:`\sum_i \mathrm{arg}_i` of any number of arrays, all of one shape and type.

    Raises MXNetError if the shapes or types differ.
    """

    name = "add_n"
    aliases = ("ElementWiseSum", "_sparse_ElementWiseSum", "_sparse_add_n")
    variadic = "num_args"
    elementwise = True
    num_args = Param(Count, doc="Number of arrays; filled in by the call")
    samples = (Sample((2, 3), (2, 3), (2, 3), num_args=3), Sample((4,), num_args=1))

    def inplace_pairs(self, p):
        # Only the first two are read before anything is written.
        return [(i, 0) for i in range(min(p.num_args, 2))]

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [dy[0]] * p.num_args

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        if len(inputs) == 1:
            return partial(out.copy_, inputs[0])
        first, second, *others = inputs

        def run() -> None:
            torch.add(first, second, out=out)
            for other in others:
                out.add_(other)

        return run
