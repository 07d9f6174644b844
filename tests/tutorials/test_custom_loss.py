"""Customized loss functions: MakeLoss against the built-in losses, on the same data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbind as mx

from .data import diabetes

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def body() -> tuple[mx.sym.Symbol, mx.sym.Symbol]:
    """A small network, and the label; FeedForward knows labels by the end of their name."""
    data = mx.sym.Variable("data")
    fc1 = mx.sym.FullyConnected(data, num_hidden=14, name="fc1")
    tanh1 = mx.sym.Activation(fc1, act_type="tanh", name="tanh1")
    return mx.sym.FullyConnected(tanh1, num_hidden=1, name="fc2"), mx.sym.Variable("label")


def split() -> tuple[np.ndarray, ...]:
    """Four fifths to train on, and every fifth sample."""
    x, y = diabetes()
    test = np.arange(len(x)) % 5 == 0
    return x[~test], y[~test], x[test], y[test]


def train(symbol: mx.sym.Symbol, epochs: int, **settings: Any) -> mx.model.FeedForward:
    x, y, _, _ = split()
    np.random.seed(0)
    mx.random.seed(0)
    return mx.model.FeedForward.create(
        symbol, x, y, num_epoch=epochs, numpy_batch_size=60, eval_metric=mx.metric.Loss(),
        initializer=mx.init.Uniform(0.1), **settings,
    )  # fmt: skip


def predictions(model: mx.model.FeedForward) -> np.ndarray:
    """What the network predicts before its loss."""
    network = model.symbol.get_internals()["fc2_output"]
    return mx.model.FeedForward(
        network, arg_params=model.arg_params, aux_params=model.aux_params, allow_extra_params=True
    ).predict(split()[2])


def test_square_loss_agrees_with_linear_regression() -> None:
    fc2, label = body()
    lro = mx.sym.LinearRegressionOutput(fc2, label, name="lro")
    lro2 = mx.sym.MakeLoss(mx.sym.square(mx.sym.Reshape(fc2, shape=(0,)) - label), name="lro2")
    # The gradient of the square is twice that of LinearRegressionOutput; rmsprop does not see the factor.
    first, second = train(lro, 5, optimizer="rmsprop"), train(lro2, 5, optimizer="rmsprop")
    _, _, x, y = split()
    errors = [np.mean((predictions(model).ravel() - y) ** 2) for model in (first, second)]
    assert errors[0] < 0.9 * y.var()
    assert abs(errors[0] - errors[1]) < 1e-3
    np.testing.assert_array_equal(first.predict(x), predictions(first))
    # The output of the loss symbol is the loss: no prediction at all.
    labelled = mx.io.NDArrayIter(x, y, 60, label_name="label")
    np.testing.assert_allclose(second.predict(labelled), (predictions(second).ravel() - y) ** 2, rtol=1e-4, atol=1e-6)


def test_absolute_loss_equals_mae_regression() -> None:
    fc2, label = body()
    mae = mx.sym.MAERegressionOutput(fc2, label, name="lro")
    custom = mx.sym.MakeLoss(mx.sym.abs(mx.sym.Reshape(fc2, shape=(0,)) - label), name="lro2")
    first, second = (train(loss, 20, optimizer="sgd", learning_rate=0.001) for loss in (mae, custom))
    for name in first.arg_params:
        assert (first.arg_params[name].asnumpy() == second.arg_params[name].asnumpy()).all(), name
    np.testing.assert_array_equal(predictions(first), predictions(second))
