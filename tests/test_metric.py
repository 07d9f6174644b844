"""Metrics against scikit-learn, direct formulas, and numbers that MXNet 1.9.1 printed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

import symbind as mx

RANDOM = np.random.RandomState(0)


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def batches(count: int, size: int, classes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.RandomState(count * size + classes)
    return [
        (random.randint(classes, size=size).astype("float32"), softmax(random.randn(size, classes)).astype("float32"))
        for _ in range(count)
    ]


def value(metric: mx.metric.EvalMetric, data: list[tuple[np.ndarray, np.ndarray]]) -> float:
    for label, pred in data:
        metric.update([mx.nd.array(label)], [mx.nd.array(pred)])
    return metric.get()[1]


def joined(data: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([label for label, _ in data]), np.concatenate([pred for _, pred in data])


# --- values


def test_accuracy() -> None:
    data = batches(3, 17, 5)
    label, pred = joined(data)
    assert value(mx.metric.create("acc"), data) == pytest.approx(sk.accuracy_score(label, pred.argmax(1)))


def test_accuracy_of_class_numbers_and_of_another_axis() -> None:
    metric = mx.metric.Accuracy()
    metric.update([np.array([0, 1, 2])], [np.array([0, 2, 2])])
    assert metric.get() == ("accuracy", 2 / 3)
    metric = mx.metric.Accuracy(axis=0)
    metric.update([np.array([1, 0])], [np.array([[0.1, 0.8], [0.7, 0.1], [0.2, 0.1]])])
    assert metric.get()[1] == 1.0


def test_accuracy_of_dense_predictions() -> None:
    label = RANDOM.randint(3, size=(2, 4, 4))
    scores = RANDOM.rand(2, 3, 4, 4)
    metric = mx.metric.Accuracy()
    metric.update([label], [scores])
    assert metric.get()[1] == pytest.approx((scores.argmax(1) == label).mean())


@pytest.mark.parametrize("k", [2, 3])
def test_top_k_accuracy(k: int) -> None:
    data = batches(3, 17, 5)
    label, pred = joined(data)
    metric = mx.metric.create("top_k_accuracy", top_k=k)
    assert value(metric, data) == pytest.approx(sk.top_k_accuracy_score(label, pred, k=k, labels=range(5)))
    assert metric.get()[0] == f"top_k_accuracy_{k}"


def test_top_k_of_all_classes_is_always_right() -> None:
    assert value(mx.metric.create("top_k_acc", top_k=7), batches(2, 9, 5)) == 1.0


def test_f1() -> None:
    data = batches(4, 23, 2)
    label, pred = joined(data)
    scores = [sk.f1_score(one, p.argmax(1)) for one, p in data]
    assert value(mx.metric.F1(), data) == pytest.approx(np.mean(scores))
    assert value(mx.metric.F1(average="micro"), data) == pytest.approx(sk.f1_score(label, pred.argmax(1)))


def test_mcc() -> None:
    data = batches(4, 23, 2)
    label, pred = joined(data)
    scores = [sk.matthews_corrcoef(one, p.argmax(1)) for one, p in data]
    assert value(mx.metric.MCC(), data) == pytest.approx(np.mean(scores))
    assert value(mx.metric.MCC(average="micro"), data) == pytest.approx(sk.matthews_corrcoef(label, pred.argmax(1)))


def test_binary_scores_without_positives_are_zero() -> None:
    none = [np.zeros(3)], [np.array([[0.9, 0.1]] * 3)]
    for name in ("f1", "mcc"):
        metric = mx.metric.create(name)
        metric.update(*none)
        assert metric.get()[1] == 0.0


def test_pcc_is_the_matthews_coefficient_of_many_classes() -> None:
    data = batches(3, 17, 2) + batches(3, 17, 6)
    label, _ = joined([(one, one) for one, _ in data])
    pred = np.concatenate([p.argmax(1) for _, p in data])
    assert value(mx.metric.PCC(), data) == pytest.approx(sk.matthews_corrcoef(label, pred))


def test_pcc_of_class_numbers_and_of_one_class() -> None:
    metric = mx.metric.PCC()
    metric.update([np.array([1, 0, 3])], [np.array([1, 2, 3])])
    assert metric.get()[1] == pytest.approx(2 / 3)
    metric = mx.metric.PCC()
    metric.update([np.array([1, 1])], [np.array([1, 0])])
    assert math.isnan(metric.get()[1])


@pytest.mark.parametrize("name", ["ce", "nll_loss"])
def test_cross_entropy(name: str) -> None:
    data = batches(3, 17, 5)
    label, pred = joined(data)
    expected = -np.log(pred[np.arange(len(label)), label.astype(int)].astype("float64")).mean()
    assert value(mx.metric.create(name), data) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_of_an_impossible_class_is_finite() -> None:
    assert value(mx.metric.CrossEntropy(), [(np.array([1]), np.array([[1.0, 0.0]]))]) == pytest.approx(
        -math.log(1e-12), rel=1e-6
    )


def test_perplexity() -> None:
    data = batches(3, 17, 5)
    label, pred = joined(data)
    chosen = pred[np.arange(len(label)), label.astype(int)].astype("float64")
    assert value(mx.metric.Perplexity(None), data) == pytest.approx(np.exp(-np.log(chosen).mean()), rel=1e-5)
    kept = chosen[label != 2]
    assert value(mx.metric.Perplexity(2), data) == pytest.approx(np.exp(-np.log(kept).mean()), rel=1e-5)


def test_perplexity_clips_and_takes_sequences() -> None:
    # Label -1 is outside of the classes, which is fine because it is ignored. The number is MXNet's.
    metric = mx.metric.Perplexity(ignore_label=-1)
    metric.update([mx.nd.array([-1, 1, 0])], [mx.nd.array([[0.1, 0.9], [0.2, 0.8], [0, 1]])])
    assert metric.get()[1] == pytest.approx(111803.3115938, rel=1e-6)
    metric = mx.metric.Perplexity(None)
    metric.update([np.array([[0, 1], [1, 0]])], [np.full((4, 2), 0.5)])
    assert metric.get()[1] == pytest.approx(2)


def test_errors_are_means_over_batches() -> None:
    data = [(RANDOM.randn(n, 3).astype("float32"), RANDOM.randn(n, 3).astype("float32")) for n in (5, 2)]
    for name, reference in (
        ("mae", sk.mean_absolute_error),
        ("mse", sk.mean_squared_error),
        ("rmse", sk.root_mean_squared_error),
    ):
        expected = np.mean([np.mean(reference(label.ravel(), pred.ravel())) for label, pred in data])
        assert value(mx.metric.create(name), data) == pytest.approx(expected, rel=1e-5)


def test_errors_take_vectors_for_columns() -> None:
    metric = mx.metric.MSE()
    metric.update([np.array([1.0, 2.0, 4.0])], [np.array([[1.0], [3.0], [2.0]])])
    assert metric.get()[1] == pytest.approx(5 / 3)


def test_pearson_correlation() -> None:
    data = [(RANDOM.randn(n) + 1000, RANDOM.randn(n)) for n in (50, 20, 1)][:2]
    data = [(label, pred + 0.5 * label) for label, pred in data]
    each = [np.corrcoef(label, pred)[0, 1] for label, pred in data]
    label, pred = joined(data)
    for metric, expected in (
        (mx.metric.PearsonCorrelation(), np.mean(each)),
        (mx.metric.PearsonCorrelation(average="micro"), np.corrcoef(label, pred)[0, 1]),
    ):
        for one in data:
            metric.update([one[0]], [one[1]])
        assert metric.get()[1] == pytest.approx(expected, rel=1e-9)
        assert metric.get_global()[1] == pytest.approx(expected, rel=1e-9)


def test_pearson_of_a_constant_is_nan() -> None:
    metric = mx.metric.create("pearsonr")
    metric.update([np.ones(3)], [np.arange(3.0)])
    assert math.isnan(metric.get()[1])


def test_loss_averages_the_output_and_ignores_labels() -> None:
    for name in ("loss", "torch", "caffe"):
        metric = mx.metric.create(name)
        metric.update(None, [mx.nd.array([1, 2, 3]), mx.nd.array([[6.0]])])
        assert metric.get() == (name, 3.0)


def test_custom_functions() -> None:
    def error(label: np.ndarray, pred: np.ndarray) -> float:
        assert isinstance(label, np.ndarray)
        return float(np.abs(label - pred).max())

    data = [(np.array([1.0, 2.0]), np.array([1.0, 4.0])), (np.array([0.0]), np.array([1.0]))]
    assert value(mx.metric.np(error), data) == 1.5
    assert mx.metric.create(error).get()[0] == "error"
    assert mx.metric.create(lambda label, pred: 0.0).get()[0] == "custom(<lambda>)"
    weighed = mx.metric.CustomMetric(lambda label, pred: (np.abs(label - pred).sum(), label.size), "weighed")
    assert value(weighed, data) == 1.0
    extra = mx.metric.CustomMetric(error, allow_extra_outputs=True)
    extra.update([np.zeros(1)], [np.ones(1), np.full(1, 9.0)])
    assert extra.get()[1] == 1.0


# --- the protocol


def test_empty_metrics_are_nan() -> None:
    for name in ("acc", "f1", "mcc", "pcc", "pearsonr", "mae", "ce", "loss"):
        metric = mx.metric.create(name)
        assert math.isnan(metric.get()[1])
        assert math.isnan(metric.get_global()[1])
    assert math.isnan(mx.metric.Perplexity(None).get()[1])


@pytest.mark.parametrize(
    "metric",
    [
        mx.metric.Accuracy(),
        mx.metric.F1(average="micro"),
        mx.metric.MCC(average="micro"),
        mx.metric.PCC(),
        mx.metric.CrossEntropy(),
        mx.metric.Perplexity(None),
        mx.metric.MAE(),
        mx.metric.PearsonCorrelation(average="micro"),
    ],
    ids=lambda metric: metric.name,
)
def test_reset_local_keeps_the_global_account(metric: mx.metric.EvalMetric) -> None:
    def feed(data: list[tuple[np.ndarray, np.ndarray]]) -> None:
        for label, pred in data:
            pred = pred[:, 0] if isinstance(metric, (mx.metric.MAE, mx.metric.PearsonCorrelation)) else pred
            metric.update([label], [pred])

    first, second = batches(2, 30, 2), batches(2, 40, 2)
    feed(first + second)
    everything = metric.get()[1]
    metric.reset()
    feed(second)
    only_second = metric.get()[1]
    metric.reset()
    feed(first)
    metric.reset_local()
    assert math.isnan(metric.get()[1])
    feed(second)
    assert metric.get()[1] == pytest.approx(only_second)
    assert metric.get_global()[1] == pytest.approx(everything)
    assert everything != pytest.approx(only_second)


def test_values_are_python_floats() -> None:
    metric = mx.metric.create(["acc", "mae"])
    metric.update([np.array([1.0, 0.0], "float32")], [np.array([1.0, 1.0], "float32")])
    assert str(metric) == "EvalMetric: {'accuracy': 0.5, 'mae': 0.5}"


def test_long_sums_stay_exact() -> None:
    metric = mx.metric.Loss()
    metric.update(None, [np.full(1, 2.0**24, "float32")])
    for _ in range(3):
        metric.update(None, [np.ones(1, "float32")])
    assert metric.sum_metric == 2.0**24 + 3


def test_composite() -> None:
    metric = mx.metric.CompositeEvalMetric(["acc"])
    metric.add("ce")
    value(metric, batches(1, 8, 3))
    names, values = metric.get()
    assert names == ["accuracy", "cross-entropy"]
    assert metric.get_name_value() == list(zip(names, values)) == metric.get_global_name_value()
    assert metric.get_metric(1).get()[1] == values[1]
    with pytest.raises(ValueError, match="Metric index 5 is out of range 0 and 2"):
        metric.get_metric(5)
    metric.reset_local()
    assert math.isnan(metric.get()[1][0])
    assert metric.get_global() == (names, values)
    metric.reset()
    assert math.isnan(metric.get_global()[1][0])


def test_update_dict_selects_by_name() -> None:
    arrays = {"x": np.zeros(3), "y": np.ones(3)}
    metric = mx.metric.Accuracy(output_names=["y"], label_names=["x"])
    metric.update_dict(arrays, arrays)
    assert metric.get()[1] == 0.0
    metric = mx.metric.Accuracy()
    metric.update_dict({"x": np.ones(3)}, {"y": np.ones(3)})
    assert metric.get()[1] == 1.0
    both = mx.metric.CompositeEvalMetric([mx.metric.Accuracy()], output_names=["y"], label_names=["y"])
    both.update_dict(arrays, arrays)
    assert both.get()[1] == [1.0]


def test_a_single_array_stands_for_a_list() -> None:
    metric = mx.metric.Accuracy()
    metric.update(mx.nd.array([1, 0]), mx.nd.array([[0, 1], [0, 1]]))
    assert metric.get()[1] == 0.5


def test_configuration_round_trip() -> None:
    for metric in (
        mx.metric.create("acc", axis=0),
        mx.metric.create("top_k_acc", top_k=3, name="best"),
        mx.metric.F1(average="micro"),
        mx.metric.Perplexity(-1),
        mx.metric.create(["acc", "f1"]),
    ):
        copy = mx.metric.create(json.dumps(metric.get_config()))
        assert type(copy) is type(metric)
        assert copy.get_config() == metric.get_config()
    with pytest.raises(NotImplementedError, match="function"):
        mx.metric.create(lambda label, pred: 0.0).get_config()


def test_a_users_metric_without_global_account() -> None:
    @mx.metric.register
    class CountsBatches(mx.metric.EvalMetric):
        def __init__(self) -> None:
            super().__init__("batches")

        def update(self, labels: object, preds: object) -> None:
            self.sum_metric += 1
            self.num_inst = 1

    metric = mx.metric.create("countsbatches")
    metric.update([], [])
    metric.update([], [])
    assert metric.get_global() == metric.get() == ("batches", 2.0)


@pytest.mark.parametrize(
    ("metric", "label", "pred", "message"),
    [
        ("acc", np.ones(3), np.ones((2, 4)), "Shape of labels 3 does not match shape of predictions 2"),
        ("acc", np.ones(3), np.ones(2), "no axis 1"),
        ("f1", np.array([0, 1, 2]), np.ones((3, 2)), "F1 currently only supports binary"),
        ("ce", np.ones(3), np.ones((2, 4)), "3.*2"),
        ("pearsonr", np.ones((3, 2)), np.ones((3, 1)), r"\(3, 2\).*\(3, 1\)"),
        (mx.metric.Perplexity(None), np.ones(3), np.ones((3, 2, 2)), r"\(3,\) vs. predictions \(3, 2, 2\)"),
        (mx.metric.TopKAccuracy(2), np.ones(3), np.ones(3), "samples, classes"),
    ],
)
def test_shape_errors(metric: object, label: np.ndarray, pred: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mx.metric.create(metric).update([label], [pred])


def test_other_errors() -> None:
    with pytest.raises(ValueError, match=r"2 does not match.* 1"):
        mx.metric.Accuracy().update([np.ones(3), np.ones(3)], [np.ones(3)])
    with pytest.raises(ValueError, match="foo is not registered"):
        mx.metric.create("foo")
    with pytest.raises(ValueError, match="top_k=1"):
        mx.metric.TopKAccuracy()
    with pytest.raises(ValueError, match="macro"):
        mx.metric.F1(average="none")
    with pytest.raises(NotImplementedError, match="EvalMetric"):
        mx.metric.EvalMetric("base").update([], [])
