"""Operators between arrays and numbers against NumPy; what NumPy does otherwise was read off MXNet 1.9.1."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import symbind as mx
from symbind import nd

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["uint8", "int8", "int32", "int64"]
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.mod, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
# What mx.nd calls the same functions.
NAMES = {
    operator.add: "add", operator.sub: "subtract", operator.mul: "multiply", operator.truediv: "divide",
    operator.mod: "modulo", operator.pow: "power", operator.eq: "equal", operator.ne: "not_equal",
    operator.lt: "lesser", operator.le: "lesser_equal", operator.gt: "greater", operator.ge: "greater_equal",
}  # fmt: skip


def same(result: nd.NDArray, expected: object, dtype: str) -> None:
    assert result.dtype == np.dtype(dtype).type
    rtol = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-12}.get(dtype, 0)
    np.testing.assert_allclose(result.asnumpy(), np.asarray(expected).astype(dtype), rtol=rtol)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@pytest.mark.parametrize("function", ARITHMETIC + COMPARISONS)
def test_two_arrays(function, dtype):
    left = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    right = np.array([[3, 2, 1], [2, 3, 4]], dtype)
    expected = function(left.astype("float64"), right.astype("float64"))
    a, b = nd.array(left, dtype=dtype), nd.array(right, dtype=dtype)
    if dtype in INTEGERS:
        # Exact in double precision, then wrapped and cut as the type does.
        expected = np.trunc(expected).astype("int64")
    same(function(a, b), expected, dtype)
    same(getattr(nd, NAMES[function])(a, b), expected, dtype)


@pytest.mark.parametrize("number", [3, 0.5, -2, True, np.float32(1.5), np.int64(2)])
@pytest.mark.parametrize("function", ARITHMETIC + COMPARISONS)
def test_array_and_number_either_way(function, number):
    values = np.array([[1, 2, 3], [4, 5, 6]], "float32")
    array = nd.array(values)
    number_as_float = np.float32(number)
    same(function(array, number), function(values, number_as_float), "float32")
    same(function(number, array), function(number_as_float, values), "float32")
    same(getattr(nd, NAMES[function])(array, number), function(values, number_as_float), "float32")
    same(getattr(nd, NAMES[function])(number, array), function(number_as_float, values), "float32")


def test_functions_without_a_sign():
    a, b = nd.array([0, 2, 3]), nd.array([1, 0, 5])
    for name, expected in {
        "maximum": [1, 2, 5], "minimum": [0, 0, 3], "logical_and": [0, 0, 1], "logical_or": [1, 1, 1],
        "logical_xor": [1, 1, 0],
    }.items():  # fmt: skip
        same(getattr(nd, name)(a, b), expected, "float32")
    same(nd.maximum(a, 1), [1, 2, 3], "float32")
    same(nd.minimum(2, a), [0, 2, 2], "float32")
    same(nd.logical_or(a, 1), [1, 1, 1], "float32")
    same(nd.true_divide(a, 2), [0, 1, 1.5], "float32")
    same(-a, [0, -2, -3], "float32")
    same(abs(-a), [0, 2, 3], "float32")


def test_two_numbers_give_a_number():
    assert nd.add(1, 2) == 3
    assert nd.power(2, 3) == 8
    assert nd.maximum(2, 3) == 3
    assert nd.equal(2, 2) == 1
    assert nd.logical_and(0, 1) == 0
    assert nd.logical_xor(2, 0) == 1


SHAPES = arrays.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=4, max_side=4)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from([operator.add, operator.mul, operator.gt]))
def test_broadcasting(shapes, function):
    random = np.random.RandomState(0)
    left, right = (random.randint(-3, 4, shape).astype("float32") for shape in shapes.input_shapes)
    expected = function(left, right)
    result = function(nd.array(left), nd.array(right))
    assert result.shape == shapes.result_shape
    np.testing.assert_array_equal(result.asnumpy(), expected)


# ---- where MXNet is not NumPy ------------------------------------------------------------------------------------


def test_modulo_zero_is_zero():
    zeros = nd.zeros((3,))
    for dtype in FLOATS + INTEGERS:
        array = nd.array([1, 2, 3]).astype(dtype)
        same(array % 0, [0, 0, 0], dtype)
        same(array % zeros.astype(dtype), [0, 0, 0], dtype)


def test_modulo_takes_the_sign_of_the_divisor():
    same(nd.array([5.5, -5.5]) % nd.array([-2, 2]), [-0.5, 0.5], "float32")
    same(nd.array([1, 2, 3, 4], dtype="int32") % -4, [-3, -2, -1, 0], "int32")
    same(-7 % nd.array([3, 4], dtype="int32"), [2, 1], "int32")


def test_whole_numbers_divide_towards_zero():
    same(nd.array([5, -5], dtype="int32") / nd.array([2, 2], dtype="int32"), [2, -2], "int32")
    same(nd.array([7, -7], dtype="int64") / 2, [3, -3], "int64")
    same(2 / nd.array([1, 2, 3], dtype="int32"), [2, 1, 0], "int32")


def test_whole_numbers_divided_by_zero_are_zero():
    array = nd.array([1, 2], dtype="int32")
    same(array / 0, [0, 0], "int32")
    same(array / nd.array([1, 0], dtype="int32"), [1, 0], "int32")
    same(array % 0, [0, 0], "int32")


@pytest.mark.parametrize(
    ("result", "expected", "dtype"),
    [
        (lambda: nd.array([1, 2, 3], dtype="int32") + 1.5, [2, 3, 4], "int32"),
        (lambda: nd.array([1, 2, 3], dtype="int32") * 1.5, [1, 2, 3], "int32"),
        (lambda: nd.array([1, 2, 3], dtype="int32") / 4.5, [0, 0, 0], "int32"),
        (lambda: nd.array([1, 2, 3], dtype="int32") > 2.5, [0, 0, 1], "int32"),
        (lambda: nd.array([1, 2, 3], dtype="int32") == 2.5, [0, 1, 0], "int32"),
        (lambda: nd.array([1, 2, 3], dtype="int32") ** -1, [1, 0, 0], "int32"),
        (lambda: nd.array([1, 2, 3], dtype="int32") ** 0.5, [1, 1, 1], "int32"),
        (lambda: nd.array([200, 100], dtype="uint8") + 300, [244, 144], "uint8"),
        (lambda: nd.array([200, 100], dtype="uint8") - 201, [255, 155], "uint8"),
        (lambda: nd.array([200, 100], dtype="uint8") + (-1), [199, 99], "uint8"),
        (lambda: nd.array([2, 3], dtype="uint8") > -1, [0, 0], "uint8"),
        (lambda: -nd.array([1, 2], dtype="uint8"), [255, 254], "uint8"),
        (lambda: nd.array([2**31 - 1], dtype="int32") + 1, [-(2**31)], "int32"),
        (lambda: nd.array([2**53 + 1], dtype="int64") + 1, [2**53 + 2], "int64"),
        (lambda: nd.array([1, 0], dtype="bool") + 1, [2, 1], "int64"),
        (lambda: nd.array([1, 0], dtype="bool") == 1, [1, 0], "int64"),
        (lambda: nd.array([0, 1]) / 0, [np.nan, np.inf], "float32"),
        (lambda: nd.array([3, -3, 0]) % float("inf"), [3, np.inf, 0], "float32"),
    ],
)
def test_a_number_takes_the_type_of_the_array(result, expected, dtype):
    same(result(), expected, dtype)


def test_a_number_that_the_type_has_not():
    with pytest.raises(mx.MXNetError, match="nan is no value of an int32 array"):
        nd.array([1], dtype="int32") + float("nan")


# ---- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ARITHMETIC + COMPARISONS)
def test_types_are_not_promoted(function):
    with pytest.raises(mx.MXNetError, match="expected float32, got int32"):
        function(nd.ones((2,)), nd.ones((2,), dtype="int32"))


def test_shapes_that_do_not_broadcast():
    with pytest.raises(mx.MXNetError, match=r"could not be broadcast together with shapes \[2, 3\] \[2\]"):
        nd.ones((2, 3)) + nd.ones((2,))


@pytest.mark.parametrize("other", [None, "x", [1, 2], np.ones(2), 1j])
@pytest.mark.parametrize("function", [operator.add, operator.eq, operator.ne, operator.lt])
def test_operands_of_another_kind(function, other):
    with pytest.raises(TypeError, match="not supported"):
        function(nd.ones((2,)), other)
    with pytest.raises(TypeError, match="not supported"):
        function(other, nd.ones((2,)))
    with pytest.raises(TypeError, match="not supported"):
        nd.add(other, 1)


def test_booleans_have_no_arithmetic():
    array = nd.array([1, 0], dtype="bool")
    with pytest.raises(mx.MXNetError, match="does not support boolean"):
        array + array
    same(array == array, [True, True], "bool")


# ---- in place ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function", [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.imod, operator.ipow]
)
def test_in_place(function):
    values = np.array([[5, 6, 7], [8, 9, 10]], "float32")
    array = nd.array(values)
    row = array[0]
    expected = function(values.copy(), np.float32(3))
    result = function(array, 3)
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-6)
    if function is not operator.ipow:  # which no MXNet array has: a new array takes the name
        assert result is array
        np.testing.assert_allclose(row.asnumpy(), expected[0], rtol=1e-6)


def test_in_place_broadcasts_into_the_array_only():
    array = nd.ones((2, 3))
    array += nd.array([[1, 2, 3]])
    np.testing.assert_array_equal(array.asnumpy(), [[2, 3, 4]] * 2)
    with pytest.raises(mx.MXNetError, match=r"Provided = \[2, 3\], inferred shape=\[4, 2, 3\]"):
        array += nd.ones((4, 2, 3))
    with pytest.raises(mx.MXNetError, match="expected float32, got int32"):
        array += nd.ones((2, 3), dtype="int32")
    with pytest.raises(mx.MXNetError, match="Type inconsistent"):
        flags = nd.array([1, 0], dtype="bool")
        flags += 1
    np.testing.assert_array_equal(array.asnumpy(), [[2, 3, 4]] * 2)


def test_in_place_with_itself():
    array = nd.array([1, 2, 3])
    array += array
    array %= array - 1
    np.testing.assert_array_equal(array.asnumpy(), [0, 1, 1])


def test_in_place_with_a_part_of_itself():
    array = nd.array([[1, 2], [3, 4], [5, 6]])
    array -= array[1:2]
    np.testing.assert_array_equal(array.asnumpy(), [[-2, -2], [0, 0], [2, 2]])
    array = nd.arange(4)
    part = array[1:]
    part += array[:-1]
    np.testing.assert_array_equal(array.asnumpy(), [0, 1, 3, 5])


# ---- the same as the operators -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_the_shortcut_computes_what_the_operators_compute(dtype):
    values = nd.array([[1, -2, 3], [0, 5, -6]], dtype=dtype)
    other = nd.array([[2, 3, 4]], dtype=dtype)
    for sign, name in NAMES.items():
        short = {"subtract": "sub", "multiply": "mul", "divide": "div", "modulo": "mod"}.get(name, name)
        if not (sign is operator.pow and dtype == "float32"):  # NaN where a negative number meets a fraction
            np.testing.assert_array_equal(
                sign(values, other).asnumpy(), getattr(nd, f"broadcast_{short}")(values, other).asnumpy(), short
            )
        scalar = getattr(nd._internal, {"add": "_plus_scalar", "sub": "_minus_scalar"}.get(short, f"_{short}_scalar"))
        np.testing.assert_array_equal(sign(values, 2).asnumpy(), scalar(values, scalar=2).asnumpy(), short)


def test_the_context_is_that_of_the_left_array():
    a, b = nd.ones((2,), ctx=mx.cpu(1)), nd.ones((2,), ctx=mx.cpu(2))
    for result, expected in [(a + b, 1), (b + a, 2), (a + 1, 1), (1 - b, 2), (a > b, 1), (-b, 2), (abs(b), 2)]:
        assert result.context == mx.cpu(expected)


def test_numpy_scalars_leave_the_work_to_the_array():
    for number, function in itertools.product([np.float32(2), np.float64(2), np.int32(2)], ARITHMETIC + COMPARISONS):
        assert isinstance(function(number, nd.ones((2,))), nd.NDArray)
