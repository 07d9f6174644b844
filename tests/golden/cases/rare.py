"""Operators that were hardly used: densities, decompositions, sums of all that comes before."""

from __future__ import annotations

from .case import Case, case, exactly, first_of_each, retyped, spread

POSITIVE = {"low": 0.5, "high": 3.0}


def _densities() -> list[Case]:
    cases = []
    for name, parameters in {
        "uniform": {"low": exactly([0, -1]), "high": exactly([4, 5])},
        "normal": {"mu": exactly([0, 1]), "sigma": exactly([2, 0.5])},
        "gamma": {"alpha": exactly([0.5, 2]), "beta": exactly([2, 1.5])},
        "exponential": {"lam": exactly([0.5, 2])},
        "poisson": {"lam": exactly([2, 3])},
        "negative_binomial": {"k": exactly([2, 3]), "p": exactly([0.3, 0.6])},
        "generalized_negative_binomial": {"mu": exactly([2, 3]), "alpha": exactly([0.3, 0.6])},
        "dirichlet": {"alpha": exactly([[1, 2, 3], [0.5, 0.6, 0.7]])},
    }.items():
        whole = "poisson" in name or "binomial" in name
        sample = exactly([[1, 2, 3], [0, 4, 2]]) if whole else spread(2, 3, **POSITIVE)
        if name == "dirichlet":
            sample = exactly([[[0.2, 0.3, 0.5]], [[0.1, 0.1, 0.8]]])
        for is_log in (False, True):
            cases.append(case(f"random_pdf_{name}", {"sample": sample, **parameters}, is_log=is_log))
    cases.append(
        case("random_pdf_normal", {"sample": spread(2, 2, 2), "mu": spread(2, 2), "sigma": spread(2, 2, **POSITIVE)})
    )
    return cases + [retyped(entry, "float64") for entry in first_of_each(cases)]


def _decompositions() -> list[Case]:
    symmetric = exactly([[[2, -1, 0.5], [-1, 1, 0.25], [0.5, 0.25, 3]], [[1, 2, 3], [2, -1, 0.5], [3, 0.5, 0]]])
    cases = [
        case("linalg.gelqf", spread(2, 3)),
        case("linalg.gelqf", spread(2, 3, 3)),
        case("linalg.syevd", symmetric),
        case("linalg.syevd", exactly([[2, 1], [1, -3]])),
    ]
    return cases + [retyped(entry, "float64") for entry in cases]


def _cumulative() -> list[Case]:
    cases = [
        case("cumsum", spread(2, 3)),
        case("cumsum", spread(2, 3), axis=0),
        case("cumsum", spread(2, 3, 2), axis=1),
        case("cumsum", spread(2, 3), axis=1, dtype="float64"),
        case("cumsum", exactly([[1, 2], [3, -4]], "int32"), axis=0),
    ]
    return cases + [retyped(cases[1], dtype) for dtype in ("float64", "float16")]


FAMILIES = {"densities": _densities(), "decompositions": _decompositions(), "cumulative": _cumulative()}
