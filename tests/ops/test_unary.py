"""Functions of one number: values against NumPy and SciPy, rounding, whole numbers, edges, clipping."""

import numpy as np
import pytest
from scipy import special

import symbind as mx

from .interpreter import call, infer
from .test_elementwise import gradients

ANY = np.array([-3.5, -2.5, -1.5, -0.75, 0.0, 0.25, 1.0, 2.5, 3.5])
POSITIVE = np.array([1e-3, 0.25, 1.0, 2.5, 30.0])
INSIDE = np.array([-0.99, -0.5, 0.0, 0.25, 0.9])
FUNCTIONS = {
    "relu": (lambda x: np.maximum(x, 0), ANY),
    "sigmoid": (special.expit, ANY),
    "tanh": (np.tanh, ANY),
    "softsign": (lambda x: x / (1 + abs(x)), ANY),
    "exp": (np.exp, ANY),
    "expm1": (np.expm1, ANY),
    "log": (np.log, POSITIVE),
    "log10": (np.log10, POSITIVE),
    "log1p": (np.log1p, POSITIVE),
    "log2": (np.log2, POSITIVE),
    "sqrt": (np.sqrt, POSITIVE),
    "rsqrt": (lambda x: 1 / np.sqrt(x), POSITIVE),
    "cbrt": (np.cbrt, ANY),
    "rcbrt": (lambda x: 1 / np.cbrt(x), POSITIVE),
    "square": (np.square, ANY),
    "reciprocal": (np.reciprocal, POSITIVE),
    "abs": (np.abs, ANY),
    "sign": (np.sign, ANY),
    "negative": (np.negative, ANY),
    "ceil": (np.ceil, ANY),
    "floor": (np.floor, ANY),
    "trunc": (np.trunc, ANY),
    "fix": (np.fix, ANY),
    "sin": (np.sin, ANY),
    "cos": (np.cos, ANY),
    "tan": (np.tan, ANY),
    "arcsin": (np.arcsin, INSIDE),
    "arccos": (np.arccos, INSIDE),
    "arctan": (np.arctan, ANY),
    "sinh": (np.sinh, ANY),
    "cosh": (np.cosh, ANY),
    "arcsinh": (np.arcsinh, ANY),
    "arccosh": (np.arccosh, 1 + POSITIVE),
    "arctanh": (np.arctanh, INSIDE),
    "degrees": (np.degrees, ANY),
    "radians": (np.radians, ANY),
    "gamma": (special.gamma, np.array([-3.5, -2.5, -0.75, 0.25, 1, 5.0])),
    "gammaln": (special.gammaln, np.array([-3.5, -2.5, -0.75, 0.25, 1, 5.0])),
    "erf": (special.erf, ANY),
    "erfinv": (special.erfinv, INSIDE),
    "logical_not": (np.logical_not, ANY),
    "_polygamma": (special.digamma, POSITIVE),
    "identity": (lambda x: x, ANY),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name, dtype):
    function, data = FUNCTIONS[name]
    data = data.astype(dtype)
    result = call(name, data)
    assert result.dtype == dtype
    tolerance = {"float64": 1e-12, "float32": 2e-6, "float16": 4e-3}[dtype]
    np.testing.assert_allclose(result, function(data.astype("float64")), rtol=tolerance, atol=tolerance)


def test_rounding_of_halves():
    halves = np.array([-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5])
    assert call("round", halves).tolist() == [-4, -3, -2, -1, 1, 2, 3, 4]  # away from zero
    assert call("rint", halves).tolist() == [-4, -3, -2, -1, 0, 1, 2, 3]  # down


@pytest.mark.parametrize("name", ["round", "rint"])
def test_rounding_is_exact(name):
    # Sums with a half would round these themselves.
    data = np.array([0.49999997, -0.49999997, 8388609.0, 16777215.0, -8388609.0, 1e30, np.inf], "float32")
    assert call(name, data).tolist() == [0, 0, 8388609, 16777215, -8388609, np.float32(1e30), np.inf]


def test_whole_numbers_are_computed_and_cut():
    data = np.array([1, 2, -3], "int32")
    for name, expected in {
        "exp": [2, 7, 0], "sigmoid": [0, 0, 0], "reciprocal": [1, 0, 0], "degrees": [57, 114, -171],
        "cbrt": [1, 1, -1], "square": [1, 4, 9], "relu": [1, 2, 0], "round": data.tolist(), "rint": data.tolist(),
        "logical_not": [0, 0, 0],
    }.items():  # fmt: skip
        result = call(name, data)
        assert result.dtype == "int32"
        assert result.tolist() == expected, name
    assert call("negative", np.array([1, 2, 3], "uint8")).tolist() == [255, 254, 253]


