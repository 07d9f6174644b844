"""What the unit tests of the R package ask of symbols and models."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx

from .data import digits


def two_layer_nets():
    data = mx.sym.Variable("data")
    net1 = mx.sym.FullyConnected(data=data, name="fc1", num_hidden=10)
    net1 = mx.sym.FullyConnected(data=net1, name="fc2", num_hidden=100)
    net2 = mx.sym.FullyConnected(name="fc3", num_hidden=10)
    net2 = mx.sym.Activation(data=net2, act_type="relu")
    net2 = mx.sym.FullyConnected(data=net2, name="fc4", num_hidden=20)
    return net1, net2


def test_r_compose_with_implicit_input():
    net1, net2 = two_layer_nets()
    assert "fc3_data" in mx.arguments(net2)
    composed = mx.apply(net2, fc3_data=net1, name="composed")
    assert mx.arguments(composed) == [
        "data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias",
        "fc3_weight", "fc3_bias", "fc4_weight", "fc4_bias",
    ]  # fmt: skip
    assert mx.outputs(composed) == ["composed_output"]
    assert mx.outputs(mx.sym.Group([composed, net1])) == ["composed_output", "fc2_output"]


def test_r_internals():
    data = mx.sym.Variable("data")
    oldfc = mx.sym.FullyConnected(data=data, name="fc1", num_hidden=10)
    net1 = mx.sym.FullyConnected(data=oldfc, name="fc2", num_hidden=100)
    assert mx.arguments(net1) == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    assert mx.arguments(mx.internals(net1)["fc1_output"]) == mx.arguments(oldfc)


def test_r_children():
    data = mx.sym.Variable("data")
    oldfc = mx.sym.FullyConnected(data=data, name="fc1", num_hidden=10)
    net1 = mx.sym.FullyConnected(data=oldfc, name="fc2", num_hidden=100)
    assert mx.outputs(mx.children(net1)) == ["fc1_output", "fc2_weight", "fc2_bias"]
    assert mx.outputs(mx.children(mx.children(net1))) == ["data", "fc1_weight", "fc1_bias"]
    net2 = mx.children(net1)
    split = mx.sym.SliceChannel(data=data, num_outputs=2, name="split")
    assert mx.outputs(mx.children(split)) == ["data"]
    assert mx.children(data) is None
    assert len(net2) == 3


def test_r_infer_shape_incomplete_and_complete():
    net1, _ = two_layer_nets()
    with pytest.warns(UserWarning, match="Cannot decide shape for the following arguments"):
        assert net1.infer_shape() == (None, None, None)
    args, outs, aux = net1.infer_shape(data=(100, 100))
    assert dict(zip(net1.list_arguments(), args))["fc2_weight"] == (100, 10)
    assert outs == [(100, 100)] and aux == []


def test_r_save_and_load(tmp_path):
    net1, _ = two_layer_nets()
    net1.save(tmp_path / "net-symbol.json")
    loaded = mx.sym.load(str(tmp_path / "net-symbol.json"))
    assert loaded.tojson() == net1.tojson()


def test_r_attributes():
    x = mx.sym.Variable("x", shape=(1, 10))
    assert x.attr("__shape__") == "(1, 10)"
    x._set_attr(__shape__="(2, 3)")
    assert x.attr("__shape__") == "(2, 3)"
    assert x.infer_shape()[0] == [(2, 3)]


def test_r_concat():
    s1, s2 = mx.sym.Variable("data1"), mx.sym.Variable("data2")
    both = mx.sym.concat(s1, s2, num_args=2, name="concat")
    assert mx.outputs(both) == ["concat_output"]
    assert mx.arguments(both) == ["data1", "data2"]


# ---- models -------------------------------------------------------------------------------------


class Ratings(mx.io.DataIter):
    """A user, an item and a score per row."""

    def __init__(self, rows: np.ndarray, batch_size: int) -> None:
        super().__init__(batch_size)
        self.rows = rows
        self.provide_data = [("user", (batch_size,)), ("item", (batch_size,))]
        self.provide_label = [("score", (batch_size,))]
        self.reset()

    def reset(self) -> None:
        self.at = 0

    def next(self) -> mx.io.DataBatch:
        rows = self.rows[self.at : self.at + self.batch_size]
        if len(rows) < self.batch_size:
            raise StopIteration
        self.at += self.batch_size
        user, item, score = (mx.nd.array(column) for column in rows.T)
        return mx.io.DataBatch([user, item], [score], pad=0)


def test_r_matrix_factorization():
    users, items, factors = 30, 20, 3
    random = np.random.RandomState(0)
    truth = random.normal(size=(users, factors)) @ random.normal(size=(factors, items))
    rows = np.array([(u, i, truth[u, i]) for u in range(users) for i in range(items)])
    user, item = (mx.sym.BlockGrad(mx.sym.Variable(name)) for name in ("user", "item"))
    user = mx.sym.Embedding(user, input_dim=users, output_dim=factors, name="users")
    item = mx.sym.Embedding(item, input_dim=items, output_dim=factors, name="items")
    predicted = mx.sym.Flatten(mx.sym.sum_axis(user * item, axis=1))
    net = mx.sym.LinearRegressionOutput(predicted, mx.sym.Variable("score"))
    module = mx.mod.Module(net, data_names=["user", "item"], label_names=["score"])
    metric = mx.metric.create("rmse")
    module.fit(Ratings(random.permutation(rows), 50), eval_metric=metric, num_epoch=30, optimizer="adam",
               optimizer_params={"learning_rate": 0.05}, initializer=mx.init.Uniform(0.5))  # fmt: skip
    assert metric.get()[1] < 0.1 * truth.std()


def test_r_captcha():
    """Four digits side by side, each read by a layer of its own; labels are joined head after head."""
    images, labels = digits()
    rows = np.random.RandomState(0).randint(0, len(images), (300, 4))
    pictures = images[rows].transpose(0, 2, 1, 3).reshape(300, 1, 8, 32)
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=8)
    net = mx.sym.Flatten(mx.sym.Activation(net, act_type="relu"))
    heads = mx.sym.Concat(*[mx.sym.FullyConnected(net, num_hidden=10) for _ in range(4)], dim=0)
    label = mx.sym.Reshape(mx.sym.transpose(mx.sym.Variable("label")), target_shape=(0,))
    net = mx.sym.SoftmaxOutput(heads, label, name="softmax")
    assert net.infer_shape(data=(20, 1, 8, 32), label=(20, 4))[1] == [(80, 10)]
    batches = mx.io.NDArrayIter(pictures, labels[rows], 20, shuffle=True, label_name="label")
    module = mx.mod.Module(net, label_names=["label"])

    def read(label: np.ndarray, probabilities: np.ndarray) -> float:
        return float(np.mean(label == probabilities.argmax(axis=1).reshape(4, -1).T))

    metric = mx.metric.CustomMetric(read)
    module.fit(batches, eval_metric=metric, num_epoch=12, initializer=mx.init.Xavier(), optimizer="adam",
               optimizer_params={"learning_rate": 0.01})  # fmt: skip
    assert metric.get()[1] > 0.95
