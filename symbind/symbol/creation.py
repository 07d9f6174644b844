"""Functions of ``mx.sym`` that choose between operators by the type of their arguments, or fill in defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.symbol import Symbol
from ..graph.symbol import apply as _apply

__all__ = [
    "arange", "eye", "full", "histogram", "hypot", "linspace", "maximum", "minimum", "ones", "pow", "power",
    "split_v2", "zeros",
]  # fmt: skip

ShapeLike = int | Sequence[int]


def zeros(shape: ShapeLike, dtype: Any = None, **kwargs: Any) -> Symbol:
    """All zeros; a 0 in ``shape`` is a dimension that inference finds. float32 unless ``dtype`` says otherwise."""
    return _create("_zeros", shape=shape, dtype=dtype, **kwargs)


def ones(shape: ShapeLike, dtype: Any = None, **kwargs: Any) -> Symbol:
    """All ones."""
    return _create("_ones", shape=shape, dtype=dtype, **kwargs)


def full(shape: ShapeLike, val: float, dtype: Any = None, **kwargs: Any) -> Symbol:
    """``val`` everywhere."""
    return _create("_full", shape=shape, dtype=dtype, value=float(val), **kwargs)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """``start, start + step, …`` below ``stop``, each ``repeat`` times; with one argument, from 0 to it."""
    return _create(
        "_arange", start=start, stop=stop, step=step, repeat=repeat, infer_range=infer_range, name=name, dtype=dtype
    )


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, name: str | None = None, dtype: Any = None
) -> Symbol:
    """``num`` numbers spaced evenly from ``start`` to ``stop``."""
    return _create("_linspace", start=start, stop=stop, num=num, endpoint=endpoint, name=name, dtype=dtype)


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Ones on diagonal ``k`` of an N by M array (M = 0: square), zeros elsewhere."""
    return _create("_eye", N=N, M=M, k=k, dtype=dtype, **kwargs)


def _create(operator: str, dtype: Any, **params: Any) -> Symbol:
    from ..dtype import as_torch

    return _apply(operator, dtype=as_torch("float32" if dtype is None else dtype), **params)


def _choose(left: Any, right: Any, both: str, scalar_right: str, scalar_left: str, plain: Any) -> Any:
    if isinstance(left, Symbol) and isinstance(right, Symbol):
        return _apply(both, left, right)
    if isinstance(left, Symbol):
        return _apply(scalar_right, left, scalar=right)
    if isinstance(right, Symbol):
        return _apply(scalar_left, right, scalar=left)
    return plain(left, right)


def pow(base: Any, exp: Any) -> Any:
    """``base ** exp``, element by element; either may be a number."""
    return _choose(base, exp, "_Power", "_PowerScalar", "_RPowerScalar", lambda a, b: a**b)


power = pow


def maximum(left: Any, right: Any) -> Any:
    """The larger of two, element by element; either may be a number."""
    return _choose(left, right, "_Maximum", "_MaximumScalar", "_MaximumScalar", max)


def minimum(left: Any, right: Any) -> Any:
    """The smaller of two, element by element; either may be a number."""
    return _choose(left, right, "_Minimum", "_MinimumScalar", "_MinimumScalar", min)


def hypot(left: Any, right: Any) -> Any:
    """:math:`\\sqrt{left^2 + right^2}`, element by element; either may be a number."""
    return _choose(left, right, "_Hypot", "_HypotScalar", "_HypotScalar", lambda a, b: (a * a + b * b) ** 0.5)


def histogram(
    a: Symbol, bins: int | Symbol = 10, range: tuple[float, float] | None = None, **kwargs: Any
) -> Symbol:
    """How many values of ``a`` fall into each bin, and the edges of the bins.

    ``bins`` is an array of edges, or the number of equal bins in ``range``, which is needed then: ValueError.
    """
    if isinstance(bins, Symbol):
        return _apply("_histogram", a, bins, **kwargs)
    if range is None:
        raise ValueError("histogram: a symbol holds no values whose range could be taken; give range=(low, high)")
    return _apply("_histogram", a, bin_cnt=bins, range=range, **kwargs)


def split_v2(
    ary: Symbol, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> Symbol:
    """Cut ``ary`` along ``axis`` into equal sections, or at the given indices."""
    if isinstance(indices_or_sections, int):
        return _apply("_split_v2", ary, indices=[], axis=axis, squeeze_axis=squeeze_axis, sections=indices_or_sections)
    indices = [0, *indices_or_sections]
    return _apply("_split_v2", ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis, sections=0)
