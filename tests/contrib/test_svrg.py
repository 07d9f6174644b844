"""Variance-reduced gradients against a computation in NumPy, and against what MXNet 1.9.1 logged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind.contrib.svrg_optimization.svrg_module import SVRGModule


def data() -> tuple[np.ndarray, np.ndarray]:
    np.random.seed(0)
    x = np.random.randint(1, 5, [100, 2])
    return x, x.dot([1.0, 2.0])


def iterator(last: str = "discard", batch_size: int = 32) -> Any:
    return mx.io.NDArrayIter(*data(), batch_size, last_batch_handle=last, label_name="y")


def module(context: Any = None, **settings: Any) -> Any:
    fc = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc", num_hidden=1)
    net = mx.sym.LinearRegressionOutput(fc, mx.sym.Variable("y"), name="lro")
    return SVRGModule(net, label_names=["y"], context=context, **{"update_freq": 2, **settings})


def trained(epochs: int, context: Any = None, source: Any = None, resume: Any = None, **settings: Any) -> Any:
    made = module(context)
    arguments = {"optimizer_params": {"learning_rate": 0.025}, "initializer": mx.init.One(), **settings}
    made.fit(source or iterator(), eval_metric="mse", num_epoch=epochs, resume=resume, **arguments)
    return np.append(made.get_params()[0]["fc_weight"].asnumpy(), made.get_params()[0]["fc_bias"].asnumpy())


def in_numpy(epochs: int, batch_size: int = 32) -> np.ndarray:
    x, y = data()
    x, rows = np.hstack([x, np.ones((100, 1))]), range(0, 100 - batch_size + 1, batch_size)

    def gradient(w: np.ndarray, row: int) -> np.ndarray:
        part = slice(row, row + batch_size)
        return (x[part] @ w - y[part]) @ x[part]

    w = np.array([1.0, 1.0, 0.0])
    for epoch in range(epochs):
        if epoch % 2 == 0:
            snapshot = w.copy()
            mean = np.mean([gradient(snapshot, row) for row in rows], axis=0)
        for row in rows:
            w = w - 0.025 / batch_size * (gradient(w, row) - gradient(snapshot, row) + mean)
    return w


@pytest.mark.parametrize("settings", [{}, {"kvstore": None}, {"context": [mx.cpu(0), mx.cpu(1)]}])
def test_steps(settings: dict[str, Any]) -> None:
    np.testing.assert_allclose(trained(5, **settings), in_numpy(5), rtol=1e-4)


@pytest.mark.parametrize(("last", "expected"), [("discard", [4.200342, 0.742142]), ("pad", [2.913615, 0.687371])])
def test_what_mxnet_logs(last: str, expected: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trained(2, source=iterator(last))
    logged = [float(line.rpartition("=")[2]) for line in caplog.messages if "Train-mse" in line]
    np.testing.assert_allclose(logged, expected, rtol=1e-4)


def test_a_loop_of_ones_own() -> None:
    source, made = iterator(), module()
    made.bind(source.provide_data, source.provide_label)
    made.init_params(mx.init.One())
    made.init_optimizer(optimizer_params={"learning_rate": 0.025})
    for epoch in range(4):
        if epoch % made.update_freq == 0:
            made.update_full_grads(source)
        source.reset()
        for batch in source:
            made.forward_backward(batch)
            made.update()
    weight = made.get_params()[0]["fc_weight"].asnumpy()[0]
    np.testing.assert_allclose(weight, in_numpy(4)[:2], rtol=1e-4)


class Killed(Exception):
    pass


def test_an_interrupted_training_goes_on(tmp_path: Path) -> None:
    def kill(param: Any) -> None:
        if (param.epoch, param.nbatch) == (1, 1):
            raise Killed

    snapshot = mx.resume.Snapshot(str(tmp_path / "run"), period=1)
    with pytest.raises(Killed):
        trained(4, resume=snapshot, batch_end_callback=kill)
    assert np.array_equal(trained(4, resume=snapshot), trained(4))


def test_a_network_of_another_shape() -> None:
    source, made = iterator(), module()
    made.bind(source.provide_data, source.provide_label)
    made.init_params()
    made.init_optimizer()
    made.update_full_grads(source)
    made.reshape([("data", (5, 2))], [("y", (5,))])
    made.forward_backward(mx.io.DataBatch([mx.nd.ones((5, 2))], [mx.nd.ones((5,))]))
    made.update()


def test_mistakes() -> None:
    for wrong, error in ((None, TypeError), (2.5, TypeError), (0, ValueError)):
        with pytest.raises(error, match="update_freq"):
            module(update_freq=wrong)
    made = module()
    with pytest.raises(ValueError, match="grad_req must be 'write', got 'add'"):
        made.bind([("data", (4, 2))], [("y", (4,))], grad_req="add")
    made.bind([("data", (4, 2))], [("y", (4,))])
    made.init_params()
    made.init_optimizer()
    made.forward_backward(mx.io.DataBatch([mx.nd.ones((4, 2))], [mx.nd.ones((4,))]))
    with pytest.raises(mx.MXNetError, match="call update_full_grads first"):
        made.update()
