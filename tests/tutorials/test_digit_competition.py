"""The digit competition, and the Python tutorial of handwritten digits: a perceptron and LeNet."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx

from .data import digits, in_frames

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def perceptron(features: mx.sym.Symbol, *, named: bool) -> mx.sym.Symbol:
    def name(kind: str) -> dict[str, str]:
        return {"name": kind} if named else {}

    net = features
    for i, size in enumerate((128, 64), start=1):
        net = mx.sym.FullyConnected(net, num_hidden=size, **name(f"fc{i}"))
        net = mx.sym.Activation(net, act_type="relu", **name(f"relu{i}"))
    return mx.sym.FullyConnected(net, num_hidden=10, **name("fc3"))


def lenet() -> mx.sym.Symbol:
    net = mx.sym.Variable("data")
    for filters in (20, 50):
        net = mx.sym.Activation(mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters), act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=500), act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10), name="softmax")


def test_perceptron_of_the_competition() -> None:
    images, labels = digits()
    x = images.reshape(len(images), -1)
    accuracies: list[float] = []
    model = mx.model.FeedForward.create(
        mx.sym.SoftmaxOutput(perceptron(mx.sym.Variable("data"), named=True), name="sm"),
        x[:1500], labels[:1500], ctx=mx.cpu(), num_epoch=10, numpy_batch_size=100, learning_rate=0.07, momentum=0.9,
        initializer=mx.init.Uniform(0.07), eval_metric="acc", eval_data=(x[:1500], labels[:1500]),
        eval_end_callback=lambda step: accuracies.append(step.eval_metric.get()[1]),
    )  # fmt: skip
    assert accuracies[-1] > 0.95 and accuracies[-1] > accuracies[0]
    predicted = model.predict(x[1500:])
    assert predicted.shape == (297, 10)
    assert (predicted.argmax(axis=1) == labels[1500:]).mean() > 0.93


def test_lenet_on_a_list_of_devices() -> None:
    images, labels = digits()
    x, y = in_frames(images[:300]), labels[:300]
    model = mx.model.FeedForward.create(
        lenet(), x, y, ctx=[mx.cpu(0), mx.cpu(1)], num_epoch=6, numpy_batch_size=50, learning_rate=0.05,
        momentum=0.9, wd=1e-5, initializer=mx.init.Uniform(0.07),
    )  # fmt: skip
    assert (model.predict(x).argmax(axis=1) == y).mean() > 0.9


def test_perceptron_of_the_python_tutorial() -> None:
    images, labels = digits()
    x = images[:, None]
    training = mx.io.NDArrayIter(x[:1500], labels[:1500], 100, shuffle=True)
    validation = mx.io.NDArrayIter(x[1500:], labels[1500:], 100)
    scores = perceptron(mx.sym.flatten(mx.sym.var("data")), named=False)
    module = mx.mod.Module(mx.sym.SoftmaxOutput(scores, name="softmax"), context=mx.cpu())
    module.fit(
        training, eval_data=validation, optimizer="sgd", optimizer_params={"learning_rate": 0.1}, eval_metric="acc",
        initializer=mx.init.Xavier(), batch_end_callback=mx.callback.Speedometer(100, 100), num_epoch=15,
    )  # fmt: skip
    # Without their labels the samples give what each class is believed in.
    probabilities = module.predict(mx.io.NDArrayIter(x[1500:], None, 100))
    assert probabilities.shape == (297, 10)
    accuracy = mx.metric.Accuracy()
    module.score(mx.io.NDArrayIter(x[1500:], labels[1500:], 99), accuracy)
    right = (probabilities.asnumpy().argmax(axis=1) == labels[1500:]).mean()
    assert str(accuracy) == f"EvalMetric: {{'accuracy': {accuracy.get()[1]}}}"
    assert accuracy.get()[1] == pytest.approx(right)
    assert right > 0.92


def test_digits_in_the_form_of_the_tutorial() -> None:
    """Frames as MNIST has them: (N, 1, 28, 28), from 0 to 1."""
    framed = in_frames(digits()[0][:2])
    assert framed.shape == (2, 1, 28, 28)
    assert framed.min() == 0 and framed.max() == 1
    np.testing.assert_array_equal(framed[:, 0, 3::3, 3::3][:, :8, :8], digits()[0][:2])
