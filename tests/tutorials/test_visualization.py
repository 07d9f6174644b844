"""Visualize networks, and the symbol in pictures: composing, binding, forward, backward, auxiliary states."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx


def test_matrix_factorization_is_drawn() -> None:
    pytest.importorskip("graphviz")
    user, item, score = (mx.symbol.Variable(name) for name in ("user", "item", "score"))
    user = mx.symbol.Embedding(data=user, input_dim=1000, output_dim=8, name="user_embed")
    item = mx.symbol.Embedding(data=item, input_dim=500, output_dim=8, name="item_embed")
    net = mx.symbol.sum_axis(data=user * item, axis=1)
    net = mx.symbol.LinearRegressionOutput(data=mx.symbol.Flatten(data=net), label=score, name="lro")
    source = mx.viz.plot_network(net).source
    for node in ("user", "item", "user_embed", "item_embed", "_mul0", "sum_axis0", "flatten0", "lro"):
        assert f"{node} [" in source or f'"{node}" [' in source, node
    assert "user_embed_weight" not in source


def test_multiple_inputs() -> None:
    a, b = mx.sym.Variable("A"), mx.sym.Variable("B")
    c = a + b
    executor = c.bind(mx.cpu(), {"A": mx.nd.ones((2, 2)), "B": mx.nd.full((2, 2), 3)})
    [out] = executor.forward()
    assert (out.asnumpy() == 4).all()


def test_multiple_outputs_and_their_gradients() -> None:
    a = mx.sym.Variable("a")
    group = mx.sym.Group([a * 2, mx.sym.square(a)])
    gradient = mx.nd.zeros((2,))
    executor = group.bind(mx.cpu(), {"a": mx.nd.array([3, 4])}, {"a": gradient})
    outputs = executor.forward(is_train=True)
    assert [out.asnumpy().tolist() for out in outputs] == [[6, 8], [9, 16]]
    executor.backward([mx.nd.ones((2,)), mx.nd.array([10, 100])])
    assert gradient.asnumpy().tolist() == [2 + 10 * 6, 2 + 100 * 8]


def test_simple_bind_makes_the_arrays() -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc")
    executor = net.simple_bind(mx.cpu(), data=(2, 3))
    assert {name: array.shape for name, array in executor.arg_dict.items()} == {
        "data": (2, 3), "fc_weight": (4, 3), "fc_bias": (4,),
    }  # fmt: skip
    assert all((array.asnumpy() == 0).all() for array in executor.arg_dict.values())


def test_auxiliary_states_are_mutated_by_training() -> None:
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), momentum=0.5, name="bn")
    assert net.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    executor = net.simple_bind(mx.cpu(), data=(4, 1))
    data = np.array([[1], [2], [3], [6]], np.float32)
    executor.forward(is_train=True, data=data)
    executor.backward(mx.nd.ones((4, 1)))
    assert executor.aux_dict["bn_moving_mean"].asnumpy() == pytest.approx(1.5)
