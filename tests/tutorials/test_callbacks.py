"""Callbacks: saving, logging and watching while a network is trained."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

import symbind as mx

from .data import diabetes

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def train(epochs: int, **callbacks: Any) -> mx.model.FeedForward:
    x, y = diabetes()
    lro = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1), name="lro")
    return mx.model.FeedForward.create(
        lro, x[::3], y[::3], eval_data=(x[1::3], y[1::3]), num_epoch=epochs, numpy_batch_size=20,
        learning_rate=0.02, momentum=0.9, eval_metric="rmse", **callbacks,
    )  # fmt: skip


def test_checkpoints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prefix = str(tmp_path / "boston")
    with caplog.at_level(logging.INFO):
        train(3, epoch_end_callback=mx.callback.do_checkpoint(prefix))
    saved = [message for message in caplog.messages if message.startswith("Saved")]
    assert saved == [f'Saved checkpoint to "{prefix}-000{epoch}.params"' for epoch in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "boston-0001.params", "boston-0002.params", "boston-0003.params", "boston-symbol.json",
    ]  # fmt: skip


def test_the_training_metric_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        train(2, batch_end_callback=mx.callback.log_train_metric(5))
    values = [re.fullmatch(r"Iter\[(\d)\] Batch\[5\] Train-rmse=(\d\.\d{6})", message) for message in caplog.messages]
    logged = [(match[1], float(match[2])) for match in values if match]
    assert [epoch for epoch, _ in logged] == ["0", "1"]
    assert logged[1][1] < logged[0][1]
    assert re.search(r"Epoch\[1\] Validation-rmse=\d\.\d{6}", caplog.text)


def test_curves_are_kept_by_callbacks_of_ones_own() -> None:
    training: list[float] = []
    validation: list[float] = []
    batches: list[int] = []

    def after_batch(step: Any) -> None:
        batches.append(step.nbatch)
        if step.nbatch == 7:
            training.append(step.eval_metric.get()[1])

    train(10, batch_end_callback=after_batch,
          eval_end_callback=lambda step: validation.append(step.eval_metric.get()[1]))  # fmt: skip
    assert batches[:8] == [1, 2, 3, 4, 5, 6, 7, 1]
    assert len(training) == len(validation) == 10
    assert training[-1] < training[0] and validation[-1] < validation[0]


def test_epoch_callbacks_get_the_network_and_what_they_return_is_ignored() -> None:
    called = []

    def after_epoch(epoch: int, symbol: mx.sym.Symbol, arg_params: dict, aux_params: dict) -> bool:
        called.append((epoch, symbol.list_outputs(), sorted(arg_params), aux_params))
        return False

    train(2, epoch_end_callback=[after_epoch, after_epoch])
    parameters = ["fullyconnected0_bias", "fullyconnected0_weight"]
    assert called == [(epoch, ["lro_output"], parameters, {}) for epoch in (0, 0, 1, 1)]


def test_speed_and_progress(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        train(1, batch_end_callback=[mx.callback.Speedometer(20, 3), mx.callback.ProgressBar(7)])
    assert re.search(r"Epoch\[0\] Batch \[3-6\]\tSpeed: \d+\.\d\d samples/sec\trmse=\d\.\d{6}", caplog.text)
