"""Pairs of equal shape: values against NumPy, whole numbers, ties, inference."""

import numpy as np
import pytest

import symbind as mx

from .interpreter import call, infer

NUMPY = {
    "elemwise_add": np.add,
    "elemwise_sub": np.subtract,
    "elemwise_mul": np.multiply,
    "elemwise_div": np.divide,
    "_power": np.power,
    "_maximum": np.maximum,
    "_minimum": np.minimum,
    "_hypot": np.hypot,
    "_mod": np.mod,
    "_equal": np.equal,
    "_not_equal": np.not_equal,
    "_greater": np.greater,
    "_greater_equal": np.greater_equal,
    "_lesser": np.less,
    "_lesser_equal": np.less_equal,
    "_logical_and": np.logical_and,
    "_logical_or": np.logical_or,
    "_logical_xor": np.logical_xor,
}
LEFT = np.array([0.5, 2.0, 0.0, 1.5, 3.0, 0.25])
RIGHT = np.array([0.5, -1.5, 2.0, 1.0, 3.0, -0.75])


def gradients(operator, *arrays, **params):
    """Gradients of the sum of the output, through an executor."""
    names = [f"x{i}" for i in range(len(arrays))]
    function = getattr(mx.sym, operator, None) or getattr(mx.sym._internal, operator)
    symbol = function(*map(mx.sym.Variable, names), **params)
    arguments = {name: mx.nd.array(np.asarray(array), dtype="float64") for name, array in zip(names, arrays)}
    executor = symbol.bind(mx.cpu(), arguments, {name: mx.nd.zeros_like(a) for name, a in arguments.items()})
    outputs = executor.forward(is_train=True)
    executor.backward([mx.nd.ones_like(output) for output in outputs])
    return [executor.grad_dict[name].asnumpy() for name in names]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("operator", NUMPY)
def test_values(operator, dtype):
    left, right = LEFT.astype(dtype), RIGHT.astype(dtype)
    result = call(operator, left, right)
    assert result.dtype == dtype
    expected = NUMPY[operator](left.astype("float64"), right.astype("float64"))
    np.testing.assert_allclose(result, expected, rtol=2e-3 if dtype == "float16" else 1e-6)


def test_whole_numbers():
    left, right = np.array([-7, 7, -7, 7, 0, 3], "int32"), np.array([3, -3, -3, 3, 2, 3], "int32")
    assert call("elemwise_div", left, right).tolist() == [-2, -2, 2, 2, 0, 1]
    assert call("_mod", left, right).tolist() == [2, -2, -1, 1, 0, 0]
    assert call("_power", left, right).tolist() == [-343, 0, 0, 343, 0, 27]
    assert call("_hypot", left, right).tolist() == [7, 7, 7, 7, 2, 4]
    assert call("_equal", left, right).dtype == "int32"
    assert call("elemwise_add", np.array([250, 3], "uint8"), np.array([10, 4], "uint8")).tolist() == [4, 7]


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_modulo_zero_is_zero(dtype):
    left, right = np.array([7, 3, 0], dtype), np.array([0, 2, 0], dtype)
    assert call("_mod", left, right).tolist() == [0, 1, 0]


def test_whole_numbers_divided_by_zero_are_zero():
    """They cannot be infinite, and the gradient of the modulo divides."""
    left, right = (np.array(numbers, "int32") for numbers in ([7, -3, 0], [0, 2, 0]))
    assert call("elemwise_div", left, right).tolist() == [0, -1, 0]
    a, b = mx.sym.var("a", dtype="int32"), mx.sym.var("b", dtype="int32")
    executor = (a % b).simple_bind(mx.cpu(), a=(3,), b=(3,))
    executor.forward(is_train=True, a=left, b=right)
    executor.backward(mx.nd.zeros(3, dtype="int32"))
    assert not executor.grad_dict["b"].asnumpy().any()


def test_the_gradient_of_ties_goes_left():
    for operator in ("_maximum", "_minimum"):
        left, right = gradients(operator, [1.0, 2.0], [1.0, 2.0])
        assert left.tolist() == [1, 1]
        assert right.tolist() == [0, 0]


def test_gradients_beyond_the_samples():
    left, right = gradients("elemwise_div", [3.0, 1.0], [0.0, 2.0])
    assert left.tolist() == [np.inf, 0.5]
    assert right.tolist() == [-np.inf, -0.25]
    left, right = gradients("_mod", [7.0, -7.0], [3.0, 3.0])
    assert left.tolist() == [1, 1]
    assert right.tolist() == [-2, 3]
    assert [g.tolist() for g in gradients("_greater", [1.0], [2.0])] == [[0], [0]]


def test_add_n():
    arrays = [np.full((2, 3), float(n)) for n in range(1, 6)]
    for count in (1, 2, 3, 5):
        assert (call("add_n", *arrays[:count]) == sum(range(1, count + 1))).all()
    symbol = mx.sym.ElementWiseSum(*map(mx.sym.Variable, "abc"))
    assert symbol.attr("num_args") == "3"
    assert [g.tolist() for g in gradients("add_n", [1.0], [2.0], [3.0])] == [[1], [1], [1]]


def test_one_array_used_twice():
    x = mx.sym.Variable("x")
    symbol = mx.sym.add_n(x * x, x, x)
    executor = symbol.simple_bind(mx.cpu(), x=(2,))
    executor.arg_dict["x"][:] = np.array([3, -1])
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [15, -1]
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["x"].asnumpy().tolist() == [8, 0]


def test_shapes_spread_both_ways():
    assert infer("elemwise_add", [(0, 10), (12, 0)]) == ([(12, 10)] * 2, [(12, 10)])
    assert infer("_mod", [None, None], [(3, 4)]) == ([(3, 4)] * 2, [(3, 4)])
    assert infer("add_n", [None, (2, 0), None], [(0, 5)]) == ([(2, 5)] * 3, [(2, 5)])


def test_errors_name_what_differs():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    with pytest.raises(mx.MXNetError, match=r"_plus\d+.*\[2,3\].*\[?\(?3,2"):
        (a + b).infer_shape(a=(2, 3), b=(3, 2))
    with pytest.raises(mx.MXNetError, match=r"float32.*int32|int32.*float32"):
        (a * b).infer_type(a="float32", b="int32")
    with pytest.raises(mx.MXNetError):
        (a + b).infer_shape(a=(2, 3), b=(1, 3))  # no broadcasting


def test_every_spelling_is_one_operator():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    for spelling in ("_Plus", "_plus", "_add"):
        assert '"op": "elemwise_add"' in getattr(mx.sym._internal, spelling)(a, b).tojson()
    assert '"op": "elemwise_add"' in mx.sym.sparse.elemwise_add(a, b).tojson()
