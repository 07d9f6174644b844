"""LSTM on a multivariate time series.

The series is a recording of brain waves that comes with matplotlib: 800 samples of four electrodes. The network tells
the next sample of one of them from all four.
"""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx

STEPS = 40
STATES = {"rnn.state": "RNN_state_output", "rnn.state.cell": "RNN_statecell_output"}


def waves() -> np.ndarray:
    cbook = pytest.importorskip("matplotlib.cbook")
    with cbook.get_sample_data("eeg.dat") as file:
        series = np.frombuffer(file.read(), float).reshape(800, 4)
    return ((series - series.mean(0)) / series.std(0)).astype(np.float32)


def windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every stretch of ``STEPS`` samples, and what the first electrode has one sample later than each."""
    starts = range(0, len(series) - STEPS, 5)
    return (
        np.stack([series[start : start + STEPS] for start in starts]),
        np.stack([series[start + 1 : start + STEPS + 1, 0] for start in starts]),
    )


def graph() -> mx.sym.Symbol:
    return mx.rnn.graph(
        num_rnn_layer=1, num_hidden=8, num_decode=1, loss_output="linear", cell_type="lstm", output_last_state=True,
        config="one-to-one",
    )  # fmt: skip


def test_the_next_sample_is_predicted() -> None:
    series = waves()
    cut = 600
    training = mx.io.NDArrayIter(*windows(series[:cut]), 16, shuffle=True, last_batch_handle="discard",
                                 label_name="label")  # fmt: skip
    module = mx.mod.Module(graph(), label_names=["label"], state_names=list(STATES))
    errors: list[float] = []
    metric = mx.metric.create(lambda label, predicted: np.mean((label.ravel() - predicted.ravel()) ** 2))
    module.fit(
        training, num_epoch=20, eval_metric=metric, epoch_end_callback=lambda *_: errors.append(metric.get()[1]),
        initializer=mx.init.Xavier(), optimizer="adam",
        optimizer_params={"learning_rate": 0.01, "clip_gradient": 1.0, "rescale_grad": 1 / 640},
    )  # fmt: skip
    assert errors[-1] < 0.3 * errors[0]

    # Sample after sample of what comes later, the states carried along; from a state of nothing it takes a few.
    step = mx.rnn.StepByStep(graph(), module.get_params()[0], STATES, data=(1, 1, 4), label=(1, 1))
    predicted = np.array([step(data=sample[None, None])[0].asnumpy().item() for sample in series[cut:-1]])
    truth, before = series[cut + 1 :, 0], series[cut:-1, 0]
    settled = slice(20, None)
    error = np.mean((predicted - truth)[settled] ** 2)
    assert error < 0.95 * np.mean((before - truth)[settled] ** 2)
    assert error < 0.3 * truth.var()
