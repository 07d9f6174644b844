"""Operators that make arrays out of nothing, or out of a shape.

What they make is known when the graph is bound: a kernel holds the finished array, or its one number, and copies it.
"""

from __future__ import annotations

import math
from functools import partial

import torch

from ..base import MXNetError
from .kernels import scalar_like
from .operator import Operator, Sample, register
from .parameter import Bool, DType, Float, Int, Optional, Param, Shape, String
from .shapes import same_shape

__all__ = ["CONTEXT", "asked_shape"]

CONTEXT = Param(String, "", "Device; without effect, as the output lives where the graph is bound")
_OUTPUT_TYPE = Param(DType, torch.float32, "Type of the output")


def asked_shape(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """A ``shape`` parameter as inference writes it: no shape is an unknown rank, 0 or -1 an unknown dimension."""
    return tuple(max(n, 0) for n in shape) if shape else None


# ---- one number everywhere ----------------------------------------------------------------------


class FilledLike(Operator):
    """An array of one number in the shape of another array."""

    unread = (0,)
    elementwise = True
    zero_gradient = True
    samples = (Sample((2, 3)),)

    def __init__(self, name: str, aliases: tuple[str, ...], number: float, plural: str) -> None:
        self.name = name
        self.aliases = aliases
        self.number = number
        self.__doc__ = f"{plural} in the shape and type of ``data``, whose values do not matter."

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].fill_, self.number)


register(FilledLike("zeros_like", ("_sparse_zeros_like",), 0, "Zeros"))
register(FilledLike("ones_like", (), 1, "Ones"))


class _Filled(Operator):
    """Base of arrays of one number in a given shape."""

    inputs = ()
    shape = Param(Optional(Shape), (), "Shape of the output; 0 for a dimension that follows from its users")
    ctx = CONTEXT
    dtype = _OUTPUT_TYPE
    samples = (Sample(shape=(2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        return [], [asked_shape(p.shape)]

    def infer_dtype(self, p, inputs, outputs):
        return [], [p.dtype]

    def number(self, p) -> float:
        raise NotImplementedError(f"{self.name} declares no number")

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].fill_, scalar_like(self.number(p), outputs[0]))


@register
class Zeros(_Filled):
    """Zeros in the given shape.

    A shape that is left out, and dimensions given as 0, are found by inference from the users of the output.
    """

    name = "_zeros"

    def number(self, p):
        return 0


@register
class Ones(_Filled):
    """Ones in the given shape.

    A shape that is left out, and dimensions given as 0, are found by inference from the users of the output.
    """

    name = "_ones"

    def number(self, p):
        return 1


@register
class Full(_Filled):
    """The number ``value`` everywhere in the given shape; types of whole numbers cut it.

    A shape that is left out, and dimensions given as 0, are found by inference from the users of the output.
    """

    name = "_full"
    value = Param(Float, doc="The number")
    samples = (Sample(shape=(2, 3), value=1.5),)

    def number(self, p):
        return p.value


@register
class SetValue(Operator):
    """The number ``src`` everywhere in ``out``; in a graph, in the shape that the users of the output have."""

    name = "_set_value"
    inputs = ()
    src = Param(Float, 0.0, "The number")

    def infer_shape(self, p, inputs, outputs):
        return [], outputs

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].fill_, scalar_like(p.src, outputs[0]))


# ---- sequences and the identity matrix ----------------------------------------------------------


class _Constant(Operator):
    """Base of operators that make one array known beforehand."""

    inputs = ()

    def infer_dtype(self, p, inputs, outputs):
        return [], [p.dtype]

    def values(self, p, out: torch.Tensor) -> torch.Tensor:
        """What the output is to hold; like ``out`` in shape and type."""
        raise NotImplementedError(f"{self.name} declares no values")

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, self.values(p, outputs[0]))


