"""Reductions against NumPy: axes, shapes, holes, ties, whole numbers, inference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx

from .interpreter import call, infer
from .test_elementwise import gradients

FUNCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "prod": np.prod,
    "nansum": np.nansum,
    "nanprod": np.nanprod,
    "max": np.max,
    "min": np.min,
    "_square_sum": lambda x, **where: np.sum(x * x, **where),
}
DATA = np.random.default_rng(0).uniform(-2, 2, (2, 3, 4, 2))
HOLES = np.array([[1, np.nan, 3], [np.nan, np.nan, np.nan], [-1, 2, 0.5]])
TIES = np.array([[1, 3, 3, 2], [2, 2, 2, 2], [-1, -1, -2, -2]], float)


@st.composite
def reductions(draw):
    axes = draw(st.lists(st.integers(-4, 3), max_size=4, unique_by=lambda a: a % 4))
    return tuple(axes), draw(st.booleans()), draw(st.booleans())


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), reductions())
def test_values_and_shape(operator, reduction):
    axes, keepdims, exclude = reduction
    reduced = tuple(a % 4 for a in axes) or tuple(range(4))
    if exclude and axes:
        reduced = tuple(a for a in range(4) if a not in reduced)
    expected = np.atleast_1d(FUNCTIONS[operator](DATA, axis=reduced, keepdims=keepdims))
    result = call(operator, DATA, axis=axes, keepdims=keepdims, exclude=exclude)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    assert infer(operator, [DATA.shape], axis=axes, keepdims=keepdims, exclude=exclude)[1] == [expected.shape]


@pytest.mark.parametrize("axis", [None, 1, (0, 2), (-1, 1, 0)])
@pytest.mark.parametrize("order", [1, 2])
def test_norm(order, axis):
    expected = np.sum(abs(DATA) ** order, axis=axis, keepdims=True) ** (1 / order)
    result = call("norm", DATA, ord=order, axis=axis, keepdims=True)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    assert result.shape == expected.shape
    assert call("norm", DATA.astype("float32"), ord=order, axis=axis, out_dtype="float64").dtype == "float64"


def test_moments():
    mean, variance = call("moments", DATA, axes=(0, 2))
    np.testing.assert_allclose(mean, DATA.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(variance, DATA.var((0, 2)), rtol=1e-12)
    assert [x.shape for x in call("moments", DATA, axes=-1, keepdims=True)] == [(2, 3, 4, 1)] * 2
    assert [x.shape for x in call("moments", DATA, axes=(0, 1, 2, 3))] == [(1,)] * 2
    assert mx.sym.moments(mx.sym.Variable("x"), axes=0, name="m").list_outputs() == ["m_output0", "m_output1"]
    with pytest.raises(mx.MXNetError, match="needs axes"):
        mx.sym.moments(mx.sym.Variable("x"))


def test_half_precision_is_summed_in_single():
    data = np.full((4096,), 0.5, "float16")
    assert call("sum", data).tolist() == [2048]
    assert call("norm", data).tolist() == [32]
    assert call("mean", data).tolist() == [0.5]


def test_holes():
    assert call("nansum", HOLES, axis=1).tolist() == [4, 0, 1.5]
    assert call("nanprod", HOLES, axis=1).tolist() == [3, 1, -1]
    for operator in ("sum", "mean", "prod", "max", "min"):
        np.testing.assert_array_equal(np.isnan(call(operator, HOLES, axis=1)), [True, True, False])
    assert gradients("nansum", HOLES, axis=1)[0].tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 1]]
    assert gradients("nanprod", HOLES, axis=1)[0].tolist() == [[3, 0, 1], [0, 0, 0], [1, -0.5, -2]]


def test_every_tie_gets_the_whole_gradient():
    assert gradients("max", TIES, axis=1)[0].tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
    assert gradients("min", TIES, axis=1)[0].tolist() == [[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]]


def test_gradient_of_a_zero_norm():
    (gradient,) = gradients("norm", [[0.0, 0.0], [3.0, 4.0]], axis=1)
    assert np.isnan(gradient[0]).all()
    np.testing.assert_allclose(gradient[1], [0.6, 0.8])
    assert gradients("norm", [[0.0, 0.0], [3.0, -4.0]], axis=1, ord=1)[0].tolist() == [[0, 0], [1, -1]]


def test_whole_numbers():
    data = np.array([[1, 2, 3], [4, -5, 6]], "int32")
    for operator, expected in {
        "sum": [6, 5], "mean": [2, 1], "prod": [6, -120], "max": [3, 6], "min": [1, -5], "nansum": [6, 5],
        "nanprod": [6, -120], "norm": [3, 8], "argmax": [2, 2], "argmin": [0, 1],
    }.items():  # fmt: skip
        result = call(operator, data, axis=1)
        assert result.dtype == "int32"
        assert result.tolist() == expected, operator
    assert call("sum", np.array([200, 100], "uint8")).tolist() == [44]
    assert call("mean", np.array([-2, -3], "int32")).tolist() == [-2]


@pytest.mark.parametrize(("operator", "function"), [("argmax", np.argmax), ("argmin", np.argmin)])
def test_positions(operator, function):
    for axis in (0, 1, -1):
        result = call(operator, DATA, axis=axis)
        assert result.dtype == "float64"
        assert (result == function(DATA, axis=axis)).all()
        assert (call(operator, DATA, axis=axis, keepdims=True) == function(DATA, axis=axis, keepdims=True)).all()
    assert call(operator, DATA).tolist() == [function(DATA)]
    assert call(operator, DATA, keepdims=True).shape == (1, 1, 1, 1)
    assert call(operator, TIES, axis=1).tolist() == function(TIES, axis=1).tolist()  # the first of several
    assert gradients(operator, TIES, axis=1)[0].tolist() == np.zeros_like(TIES).tolist()


def test_argmax_channel():
    assert (call("argmax_channel", DATA) == DATA.argmax(1)).all()
    assert call("argmax_channel", TIES).tolist() == [1, 0, 0]


def test_shapes_spread_both_ways():
    assert infer("sum", [(0, 4, 0)], [(2, 3)], axis=1) == ([(2, 4, 3)], [(2, 3)])
    assert infer("mean", [None], [(2, 1, 3)], axis=1, keepdims=True) == ([(2, 0, 3)], [(2, 1, 3)])
    assert infer("sum", [(0, 0)]) == ([(0, 0)], [(1,)])
    assert infer("max", [(2, 0, 3)], axis=1) == ([(2, 0, 3)], [(2, 3)])
    assert infer("argmin", [(0, 3)], [(2,)], axis=1) == ([(2, 3)], [(2,)])
    assert infer("moments", [(0, 3)], [None, (2,)], axes=1) == ([(2, 3)], [(2,), (2,)])


@pytest.mark.parametrize(
    ("operator", "params", "message"),
    [
        ("sum", {"axis": 3}, "axis 3 is out of range"),
        ("sum", {"axis": (0, -2)}, "duplicates"),
        ("norm", {"ord": 3}, "ord=1 and ord=2"),
        ("argmax", {"axis": -3}, "axis -3"),
    ],
)
def test_errors(operator, params, message):
    with pytest.raises(mx.MXNetError, match=message):
        infer(operator, [(2, 3)], **params)


def test_a_spread_gradient_does_not_keep_the_data():
    """The gradient of a sum needs the shape of what was summed, not its numbers."""
    x = mx.sym.Variable("x")
    size = 1 << 16
    symbol = mx.sym.sum(mx.sym.sigmoid(x * 2))
    assert symbol.simple_bind(mx.cpu(), x=(size,)).memory_plan().arena <= 2 * 4 * size + 1024
