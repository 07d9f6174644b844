"""Broadcasting: random shapes against NumPy, the explicit repetitions, and the gradient's way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx

from .interpreter import call, infer
from .test_elementwise import NUMPY, gradients

FUNCTIONS = {f"broadcast_{name.removeprefix('elemwise').removeprefix('_')}": f for name, f in NUMPY.items()}


@st.composite
def broadcastable(draw):
    """Two shapes that broadcast together."""
    whole = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    shapes = []
    for _ in range(2):
        shape = [draw(st.sampled_from([1, n])) for n in whole]
        shapes.append(tuple(shape[draw(st.integers(0, len(shape) - 1)) :]))
    return tuple(shapes)


@settings(max_examples=60, deadline=None)
@given(broadcastable(), st.sampled_from(sorted(FUNCTIONS)))
def test_values_and_shape(shapes, operator):
    random = np.random.default_rng(0)
    left, right = (random.uniform(0.5, 2, shape).round(1) for shape in shapes)
    expected = FUNCTIONS[operator](left, right)
    result = call(operator, left, right)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(broadcastable())
def test_the_gradient_is_summed_over_what_was_repeated(shapes):
    random = np.random.default_rng(0)
    left, right = (random.uniform(-1, 1, shape) for shape in shapes)
    whole = np.broadcast_shapes(*shapes)
    left_gradient, right_gradient = gradients("broadcast_mul", left, right)

    def summed(array, shape):
        array = array.sum(tuple(range(array.ndim - len(shape))))
        return array.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    np.testing.assert_allclose(left_gradient, summed(np.broadcast_to(right, whole), left.shape), atol=1e-12)
    np.testing.assert_allclose(right_gradient, summed(np.broadcast_to(left, whole), right.shape), atol=1e-12)


def test_an_operand_of_lower_rank_is_overwritten():
    """What is added to has the output's size but not its rank, and nobody reads it again."""
    x, y = mx.sym.var("x"), mx.sym.var("y")
    executor = mx.sym.broadcast_add(x, mx.sym.exp(y) * 2).simple_bind(mx.cpu(), x=(1, 1), y=(1,), grad_req="null")
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), [[2]])


def test_shapes():
    assert infer("broadcast_add", [(2, 1), (1, 3)])[1] == [(2, 3)]
    assert infer("broadcast_add", [(4, 1, 3), (2, 3)])[1] == [(4, 2, 3)]
    assert infer("broadcast_add", [(0, 3), (2, 3)])[1] == [(2, 3)]  # whatever the unknown one is
    assert infer("broadcast_add", [(0, 3), (1, 3)])[1] == [(0, 3)]
    with pytest.raises(mx.MXNetError, match=r"broadcast.*\(2, 3\).*\(2, 4\)"):
        infer("broadcast_add", [(2, 3), (2, 4)])


def test_broadcast_to():
    data = np.arange(6.0).reshape(2, 1, 3)
    assert (call("broadcast_to", data, shape=(2, 4, 0)) == np.broadcast_to(data, (2, 4, 3))).all()
    assert infer("broadcast_to", [None], shape=(0, 5)) == ([None], [(0, 5)])
    assert infer("broadcast_to", [(0, 1)], [(2, 5)], shape=(0, 5)) == ([(2, 1)], [(2, 5)])
    for shape, wanted in [((1,), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 4))]:
        with pytest.raises(mx.MXNetError, match="broadcast"):
            infer("broadcast_to", [shape], shape=wanted)


def test_broadcast_axis():
    data = np.arange(3.0).reshape(1, 3, 1)
    result = call("broadcast_axis", data, axis=(0, 2), size=(2, 4))
    assert (result == np.broadcast_to(data, (2, 3, 4))).all()
    assert call("broadcast_axes", data, axis=-1, size=5).shape == (1, 3, 5)
    assert infer("broadcast_axis", [(1, 0, 1)], [(2, 7, 0)], axis=0, size=2) == ([(1, 7, 1)], [(2, 7, 1)])
    with pytest.raises(mx.MXNetError, match="axis 1 has size 3"):
        infer("broadcast_axis", [(1, 3)], axis=1, size=3)
    with pytest.raises(mx.MXNetError, match="out of range"):
        infer("broadcast_axis", [(1, 3)], axis=5, size=3)
    with pytest.raises(mx.MXNetError, match="differ in length"):
        infer("broadcast_axis", [(1, 3)], axis=(0,), size=(3, 4))


def test_broadcast_like():
    data = np.arange(3.0).reshape(1, 3, 1)
    assert call("broadcast_like", data, np.zeros((2, 3, 4))).shape == (2, 3, 4)
    result = call("broadcast_like", data, np.zeros((5, 6)), lhs_axes=(0, -1), rhs_axes=(1, 0))
    assert (result == np.broadcast_to(data, (6, 3, 5))).all()
    # The other array may have another type; only its shape counts.
    assert call("broadcast_like", data, np.zeros((2, 3, 1), "int32")).dtype == "float64"
    for left, right, params, message in [
        ((3,), (2, 3), {}, "ranks differ"),
        ((2, 3), (5, 3), {}, "must be 1"),
        ((1, 3), (5, 3), {"lhs_axes": (0, 1), "rhs_axes": (0,)}, "equally many"),
        ((1, 3), (5, 3), {"lhs_axes": (), "rhs_axes": ()}, "not none"),
        ((1, 3), (5, 3), {"lhs_axes": (4,), "rhs_axes": (0,)}, "lhs_axes 4"),
    ]:
        with pytest.raises(mx.MXNetError, match=message):
            infer("broadcast_like", [left, right], **params)


def test_sum_to_shape_like():
    data = np.arange(24.0).reshape(2, 3, 4)
    for shape, axes in [((2, 1, 4), 1), ((1, 3, 1), (0, 2)), ((2, 3, 4), ())]:
        assert (call("_sum_to_shape_like", data, np.zeros(shape)) == data.sum(axes, keepdims=True)).all()
    assert (call("_sum_to_shape_like", data, np.zeros((3, 1))) == data.sum((0, 2))[:, None]).all()
    assert (call("_sum_to_shape_like", data, np.zeros((1,))) == data.sum()).all()
    with pytest.raises(mx.MXNetError):
        infer("_sum_to_shape_like", [(2, 3), (2, 2)])


def test_equal_shapes_cost_nothing_to_reduce():
    """A broadcast pair of equal shapes sums nothing, and takes no more memory than a pair of equal shape."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")

    def arena(symbol):
        return symbol.simple_bind(mx.cpu(), a=(64, 64), b=(64, 64)).memory_plan().arena

    assert arena(mx.sym.exp(mx.sym.broadcast_mul(mx.sym.exp(a), b))) <= arena(mx.sym.exp(mx.sym.exp(a) * b))
