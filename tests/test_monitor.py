"""Monitor. Names, texts and order were observed in MXNet 1.9.1, which also tells of the operators of gradients."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import symbind as mx

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
