"""``mx.nd.random``: arrays of random numbers, drawn from the generator of their device.

The parameters of a distribution are all numbers, for ``shape`` values of one distribution, or all arrays of one
shape ``s``, for values of shape ``s + shape``, each from the distribution of its own parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..context import Context
from ..dtype import as_torch, name_of
from .arithmetic import is_number
from .functions import invoke
from .ndarray import NDArray

__all__ = [
    "exponential", "gamma", "generalized_negative_binomial", "multinomial", "negative_binomial", "normal", "poisson",
    "randint", "randn", "shuffle", "uniform",
]  # fmt: skip

ShapeLike = int | Sequence[int] | None
# A parameter of a distribution.
Parameter = float | NDArray


def uniform(low: Parameter = 0, high: Parameter = 1, shape: ShapeLike = None, dtype: Any = None,
            ctx: Context | None = None, out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Uniform on ``[low, high)``."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, ctx, out)


def normal(loc: Parameter = 0, scale: Parameter = 1, shape: ShapeLike = None, dtype: Any = None,
           ctx: Context | None = None, out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Normal with mean ``loc`` and standard deviation ``scale``."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, ctx, out)


def randn(*shape: int, loc: Parameter = 0, scale: Parameter = 1, dtype: Any = None, ctx: Context | None = None,
          out: NDArray | None = None) -> NDArray:  # fmt: skip
    """:func:`normal` with the shape given as separate numbers."""
    return normal(loc, scale, shape, dtype, ctx, out)


def gamma(alpha: Parameter = 1, beta: Parameter = 1, shape: ShapeLike = None, dtype: Any = None,
          ctx: Context | None = None, out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Gamma with shape ``alpha`` and *scale* ``beta``: the mean is ``alpha * beta``."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, ctx, out)


def exponential(scale: Parameter = 1, shape: ShapeLike = None, dtype: Any = None, ctx: Context | None = None,
                out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Exponential with mean ``scale``."""
    if not isinstance(scale, (NDArray, int, float)):
        raise ValueError(f"Distribution parameters must be NDArrays or numbers, but got {type(scale).__name__}.")
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, ctx, out)


def poisson(lam: Parameter = 1, shape: ShapeLike = None, dtype: Any = None, ctx: Context | None = None,
            out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Poisson with mean ``lam``, as floating point numbers."""
    return _draw("poisson", {"lam": lam}, shape, dtype, ctx, out)


def negative_binomial(k: Parameter = 1, p: Parameter = 1, shape: ShapeLike = None, dtype: Any = None,
                      ctx: Context | None = None, out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Failures before the ``k``-th success, each try succeeding with probability ``p``."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, ctx, out)


def generalized_negative_binomial(mu: Parameter = 1, alpha: Parameter = 1, shape: ShapeLike = None,
                                  dtype: Any = None, ctx: Context | None = None,
                                  out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Negative binomial with mean ``mu`` and dispersion ``alpha``: the variance is ``mu + alpha * mu**2``."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, ctx, out)


def randint(low: int, high: int, shape: ShapeLike = None, dtype: Any = None, ctx: Context | None = None,
            out: NDArray | None = None) -> NDArray:  # fmt: skip
    """Whole numbers, uniform on ``low <= n < high``; int32 unless ``dtype`` says otherwise."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, ctx, out)


def multinomial(data: NDArray, shape: ShapeLike = None, get_prob: bool = False, out: NDArray | None = None,
                dtype: Any = "int32") -> NDArray | list[NDArray]:  # fmt: skip
    """Indices drawn with the probabilities along the last axis of ``data``, ``shape`` of them for each distribution.

    With ``get_prob`` also the logarithms of their probabilities, as a second array.
    """
    options: dict[str, Any] = {} if shape is None else {"shape": shape}
    return invoke("_sample_multinomial", data, out=out, get_prob=get_prob, dtype=name_of(as_torch(dtype)), **options)


def shuffle(data: NDArray, out: NDArray | None = None) -> NDArray:
    """``data`` with its first axis in random order."""
    return invoke("_shuffle", data, out=out)


def _draw(
    distribution: str,
    parameters: dict[str, Parameter],
    shape: ShapeLike,
    dtype: Any,
    ctx: Context | None,
    out: NDArray | None,
) -> NDArray:
    """Call the operator of one distribution for all values, or that of one for each element of the parameters."""
    options: dict[str, Any] = {}
    if dtype is not None:
        options["dtype"] = name_of(as_torch(dtype))
    if shape is not None:
        options["shape"] = shape
    values: list[Any] = list(parameters.values())
    if all(isinstance(value, NDArray) for value in values):
        return invoke(f"_sample_{distribution}", *values, out=out, **options)
    if not all(map(is_number, values)):
        kinds = ", ".join(type(value).__name__ for value in values)
        raise ValueError(f"Distribution parameters must be all NDArrays or all numbers, but got {kinds}.")
    if out is None:
        options.setdefault("shape", 1)
    if ctx is not None:
        options["ctx"] = ctx
    return invoke(f"_random_{distribution}", out=out, **parameters, **options)
