"""Custom iterator: images and labels out of the columns of a CSV file."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx

from .data import digits, in_frames

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


class ImagesOfCSV(mx.io.DataIter):
    """Column 0 is the label, the others are the pixels of an image, from 0 to 255."""

    def __init__(self, path: Path, batch_size: int) -> None:
        super().__init__(batch_size)
        self.rows = mx.io.CSVIter(data_csv=str(path), data_shape=(785,), batch_size=batch_size)
        self.provide_data = [("data", (batch_size, 1, 28, 28))]
        self.provide_label = [("label", (batch_size,))]

    def reset(self) -> None:
        self.rows.reset()

    def next(self) -> mx.io.DataBatch:
        batch = self.rows.next()
        values = batch.data[0]
        images = (values[:, 1:] / 255).reshape((-1, 1, 28, 28))
        return mx.io.DataBatch([images], [values[:, 0].reshape((-1,))], pad=batch.pad)


def lenet() -> mx.sym.Symbol:
    """LeNet with automatic names."""
    net = mx.sym.Variable("data")
    for filters in (20, 50):
        net = mx.sym.Activation(mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters), act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=100), act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10), mx.sym.Variable("label"))


def test_lenet_learns_from_the_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, labels = digits()
    images, labels = in_frames(images[:300]), labels[:300]
    path = tmp_path / "train.csv"
    np.savetxt(path, np.c_[labels, (images * 255).reshape(300, -1)], fmt="%g", delimiter=",")
    batches = ImagesOfCSV(path, 50)
    first = next(iter(batches))
    np.testing.assert_allclose(first.data[0].asnumpy(), images[:50], atol=1e-5)
    np.testing.assert_array_equal(first.label[0].asnumpy(), labels[:50])

    accuracies: list[float] = []

    def note(step: Any) -> None:
        if step.nbatch == 6:
            accuracies.append(step.eval_metric.get_global()[1])

    with caplog.at_level(logging.INFO):
        mx.model.FeedForward.create(
            lenet(), batches, num_epoch=8, learning_rate=0.1, momentum=0.9, wd=1e-5, eval_metric="acc",
            initializer=mx.init.Uniform(0.1), batch_end_callback=[note, mx.callback.Speedometer(50, 2)],
        )  # fmt: skip
    assert accuracies[0] < 0.4 and accuracies[-1] > 0.95
    assert re.search(r"Batch \[2-4\]\tSpeed: \d+\.\d\d samples/sec\taccuracy=\d\.\d{6}", caplog.text)
