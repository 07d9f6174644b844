"""The tutorial of symbols: what it prints."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import symbind as mx


def test_basic_composition():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    c = a + b
    assert str((a, b, c)) == "(<Symbol a>, <Symbol b>, <Symbol _plus0>)"
    d = a * b
    e = mx.sym.dot(a, b)
    f = mx.sym.reshape(d + e, shape=(1, 4))
    g = mx.sym.broadcast_to(f, shape=(2, 4))
    pytest.importorskip("graphviz")
    dot = mx.viz.plot_network(symbol=g, node_attrs={"shape": "oval", "fixedsize": "false"})
    assert type(dot).__name__ == "Digraph"


def mlp():
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=128)
    net = mx.sym.Activation(data=net, name="relu1", act_type="relu")
    net = mx.sym.FullyConnected(data=net, name="fc2", num_hidden=10)
    return mx.sym.SoftmaxOutput(data=net, name="out")


def test_network():
    net = mlp()
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]
    pytest.importorskip("graphviz")
    assert mx.viz.plot_network(net, shape={"data": (100, 200)}, node_attrs={"shape": "oval", "fixedsize": "false"})


def test_functional_composition():
    data = mx.sym.Variable("data")
    net1 = mx.sym.FullyConnected(data=data, name="fc1", num_hidden=10)
    net2 = mx.sym.Variable("data2")
    net2 = mx.sym.FullyConnected(data=net2, name="fc2", num_hidden=10)
    composed = net2(data2=net1, name="composed")
    assert composed.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]


def test_prefix():
    net = mx.sym.Variable("data")
    for i in range(2):
        with mx.name.Prefix(f"layer{i + 1}_"):
            net = mx.sym.FullyConnected(data=net, name="fc", num_hidden=100)
    assert net.list_arguments() == [
        "data", "layer1_fc_weight", "layer1_fc_bias", "layer2_fc_weight", "layer2_fc_bias",
    ]  # fmt: skip


def conv_factory(data, num_filter, kernel, stride=(1, 1), pad=(0, 0), name=None, suffix=""):
    conv = mx.sym.Convolution(
        data=data, num_filter=num_filter, kernel=kernel, stride=stride, pad=pad, name=f"conv_{name}{suffix}"
    )
    bn = mx.sym.BatchNorm(data=conv, name=f"bn_{name}{suffix}")
    return mx.sym.Activation(data=bn, act_type="relu", name=f"relu_{name}{suffix}")


def inception_factory(data, num_1x1, num_3x3red, num_3x3, num_d3x3red, num_d3x3, pool, proj, name):
    c1x1 = conv_factory(data, num_1x1, (1, 1), name=f"{name}_1x1")
    c3x3r = conv_factory(data, num_3x3red, (1, 1), name=f"{name}_3x3", suffix="_reduce")
    c3x3 = conv_factory(c3x3r, num_3x3, (3, 3), pad=(1, 1), name=f"{name}_3x3")
    cd3x3r = conv_factory(data, num_d3x3red, (1, 1), name=f"{name}_double_3x3", suffix="_reduce")
    cd3x3 = conv_factory(cd3x3r, num_d3x3, (3, 3), pad=(1, 1), name=f"{name}_double_3x3_0")
    cd3x3 = conv_factory(cd3x3, num_d3x3, (3, 3), pad=(1, 1), name=f"{name}_double_3x3_1")
    pooling = mx.sym.Pooling(
        data=data, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type=pool, name=f"{pool}_pool_{name}_pool"
    )
    cproj = conv_factory(pooling, proj, (1, 1), name=f"{name}_proj")
    return mx.sym.Concat(*[c1x1, c3x3, cd3x3, cproj], name=f"ch_concat_{name}_chconcat")


def test_inception():
    prev = mx.sym.Variable("Previous Output")
    net = inception_factory(prev, 64, 64, 64, 64, 96, "avg", 32, name="in3a")
    assert net.list_arguments()[0] == "Previous Output"
    assert net.infer_shape(**{"Previous Output": (128, 3, 28, 28)})[1] == [(128, 256, 28, 28)]
    assert len(net.list_auxiliary_states()) == 14
    pytest.importorskip("graphviz")
    assert mx.viz.plot_network(net, shape={"Previous Output": (128, 3, 28, 28)})


def test_group():
    net = mx.sym.Variable("data")
    fc1 = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=128)
    relu = mx.sym.Activation(data=fc1, name="relu1", act_type="relu")
    out1 = mx.sym.SoftmaxOutput(data=relu, name="softmax")
    out2 = mx.sym.LinearRegressionOutput(data=relu, name="regression")
    assert mx.sym.Group([out1, out2]).list_outputs() == ["softmax_output", "regression_output"]


def test_inference():
    c = mx.sym.Variable("a") + mx.sym.Variable("b")
    assert c.infer_shape(a=(2, 3), b=(2, 3)) == ([(2, 3), (2, 3)], [(2, 3)], [])
    assert c.infer_type(a="float32", b="float32") == ([np.float32, np.float32], [np.float32], [])


def test_bind_and_evaluate():
    c = mx.sym.Variable("a") + mx.sym.Variable("b")
    ex = c.bind(ctx=mx.cpu(), args={"a": mx.nd.ones([2, 3]), "b": mx.nd.ones([2, 3])})
    ex.forward()
    assert len(ex.outputs) == 1
    assert (ex.outputs[0].asnumpy() == 2).all() and ex.outputs[0].shape == (2, 3)
    second = c.bind(
        ctx=mx.cpu(1), args={"a": mx.nd.ones([3, 4], mx.cpu(1)) * 2, "b": mx.nd.ones([3, 4], mx.cpu(1)) * 3}
    )
    second.forward()
    assert (second.outputs[0].asnumpy() == 5).all()
    [result] = c.eval(ctx=mx.cpu(), a=mx.nd.ones([2, 3]), b=mx.nd.ones([2, 3]))
    assert (result.asnumpy() == 2).all()


def test_load_and_save(tmp_path):
    c = mx.sym.Variable("a") + mx.sym.Variable("b")
    c.save(str(tmp_path / "symbol-c.json"))
    c2 = mx.sym.load(str(tmp_path / "symbol-c.json"))
    assert c.tojson() == c2.tojson()
    assert pickle.loads(pickle.dumps(c)).tojson() == c.tojson()


def test_type_cast():
    a = mx.sym.Variable("data")
    assert mx.sym.cast(data=a, dtype="float16").infer_type(data="float32") == ([np.float32], [np.float16], [])
    assert mx.sym.cast(data=a, dtype="uint8").infer_type(data="int32") == ([np.int32], [np.uint8], [])


def test_variable_sharing():
    a = mx.sym.Variable("a")
    b = a + a * a
    data = mx.nd.ones((2, 3)) * 2
    ex = b.bind(ctx=mx.cpu(), args={"a": data, "b": data})
    ex.forward()
    assert (ex.outputs[0].asnumpy() == 6).all()
