"""The founding page, "Symbol and Automatic Differentiation": what it prints, and what it claims."""

from __future__ import annotations

import pytest

import symbind as mx


def test_network():
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data=net, name="fc1", num_hidden=128)
    net = mx.sym.Activation(data=net, name="relu1", act_type="relu")
    net = mx.sym.FullyConnected(data=net, name="fc2", num_hidden=64)
    net = mx.sym.Softmax(data=net, name="out")
    assert type(net) is mx.sym.Symbol
    expected = ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "out_label"]
    assert mx.arguments(net) == net.list_arguments() == expected
    assert mx.sym.softmax(mx.sym.Variable("data"), name="out").list_arguments() == ["data"]


def test_explicit_weight():
    data = mx.sym.Variable("data")
    w = mx.sym.Variable("myweight")
    net = mx.sym.FullyConnected(data=data, weight=w, name="fc1", num_hidden=128)
    assert mx.arguments(net) == ["data", "myweight", "fc1_bias"]


def test_sum_of_variables():
    lhs, rhs = mx.sym.Variable("data1"), mx.sym.Variable("data2")
    total = lhs + rhs
    net = mx.sym.FullyConnected(data=total, name="fc1", num_hidden=128)
    assert total.name == "_plus0"
    assert mx.arguments(net) == ["data1", "data2", "fc1_weight", "fc1_bias"]


@pytest.mark.parametrize(
    "compose", [lambda a, b: mx.apply(a, data=b, name="compose"), lambda a, b: a(data=b, name="compose")]
)
def test_composition(compose):
    net = mx.sym.FullyConnected(data=mx.sym.Variable("data"), name="fc1", num_hidden=128)
    net2 = mx.sym.FullyConnected(data=mx.sym.Variable("data2"), name="net2", num_hidden=128)
    composed = compose(net, net2)
    assert mx.arguments(composed) == ["data2", "net2_weight", "net2_bias", "fc1_weight", "fc1_bias"]
    assert mx.outputs(composed) == ["compose_output"]
    assert mx.arguments(net) == ["data", "fc1_weight", "fc1_bias"]
    assert mx.outputs(net) == ["fc1_output"]


def test_names_are_unique_in_a_network():
    data = mx.sym.Variable("data")
    first, second = (mx.sym.FullyConnected(data, num_hidden=2) for _ in range(2))
    assert [first.name, second.name] == ["fullyconnected0", "fullyconnected1"]
    with pytest.raises(mx.MXNetError, match="belong to more than one variable"):
        (mx.sym.Variable("a") + mx.sym.Variable("a")).simple_bind(mx.cpu(), a=(1,))


def test_all_memory_is_decided_at_bind_and_used_again():
    """The arena is known before a step runs, and smaller than all that lives in it taken together."""
    net = mx.sym.Variable("data")
    for _ in range(6):
        net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=64, no_bias=True), act_type="tanh")
    executor = net.simple_bind(mx.cpu(), grad_req="null", data=(32, 64))
    values = 12 * 32 * 64 * 4
    assert 0 < executor.memory_plan().arena <= values // 3
    before = [output.tensor.data_ptr() for output in executor.outputs]
    executor.forward()
    assert [output.tensor.data_ptr() for output in executor.outputs] == before


def test_gradients_come_from_the_executor():
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    executor = (a * b).simple_bind(mx.cpu(), a=(2,), b=(2,))
    executor.forward(is_train=True, a=mx.nd.array([1, 2]), b=mx.nd.array([3, 4]))
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["a"].asnumpy().tolist() == [3, 4]
    assert executor.grad_dict["b"].asnumpy().tolist() == [1, 2]
