"""Operators that work number by number: pairs of equal shape, broadcasting pairs, a number and a scalar, one number."""

from __future__ import annotations

import numpy as np

from .case import Case, case, exactly, first_of_each, integers, retyped, spread

ARITHMETIC = ["add", "sub", "mul", "div"]
COMPARISONS = ["equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"]
LOGICAL = ["logical_and", "logical_or", "logical_xor"]
OTHERS = ["mod", "power", "maximum", "minimum", "hypot"]

# Pairs that show what an operator does with signs, ties, zeros and whole numbers.
LEFT = exactly([[-7, 7, -7, 7], [0, 3, 3, 0], [-1, 2.5, -2.5, 1]])
RIGHT = exactly([[3, -3, -3, 3], [2, 3, 0, 0], [0.5, -1.5, 0.75, 1]])
POSITIVE = {"low": 0.25, "high": 2.5}


def pair(op: str, left, right, **options) -> Case:
    return case(op, {"lhs": left, "rhs": right}, **options)


def _pairs() -> list[Case]:
    named = [f"elemwise_{name}" for name in ARITHMETIC] + [f"_{name}" for name in OTHERS + COMPARISONS + LOGICAL]
    cases = []
    for op in named:
        kind = POSITIVE if op == "_power" else {}
        cases.append(pair(op, spread(2, 3, **kind), spread(2, 3)))
        cases.append(pair(op, LEFT, RIGHT, note="signs and ties"))
        cases.append(pair(op, spread(2, 1, 3, 2, **kind), spread(2, 1, 3, 2)))
    cases += [retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "float16")]
    whole = {"lhs": exactly([-7, 7, -7, 7, 0, 3]), "rhs": exactly([3, -3, -3, 3, 2, 3])}
    cases += [retyped(case(op, whole), "int32") for op in named if op not in ("_power", "_hypot")]
    for count in (1, 2, 3, 5):
        inputs = {f"arg{i}": spread(2, 3) for i in range(count)}
        cases.append(case("add_n", inputs))
    cases.append(retyped(cases[-2], "float64"))
    cases.append(retyped(cases[-2], "float16"))
    cases.append(case("ElementWiseSum", {"a": spread(2), "b": spread(2)}))
    return cases


def _broadcast() -> list[Case]:
    cases = []
    for op in [f"broadcast_{name}" for name in ARITHMETIC + OTHERS + COMPARISONS + LOGICAL]:
        kind = POSITIVE if op == "broadcast_power" else {}
        for left, right in [
            ((2, 3), (2, 1)),
            ((2, 3), (2, 3)),
            ((2, 1), (1, 3)),
            ((1, 3, 1), (2, 3, 4)),
            ((2, 3, 2, 2), (1, 3, 1, 1)),
            ((2, 3), (1, 1)),
        ]:
            cases.append(pair(op, spread(*left, **kind), spread(*right)))
        cases.append(pair(op, LEFT, exactly([[3], [3], [-1]]), note="signs and ties"))
    cases += [retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "float16")]
    cases += [
        retyped(pair(op, integers(-6, 7, 2, 3), exactly([[3, -2, 4]])), "int32")
        for op in ("broadcast_add", "broadcast_mul", "broadcast_div", "broadcast_mod", "broadcast_equal")
    ]
    return cases


def _scalar() -> list[Case]:
    cases = []
    values = exactly([[-7, 7, -2.5, 2.5], [0, 2, 3, -1.5]])
    for name in ["plus", "minus", "rminus", "mul", "div", "rdiv", "mod", "rmod", "power", "rpower", *OTHERS[2:]]:
        op = f"_{name}_scalar"
        positive = name in ("power", "rpower", "rdiv")
        data = spread(2, 3, **POSITIVE) if positive else spread(2, 3)
        cases += [case(op, data, scalar=scalar) for scalar in (2, 0.75, -1.5)]
        cases += [case(op, values, scalar=scalar, note="signs and ties") for scalar in (3, -3, 0, 2.5)]
        cases += [
            case(op, exactly([[-7, 7, 5], [2, 3, -1]], "int32"), scalar=scalar)
            for scalar in (2, 2.5)
            if name not in ("power", "rpower", "hypot")
        ]
    for name in COMPARISONS + LOGICAL:
        cases += [case(f"_{name}_scalar", values, scalar=scalar, note="signs and ties") for scalar in (2.5, 0, 2)]
        cases.append(case(f"_{name}_scalar", exactly([[-7, 7, 5], [2, 3, 0]], "int32"), scalar=2))
    cases += [retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "float16")]
    return cases