@register
class Arange(_Constant):
    r"""The numbers ``start``, ``start + step``, … before ``stop``, each ``repeat`` times.

    The output has :math:`\lceil (stop - start) / step \rceil \cdot repeat` numbers. With one bound only, it is the
    ``stop`` of numbers that start at 0, or with ``infer_range`` the ``start`` of as many as the users of the output ask
    for.
    Types of whole numbers cut ``start`` and ``step``, not the sum.

    Raises MXNetError for a zero step, a range without numbers, or a ``repeat`` below one.
    """

    name = "_arange"
    start = Param(Float, doc="First number; or the bound, if stop is None")
    stop = Param(Optional(Float), None, "Bound that is not reached")
    step = Param(Float, 1.0, "Difference of two neighbours")
    repeat = Param(Int, 1, "How often each number stands")
    infer_range = Param(Bool, False, "Without stop, take the length from the users of the output")
    ctx = CONTEXT
    dtype = _OUTPUT_TYPE
    samples = (Sample(start=4), Sample(start=3, stop=0.5, step=-1, repeat=2))

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.stop is None and not p.infer_range:
            p = type(p)({**vars(p), "start": 0.0, "stop": p.start})
        where = f"in operator _arange {node_name}"
        if not math.isfinite(p.start + (p.stop or 0.0) + p.step):
            raise MXNetError(f"Range needs finite numbers, not ({p.start:g}, {p.stop}, {p.step:g}), {where}")
        if p.step == 0:
            raise MXNetError(f"Range does not support step=0, {where}")
        if p.repeat < 1:
            raise MXNetError(f"Range only supports repeat > 0, received {p.repeat}, {where}")
        if p.stop is not None and (p.stop - p.start) / p.step <= 0:
            raise MXNetError(f"Invalid range (start, stop, step) = ({p.start:g}, {p.stop:g}, {p.step:g}), {where}")
        return p

    def infer_shape(self, p, inputs, outputs):
        if p.stop is None:
            return [], outputs
        return [], [(math.ceil((p.stop - p.start) / p.step) * p.repeat,)]

    def values(self, p, out):
        steps = torch.arange(out.numel(), device=out.device) // p.repeat
        return steps.to(out.dtype) * scalar_like(p.step, out) + scalar_like(p.start, out)


@register
class Linspace(_Constant):
    """``num`` numbers at equal distances from ``start`` to ``stop``, which is the last one if ``endpoint`` is true.

    Raises MXNetError if ``num`` is negative.
    """

    name = "_linspace"
    start = Param(Float, doc="First number")
    stop = Param(Float, doc="Last number, or the one after the last")
    num = Param(Int, doc="How many numbers")
    endpoint = Param(Bool, True, "Whether stop is the last number")
    ctx = CONTEXT
    dtype = _OUTPUT_TYPE
    samples = (Sample(start=0, stop=1, num=5), Sample(start=1, stop=-1, num=4, endpoint=False))

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.num < 0:
            raise MXNetError(f"num must not be negative, received {p.num}, in operator _linspace {node_name}")
        return p

    def infer_shape(self, p, inputs, outputs):
        return [], [(p.num,)]

    def values(self, p, out):
        intervals = max(p.num - 1 if p.endpoint else p.num, 1)
        steps = torch.arange(p.num, dtype=torch.float64, device=out.device)
        return (p.start + steps * ((p.stop - p.start) / intervals)).to(out.dtype)


@register
class Eye(_Constant):
    """A matrix (N, M) with ones on the diagonal ``k`` and zeros elsewhere; square if ``M`` is 0."""

    name = "_eye"
    N = Param(Int, doc="Number of rows")
    M = Param(Int, 0, "Number of columns; 0 for as many as rows")
    k = Param(Int, 0, "Which diagonal: positive ones lie above the main one")
    ctx = CONTEXT
    dtype = _OUTPUT_TYPE
    samples = (Sample(N=3), Sample(N=2, M=4, k=1))

    def infer_shape(self, p, inputs, outputs):
        return [], [(p.N, p.M if p.M > 0 else p.N)]

    def values(self, p, out):
        rows, columns = (torch.arange(n, device=out.device) for n in out.shape)
        return (columns - rows.unsqueeze(1) == p.k).to(out.dtype)
