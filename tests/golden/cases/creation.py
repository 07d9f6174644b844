"""Operators without inputs, and random ones, of which only shapes and dtypes are recorded."""

from __future__ import annotations

from .case import Case, case, exactly, spread


def _creation() -> list[Case]:
    def made(op: str, **params) -> Case:
        return case(op, {}, **params)

    return [
        made("_zeros", shape=(2, 3)),
        made("_zeros", shape=(2,), dtype="float64"),
        made("_zeros", shape=3, dtype="int32"),
        made("_ones", shape=(2, 3)),
        made("_ones", shape=(2, 1), dtype="float16"),
        made("_full", shape=(2, 3), value=2.5),
        made("_full", shape=(2,), value=7, dtype="int32"),
        made("_arange", start=0, stop=5),
        made("_arange", start=5),
        made("_arange", start=1, stop=6, step=2),
        made("_arange", start=0, stop=1, step=0.3),
        made("_arange", start=5, stop=1, step=-1.5),
        made("_arange", start=0, stop=3, repeat=2),
        made("_arange", start=2, stop=6, dtype="int32"),
        made("_linspace", start=0, stop=1, num=5),
        made("_linspace", start=2, stop=-1, num=4, endpoint=False, dtype="float64"),
        made("_eye", N=3),
        made("_eye", N=2, M=4),
        made("_eye", N=3, k=1),
        made("_eye", N=3, M=3, k=-1, dtype="int32"),
    ]


def _random() -> list[Case]:
    cases = []
    for op, params in {
        "uniform": {"low": -1.0, "high": 2.0},
        "normal": {"loc": 1.0, "scale": 2.0},
        "gamma": {"alpha": 2.0, "beta": 0.5},
        "exponential": {"lam": 2.0},
        "poisson": {"lam": 3.0},
        "negative_binomial": {"k": 3, "p": 0.4},
        "generalized_negative_binomial": {"mu": 2.0, "alpha": 0.3},
    }.items():
        cases.append(case(f"_random_{op}", {}, shape=(2, 3), random=True))
        cases.append(case(f"_random_{op}", {}, **params, shape=(4,), dtype="float64", random=True))
        cases.append(case(f"random.{op}_like", spread(2, 3), **params, random=True, wrt=()))
    cases.append(case("_random_randint", {}, low=0, high=5, shape=(2, 3), random=True))
    cases.append(case("_random_randint", {}, low=-2, high=5, shape=(2,), dtype="int64", random=True))
    ones = exactly([[1, 2], [0.5, 3]])
    for op, names in {
        "uniform": ["low", "high"],
        "normal": ["mu", "sigma"],
        "gamma": ["alpha", "beta"],
        "exponential": ["lam"],
        "poisson": ["lam"],
    }.items():
        inputs = {name: spread(2, low=position, high=position + 1) for position, name in enumerate(names)}
        cases.append(case(f"_sample_{op}", inputs, shape=(3,), random=True, wrt=()))
        cases.append(case(f"_sample_{op}", inputs, random=True, wrt=()))
    table = exactly([[0.1, 0.9], [0.5, 0.5], [1, 0]])
    cases += [
        case("_sample_multinomial", table, random=True, wrt=()),
        case("_sample_multinomial", table, shape=(4,), random=True, wrt=()),
        case("_sample_multinomial", table, shape=(2, 2), get_prob=True, random=True, wrt=()),
        case("_sample_multinomial", exactly([0.3, 0.7]), shape=5, dtype="float32", random=True, wrt=()),
        case("_shuffle", ones, random=True, wrt=()),
        case("_shuffle", spread(4), random=True, wrt=()),
    ]
    return cases


FAMILIES = {"creation": _creation(), "random": _random()}
