"""``mx.sym.random``: random values as part of a graph, drawn anew at every forward."""

from __future__ import annotations

from typing import Any

from ..graph.symbol import Symbol
from ..graph.symbol import apply as _apply


def _draw(
    random_operator: str,
    sample_operator: str,
    parameters: dict[str, Any],
    shape: Any,
    dtype: Any,
    kwargs: dict[str, Any],
) -> Symbol:
    """One distribution for all values, or (parameters given as symbols) one for each element of the parameters."""
    given = _given(shape=shape, dtype=dtype)
    symbols = [isinstance(v, Symbol) for v in parameters.values()]
    if all(symbols):
        return _apply(sample_operator, *parameters.values(), **given, **kwargs)
    if any(symbols):
        raise ValueError(f"Distribution parameters {list(parameters)} must all be symbols, or all be numbers")
    return _apply(random_operator, **parameters, **given, **kwargs)


def _given(**params: Any) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


def uniform(low: Any = 0, high: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Uniform on ``[low, high)``."""
    return _draw("_random_uniform", "_sample_uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc: Any = 0, scale: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Normal with mean ``loc`` and standard deviation ``scale``."""
    return _draw("_random_normal", "_sample_normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def randn(*shape: int, loc: Any = 0, scale: Any = 1, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Normal values of the shape given by position."""
    return normal(loc, scale, shape, dtype, **kwargs)


def gamma(alpha: Any = 1, beta: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Gamma with shape ``alpha`` and scale ``beta``."""
    return _draw("_random_gamma", "_sample_gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def exponential(scale: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Exponential with mean ``scale``."""
    return _draw("_random_exponential", "_sample_exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def poisson(lam: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Poisson with mean ``lam``."""
    return _draw("_random_poisson", "_sample_poisson", {"lam": lam}, shape, dtype, kwargs)


def negative_binomial(k: Any = 1, p: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Failures before success ``k``, which comes with probability ``p`` each time."""
    parameters = {"k": k, "p": p}
    return _draw("_random_negative_binomial", "_sample_negative_binomial", parameters, shape, dtype, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any
) -> Symbol:
    """Negative binomial with mean ``mu`` and dispersion ``alpha``."""
    return _draw(
        "_random_generalized_negative_binomial", "_sample_generalized_negative_binomial",
        {"mu": mu, "alpha": alpha}, shape, dtype, kwargs,
    )  # fmt: skip


def multinomial(data: Symbol, shape: Any = None, get_prob: bool = True, dtype: Any = "int32", **kwargs: Any) -> Symbol:
    """Numbers drawn from the distributions in the rows of ``data``, and the logarithms of their probabilities."""
    return _apply("_sample_multinomial", data, get_prob=get_prob, dtype=dtype, **_given(shape=shape), **kwargs)


def randint(low: int, high: int, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Whole numbers, uniform on ``low <= n < high``."""
    return _draw("_random_randint", "", {"low": low, "high": high}, shape, dtype, kwargs)


def shuffle(data: Symbol, **kwargs: Any) -> Symbol:
    """``data`` with its first axis in random order."""
    return _apply("_shuffle", data, **kwargs)
