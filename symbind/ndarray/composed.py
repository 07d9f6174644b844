"""Functions of ``mx.nd.contrib`` that are more than one operator, beside loops and branches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..context import Context
from .functions import invoke
from .ndarray import NDArray
from .random import uniform

__all__ = [
    "adamw_update", "isfinite", "isinf", "isnan", "mp_adamw_update", "multi_adamw_update", "multi_lamb_update",
    "multi_mp_adamw_update", "multi_mp_lamb_update", "rand_zipfian",
]  # fmt: skip

Arrays = Sequence[NDArray]


# ---- what kind of number ------------------------------------------------------------------------


def isfinite(data: NDArray) -> NDArray:
    """1 where a number is finite, 0 where it is infinite or none, in the type of ``data``."""
    return (data - data) == 0


def isinf(data: NDArray) -> NDArray:
    """1 where a number is infinite, in the type of ``data``."""
    return (data == data) - isfinite(data)


def isnan(data: NDArray) -> NDArray:
    """1 where there is no number, in the type of ``data``."""
    return data != data


# ---- candidates for sampled losses --------------------------------------------------------------


def rand_zipfian(
    true_classes: NDArray, num_sampled: int, range_max: int, ctx: Context | None = None
) -> tuple[NDArray, NDArray, NDArray]:
    r"""Classes drawn from a distribution close to Zipf's, and how often they and ``true_classes`` are to be expected.

    .. math:: P(c) = \ln((c + 2) / (c + 1)) / \ln(range\_max + 1)

    Returns ``num_sampled`` classes (int64), expected counts in the shape of ``true_classes`` and those of the samples,
    in float64. Classes are thought to be numbered by falling frequency, and may be drawn several times.
    """
    log_range = math.log(range_max + 1)
    place = true_classes.context if ctx is None else ctx
    drawn = uniform(0, log_range, shape=(num_sampled,), dtype="float64", ctx=place)
    sampled = (invoke("exp", drawn) - 1).astype("int64") % range_max

    def expected(classes: NDArray) -> NDArray:
        numbers = classes.as_in_context(place).astype("float64")
        return invoke("log", (numbers + 2.0) / (numbers + 1.0)) / log_range * num_sampled

    return sampled, expected(true_classes), expected(sampled)


# ---- steps of optimizers ------------------------------------------------------------------------


def _as_array(rescale_grad: float | NDArray, like: NDArray) -> NDArray:
    """A factor as the array in single precision that the operators take it in."""
    if isinstance(rescale_grad, NDArray):
        return rescale_grad.as_in_context(like.context)
    return invoke("_full", shape=(1,), value=rescale_grad, dtype="float32", ctx=str(like.context))


def adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, rescale_grad: float | NDArray, lr: float, eta: float,
    beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0, clip_gradient: float = -1,
    out: NDArray | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """One step of AdamW; none if ``rescale_grad``, a number or an array of one, is not finite or zero."""
    return invoke(
        "_adamw_update", weight, grad, mean, var, _as_array(rescale_grad, weight), out=out, lr=lr, eta=eta,
        beta1=beta1, beta2=beta2, epsilon=epsilon, wd=wd, clip_gradient=clip_gradient, **kwargs,
    )  # fmt: skip


def mp_adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, weight32: NDArray, rescale_grad: float | NDArray,
    lr: float, eta: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0,
    clip_gradient: float = -1, out: NDArray | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """:func:`adamw_update` of a weight in half precision, with a copy in single precision."""
    return invoke(
        "_mp_adamw_update", weight, grad, mean, var, weight32, _as_array(rescale_grad, weight), out=out, lr=lr,
        eta=eta, beta1=beta1, beta2=beta2, epsilon=epsilon, wd=wd, clip_gradient=clip_gradient, **kwargs,
    )  # fmt: skip


def _by_weight(*lists: Arrays) -> list[NDArray]:
    """The arrays of the first weight, then those of the second …"""
    return [array for arrays in zip(*lists, strict=True) for array in arrays]


def multi_adamw_update(
    weights: Arrays, grads: Arrays, mean: Arrays, var: Arrays, rescale_grad: float | NDArray, lrs: Any, wds: Any,
    etas: Any, out: Any = None, size: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """:func:`adamw_update` of several weights, each with its rates."""
    arrays = [*_by_weight(weights, grads, mean, var), _as_array(rescale_grad, weights[0])]
    params = {"num_weights": size or len(weights), "lrs": lrs, "wds": wds, "etas": etas}
    return invoke("_multi_adamw_update", *arrays, out=out, **params, **kwargs)


def multi_mp_adamw_update(
    weights: Arrays, grads: Arrays, mean: Arrays, var: Arrays, weights32: Arrays, rescale_grad: float | NDArray,
    lrs: Any, wds: Any, etas: Any, out: Any = None, size: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """:func:`mp_adamw_update` of several weights, each with its rates."""
    arrays = [*_by_weight(weights, grads, mean, var, weights32), _as_array(rescale_grad, weights[0])]
    params = {"num_weights": size or len(weights), "lrs": lrs, "wds": wds, "etas": etas}
    return invoke("_multi_mp_adamw_update", *arrays, out=out, **params, **kwargs)


def multi_lamb_update(
    weights: Arrays, grads: Arrays, mean: Arrays, var: Arrays, step_count: Any, lrs: Any, wds: Any, out: Any = None,
    num_tensors: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """One step of LAMB of several weights, each with its rates and its number of steps."""
    params = {"num_tensors": num_tensors or len(weights), "step_count": step_count, "learning_rates": lrs, "wds": wds}
    return invoke("_multi_lamb_update", *_by_weight(weights, grads, mean, var), out=out, **params, **kwargs)


def multi_mp_lamb_update(
    weights: Arrays, grads: Arrays, mean: Arrays, var: Arrays, weights32: Arrays, step_count: Any, lrs: Any, wds: Any,
    out: Any = None, num_tensors: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """:func:`multi_lamb_update` of weights in half precision, with copies in single precision."""
    params = {"num_tensors": num_tensors or len(weights), "step_count": step_count, "learning_rates": lrs, "wds": wds}
    arrays = _by_weight(weights, grads, mean, var, weights32)
    return invoke("_multi_mp_lamb_update", *arrays, out=out, **params, **kwargs)
