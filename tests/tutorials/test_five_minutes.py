"""Neural network in five minutes: a classifier and a regression in one call each, on real data."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

import symbind as mx

from .data import cancer, diabetes

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def test_classification(caplog: pytest.LogCaptureFixture) -> None:
    x, y = cancer()
    accuracies: list[float] = []
    with caplog.at_level(logging.INFO):
        model = mx.mlp(
            x[:400], y[:400], hidden_node=10, out_node=2, out_activation="softmax", num_epoch=20,
            numpy_batch_size=15, learning_rate=0.07, momentum=0.9, eval_metric="acc",
            eval_data=(x[:400], y[:400]), eval_end_callback=lambda p: accuracies.append(p.eval_metric.get()[1]),
        )  # fmt: skip
    assert caplog.messages[0] == "Start training with [cpu(0)]"
    assert model.symbol.list_arguments() == [
        "data", "fullyconnected0_weight", "fullyconnected0_bias", "fullyconnected1_weight", "fullyconnected1_bias",
        "softmaxoutput0_label",
    ]  # fmt: skip
    assert accuracies[0] < accuracies[-1] and accuracies[-1] > 0.98
    predicted = model.predict(x[400:])
    assert predicted.shape == (169, 2)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (predicted.argmax(axis=1), y[400:].astype(int)), 1)
    assert np.trace(confusion) > 0.95 * confusion.sum()


def test_layers_of_a_perceptron() -> None:
    x, y = cancer()
    model = mx.mlp(x, y, [7, 5], out_node=1, activation=["relu", "sigmoid"], dropout=0.5, out_activation="logistic",
                   num_epoch=1, eval_metric="mse")  # fmt: skip
    kinds = [node["op"] for node in json.loads(model.symbol.tojson())["nodes"] if node["op"] != "null"]
    assert kinds == [
        "FullyConnected", "Activation", "FullyConnected", "Activation", "Dropout", "FullyConnected",
        "LogisticRegressionOutput",
    ]  # fmt: skip
    assert [model.arg_params[f"fullyconnected{i}_weight"].shape for i in range(3)] == [(7, 30), (5, 7), (1, 5)]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"hidden_node": [2, 3], "activation": ["relu"]}, "1 activations for 2 hidden layers"),
        ({"out_activation": "tanh"}, "must be one of .*'softmax'.* not 'tanh'"),
    ],
)
def test_mistakes_in_a_perceptron(mistake: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mx.mlp(*cancer(), out_node=2, **mistake)


def regression(**settings: object) -> mx.model.FeedForward:
    x, y = diabetes()
    data = mx.sym.Variable("data")
    fc1 = mx.sym.FullyConnected(data, num_hidden=1)
    lro = mx.sym.LinearRegressionOutput(fc1)
    return mx.model.FeedForward.create(
        lro, x[::3], y[::3], ctx=mx.cpu(), num_epoch=50, numpy_batch_size=20, learning_rate=0.02, momentum=0.9,
        **settings,
    )  # fmt: skip


def test_regression_comes_near_least_squares() -> None:
    x, y = diabetes()
    model = regression(eval_metric="rmse")
    with_ones = np.c_[x, np.ones(len(x))]
    solution = np.linalg.lstsq(with_ones[::3], y[::3], rcond=None)[0]

    def rmse(predicted: np.ndarray) -> float:
        return float(np.sqrt(np.mean((predicted[::3].ravel() - y[::3]) ** 2)))

    assert rmse(model.predict(x)) < 1.02 * rmse(with_ones @ solution) < 0.75


def test_a_metric_of_ones_own_is_a_mean_over_batches() -> None:
    batches: list[float] = []
    seen: list[float] = []

    def mae(label: np.ndarray, predicted: np.ndarray) -> float:
        batches.append(float(np.mean(np.abs(label - predicted.reshape(-1)))))
        return batches[-1]

    def note(parameters: object) -> None:
        seen.append(parameters.eval_metric.get_name_value()[0])  # type: ignore[attr-defined]
        if parameters.nbatch == 1:  # type: ignore[attr-defined]
            del batches[:-1]
        assert seen[-1][1] == pytest.approx(np.mean(batches))

    regression(eval_metric=mx.metric.CustomMetric(mae, name="mae"), batch_end_callback=note)
    assert seen[0][0] == "mae"
    assert seen[-1][1] < 0.8 * seen[0][1]


def test_predefined_metrics() -> None:
    for name in ("accuracy", "top_k_accuracy", "mse", "rmse", "mae", "perplexity", "ce", "nll_loss"):
        settings = {"top_k": 5} if name == "top_k_accuracy" else {}
        settings = {"ignore_label": None} if name == "perplexity" else settings
        assert isinstance(mx.metric.create(name, **settings), mx.metric.EvalMetric)
