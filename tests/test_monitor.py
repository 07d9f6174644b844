"""Monitor. Names, texts and order were observed in MXNet 1.9.1."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind.runtime.engines import use_engine

# What each statistic of a net whose arguments are all one is, in order.
EXPECTED = [
    ("fc_output", "4.0\t"),
    ("act_output", "4.0\t"),
    ("softmax_output", "0.5\t"),
    ("data", "1.0\t"),
    ("fc_weight", "1.0\t"),
    ("fc_bias", "1.0\t"),
    ("softmax_label", "1.0\t"),
]


def network() -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    net = mx.sym.Activation(net, act_type="relu", name="act")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def executor() -> Any:
    made = network().simple_bind(mx.cpu(), data=(2, 3))
    for array in made.arg_arrays:
        array[:] = 1
    return made


def observe(exe: Any, *, training: bool = True, **settings: Any) -> list[tuple[int, str, str]]:
    monitor = mx.mon.Monitor(1, **settings)
    monitor.install(exe)
    monitor.tic()
    exe.forward(is_train=training)
    return monitor.toc()


def test_outputs_then_arguments_are_observed() -> None:
    assert observe(executor()) == [(1, name, text) for name, text in EXPECTED]


def test_every_interval_one_batch_is_observed() -> None:
    exe, monitor = executor(), mx.mon.Monitor(2)
    monitor.install(exe)
    assert monitor.toc() == []
    seen = []
    for _ in range(4):
        monitor.tic()
        exe.forward()
        seen.append([step for step, _, _ in monitor.toc()])
    assert seen == [[1] * 7, [], [3] * 7, []]


def test_pattern_and_order() -> None:
    names = [name for _, name, _ in observe(executor(), pattern=".*t", sort=True)]
    assert names == sorted(n for n, _ in EXPECTED if "t" in n)
    assert [name for _, name, _ in observe(executor(), pattern="weight")] == []


def test_inputs_are_observed_with_monitor_all() -> None:
    names = [name for _, name, _ in observe(executor(), monitor_all=True)]
    # fmt: off
    assert names[:6] == ["data", "fc_data", "fc_weight", "fc_weight", "fc_bias", "fc_bias"]
    # fmt: on
    assert names[-4:] == [name for name, _ in EXPECTED[-4:]]


def test_auxiliary_states_are_observed() -> None:
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn")
    names = [name for _, name, _ in observe(net.simple_bind(mx.cpu(), data=(2, 3)))]
    assert names[-2:] == ["bn_moving_mean", "bn_moving_var"]


def test_statistics_of_ones_own() -> None:
    texts = {name: text for _, name, text in observe(executor(), stat_func=lambda x: [x.max(), x.min() - 1])}
    assert texts["fc_output"] == "4.0\t3.0\t"
    texts = {name: text for _, name, text in observe(executor(), stat_func=lambda x: x.reshape((-1,)))}
    assert texts["fc_bias"] == "[1. 1.]\t"
    with pytest.raises(AssertionError, match=r"fc_output it gave 3\.0"):
        observe(executor(), stat_func=lambda x: 3.0)


def test_what_is_printed(caplog: pytest.LogCaptureFixture) -> None:
    exe, monitor = executor(), mx.monitor.Monitor(1, pattern="fc_o")
    monitor.install(exe)
    monitor.tic()
    exe.forward()
    with caplog.at_level(logging.INFO):
        monitor.toc_print()
    assert caplog.messages == ["Batch:       1 fc_output                      4.0\t"]


def test_a_module_is_watched_while_it_is_fitted(caplog: pytest.LogCaptureFixture) -> None:
    data = mx.io.NDArrayIter(np.ones((6, 3)), np.zeros(6), batch_size=2)
    module = mx.mod.Module(network())
    with caplog.at_level(logging.INFO):
        module.fit(data, num_epoch=1, monitor=mx.mon.Monitor(2, pattern="fc_weight"), initializer=mx.init.One())
    lines = [line for line in caplog.messages if line.startswith("Batch:")]
    assert [line.split()[1:3] for line in lines] == [["1", "fc_weight"], ["3", "fc_weight"]]
    # The first batch is observed before anything was learnt, but after its own update.
    assert all(float(line.split()[3]) != 1.0 for line in lines)


# The names that MXNet 1.9.1 gives for the network below, of those gradients that are computed.
BACKWARD = [
    "softmax_backward_output0", "fc2_backward_output0", "fc2_backward_output1", "drop_backward_output",
    "bn_backward_output0", "bn_backward_output1", "bn_backward_output2", "sum_grad_output", "act_backward_output",
    "fc_backward_output1", "fc_backward_output2",
]  # fmt: skip


def branching() -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    net = mx.sym.Activation(net, act_type="relu", name="act")
    net = mx.sym.Dropout(net + mx.sym.BatchNorm(net, fix_gamma=False, name="bn"), p=0.5, name="drop")
    net = mx.sym.FullyConnected(net, num_hidden=2, no_bias=True, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def test_gradients_are_observed_on_their_way() -> None:
    module = mx.mod.Module(branching())
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    module.init_params()
    monitor = mx.mon.Monitor(1, lambda x: mx.nd.array([x.size]), ".*backward.*|sum_grad.*", monitor_all=True)
    module.install_monitor(monitor)
    monitor.tic()
    module.forward(mx.io.DataBatch([mx.nd.ones((4, 5))], [mx.nd.zeros(4)]), is_train=True)
    module.backward()
    seen = monitor.toc()
    assert [name for _, name, _ in seen] == BACKWARD
    sizes = {name: float(text) for _, name, text in seen}
    assert (sizes["fc_backward_output1"], sizes["bn_backward_output2"], sizes["drop_backward_output"]) == (15, 3, 12)


@pytest.mark.parametrize("engine", ["torch", None])
def test_values_of_gradients(engine: str | None) -> None:
    """Of a network with layouts and fused kernels, when it is not watched; the gradient of a tensor is its own test."""
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=16, name="conv")
    net = mx.sym.Activation(mx.sym.BatchNorm(net, fix_gamma=False, name="bn"), act_type="relu", name="act")
    net = mx.sym.sum(mx.sym.square(net, name="square"), name="total")
    with use_engine(engine) if engine else nullcontext():
        exe = net.simple_bind(mx.cpu(), data=(2, 16, 6, 6))
    rng = np.random.default_rng(0)
    for array in exe.arg_arrays:
        array[:] = rng.normal(size=array.shape)
    seen: dict[str, np.ndarray] = {}
    exe.set_monitor_callback(lambda name, array: seen.update({name.decode(): array.asnumpy()}))
    exe.forward(is_train=True)
    exe.backward(mx.nd.array([2.0]))
    np.testing.assert_allclose(seen["total_backward_output"], np.full((2, 16, 4, 4), 2))
    np.testing.assert_allclose(seen["square_backward_output"], 4 * seen["act_output"], rtol=1e-6)
    through = np.where(seen["bn_output"] > 0, 4 * seen["act_output"], 0)
    np.testing.assert_allclose(seen["act_backward_output"], through, rtol=1e-6)
    shown = {"data": "conv_backward_output0", "conv_weight": "conv_backward_output1", "bn_gamma": "bn_backward_output1"}
    watched = {name: exe.grad_dict[name].asnumpy() for name in shown}
    for name, shown_as in shown.items():
        np.testing.assert_array_equal(watched[name], seen[shown_as])
    # Nobody watches any more: the program is what it was, and its numbers too.
    exe.set_monitor_callback(None)
    seen.clear()
    exe.forward(is_train=True)
    exe.backward(mx.nd.array([2.0]))
    assert not seen
    for name, values in watched.items():
        np.testing.assert_allclose(exe.grad_dict[name].asnumpy(), values, rtol=1e-3, atol=1e-3)


def test_gradients_that_are_added_up_are_observed_before() -> None:
    x = mx.sym.Variable("x")
    exe = mx.sym.exp(x * x, name="exp").simple_bind(mx.cpu(), grad_req="add", x=(2,))
    exe.arg_dict["x"][:] = 1
    seen: dict[str, float] = {}
    exe.set_monitor_callback(lambda name, array: seen.update({name.decode(): array.asnumpy()[0]}))
    for count in (1, 2):
        exe.forward(is_train=True)
        exe.backward(mx.nd.ones(2))
        assert seen["sum_grad_output"] == pytest.approx(2 * np.e)
        assert exe.grad_dict["x"].asnumpy() == pytest.approx(count * 2 * np.e)
