"""Operators that are there for their gradient."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import infer

DATA = np.array([[-2.5, -0.5, 0.0], [0.5, 1.2, 2.5]])
HEAD = np.array([[1.0, 2, 3], [4, 5, 6]])


def run(symbol):
    """Output and gradient of ``symbol`` of the variable ``data``."""
    executor = symbol.simple_bind(data=DATA.shape, type_dict={"data": "float64"})
    output = executor.forward(is_train=True, data=mx.nd.array(DATA, dtype="float64"))[0].asnumpy()
    executor.backward(mx.nd.array(HEAD, dtype="float64"))
    return output, executor.grad_dict["data"].asnumpy()


def test_block_grad():
    data = mx.sym.var("data")
    output, gradient = run(mx.sym.BlockGrad(data))
    np.testing.assert_array_equal(output, DATA)
    np.testing.assert_array_equal(gradient, np.zeros(DATA.shape))
    _, gradient = run(data * mx.sym.stop_gradient(data))
    np.testing.assert_array_equal(gradient, HEAD * DATA)


def test_gradient_multiplier():
    output, gradient = run(mx.sym.contrib.gradientmultiplier(mx.sym.var("data"), scalar=-0.5))
    np.testing.assert_array_equal(output, DATA)
    np.testing.assert_array_equal(gradient, -0.5 * HEAD)


def test_straight_through():
    output, gradient = run(mx.sym.contrib.round_ste(mx.sym.var("data")))
    np.testing.assert_array_equal(output, [[-3, -1, 0], [1, 1, 3]])
    np.testing.assert_array_equal(gradient, HEAD)
    output, gradient = run(mx.sym.contrib.sign_ste(mx.sym.var("data")))
    np.testing.assert_array_equal(output, np.sign(DATA))
    np.testing.assert_array_equal(gradient, HEAD)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2)])
def test_sparseness(shape):
    """The penalty is the derivative of a divergence between two coins with respect to the second's bias."""
    data = np.random.RandomState(0).uniform(0.1, 0.9, shape)
    symbol = mx.sym.IdentityAttachKLSparseReg(
        mx.sym.var("data"), sparseness_target=0.2, penalty=0.01, momentum=0.75, name="kl"
    )
    executor = symbol.simple_bind(data=shape, type_dict={"data": "float64"})
    average = executor.aux_dict["kl_moving_avg"]
    average[:] = 0.4
    head = np.ones(shape)
    output = executor.forward(is_train=True, data=mx.nd.array(data, dtype="float64"))[0].asnumpy()
    np.testing.assert_array_equal(output, data)
    np.testing.assert_array_equal(average.asnumpy(), [0.4] * 3)
    executor.backward(mx.nd.array(head, dtype="float64"))

    others = tuple(i for i in range(len(shape)) if i != 1)
    moved = 0.75 * 0.4 + 0.25 * data.mean(others)
    np.testing.assert_allclose(average.asnumpy(), moved)

    def divergence(q):
        return 0.2 * np.log(0.2 / q) + 0.8 * np.log(0.8 / (1 - q))

    slope = (divergence(moved + 1e-6) - divergence(moved - 1e-6)) / 2e-6
    pulled = head + 0.01 * slope.reshape(-1, *[1] * (len(shape) - 2))
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), pulled, rtol=1e-6)


def test_sparseness_refuses_what_cannot_be():
    with pytest.raises(MXNetError, match="must lie between 0 and 1"):
        mx.sym.IdentityAttachKLSparseReg(mx.sym.var("data"), sparseness_target=1)
    with pytest.raises(MXNetError, match="must have two axes or more"):
        infer("IdentityAttachKLSparseReg", [(4,), None])
