"""Dropout: how much it drops, what it makes of the rest, and when."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import infer

ONES = np.ones((200, 100), "float32")


def run(is_train=True, data=ONES, **params):
    """Output, and gradient for a head gradient of ones."""
    executor = mx.sym.Dropout(mx.sym.var("data"), **params).simple_bind(data=data.shape)
    output = executor.forward(is_train=is_train, data=data)[0].asnumpy()
    executor.backward(mx.nd.ones(data.shape))
    return output, executor.grad_dict["data"].asnumpy()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_mean_is_kept(p):
    output, gradient = run(p=p)
    kept = output != 0
    assert abs(kept.mean() - (1 - p)) < 0.02
    np.testing.assert_allclose(output[kept], 1 / (1 - p), rtol=1e-6)
    # What was dropped gets no gradient, and the rest the same factor.
    np.testing.assert_array_equal(output, gradient)


def test_every_pass_draws_anew():
    executor = mx.sym.Dropout(mx.sym.var("data")).simple_bind(data=ONES.shape)
    first = executor.forward(is_train=True, data=ONES)[0].asnumpy()
    second = executor.forward(is_train=True, data=ONES)[0].asnumpy()
    assert 0.4 < (first == second).mean() < 0.6


def test_the_seed_decides():
    outputs = []
    for _ in range(2):
        mx.random.seed(3)
        outputs.append(run(p=0.5)[0])
    np.testing.assert_array_equal(*outputs)


def test_two_nodes_draw_apart():
    data = mx.sym.var("data")
    executor = mx.sym.Group([mx.sym.Dropout(data), mx.sym.Dropout(data)]).simple_bind(data=ONES.shape)
    first, second = (o.asnumpy() for o in executor.forward(is_train=True, data=ONES))
    assert 0.4 < (first == second).mean() < 0.6


@pytest.mark.parametrize(("is_train", "params"), [(False, {"p": 0.5}), (True, {"p": 0.0}), (False, {"p": 0.0})])
def test_identity(is_train, params):
    data = np.random.RandomState(0).randn(3, 4).astype("float32")
    output, gradient = run(is_train, data, **params)
    np.testing.assert_array_equal(output, data)
    np.testing.assert_array_equal(gradient, np.ones((3, 4)))


def test_always():
    output, gradient = run(False, p=0.5, mode="always")
    assert 0.45 < (output == 0).mean() < 0.55
    np.testing.assert_array_equal(output, gradient)


def test_everything_may_be_dropped():
    output, gradient = run(p=1.0)
    assert not output.any()
    assert not gradient.any()


def test_axes_share_one_draw():
    data = np.ones((20, 30, 10), "float32")
    output, gradient = run(data=data, p=0.5, axes=(0, -1))
    assert (output == output[:1, :, :1]).all()
    assert len(np.unique(output)) == 2
    np.testing.assert_array_equal(output, gradient)


def test_inference():
    told = infer("Dropout", [(2, 0, 4)], [(0, 3, 0), None], axes=(1,))
    assert told == ([(2, 3, 4)], [(2, 3, 4), (2, 1, 4)])
    assert infer("Dropout", [None]) == ([None], [None, None])
    assert mx.sym.Dropout(mx.sym.var("data"), name="d").list_outputs() == ["d_output"]


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_impossible_probabilities_are_refused(p):
    with pytest.raises(MXNetError, match=rf"value {p} for Parameter p of Dropout exceed bound"):
        mx.sym.Dropout(mx.sym.var("data"), p=p)
