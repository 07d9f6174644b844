"""Reductions over axes, and the positions of extremes.

A reduction's gradient goes back to every number that was reduced: the operators ``_backward_sum`` and
``_backward_mean`` spread it over the reduced axes, and the other gradients are written with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import Symbol, apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, DType, Float, Int, Optional, Param, Shape
from .shapes import merge, normalize_axis, product, same_shape

__all__: list[str] = []

ShapeT = tuple[int, ...]
MaybeShape = ShapeT | None

#: ``build(x, axes, out)``: the call that reduces ``x`` over ``axes`` into ``out``, which has 1 in their places.
ReduceBuilder = Callable[[torch.Tensor, ShapeT, torch.Tensor], Kernel]
#: ``gradient(x, y, dy, spread)``, where ``spread(a)`` repeats something of the output's shape in the shape of ``x``.
Rule = Callable[[Symbol, Symbol, Symbol, Callable[[Symbol], Symbol]], Symbol]


# ---- axes and shapes ----------------------------------------------------------------------------


def reduced_axes(axis: Sequence[int] | None, rank: int, exclude: bool = False) -> ShapeT:
    """The axes to reduce in order, counted from the front: those in ``axis``, or all if it is None or empty.

    With ``exclude``, the others instead. Raises MXNetError for an axis that is not there or is named twice.
    """
    if not axis:
        return tuple(range(rank))
    axes = tuple(sorted(normalize_axis(a, rank, "reduction axis") for a in axis))
    if len(set(axes)) != len(axes):
        raise MXNetError(f"Reduction axes have duplicates: {tuple(axis)}")
    return tuple(a for a in range(rank) if a not in axes) if exclude else axes


def infer_reduced(
    data: MaybeShape, out: MaybeShape, axis: Sequence[int] | None, keepdims: bool, exclude: bool = False
) -> tuple[MaybeShape, MaybeShape]:
    """Shapes of the input and the output of a reduction, each as far as the other tells it."""
    if data is None:
        if out is None or not keepdims:
            return data, out
        data = (0,) * len(out)
    axes = reduced_axes(axis, len(data), exclude)
    kept = [i for i in range(len(data)) if keepdims or i not in axes]
    shape = tuple(1 if i in axes else data[i] for i in kept) or (1,)  # there are no arrays without dimensions
    shape = merge(shape, out)
    told = {i: n for i, n in zip(kept, shape) if i not in axes}
    return tuple(told.get(i, n) for i, n in enumerate(data)), shape


def _with_reduced_dimensions(data: torch.Tensor, axes: ShapeT) -> ShapeT:
    return tuple(1 if i in axes else n for i, n in enumerate(data.shape))


# ---- kernels ------------------------------------------------------------------------------------


def _sum(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    return partial(torch.sum, x, axes, keepdim=True, dtype=x.dtype, out=out)


def _mean(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    if x.is_floating_point():
        return partial(torch.mean, x, axes, keepdim=True, out=out)
    if x.dtype == torch.bool:
        return _sum(x, axes, out)
    count = product(x.shape[i] for i in axes)

    def run() -> None:
        torch.sum(x, axes, keepdim=True, dtype=x.dtype, out=out)
        torch.div(out, count, rounding_mode="trunc", out=out)

    return run


def _product(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    # torch multiplies over one axis at a time.
    *others, last = axes

    def run() -> None:
        partial_product = x
        for axis in others:
            partial_product = torch.prod(partial_product, axis, keepdim=True, dtype=x.dtype)
        torch.prod(partial_product, last, keepdim=True, dtype=x.dtype, out=out)

    return run


def _nan_sum(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    return partial(torch.nansum, x, axes, keepdim=True, dtype=x.dtype, out=out)


def _nan_product(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    if not x.is_floating_point():
        return _product(x, axes, out)
    numbers = torch.empty_like(x)
    multiply = _product(numbers, axes, out)

    def run() -> None:
        numbers.copy_(x).masked_fill_(x.isnan(), 1)
        multiply()

    return run


def _square_sum(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    norm = _norm(2)(x, axes, out)

    def run() -> None:
        norm()
        out.square_()

    return run


def _maximum(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    return partial(torch.amax, x, axes, keepdim=True, out=out)


def _minimum(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    return partial(torch.amin, x, axes, keepdim=True, out=out)


def _norm(order: int) -> ReduceBuilder:
    def build(x: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
        if x.is_floating_point() and x.dtype == out.dtype:
            return partial(torch.linalg.vector_norm, x, order, axes, keepdim=True, out=out)

        def run() -> None:
            out.copy_(torch.linalg.vector_norm(x.double(), order, axes, keepdim=True))

        return run

    return build


def _run_reduction(build: ReduceBuilder, data: torch.Tensor, axes: ShapeT, out: torch.Tensor) -> Kernel:
    out = out.view(_with_reduced_dimensions(data, axes))
    if not axes:
        # Nothing to reduce is an axis of one number; to torch, no axes are all axes.
        data, axes, out = data.unsqueeze(0), (0,), out.unsqueeze(0)
    return build(data, axes, out)


# ---- reductions to one number per group ---------------------------------------------------------

_KEEPDIMS = "Keep the reduced axes, with size 1"


class Reduction(Operator):
    """An operator that makes one number of many."""

    axis = Param(Optional(Shape), None, "Axes to reduce; all if None or empty")
    keepdims = Param(Bool, False, _KEEPDIMS)
    exclude = Param(Bool, False, "Reduce the axes that are not in ``axis`` instead")

    def __init__(
        self,
        name: str,
        aliases: Sequence[str],
        formula: str,
        build: ReduceBuilder,
        gradient: Rule,
        domain: tuple[float, float] = (-2.0, 2.0),
        spread: str = "_backward_sum",
        sums: bool = False,
    ) -> None:
        self.name = name
        self.aliases = aliases
        self.build = build
        self.rule = gradient
        self.spread = spread
        self.sums = sums
        self.samples = tuple(
            Sample((2, 3, 4), values={0: domain}, **params)
            for params in ({}, {"axis": (0, 2)}, {"axis": -1, "keepdims": True}, {"axis": 1, "exclude": True})
        )
        self.__doc__ = f""":math:`{formula}` over the reduced axes.

        The output loses the reduced axes, or keeps them with ``keepdims``; when none remains it is one number in the
        shape (1,). Its type is that of ``data``; means of whole numbers are cut.

        Raises MXNetError for an axis that ``data`` does not have, or one named twice.
        """

    def infer_shape(self, p, inputs, outputs):
        data, out = infer_reduced(inputs[0], outputs[0], p.axis, p.keepdims, p.exclude)
        return [data], [out]

    def summed_inputs(self, p):
        return (0,) if self.sums and (not p.axis or (0 in p.axis) != p.exclude) else ()

    def gradient(self, p, x, y, dy):
        where = {"axis": p.axis, "keepdims": p.keepdims, "exclude": p.exclude}
        return [self.rule(x[0], y[0], dy[0], lambda a: apply(self.spread, a, x[0], **where))]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0]
        return _run_reduction(self.build, data, reduced_axes(p.axis, data.dim(), p.exclude), outputs[0])


def _where_number(x: Symbol, gradient: Symbol) -> Symbol:
    """``gradient`` where ``x`` is a number, zero where it is not."""
    return apply("where", x == x, gradient, apply("zeros_like", x))


for _operator in (
    Reduction("sum", ("_sparse_sum", "sum_axis"), r"\sum x", _sum, lambda x, y, dy, spread: spread(dy), sums=True),
    Reduction("mean", ("_sparse_mean",), r"\tfrac1n \sum x", _mean, lambda x, y, dy, spread: spread(dy),
              spread="_backward_mean"),
    Reduction("prod", (), r"\prod x", _product, lambda x, y, dy, spread: spread(dy * y) / x, (0.5, 2.0)),
    Reduction("nansum", (), r"\sum_{x \text{ not NaN}} x", _nan_sum,
              lambda x, y, dy, spread: spread(dy) * (x == x)),
    Reduction("nanprod", (), r"\prod_{x \text{ not NaN}} x", _nan_product,
              lambda x, y, dy, spread: _where_number(x, spread(dy * y) / x), (0.5, 2.0)),
    Reduction("max", ("max_axis",), r"\max x", _maximum, lambda x, y, dy, spread: spread(dy) * (x == spread(y))),
    Reduction("min", ("min_axis",), r"\min x", _minimum, lambda x, y, dy, spread: spread(dy) * (x == spread(y))),
    Reduction("_square_sum", (), r"\sum x^2", _square_sum, lambda x, y, dy, spread: spread(dy) * x * 2),
):  # fmt: skip
    register(_operator)


class Spread(Operator):
    """Repeat ``head_gradient`` along the axes that a reduction removed from ``data``, whose values do not matter.

    This is the gradient of a sum; divided by the number of repetitions, that of a mean. ``axis``, ``keepdims`` and
    ``exclude`` are those of the reduction; the output has the shape and type of ``data``.
    """

    inputs = ("head_gradient", "data")
    unread = (1,)
    axis = Reduction.axis
    keepdims = Reduction.keepdims
    exclude = Reduction.exclude
    samples = (Sample((3,), (2, 3, 4), axis=(0, 2)), Sample((2, 1, 4), (2, 3, 4), axis=1, keepdims=True))

    def __init__(self, name: str, reduction: str) -> None:
        self.name = name
        self.reduction = reduction

    def infer_shape(self, p, inputs, outputs):
        head, data = inputs
        data, head = infer_reduced(merge(data, outputs[0]), head, p.axis, p.keepdims, p.exclude)
        return [head, data], [data]

    def infer_dtype(self, p, inputs, outputs):
        head, data = inputs
        data = outputs[0] if data is None else data
        return [head, data], [data]

    def gradient(self, p, x, y, dy):
        return [apply(self.reduction, dy[0], axis=p.axis, keepdims=p.keepdims, exclude=p.exclude), ZERO]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        head = inputs[0].view(_with_reduced_dimensions(out, reduced_axes(p.axis, out.dim(), p.exclude)))
        if self.reduction == "mean":
            return partial(torch.div, head.expand_as(out), out.numel() // head.numel(), out=out)
        return partial(out.copy_, head.expand_as(out))


register(Spread("_backward_sum", "sum"))
register(Spread("_backward_mean", "mean"))


@register
class Norm(Operator):
    r""":math:`\sqrt{\sum x^2}` (``ord=2``) or :math:`\sum |x|` (``ord=1``) over ``axis``.

    Shapes are those of the other reductions. The gradient of a zero norm is NaN with ``ord=2``.

    Raises MXNetError for another ``ord``, or an axis that ``data`` does not have.
    """

    name = "norm"
    aliases = ("_sparse_norm",)
    ord = Param(Int, 2, "Order of the norm, 1 or 2")
    axis = Param(Optional(Shape), None, "Axes to reduce; all if None")
    out_dtype = Param(Optional(DType), None, "Type of the output; that of the input if None")
    keepdims = Param(Bool, False, _KEEPDIMS)
    samples = (
        Sample((2, 3, 4)),
        Sample((2, 3, 4), axis=(0, 2)),
        Sample((2, 3, 4), axis=1, keepdims=True),
        Sample((2, 3), ord=1, low=0.2),
        Sample((2, 3, 4), ord=1, axis=-1, high=-0.2),
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.ord not in (1, 2):
            raise MXNetError(f"norm only supports ord=1 and ord=2, not {p.ord}, in {node_name or 'norm'}")
        return p

    def infer_shape(self, p, inputs, outputs):
        data, out = infer_reduced(inputs[0], outputs[0], p.axis, p.keepdims)
        return [data], [out]

    def infer_dtype(self, p, inputs, outputs):
        if p.out_dtype is None:
            return super().infer_dtype(p, inputs, outputs)
        return inputs, [p.out_dtype]

    def gradient(self, p, x, y, dy):
        where = {"axis": p.axis, "keepdims": p.keepdims}
        if p.ord == 1:
            return [apply("_backward_sum", dy[0], x[0], **where) * apply("sign", x[0])]
        return [apply("_backward_sum", dy[0] / y[0], x[0], **where) * x[0]]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0]
        return _run_reduction(_norm(p.ord), data, reduced_axes(p.axis, data.dim()), outputs[0])


@register
class Moments(Operator):
    r"""Mean :math:`m = \tfrac1n \sum x` and variance :math:`\tfrac1n \sum (x - m)^2` over ``axes``, as two outputs.

    Shapes are those of the other reductions.

    Raises MXNetError if no axes are named, or one that ``data`` does not have.
    """

    name = "moments"
    axes = Param(Optional(Shape), None, "Axes to reduce; at least one")
    keepdims = Param(Bool, False, _KEEPDIMS)
    samples = (Sample((2, 3, 4), axes=(0, 2)), Sample((2, 3, 4), axes=-1, keepdims=True))

    def num_outputs(self, p):
        return 2

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if not p.axes:
            raise MXNetError(f"moments needs axes, in {node_name or 'moments'}; name all of them for global moments")
        return p

    def infer_shape(self, p, inputs, outputs):
        data, out = infer_reduced(inputs[0], merge(*outputs), p.axes, p.keepdims)
        return [data], [out, out]

    def gradient(self, p, x, y, dy):
        where = {"axis": p.axes, "keepdims": p.keepdims}
        from_mean, from_variance = (apply("_backward_mean", head, x[0], **where) for head in dy)
        centered = x[0] - apply("_backward_sum", y[0], x[0], **where)
        return [from_mean + from_variance * centered * 2]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0]
        axes = reduced_axes(p.axes, data.dim())
        shape = _with_reduced_dimensions(data, axes)
        mean, variance = (out.view(shape) for out in outputs)

        if not data.is_floating_point():
            # Both are cut, and the variance is that from the mean as it was cut.
            def run_whole() -> None:
                mean.copy_(torch.mean(data.double(), axes, keepdim=True))
                variance.copy_(data.double().sub_(mean).square_().mean(axes, keepdim=True))

            return run_whole

        def run() -> None:
            torch.mean(data, axes, keepdim=True, out=mean)
            torch.var(data, axes, correction=0, keepdim=True, out=variance)

        return run


# ---- positions of extremes ----------------------------------------------------------------------


class Position(Operator):
    """Where along ``axis`` the extreme stands, the first of several; without ``axis``, in the flattened array.

    The output loses the axis, or keeps it with ``keepdims``; without ``axis`` it is one number in the shape (1,).
    It has the type of ``data``, float32 mostly. NaN is more extreme than any number. The gradient is zero.

    Raises MXNetError for an axis that ``data`` does not have.
    """

    zero_gradient = True
    samples = (Sample((2, 3, 4)), Sample((2, 3, 4), axis=1), Sample((2, 3, 4), axis=-1, keepdims=True))
    axis = Param(Optional(Int), None, "Axis to search along; None for all")
    keepdims = Param(Bool, False, _KEEPDIMS)

    def __init__(self, name: str, search: Callable[..., torch.Tensor]) -> None:
        self.name = name
        self.search = search

    def infer_shape(self, p, inputs, outputs):
        axes = None if p.axis is None else (p.axis,)
        data, out = infer_reduced(inputs[0], outputs[0], axes, p.keepdims)
        return [data], [out]

    def kernel(self, p, inputs, outputs, env):
        return partial(_find, self.search, inputs[0], p.axis, outputs[0])


def _find(search: Callable[..., torch.Tensor], data: torch.Tensor, axis: int | None, out: torch.Tensor) -> None:
    out.copy_(search(data, axis).view(out.shape))


register(Position("argmax", torch.argmax))
register(Position("argmin", torch.argmin))


@register
class ArgmaxChannel(Operator):
    """Where along axis 1 the maximum stands: the class that each row of scores in ``data`` names.

    ``data`` (N, C, ...) gives (N, ...), in the type of ``data``.
    """

    name = "argmax_channel"
    zero_gradient = True
    samples = (Sample((2, 3, 4)),)

    def infer_shape(self, p, inputs, outputs):
        data, out = infer_reduced(inputs[0], outputs[0], (1,), keepdims=False)
        return [data], [out]

    def kernel(self, p, inputs, outputs, env):
        return partial(_find, torch.argmax, inputs[0], 1, outputs[0])


@register
class AllClose(Operator):
    r"""1 if two arrays of one shape are nearly equal, :math:`|a - b| \le atol + rtol\,|b|` everywhere, else 0.

    The output is a uint8 without dimensions. The gradient is zero.
    """

    name = "_contrib_allclose"
    inputs = ("a", "b")
    zero_gradient = True
    rtol = Param(Float, 1e-5, "Difference allowed in relation to b")
    atol = Param(Float, 1e-8, "Difference allowed anyway")
    equal_nan = Param(Bool, True, "NaN is equal to NaN")
    samples = (Sample((2, 3), (2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, [])[0], [()]

    def infer_dtype(self, p, inputs, outputs):
        return super().infer_dtype(p, inputs, [])[0], [torch.uint8]

    def kernel(self, p, inputs, outputs, env):
        def run() -> None:
            outputs[0].fill_(torch.allclose(inputs[0], inputs[1], p.rtol, p.atol, p.equal_nan))

        return run