# Where each function is smooth; all of them also meet EDGES.
# fmt: off
DOMAINS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(["log", "log10", "log2", "sqrt", "rsqrt", "gamma", "gammaln"], (0.2, 4.0)),
    **dict.fromkeys(["reciprocal", "cbrt", "rcbrt"], (0.3, 3.0)),
    **dict.fromkeys(["arcsin", "arccos", "arctanh", "erfinv", "log1p"], (-0.9, 0.9)),
    "arccosh": (1.1, 4.0),
    **dict.fromkeys([
        "relu", "sigmoid", "hard_sigmoid", "tanh", "softsign", "smooth_l1", "exp", "expm1", "square", "abs", "sign",
        "negative", "round", "rint", "ceil", "floor", "trunc", "fix", "sin", "cos", "tan", "arctan", "sinh", "cosh",
        "arcsinh", "degrees", "radians", "erf", "logical_not", "identity", "BlockGrad", "stop_gradient", "make_loss",
        "zeros_like", "ones_like", "shape_array", "size_array",
    ], (-3.0, 3.0)),
}
KEEPS_INTEGERS = [
    "relu", "abs", "sign", "negative", "square", "round", "rint", "ceil", "floor", "trunc", "fix", "logical_not",
    "identity", "zeros_like",
]
# fmt: on
BETWEEN_POLES = exactly([[-3.5, -2.5, -1.25, -0.5, 0.25], [0.5, 1, 1.5, 2.5, 3.5]])
EDGES = exactly([[-3.5, -2.5, -1, -0.5, 0], [0.5, 1, 1.5, 2.5, 3.5]])


def _unary() -> list[Case]:
    cases = []
    for op, (low, high) in DOMAINS.items():
        data = spread(3, 4, low=low, high=high)
        cases.append(case(op, data))
        cases.append(case(op, BETWEEN_POLES if "gamma" in op else EDGES, note="edges"))
        cases.append(case(op, spread(2, 1, 3, 2, low=low, high=high)))
        cases += [retyped(cases[-3], dtype) for dtype in ("float64", "float16")]
    cases += [case(op, exactly([[-3, 0, 2]], "int32")) for op in [*KEEPS_INTEGERS, "ones_like"]]
    cases += [
        case("hard_sigmoid", spread(3, 4), alpha=0.5, beta=0.25),
        case("smooth_l1", EDGES, scalar=2.0),
        case("smooth_l1", spread(3, 4), scalar=0.5),
    ]
    for low, high in [(-1, 1), (0, 2.5), (-2.5, -0.5)]:
        cases.append(case("clip", EDGES, a_min=low, a_max=high, note="edges"))
        cases.append(case("clip", spread(3, 4), a_min=low, a_max=high))
    cases += [retyped(cases[-1], dtype) for dtype in ("float64", "float16")]
    cases.append(case("clip", exactly([-3, 0, 3], "int32"), a_min=-1, a_max=2))
    kinds = ["float16", "float32", "float64", "int32", "int64", "uint8", "int8"]
    numbers = exactly([0, 1, 2.7, 100.4, 3.5])
    cases += [retyped(case("Cast", numbers, dtype=target), source) for source in kinds for target in kinds]
    cases += [
        case("Cast", exactly([-1.5, -0.5, 2.5, -100.7]), dtype="int32"),
        case("cast", exactly([0, -1, 2.5]), dtype="bool"),
        case("amp_cast", spread(2, 3), dtype="float16"),
        case("contrib.gradientmultiplier", spread(2, 3), scalar=-0.5),
        case("contrib.gradientmultiplier", spread(4)),
        case("contrib.div_sqrt_dim", spread(2, 3, 5)),
        case("contrib.div_sqrt_dim", spread(4)),
        case("contrib.quadratic", spread(2, 3), a=2.0, b=-1.0, c=0.5),
        case("contrib.round_ste", EDGES),
        case("contrib.sign_ste", EDGES),
        case("relu", exactly([-1, 0, np.inf, -np.inf, np.nan]), note="not finite", wrt=()),
        case("sigmoid", exactly([-200, 200, np.inf, -np.inf, np.nan]), note="not finite"),
    ]
    return cases


def _precision() -> list[Case]:
    both = {"a": spread(2, 3, dtype="float16"), "b": spread(4)}
    three = {**both, "c": integers(0, 5, 2, dtype="int32")}
    return [
        case("amp_cast", spread(2, 3, dtype="float16"), dtype="float32"),
        case("amp_cast", spread(2, 3, dtype="float64"), dtype="float16"),
        case("amp_multicast", both, num_outputs=2),
        case("amp_multicast", both, num_outputs=2, cast_narrow=True),
        case("amp_multicast", three, num_outputs=3, wrt=("a", "b")),
        case("amp_multicast", {"a": spread(2), "b": spread(3)}, num_outputs=2),
    ]


FAMILIES = {
    "pairs": _pairs(),
    "broadcast": _broadcast(),
    "scalar": _scalar(),
    "unary": _unary(),
    "precision": _precision(),
}