def test_gamma_at_poles():
    result = call("gamma", np.array([-2.0, -1.0, 0.0]))
    assert np.isnan(result[:2]).all()
    assert result[2] == np.inf


def test_what_is_not_finite_stays_so():
    data = np.array([np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(call("relu", data), [np.inf, 0, np.nan])
    np.testing.assert_array_equal(call("sigmoid", data), [1, 0, np.nan])
    np.testing.assert_array_equal(call("clip", data, a_min=-1, a_max=2), [2, -1, np.nan])


def test_gradients_at_kinks_are_zero():
    assert gradients("relu", [-1.0, 0.0, 1.0])[0].tolist() == [0, 0, 1]
    assert gradients("abs", [-1.0, 0.0, 1.0])[0].tolist() == [-1, 0, 1]
    for name in ("sign", "round", "rint", "ceil", "floor", "trunc", "fix", "logical_not"):
        assert gradients(name, [-1.5, 0.0, 2.25])[0].tolist() == [0, 0, 0], name


def test_gradients_outside_the_real_domain():
    assert gradients("log", [-2.0])[0].tolist() == [-0.5]
    assert gradients("sqrt", [0.0])[0].tolist() == [np.inf]
    assert np.isnan(gradients("sqrt", [-1.0])[0]).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_clip_passes_the_gradient_at_its_bounds(dtype):
    data = np.array([-1.5, -1, 0, 2, 2.5], dtype)
    assert call("clip", data, a_min=-1, a_max=2).tolist() == [-1, -1, 0, 2, 2]
    ones = np.ones_like(data)
    assert call("_backward_clip", ones, data, a_min=-1, a_max=2).tolist() == [0, 1, 1, 1, 0]


def test_clip_of_whole_numbers_cuts_the_bounds():
    assert call("clip", np.array([-3, 0, 5], "int32"), a_min=-1.5, a_max=2.5).tolist() == [-1, 0, 2]


def test_smooth_l1():
    data = np.array([-2.0, -0.5, -0.25, 0.0, 0.25, 1.0])
    for sigma in (1.0, 2.0, 0.5):
        near = abs(data) < 1 / sigma**2
        expected = np.where(near, (sigma * data) ** 2 / 2, abs(data) - 0.5 / sigma**2)
        np.testing.assert_allclose(call("smooth_l1", data, scalar=sigma), expected)
        slope = np.where(near, sigma**2 * data, np.sign(data))
        np.testing.assert_allclose(gradients("smooth_l1", data, scalar=sigma)[0], slope)


def test_second_derivatives():
    """Gradients are graphs of operators that have gradients themselves."""
    x = mx.sym.Variable("x")
    point = 0.4
    for symbol, expected in [
        (mx.sym.tanh(x), -2 * np.tanh(point) * (1 - np.tanh(point) ** 2)),
        (mx.sym.sigmoid(x), special.expit(point) * special.expit(-point) * (1 - 2 * special.expit(point))),
        (mx.sym.gammaln(x), special.polygamma(1, point)),
        (mx.sym.erf(x), -4 * point * np.exp(-(point**2)) / np.sqrt(np.pi)),
    ]:
        once = symbol.gradient(["x"])
        twice = once.gradient(["x"])
        values = {"x": mx.nd.array([point], dtype="float64")}
        heads = {name: mx.nd.ones((1,), dtype="float64") for name in twice.list_arguments() if name != "x"}
        np.testing.assert_allclose(twice.eval(**values, **heads)[0].asnumpy(), [expected], rtol=1e-9)


def test_the_input_is_free_after_the_forward_pass():
    """Activations that need only their output for the gradient run in the memory of their input."""
    x = mx.sym.Variable("x")
    size = 1 << 16
    for name in ("relu", "sigmoid", "tanh", "exp"):
        symbol = mx.sym.square(getattr(mx.sym, name)(x * 2))
        plan = symbol.simple_bind(mx.cpu(), x=(size,)).memory_plan()
        assert plan.arena <= 2 * 4 * size + 1024, f"{name} takes {plan.arena} bytes for one value to keep"


def test_shapes_spread_both_ways():
    assert infer("exp", [(0, 3)], [(2, 0)]) == ([(2, 3)], [(2, 3)])
    assert infer("clip", [None], [(2, 3)], a_min=0, a_max=1) == ([(2, 3)], [(2, 3)])


def test_missing_bounds_are_named():
    with pytest.raises(mx.MXNetError, match="Required parameter a_max"):
        mx.sym.clip(mx.sym.Variable("x"), a_min=0)
