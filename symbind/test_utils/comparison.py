"""When two arrays count as the same, and what an assertion says where they do not.

Arrays may be NDArrays, NumPy arrays, or what NumPy makes arrays of. ``a`` is close to ``b`` where
:math:`|a - b| \\le atol + rtol\\,|b|`, as in ``numpy.allclose``; tolerances that are not given are the coarser of the
defaults for the two types.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph.symbol import Symbol
from ..ndarray import NDArray
from ..ndarray.memory import same_memory
from .tolerance import Tolerance, get_atol, get_etol, get_rtol, get_tols

__all__ = [
    "almost_equal", "assert_allclose", "assert_almost_equal", "assert_almost_equal_ignore_nan",
    "assert_almost_equal_with_err", "compare_ndarray_tuple", "find_max_violation", "same", "same_array",
    "same_symbol_structure",
]  # fmt: skip


def same(a: Any, b: Any) -> bool:
    """Whether the arrays have the same shape and the same elements."""
    return np.array_equal(a, b)


def same_array(array1: NDArray, array2: NDArray) -> bool:
    """Whether writing to one array writes the same to the other: same memory, shape and type."""
    return (
        array1.shape == array2.shape
        and array1.dtype == array2.dtype
        and same_memory(array1.tensor, array2.tensor)
    )  # fmt: skip


def almost_equal(
    a: Any, b: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False,
    use_broadcast: bool = True,
) -> bool:  # fmt: skip
    """Whether all elements are close, by the tolerances of float64 if none are given.

    AssertionError if the shapes differ and ``use_broadcast`` is false, or cannot be broadcast together.
    """
    a, b = _as_numpy(a), _as_numpy(b)
    _check_shapes(a, b, use_broadcast)
    return np.allclose(a, b, get_rtol(rtol), get_atol(atol), equal_nan)


def find_max_violation(a: Any, b: Any, rtol: float, atol: float) -> tuple[tuple[int, ...], float]:
    """Where ``a`` is farthest from ``b``, and how far: the difference as a multiple of what is allowed there."""
    violation = _violation(_as_numpy(a), _as_numpy(b), rtol, atol)
    index = np.unravel_index(np.argmax(violation), violation.shape)
    return tuple(map(int, index)), float(violation[index])


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    names: Sequence[str] = ("a", "b"),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """AssertionError unless all elements are close; arrays of bool must be equal.

    Parameters
    ----------
    rtol, atol : a number, or a dict of numbers by type; None for the defaults.
    names : what the two arrays are called in the message.
    equal_nan : whether NaN is close to NaN.
    use_broadcast : whether the shapes may differ, if they broadcast.
    mismatches : the first number says how many of the worst elements the message lists. The second, which once
        limited how many were counted, means nothing: all are.
    """
    _assert_close(a, b, rtol, atol, 0.0, names, equal_nan, use_broadcast, mismatches[0])


def assert_allclose(a: Any, b: Any, rtol: float = 1e-7, atol: float = 0, equal_nan: bool = True) -> None:
    """:func:`assert_almost_equal` with the tolerances of ``numpy.testing.assert_allclose``."""
    assert_almost_equal(a, b, rtol, atol, equal_nan=equal_nan)


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    etol: float | None = None,
    names: Sequence[str] = ("a", "b"),
    equal_nan: bool = False,
    mismatches: tuple[int, int] = (10, 10),
) -> None:
    """:func:`assert_almost_equal`, but a part ``etol`` (in [0, 1]) of the elements may differ at will."""
    _assert_close(a, b, rtol, atol, get_etol(etol), names, equal_nan, True, mismatches[0])


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: Tolerance = None, atol: Tolerance = None, names: Sequence[str] = ("a", "b")
) -> None:
    """:func:`assert_almost_equal` of the elements that are a number in both arrays."""
    a, b = np.array(_as_numpy(a)), np.array(_as_numpy(b))
    a[np.isnan(b)] = np.nan
    b[np.isnan(a)] = np.nan
    assert_almost_equal(a, b, rtol, atol, names, equal_nan=True)


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: Tolerance = None, atol: Tolerance = None) -> None:
    """:func:`assert_almost_equal` for arrays in tuples of any depth; None is equal to anything."""
    if t1 is None or t2 is None:
        return
    if not isinstance(t1, tuple):
        assert_almost_equal(t1, t2, rtol, atol)
        return
    if len(t1) != len(t2):
        raise AssertionError(f"A tuple of {len(t1)} arrays is compared with one of {len(t2)}")
    for one, two in zip(t1, t2):
        compare_ndarray_tuple(one, two, rtol, atol)


def same_symbol_structure(sym1: Symbol, sym2: Symbol) -> bool:
    """Whether the two graphs, listed depth first, are the same operators; names and parameters may differ."""
    one, two = ([node["op"] for node in json.loads(symbol.tojson())["nodes"]] for symbol in (sym1, sym2))
    return one == two


def _as_numpy(a: Any) -> np.ndarray:
    return a.asnumpy() if isinstance(a, NDArray) else np.asarray(a)


def _check_shapes(a: np.ndarray, b: np.ndarray, use_broadcast: bool) -> None:
    if a.shape == b.shape:
        return
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        use_broadcast = False
    if not use_broadcast:
        raise AssertionError(f"The shapes {a.shape} and {b.shape} are not equal")


def _violation(a: np.ndarray, b: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    # Equal infinities have no difference that is a number; the smallest denominator keeps 0 / 0 away.
    with np.errstate(invalid="ignore"):
        difference = np.where(a == b, 0, np.abs(np.subtract(a, b, dtype=np.result_type(a, b, np.float64))))
        return difference / (atol + rtol * np.abs(b) + 1e-20)


def _assert_close(
    a: Any, b: Any, rtol: Tolerance, atol: Tolerance, etol: float, names: Sequence[str], equal_nan: bool,
    use_broadcast: bool, listed: int,
) -> None:  # fmt: skip
    relative, absolute = get_tols(a, b, rtol, atol)
    a, b = _as_numpy(a), _as_numpy(b)
    _check_shapes(a, b, use_broadcast)
    a, b = np.broadcast_arrays(a, b)
    if a.dtype == b.dtype == np.bool_:
        differs = a != b
        a, b = a.astype(np.float64), b.astype(np.float64)
    else:
        differs = ~np.isclose(a, b, relative, absolute, equal_nan)
    count = np.count_nonzero(differs)
    if count <= etol * differs.size:
        return
    violation = np.where(differs, _violation(a, b, relative, absolute), -1.0)
    # NaN, the worst of all, sorts behind every number.
    worst = np.argsort(violation, axis=None)[::-1][: max(1, min(listed, count))]
    places = [np.unravel_index(k, differs.shape) for k in worst]
    rows = "\n".join(
        f"{violation[at]:12.6g} at {tuple(map(int, at))}: {names[0]}={a[at]:.8g}, {names[1]}={b[at]:.8g}"
        for at in places
    )
    with np.printoptions(threshold=4, suppress=True):
        raise AssertionError(
            f"Error {violation[places[0]]:f} exceeds tolerance rtol={relative:e}, atol={absolute:e} "
            f"(mismatch {100 * count / differs.size:f}%: {count} of {differs.size} elements).\n"
            f"The worst, as multiples of what is allowed:\n{rows}\n{names[0]}: {a!r}\n{names[1]}: {b!r}"
        )
