"""Linear regression: y = x1 + 2 x2, learnt from a hundred samples."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest

import symbind as mx


def test_linear_regression(caplog: pytest.LogCaptureFixture) -> None:
    np.random.seed(5)
    mx.random.seed(5)
    train_data = np.random.uniform(0, 1, [100, 2])
    train_label = np.array([train_data[i][0] + 2 * train_data[i][1] for i in range(100)])
    eval_data = np.array([[7, 2], [6, 10], [12, 2]])
    eval_label = np.array([11, 26, 16])
    train_iter = mx.io.NDArrayIter(train_data, train_label, 1, shuffle=True, label_name="lin_reg_label")
    eval_iter = mx.io.NDArrayIter(eval_data, eval_label, 1, shuffle=False, label_name="lin_reg_label")
    X, Y = mx.sym.Variable("data"), mx.sym.Variable("lin_reg_label")
    fully_connected_layer = mx.sym.FullyConnected(data=X, name="fc1", num_hidden=1)
    lro = mx.sym.LinearRegressionOutput(data=fully_connected_layer, label=Y, name="lro")
    model = mx.mod.Module(symbol=lro, data_names=["data"], label_names=["lin_reg_label"])
    with caplog.at_level(logging.INFO):
        model.fit(
            train_iter,
            eval_iter,
            optimizer_params={"learning_rate": 0.01, "momentum": 0.9},
            num_epoch=20,
            eval_metric="mse",
            batch_end_callback=mx.callback.Speedometer(1, 2),
        )
    np.testing.assert_allclose(model.predict(eval_iter).asnumpy().ravel(), [11, 26, 16], atol=0.25)
    metric = mx.metric.MSE()
    mse = model.score(eval_iter, metric)
    assert mse[0][1] < 0.01001
    assert re.search(r"Epoch\[0\] Batch \[2-4\]\tSpeed: \d+\.\d\d samples/sec\tmse=\d+\.\d{6}", caplog.text)
    assert re.search(r"Epoch\[19\] Validation-mse=\d\.\d{6}", caplog.text)
