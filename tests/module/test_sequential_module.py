"""SequentialModule: what a chain of modules computes is what one module of the whole network computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbind as mx

BATCH = 4


def first() -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1")
    return mx.sym.Activation(net, act_type="tanh", name="act")


def second(data: str = "hidden") -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable(data), num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def chain() -> Any:
    modules = mx.mod.SequentialModule()
    modules.add(mx.mod.Module(first(), label_names=None))
    return modules.add(mx.mod.Module(second(), data_names=["hidden"]), take_labels=True, auto_wiring=True)


def whole() -> Any:
    return mx.mod.Module(second()(hidden=first()))


def samples(count: int = 40) -> Any:
    random = np.random.RandomState(0)
    data = random.randn(count, 3).astype("float32")
    return mx.io.NDArrayIter(data, data.argmax(axis=1), batch_size=BATCH)


def parameters() -> dict[str, Any]:
    random = np.random.RandomState(1)
    shapes = {"fc1_weight": (5, 3), "fc1_bias": (5,), "fc2_weight": (3, 5), "fc2_bias": (3,)}
    return {name: mx.nd.array(random.randn(*shape)) for name, shape in shapes.items()}


def test_a_chain_trains_like_the_whole_network() -> None:
    results = []
    for module in (chain(), whole()):
        module.fit(
            samples(),
            optimizer_params={"learning_rate": 0.5, "momentum": 0.9},
            arg_params=parameters(),
            num_epoch=3,
        )
        results.append((module.get_params()[0], module.predict(samples()), module.score(samples(), "acc")))
    (params, outputs, score), (other_params, other_outputs, other_score) = results
    assert score == other_score
    assert score[0][1] > 0.9
    np.testing.assert_allclose(outputs.asnumpy(), other_outputs.asnumpy(), rtol=1e-5)
    assert sorted(params) == sorted(other_params)
    for name in params:
        np.testing.assert_allclose(params[name].asnumpy(), other_params[name].asnumpy(), rtol=1e-4, atol=1e-6)


def test_gradients_of_the_inputs() -> None:
    gradients = []
    for module in (chain(), whole()):
        module.bind(samples().provide_data, samples().provide_label, inputs_need_grad=True)
        module.init_params(arg_params=parameters())
        module.forward_backward(samples().next())
        gradients.append(module.get_input_grads()[0].asnumpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5)


def test_names_and_shapes() -> None:
    modules = chain()
    assert modules.data_names == ["data"]
    assert modules.output_names == ["softmax_output"]
    modules.bind([("data", (BATCH, 3))], [("softmax_label", (BATCH,))])
    assert modules.data_shapes[0].shape == (BATCH, 3)
    assert modules.label_shapes == [("softmax_label", (BATCH,))]
    assert modules.output_shapes == [("softmax_output", (BATCH, 3))]
    assert mx.mod.SequentialModule().data_names == []


def test_wiring_by_name() -> None:
    modules = mx.mod.SequentialModule().add(mx.mod.Module(first(), label_names=None))
    modules.add(mx.mod.Module(second("act_output"), data_names=["act_output"]), take_labels=True)
    modules.bind([("data", (BATCH, 3))], [("softmax_label", (BATCH,))])
    modules.init_params(arg_params=parameters())
    assert modules.predict(samples()).shape == (40, 3)


def test_labels_go_only_where_they_are_taken() -> None:
    modules = mx.mod.SequentialModule().add(mx.mod.Module(first(), label_names=None))
    modules.bind([("data", (BATCH, 3))], [("softmax_label", (BATCH,))])
    assert modules.label_shapes is None


def test_mistakes() -> None:
    with pytest.raises(AssertionError, match='Unknown meta "take_label"'):
        chain().add(whole(), take_label=True)
    with pytest.raises(AssertionError, match="empty"):
        mx.mod.SequentialModule().bind([("data", (2, 3))])
    unwired = mx.mod.SequentialModule().add(mx.mod.Module(first(), label_names=None))
    unwired.add(mx.mod.Module(second(), data_names=["hidden"]), take_labels=True)
    with pytest.raises(ValueError, match="act_output"):
        unwired.bind([("data", (2, 3))], [("softmax_label", (2,))])
    twice = mx.mod.SequentialModule().add(mx.mod.Module(first(), label_names=None))
    twice.add(mx.mod.Module(first(), label_names=None), auto_wiring=True)
    twice.bind([("data", (2, 3))])
    with pytest.raises(AssertionError, match="Duplicated parameter names"):
        twice.init_params()
    modules = chain()
    modules.bind([("data", (2, 3))], [("softmax_label", (2,))])
    modules.init_params(arg_params={**parameters(), "fc3_weight": mx.nd.ones((1,))})
    assert "fc3_weight" not in modules.get_params()[0]
    with pytest.raises(AssertionError, match="inputs_need_grad"):
        modules.get_input_grads()


def test_a_chain_is_monitored() -> None:
    modules, monitor = chain(), mx.mon.Monitor(1, pattern=".*_output")
    modules.bind([("data", (BATCH, 3))], [("softmax_label", (BATCH,))])
    modules.init_params()
    modules.install_monitor(monitor)
    monitor.tic()
    modules.forward(samples().next())
    assert [name for _, name, _ in monitor.toc()] == ["fc1_output", "act_output", "fc2_output", "softmax_output"]
