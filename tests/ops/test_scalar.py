"""An array and a number: values against NumPy, whole numbers as in MXNet, special powers, gradients at ties."""

import numpy as np
import pytest

import symbind as mx

from .interpreter import call
from .test_elementwise import gradients

DATA = np.array([0.5, 2.0, 1.0, 3.25])
FUNCTIONS = {
    "plus": np.add,
    "minus": np.subtract,
    "rminus": lambda x, s: s - x,
    "mul": np.multiply,
    "div": np.divide,
    "rdiv": lambda x, s: s / x,
    "mod": np.mod,
    "rmod": lambda x, s: np.mod(s, x),
    "power": np.power,
    "rpower": lambda x, s: np.power(s, x),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "hypot": np.hypot,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "lesser": np.less,
    "lesser_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


@pytest.mark.parametrize("scalar", [2, 0.75, 3.25])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name, dtype, scalar):
    result = call(f"_{name}_scalar", DATA.astype(dtype), scalar=scalar)
    assert result.dtype == dtype
    expected = FUNCTIONS[name](DATA.astype(dtype).astype("float64"), scalar)
    np.testing.assert_allclose(result, expected, rtol=4e-3 if dtype == "float16" else 1e-6)


WHOLE = np.array([-7, 7, 5, 2, 4], "int32")


@pytest.mark.parametrize(
    ("name", "scalar", "expected"),
    [
        ("plus", 2.5, [-5, 9, 7, 4, 6]),  # the number is cut before, not the sum after
        ("mul", 2.5, [-14, 14, 10, 4, 8]),
        ("div", 2, [-3, 3, 2, 1, 2]),
        ("div", -3, [2, -2, -1, 0, -1]),
        ("rdiv", -3, [0, 0, 0, -1, 0]),
        ("mod", -3, [-1, -2, -1, -1, -2]),
        ("mod", 0, [0, 0, 0, 0, 0]),
        ("rmod", -3, [-3, 4, 2, 1, 1]),
        ("power", -3, [0, 0, 0, 0, 0]),
        ("rpower", -3, [0, -2187, -243, 9, 81]),
        ("hypot", -3, [7, 7, 5, 3, 5]),
        ("equal", 2.5, [0, 0, 0, 1, 0]),
    ],
)
def test_whole_numbers(name, scalar, expected):
    result = call(f"_{name}_scalar", WHOLE, scalar=scalar)
    assert result.dtype == "int32"
    assert result.tolist() == expected


def test_small_whole_numbers_wrap():
    data = np.array([1, 7, 250], "uint8")
    assert call("_plus_scalar", data, scalar=300).tolist() == [45, 51, 38]
    assert call("_maximum_scalar", data, scalar=-3).tolist() == [253, 253, 253]


def test_is_int_false_computes_in_double_precision():
    result = call("_div_scalar", WHOLE, scalar=2.5, is_int=False)
    assert result.dtype == "float64"
    np.testing.assert_allclose(result, WHOLE / 2.5)
    symbol = mx.sym._internal._plus_scalar(mx.sym.Variable("x"), scalar=1, is_int=False)
    assert symbol.infer_type(x="int32")[1] == [np.float64]
    assert symbol.infer_type(x="float16")[1] == [np.float16]


def test_modulo_of_and_by_zero():
    assert call("_mod_scalar", DATA, scalar=0).tolist() == [0, 0, 0, 0]
    assert call("_rmod_scalar", np.array([0.0, 2.0]), scalar=3).tolist() == [0, 1]


@pytest.mark.parametrize("exponent", [-2, -1, -0.5, 0, 0.5, 1, 2, 3, 2.5])
def test_gradient_of_powers(exponent):
    (gradient,) = gradients("_power_scalar", DATA, scalar=exponent)
    np.testing.assert_allclose(gradient, exponent * DATA ** (exponent - 1.0), rtol=1e-12)


def test_gradient_of_exponentials_of_odd_bases():
    assert np.isnan(gradients("_rpower_scalar", [2.0], scalar=-2)).all()
    assert gradients("_rpower_scalar", [-2.0], scalar=0)[0].tolist() == [-np.inf]


def test_ties_pass_the_gradient():
    assert gradients("_maximum_scalar", [1.0, 2.0, 3.0], scalar=2)[0].tolist() == [0, 1, 1]
    assert gradients("_minimum_scalar", [1.0, 2.0, 3.0], scalar=2)[0].tolist() == [1, 1, 0]


def test_python_arithmetic():
    x = mx.sym.Variable("x")
    value = 3.0
    for symbol, expected in [
        (2 - x, -1), (x - 2, 1), (6 / x, 2), (x / 2, 1.5), (2**x, 8), (x**2, 9), (7 % x, 1), (x % 2, 1), (-x, -3),
        (x > 2, 1), (x == 3, 1), (x != 3, 0), (abs(x - 5), 2),
    ]:  # fmt: skip
        assert symbol.eval(x=mx.nd.array([value]))[0].asnumpy().tolist() == [expected], symbol.tojson()


def test_a_parameter_that_is_no_number_is_named():
    with pytest.raises(mx.MXNetError, match=r"scalar.*expect.*'much'.*_plus_scalar"):
        mx.sym._internal._plus_scalar(mx.sym.Variable("x"), scalar="much")
