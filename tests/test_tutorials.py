"""What the tutorials of the founding system print, to the character."""

import logging
import pickle
import re

import numpy as np
import pytest

import symbind as mx


@pytest.fixture(autouse=True)
def fresh_names():
    with mx.name.NameManager():
        yield


# ---- "Symbol and Automatic Differentiation" -----------------------------------------------------


def test_founding_page_network():
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=128)
    net = mx.sym.Activation(data=net, name="relu1", act_type="relu")
    net = mx.sym.FullyConnected(data=net, name="fc2", num_hidden=64)
    net = mx.sym.Softmax(data=net, name="out")
    assert type(net) is mx.sym.Symbol
    expected = ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]
    assert mx.arguments(net) == net.list_arguments() == expected
    assert mx.sym.softmax(mx.sym.Variable("data"), name="out").list_arguments() == ["data"]


def test_founding_page_explicit_weight():
    data = mx.sym.Variable("data")
    w = mx.sym.Variable("myweight")
    net = mx.sym.FullyConnected(data=data, weight=w, name="fc1", num_hidden=128)
    assert mx.arguments(net) == ["data", "myweight", "fc1_bias"]


def test_founding_page_sum_of_variables():
    lhs, rhs = mx.sym.Variable("data1"), mx.sym.Variable("data2")
    total = lhs + rhs
    net = mx.sym.FullyConnected(data=total, name="fc1", num_hidden=128)
    assert total.name == "_plus0"
    assert mx.arguments(net) == ["data1", "data2", "fc1_weight", "fc1_bias"]


@pytest.mark.parametrize(
    "compose", [lambda a, b: mx.apply(a, data=b, name="compose"), lambda a, b: a(data=b, name="compose")]
)
def test_founding_page_composition(compose):
    net = mx.sym.FullyConnected(data=mx.sym.Variable("data"), name="fc1", num_hidden=128)
    net2 = mx.sym.FullyConnected(data=mx.sym.Variable("data2"), name="net2", num_hidden=128)
    composed = compose(net, net2)
    assert mx.arguments(composed) == ["data2", "net2_weight", "net2_bias", "fc1_weight", "fc1_bias"]
    assert mx.outputs(composed) == ["compose_output"]
    assert mx.arguments(net) == ["data", "fc1_weight", "fc1_bias"]
    assert mx.outputs(net) == ["fc1_output"]


# ---- R unit tests of symbols --------------------------------------------------------------------


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


# ---- symbol.md ----------------------------------------------------------------------------------


def test_symbol_md_basic_composition():
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


def test_symbol_md_network():
    net = mlp()
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]
    pytest.importorskip("graphviz")
    assert mx.viz.plot_network(net, shape={"data": (100, 200)}, node_attrs={"shape": "oval", "fixedsize": "false"})


def test_symbol_md_functional_composition():
    data = mx.sym.Variable("data")
    net1 = mx.sym.FullyConnected(data=data, name="fc1", num_hidden=10)
    net2 = mx.sym.Variable("data2")
    net2 = mx.sym.FullyConnected(data=net2, name="fc2", num_hidden=10)
    composed = net2(data2=net1, name="composed")
    assert composed.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]


def test_symbol_md_prefix():
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


def test_symbol_md_inception():
    prev = mx.sym.Variable("Previous Output")
    net = inception_factory(prev, 64, 64, 64, 64, 96, "avg", 32, name="in3a")
    assert net.list_arguments()[0] == "Previous Output"
    assert net.infer_shape(**{"Previous Output": (128, 3, 28, 28)})[1] == [(128, 256, 28, 28)]
    assert len(net.list_auxiliary_states()) == 14
    pytest.importorskip("graphviz")
    assert mx.viz.plot_network(net, shape={"Previous Output": (128, 3, 28, 28)})


def test_symbol_md_group():
    net = mx.sym.Variable("data")
    fc1 = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=128)
    relu = mx.sym.Activation(data=fc1, name="relu1", act_type="relu")
    out1 = mx.sym.SoftmaxOutput(data=relu, name="softmax")
    out2 = mx.sym.LinearRegressionOutput(data=relu, name="regression")
    assert mx.sym.Group([out1, out2]).list_outputs() == ["softmax_output", "regression_output"]


