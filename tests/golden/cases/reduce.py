"""Reductions over axes, and the positions of extremes."""

from __future__ import annotations

import numpy as np

from .case import Case, case, exactly, first_of_each, retyped, spread

AXES = [None, 0, 1, -1, (0, 2), (-1, -2), (0, 1, 2)]
HOLES = exactly([[1, np.nan, 3], [np.nan, np.nan, np.nan], [-1, 2, 0.5]])
TIES = exactly([[1, 3, 3, 2], [2, 2, 2, 2], [-1, -1, -2, -2]])


def _reductions() -> list[Case]:
    cases = []
    for op in ["sum", "mean", "prod", "nansum", "nanprod", "max", "min"]:
        for axis in AXES:
            asked = {} if axis is None else {"axis": axis}
            cases.append(case(op, spread(2, 3, 4), **asked))
            cases.append(case(op, spread(2, 3, 4), **asked, keepdims=True))
            if axis in (1, (0, 2), -1):
                cases.append(case(op, spread(2, 3, 4), **asked, exclude=True))
                cases.append(case(op, spread(2, 3, 4), **asked, exclude=True, keepdims=True))
        cases.append(case(op, spread(2, 3, 4), axis=()))
        cases.append(case(op, spread(5)))
        cases.append(case(op, TIES, axis=1, note="ties"))
        cases.append(case(op, HOLES, axis=1, note="not a number"))
    cases += [case(op, spread(2, 3), axis=1) for op in ("sum_axis", "max_axis", "min_axis")]
    cases += [retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "float16")]
    cases += [
        case(op, exactly([[1, 2, 3], [4, -5, 6]], "int32"), axis=1) for op in ("sum", "mean", "prod", "max", "min")
    ]
    for order in (1, 2):
        cases.append(case("norm", spread(2, 3, 4), ord=order))
        for axis in (0, -1, (0, 2), (1, 2)):
            cases.append(case("norm", spread(2, 3, 4), ord=order, axis=axis))
            cases.append(case("norm", spread(2, 3, 4), ord=order, axis=axis, keepdims=True))
    cases += [
        case("norm", spread(2, 3, 4)),
        case("norm", exactly([[0, 0], [3, 4]]), axis=1, note="zero"),
        case("norm", spread(2, 3, dtype="float64")),
        case("norm", spread(2, 3, dtype="float16")),
    ]
    for axes in (0, (0, 2), -1, (0, 1, 2)):
        cases.append(case("moments", spread(2, 3, 4), axes=axes))
        cases.append(case("moments", spread(2, 3, 4), axes=axes, keepdims=True))
    return cases


def _positions() -> list[Case]:
    cases = []
    for op in ("argmax", "argmin"):
        for axis in (None, 0, 1, -1):
            asked = {} if axis is None else {"axis": axis}
            cases.append(case(op, spread(2, 3, 4), **asked))
            cases.append(case(op, spread(2, 3, 4), **asked, keepdims=True))
        cases.append(case(op, TIES, axis=1, note="ties"))
        cases += [case(op, spread(2, 3, dtype=dtype), axis=1) for dtype in ("float64", "float16")]
        cases.append(case(op, exactly([[1, 3, 2], [4, -5, 6]], "int32"), axis=1))
    cases += [case("argmax_channel", data, wrt=()) for data in (spread(2, 3), TIES)]
    return cases


FAMILIES = {"reduce": _reductions(), "positions": _positions()}
