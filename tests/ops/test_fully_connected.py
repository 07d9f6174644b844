"""The dense layer: products, shapes in both directions, refusals."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, check_gradient, infer

RANDOM = np.random.RandomState(0)
DATA, WEIGHT, BIAS = RANDOM.randn(2, 3, 4), RANDOM.randn(5, 12), RANDOM.randn(5)


def test_flattened_rows():
    got = call("FullyConnected", DATA, WEIGHT, BIAS, num_hidden=5)
    np.testing.assert_allclose(got, DATA.reshape(2, 12) @ WEIGHT.T + BIAS)


def test_last_axis():
    got = call("FullyConnected", DATA, WEIGHT[:, :4], BIAS, num_hidden=5, flatten=False)
    np.testing.assert_allclose(got, np.einsum("nck,hk->nch", DATA, WEIGHT[:, :4]) + BIAS)


def test_without_bias():
    got = call("FullyConnected", DATA, WEIGHT, num_hidden=5, no_bias=True)
    np.testing.assert_allclose(got, DATA.reshape(2, 12) @ WEIGHT.T)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-2), ("float32", 1e-5)])
def test_precisions(dtype, tolerance):
    got = call("FullyConnected", *(a.astype(dtype) for a in (DATA, WEIGHT, BIAS)), num_hidden=5)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, DATA.reshape(2, 12) @ WEIGHT.T + BIAS, rtol=tolerance, atol=tolerance)


def test_an_array_of_one_axis_is_a_column_or_a_row():
    column = call("FullyConnected", np.array([1.0, 2.0, 3.0]), np.array([[10.0], [20.0]]), num_hidden=2, no_bias=True)
    np.testing.assert_array_equal(column, [[10, 20], [20, 40], [30, 60]])
    row = call("FullyConnected", DATA[0, 0], WEIGHT[:, :4], num_hidden=5, no_bias=True, flatten=False)
    np.testing.assert_allclose(row, WEIGHT[:, :4] @ DATA[0, 0])


@pytest.mark.parametrize(
    ("given", "output", "params", "told"),
    [
        ([(2, 3, 4), None, None], None, {}, ([(2, 3, 4), (5, 12), (5,)], [(2, 5)])),
        ([(0, 3, 4), None, None], (2, 0), {}, ([(2, 3, 4), (5, 12), (5,)], [(2, 5)])),
        ([(2, 0, 4), None, None], None, {}, ([(2, 0, 4), (5, 0), (5,)], [(2, 5)])),
        ([(2, 0), (5, 7), None], None, {}, ([(2, 7), (5, 7), (5,)], [(2, 5)])),
        ([None, (5, 7), None], (2, 5), {}, ([None, (5, 7), None], [(2, 5)])),
        ([(0, 3, 4), None], (2, 3, 5), {"flatten": False, "no_bias": True}, ([(2, 3, 4), (5, 4)], [(2, 3, 5)])),
    ],
)
def test_inference(given, output, params, told):
    assert infer("FullyConnected", given, [output], num_hidden=5, **params) == told


@pytest.mark.parametrize(
    "given", [[(2, 3), (5, 4), None], [(2, 3), (4, 3), None], [(2, 3), None, (4,)], [(2, 3), (5, 3, 1), None]]
)
def test_what_does_not_fit_is_refused(given):
    with pytest.raises(MXNetError, match="inconsistent"):
        infer("FullyConnected", given, num_hidden=5)


def test_the_width_must_be_positive():
    with pytest.raises(MXNetError, match="num_hidden of FullyConnected must be at least 1, not 0"):
        mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=0)


def test_gradient_of_the_gradient():
    """The gradients of a dense layer are products too, and know their own gradients."""
    head = RANDOM.randn(2, 5)
    check_gradient("_backward_FullyConnected_data", head, WEIGHT, DATA, wrt=(0, 1), num_hidden=5)
    check_gradient("_backward_FullyConnected_weight", head, DATA, wrt=(0, 1), num_hidden=5)