def test_symbol_md_inference():
    c = mx.sym.Variable("a") + mx.sym.Variable("b")
    assert c.infer_shape(a=(2, 3), b=(2, 3)) == ([(2, 3), (2, 3)], [(2, 3)], [])
    assert c.infer_type(a="float32", b="float32") == ([np.float32, np.float32], [np.float32], [])


def test_symbol_md_bind_and_evaluate():
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


def test_symbol_md_load_and_save(tmp_path):
    c = mx.sym.Variable("a") + mx.sym.Variable("b")
    c.save(str(tmp_path / "symbol-c.json"))
    c2 = mx.sym.load(str(tmp_path / "symbol-c.json"))
    assert c.tojson() == c2.tojson()
    assert pickle.loads(pickle.dumps(c)).tojson() == c.tojson()


def test_symbol_md_type_cast():
    a = mx.sym.Variable("data")
    assert mx.sym.cast(data=a, dtype="float16").infer_type(data="float32") == ([np.float32], [np.float16], [])
    assert mx.sym.cast(data=a, dtype="uint8").infer_type(data="int32") == ([np.int32], [np.uint8], [])


def test_symbol_md_variable_sharing():
    a = mx.sym.Variable("a")
    b = a + a * a
    data = mx.nd.ones((2, 3)) * 2
    ex = b.bind(ctx=mx.cpu(), args={"a": data, "b": data})
    ex.forward()
    assert (ex.outputs[0].asnumpy() == 6).all()


# ---- linear-regression.md -----------------------------------------------------------------------


def test_linear_regression_md(caplog):
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


# ---- custom loss --------------------------------------------------------------------------------


def house_like_data():
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    y = ((y - y.mean()) / y.std()).astype(np.float32)
    return X, y


def regression_body():
    data = mx.sym.Variable("data")
    fc1 = mx.sym.FullyConnected(data, num_hidden=14, name="fc1")
    tanh1 = mx.sym.Activation(fc1, act_type="tanh", name="tanh1")
    return mx.sym.FullyConnected(tanh1, num_hidden=1, name="fc2"), mx.sym.Variable("label")


def train(symbol, optimizer, epochs, **params):
    X, y = house_like_data()
    np.random.seed(0)
    mx.random.seed(0)
    it = mx.io.NDArrayIter(X, y, 60, label_name="label", shuffle=False)
    module = mx.mod.Module(symbol, label_names=["label"])
    module.fit(
        it,
        num_epoch=epochs,
        optimizer=optimizer,
        optimizer_params=params,
        eval_metric=mx.metric.Loss(),
        initializer=mx.init.Uniform(0.1),
    )
    return module.get_params()[0]


def test_custom_loss_square_agrees_with_linear_regression():
    fc2, label = regression_body()
    lro = mx.sym.LinearRegressionOutput(fc2, label, name="lro")
    lro2 = mx.sym.MakeLoss(mx.sym.square(mx.sym.Reshape(fc2, shape=(0,)) - label), name="lro2")
    # The gradient of the square is twice that of LinearRegressionOutput; rmsprop does not see the factor.
    first, second = train(lro, "rmsprop", 5), train(lro2, "rmsprop", 5)
    X, y = house_like_data()
    errors = []
    for params in (first, second):
        executor = (
            mx.sym.Group([lro2]).get_internals()["fc2_output"].simple_bind(mx.cpu(), grad_req="null", data=X.shape)
        )
        executor.copy_params_from(params)
        predicted = executor.forward(data=X)[0].asnumpy().ravel()
        errors.append(((predicted - y) ** 2).mean())
    assert errors[0] < 0.9 * y.var()
    assert abs(errors[0] - errors[1]) < 1e-3


def test_custom_loss_abs_equals_mae_regression():
    fc2, label = regression_body()
    mae = mx.sym.MAERegressionOutput(fc2, label, name="lro")
    custom = mx.sym.MakeLoss(mx.sym.abs(mx.sym.Reshape(fc2, shape=(0,)) - label), name="lro2")
    first, second = train(mae, "sgd", 20, learning_rate=0.001), train(custom, "sgd", 20, learning_rate=0.001)
    for name in first:
        assert (first[name].asnumpy() == second[name].asnumpy()).all(), name
