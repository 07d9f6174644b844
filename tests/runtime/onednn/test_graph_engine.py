"""Whole graphs on oneDNN: they agree with torch's kernels in double precision, whatever the shapes and layouts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from typing import NamedTuple

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.passes import recompute
from symbind.runtime import engines
from symbind.runtime.engines import use_engine
from symbind.runtime.executor import Executor
from symbind.runtime.onednn import library

OUTPUT_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 2e-5


class Result(NamedTuple):
    """What a run leaves: outputs in training and inference, gradients, auxiliary states."""

    training: list[np.ndarray]
    inference: list[np.ndarray]
    gradients: dict[str, np.ndarray]
    states: dict[str, np.ndarray]


def bound(symbol: mx.sym.Symbol, engine: str, dtype: str, grad_req: str = "write", **shapes: tuple) -> Executor:
    """An executor whose arrays hold numbers that depend on names and shapes alone."""
    with use_engine(engine):
        types = dict.fromkeys(symbol.list_arguments(), dtype)
        executor = symbol.simple_bind(mx.cpu(), grad_req, type_dict=types, **shapes)
    rng = np.random.RandomState(0)
    for name, array in executor.arg_dict.items():
        if name.endswith("label"):
            array[:] = rng.randint(0, 4, array.shape)
        elif name.endswith("gamma"):
            array[:] = rng.uniform(0.5, 1.5, array.shape)
        else:
            fan_in = max(1, int(np.prod(array.shape[1:]))) if name.endswith("weight") else 1
            array[:] = rng.uniform(-1, 1, array.shape) / np.sqrt(fan_in)
    for array in executor.aux_arrays:
        array[:] = rng.uniform(0.5, 1.5, array.shape)
    return executor


def run(executor: Executor) -> Result:
    """Inference, and then a training step with head gradients that are the same for all."""
    inference = [array.asnumpy() for array in executor.forward(is_train=False)]
    training = [array.asnumpy() for array in executor.forward(is_train=True)]
    rng = np.random.RandomState(1)
    heads = [mx.nd.array(rng.uniform(-1, 1, array.shape), dtype=array.dtype) for array in executor.outputs]
    executor.backward(heads)
    gradients = {name: array.asnumpy() for name, array in executor.grad_dict.items() if array is not None}
    return Result(training, inference, gradients, {n: a.asnumpy() for n, a in executor.aux_dict.items()})


def error(actual: np.ndarray, exact: np.ndarray) -> float:
    """The largest difference relative to the largest number."""
    assert actual.shape == exact.shape and np.isfinite(exact).all()
    return float(np.abs(actual - exact).max() / max(np.abs(exact).max(), 1e-30))


def check(symbol: mx.sym.Symbol, **shapes: tuple) -> Executor:
    """Run on oneDNN, compare with double precision on torch, and refuse the library's reference loops."""
    executor = bound(symbol, "onednn", "float32", **shapes)
    actual, exact = run(executor), run(bound(symbol, "torch", "float64", **shapes))
    for got, wanted in zip(actual.training + actual.inference, exact.training + exact.inference, strict=True):
        assert error(got, wanted) < OUTPUT_TOLERANCE
    worst = {name: error(actual.gradients[name], gradient) for name, gradient in exact.gradients.items()}
    assert max(worst.values()) < GRADIENT_TOLERANCE, worst
    for name, state in exact.states.items():
        assert error(actual.states[name], state) < OUTPUT_TOLERANCE, name
    assert not executor.plan_report(is_train=True).references
    return executor


def kernels(executor: Executor) -> dict[str, set[str]]:
    """What runs each operator."""
    found: dict[str, set[str]] = {}
    for row in executor.plan_report(is_train=True).rows:
        found.setdefault(row.operator, set()).add(row.implementation.split()[0])
    return found


def data() -> mx.sym.Symbol:
    return mx.sym.var("data")


# ---- networks -----------------------------------------------------------------------------------


def lenet() -> mx.sym.Symbol:
    net = data()
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i}")
        net = mx.sym.Activation(net, act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=50, name="fc1")
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="tanh"), num_hidden=10, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def resnet() -> mx.sym.Symbol:
    """Strides, projections, widths that fill blocks of 16 channels and one that does not."""

    def conv_bn(net: mx.sym.Symbol, filters: int, kernel: int, stride: int, name: str) -> mx.sym.Symbol:
        size = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (kernel // 2, kernel // 2)}
        net = mx.sym.Convolution(net, num_filter=filters, no_bias=True, name=f"{name}_conv", **size)
        return mx.sym.BatchNorm(net, fix_gamma=False, eps=1e-3, name=f"{name}_bn")

    net = mx.sym.Activation(conv_bn(data(), 16, 3, 1, "stem"), act_type="relu")
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    for i, (width, stride) in enumerate(((16, 1), (32, 2), (20, 2))):
        body = mx.sym.Activation(conv_bn(net, width, 3, stride, f"block{i}a"), act_type="relu")
        body = conv_bn(body, width, 3, 1, f"block{i}b")
        shortcut = conv_bn(net, width, 1, stride, f"block{i}p") if i else net
        net = mx.sym.Activation(body + shortcut, act_type="relu", name=f"block{i}")
    net = mx.sym.Pooling(net, global_pool=True, kernel=(1, 1), pool_type="avg")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=10, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def densenet(growth: int) -> mx.sym.Symbol:
    net = mx.sym.Convolution(data(), num_filter=16, kernel=(3, 3), pad=(1, 1), name="stem")
    for i in range(2):
        new = mx.sym.Activation(mx.sym.BatchNorm(net, fix_gamma=bool(i), name=f"bn{i}"), act_type="relu")
        new = mx.sym.Convolution(new, num_filter=growth, kernel=(3, 3), pad=(1, 1), name=f"conv{i}")
        net = mx.sym.Concat(net, new, dim=1)
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg")
    return mx.sym.LogisticRegressionOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc"), name="logistic")


@pytest.mark.parametrize(
    "symbol, shape",
    [(lenet(), (4, 1, 28, 28)), (resnet(), (4, 3, 24, 24)), (densenet(16), (3, 3, 8, 8)), (densenet(12), (3, 3, 8, 8))],
    ids=["lenet", "resnet", "densenet", "densenet of odd width"],
)
def test_networks_agree_with_double_precision(symbol, shape):
    check(symbol, data=shape)


def test_no_activation_of_a_residual_network_is_converted():
    executor = bound(resnet(), "onednn", "float32", data=(4, 3, 24, 24))
    converted = {row.name for row in executor.plan_report(is_train=True).conversions}
    images = [name for name in converted if "weight" not in name]
    # The gradient of the data, which is plain; and what the dense layer reads and gives, a place per channel.
    assert len(images) <= 3, images


# ---- shapes -------------------------------------------------------------------------------------

CONVOLUTIONS = {
    "batch of one": ((1, 16, 7, 6), {"kernel": (3, 3), "num_filter": 32}),
    "few channels": ((2, 3, 8, 7), {"kernel": (3, 3), "num_filter": 5, "pad": (1, 1)}),
    "odd channels": ((2, 5, 8, 7), {"kernel": (3, 2), "num_filter": 19, "stride": (2, 1)}),
    "stride beyond the kernel": ((2, 16, 11, 9), {"kernel": (2, 1), "num_filter": 16, "stride": (3, 2)}),
    "dilation": ((2, 16, 9, 9), {"kernel": (3, 3), "num_filter": 16, "dilate": (2, 3), "pad": (2, 3)}),
    "groups": ((2, 32, 6, 6), {"kernel": (3, 3), "num_filter": 64, "num_group": 2, "pad": (1, 1)}),
    "odd groups": ((2, 6, 6, 6), {"kernel": (3, 3), "num_filter": 9, "num_group": 3}),
    "depthwise": ((2, 32, 6, 6), {"kernel": (3, 3), "num_filter": 32, "num_group": 32, "stride": (2, 2)}),
    "odd depthwise": ((2, 5, 6, 6), {"kernel": (3, 3), "num_filter": 5, "num_group": 5, "pad": (1, 1)}),
    "one axis": ((2, 4, 12), {"kernel": (3,), "num_filter": 16, "pad": (1,)}),
    "three axes": ((1, 3, 5, 6, 4), {"kernel": (2, 3, 2), "num_filter": 16, "stride": (1, 2, 1)}),
    "channels last": ((2, 7, 6, 16), {"kernel": (3, 3), "num_filter": 8, "layout": "NHWC"}),
    "channels last in groups": ((2, 7, 6, 4), {"kernel": (2, 3), "num_filter": 6, "num_group": 2, "layout": "NHWC"}),
    "more padding than kernel": ((2, 4, 3, 3), {"kernel": (2, 2), "num_filter": 4, "pad": (3, 2)}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("no_bias", [False, True], ids=["bias", ""])
def test_convolution(name, no_bias):
    shape, params = CONVOLUTIONS[name]
    net = mx.sym.Convolution(data(), no_bias=no_bias, name="conv", **params)
    check(net, data=shape)
    # Amid blocked images, as in a network.
    if params.get("layout") is None:
        rank = len(shape) - 2
        first = mx.sym.Convolution(data(), kernel=(1,) * rank, num_filter=shape[1], name="first")
        net = mx.sym.Convolution(mx.sym.tanh(first), no_bias=no_bias, name="conv", **params)
        check(mx.sym.Activation(net, act_type="softrelu"), data=shape)


DECONVOLUTIONS = {
    "stride": ((2, 16, 5, 4), {"kernel": (4, 4), "num_filter": 16, "stride": (2, 2), "pad": (1, 1)}),
    "adjusted": ((1, 3, 4, 5), {"kernel": (3, 3), "num_filter": 5, "stride": (2, 3), "pad": (1, 0), "adj": (1, 2)}),
    "target shape": ((2, 4, 3, 3), {"kernel": (3, 3), "num_filter": 8, "stride": (2, 2), "target_shape": (6, 7)}),
    "groups": ((2, 8, 4, 4), {"kernel": (3, 3), "num_filter": 4, "num_group": 2}),
    "depthwise": ((2, 16, 4, 4), {"kernel": (4, 4), "num_filter": 16, "num_group": 16, "stride": (2, 2)}),
    "dilation": ((2, 4, 4, 4), {"kernel": (3, 3), "num_filter": 4, "dilate": (2, 2)}),
    "one axis": ((2, 4, 5), {"kernel": (3,), "num_filter": 3, "stride": (2,)}),
}


@pytest.mark.parametrize("name", DECONVOLUTIONS)
def test_deconvolution(name):
    shape, params = DECONVOLUTIONS[name]
    check(mx.sym.Deconvolution(data(), no_bias=False, name="up", **params), data=shape)


WINDOWS = [
    {"kernel": (2, 2), "stride": (2, 2)},
    {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)},
    {"kernel": (3, 2), "stride": (2, 3), "pooling_convention": "full"},
    {"kernel": (2, 2), "stride": (3, 3), "pooling_convention": "full"},
    {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "pooling_convention": "full"},
    {"kernel": (3, 3), "pad": (2, 2)},
    {"kernel": (1, 1), "global_pool": True},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("channels", [5, 16])
@pytest.mark.parametrize(
    "statistic", [{"pool_type": "max"}, {"pool_type": "avg"}, {"pool_type": "avg", "count_include_pad": False}], ids=str
)
def test_pooling(window, channels, statistic):
    plain = mx.sym.Pooling(data(), **window, **statistic)
    check(plain, data=(2, channels, 8, 7))
    blocked = mx.sym.Convolution(data(), kernel=(3, 3), pad=(1, 1), num_filter=channels, name="conv")
    check(mx.sym.Pooling(blocked, **window, **statistic), data=(2, 16, 8, 7))


def test_pooling_of_one_axis_of_three_and_of_channels_last():
    for shape, kernel in (((2, 4, 9), (3,)), ((1, 4, 4, 6, 5), (2, 3, 2))):
        for kind in ("max", "avg"):
            check(mx.sym.Pooling(data(), kernel=kernel, pool_type=kind), data=shape)
    last = mx.sym.Convolution(data(), kernel=(2, 2), num_filter=16, no_bias=True, layout="NHWC", name="conv")
    last = mx.sym.BatchNorm(last, axis=3, fix_gamma=False, name="bn")
    check(mx.sym.Pooling(last, kernel=(2, 2), stride=(2, 2), layout="NHWC"), data=(2, 7, 7, 4))


@pytest.mark.parametrize(
    "shape, axis", [((4, 16, 5, 3), 1), ((4, 3, 5, 3), 1), ((6, 7), 1), ((4, 5, 8), -1), ((5, 3), 0)]
)
@pytest.mark.parametrize("params", [{}, {"fix_gamma": False}, {"use_global_stats": True}, {"output_mean_var": True}])
def test_batch_normalization(shape, axis, params):
    check(mx.sym.BatchNorm(data(), axis=axis, name="bn", **params), data=shape)


def test_gradient_of_inference_uses_the_moving_statistics():
    results = []
    for engine, dtype in (("onednn", "float32"), ("torch", "float64")):
        net = mx.sym.BatchNorm(data(), fix_gamma=False, name="bn")
        executor = bound(net, engine, dtype, data=(3, 16, 4, 4))
        executor.forward(is_train=False)
        executor.backward(mx.nd.array(np.random.RandomState(2).randn(3, 16, 4, 4), dtype=dtype))
        results.append([array.asnumpy() for array in executor.grad_arrays + executor.aux_arrays])
    for actual, exact in zip(*results):
        assert error(actual, exact) < GRADIENT_TOLERANCE


OTHERS = {
    "dense": (mx.sym.FullyConnected(data(), num_hidden=7, name="fc"), (5, 3, 4)),
    "dense without flattening": (mx.sym.FullyConnected(data(), num_hidden=7, flatten=False, name="fc"), (5, 3, 4)),
    "dense with one output": (mx.sym.FullyConnected(data(), num_hidden=1, name="fc"), (5, 12)),
    "dense of one sample": (mx.sym.FullyConnected(data(), num_hidden=6, name="fc"), (1, 12)),
    "softmax": (mx.sym.softmax(data() * 5), (6, 9)),
    "softmax over channels": (mx.sym.softmax(data() * 5, axis=1), (2, 16, 3)),
    "layer normalization": (mx.sym.LayerNorm(data(), name="ln"), (4, 3, 10)),
    "layer normalization with statistics": (mx.sym.LayerNorm(data(), output_mean_var=True, name="ln"), (4, 6)),
    "response normalization": (mx.sym.LRN(data(), nsize=5, alpha=0.5), (2, 32, 4, 3)),
    "response normalization, odd": (mx.sym.LRN(data(), nsize=3, alpha=0.5), (2, 7, 4, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_operators(name):
    symbol, shape = OTHERS[name]
    check(symbol, data=shape)


@pytest.mark.parametrize("turn_lhs", [False, True])
@pytest.mark.parametrize("turn_rhs", [False, True])
def test_products(turn_lhs, turn_rhs):
    turns = {"transpose_a": turn_lhs, "transpose_b": turn_rhs}
    lhs, rhs = mx.sym.var("lhs"), mx.sym.var("rhs")
    product = mx.sym.dot(lhs, rhs, **turns)
    shapes = {"lhs": (6, 3, 5) if turn_lhs else (3, 5, 6), "rhs": (4, 7, 6) if turn_rhs else (6, 4, 7)}
    assert kernels(check(product, **shapes))["dot"] == {"onednn"}
    product = mx.sym.batch_dot(lhs, rhs, **turns)
    shapes = {"lhs": (4, 6, 5) if turn_lhs else (4, 5, 6), "rhs": (4, 7, 6) if turn_rhs else (4, 6, 7)}
    assert kernels(check(product, **shapes))["batch_dot"] == {"onednn"}


def test_channels_that_would_be_mostly_padding_come_last():
    net = mx.sym.Convolution(data(), kernel=(5, 5), num_filter=20, name="conv0")
    net = mx.sym.Pooling(mx.sym.tanh(net), kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=36, name="conv1")
    executor = check(net, data=(2, 1, 20, 20))
    rows = {row.name: row for row in executor.plan_report(is_train=True).rows}
    assert "acdb:2x20x8x8" in rows["conv1"].layouts
    # A normalization wants blocks, and what comes after it takes them.
    net = mx.sym.Convolution(data(), kernel=(3, 3), num_filter=20, no_bias=True, name="conv0")
    net = mx.sym.BatchNorm(net, name="norm")
    executor = check(mx.sym.Convolution(net, kernel=(3, 3), num_filter=20, name="conv1"), data=(2, 1, 10, 10))
    rows = {row.name: row for row in executor.plan_report(is_train=True).rows}
    assert rows["norm"].implementation.startswith("onednn bnorm_jit")
    assert "aBcd" in rows["conv1"].layouts


def test_what_follows_a_convolution_stays_in_its_layout():
    net = mx.sym.Convolution(data(), kernel=(3, 3), num_filter=64, name="conv")
    net = mx.sym.Activation(net, act_type="sigmoid") * 2 + mx.sym.LeakyReLU(net, slope=0.1)
    net = mx.sym.LRN(mx.sym.UpSampling(net, scale=2, sample_type="nearest"), nsize=5)
    first, second = mx.sym.SliceChannel(net, num_outputs=2)
    net = mx.sym.Concat(second, mx.sym.square(first), mx.sym.sqrt(mx.sym.abs(second) + 1))
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2))
    executor = check(net, data=(2, 16, 6, 6))
    inner = [row.name for row in executor.plan_report(is_train=True).conversions if "weight" not in row.name]
    assert len(inner) <= 4, inner  # data, output and their gradients are plain


@pytest.mark.parametrize("samples", [1, 3], ids=["for all samples", "for each sample"])
@pytest.mark.parametrize("channels", [32, 5])
def test_a_number_for_each_channel(samples, channels):
    image = mx.sym.Convolution(data(), kernel=(3, 3), num_filter=channels, name="conv")
    scale = mx.sym.sigmoid(mx.sym.var("scale"))
    net = mx.sym.broadcast_add(mx.sym.broadcast_mul(image, scale), mx.sym.var("shift"))
    net = mx.sym.broadcast_sub(scale, mx.sym.broadcast_maximum(net, image))
    executor = check(net, data=(3, 16, 6, 6), scale=(samples, channels, 1, 1), shift=(samples, channels, 1, 1))
    if channels == 32:
        assert kernels(executor)["broadcast_mul"] == kernels(executor)["broadcast_add"] == {"torch"}
        plain = [row.name for row in executor.plan_report(is_train=True).conversions if row.layouts.startswith("aB")]
        assert not [name for name in plain if "broadcast" in name and "output" not in name], plain


def test_dropout_of_an_image_stays_in_its_layout():
    net = mx.sym.Convolution(data(), kernel=(3, 3), num_filter=5, name="conv")
    executor = bound(mx.sym.Dropout(mx.sym.tanh(net), p=0.5), "onednn", "float32", data=(4, 3, 12, 12))
    whole = executor.forward(is_train=False)[0].asnumpy()
    dropped = executor.forward(is_train=True)[0].asnumpy()
    executor.backward(mx.nd.ones(dropped.shape))
    kept = dropped != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_allclose(dropped[kept], 2 * whole[kept], rtol=1e-6)
    exact = np.where(kept, 2 * (1 - whole**2), 0)
    np.testing.assert_allclose(executor.grad_dict["conv_bias"].asnumpy(), exact.sum((0, 2, 3)), rtol=1e-4)


# ---- how it runs --------------------------------------------------------------------------------


def test_runs_are_identical_to_the_bit():
    first, second = (bound(resnet(), "onednn", "float32", data=(4, 3, 24, 24)) for _ in range(2))
    states = {name: array.asnumpy() for name, array in first.aux_dict.items()}
    results = [run(first)]
    for name, array in first.aux_dict.items():
        array[:] = states[name]
    results += [run(first), run(second)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].training, other.training)
        np.testing.assert_array_equal(results[0].inference, other.inference)
        for name, gradient in results[0].gradients.items():
            np.testing.assert_array_equal(gradient, other.gradients[name], err_msg=name)


def test_two_executors_in_two_threads():
    symbol, shape = lenet(), (8, 1, 28, 28)
    alone = run(bound(symbol, "onednn", "float32", data=shape))
    executors = [bound(symbol, "onednn", "float32", data=shape) for _ in range(2)]
    results: dict[int, list[Result]] = {0: [], 1: []}

    def work(i: int) -> None:
        torch.set_num_threads(threads)  # of this thread's parallel regions, as torch has it
        results[i] = [run(executors[i]) for _ in range(5)]

    threads = torch.get_num_threads()
    workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in (*results[0], *results[1]):
        np.testing.assert_array_equal(result.training, alone.training)
        for name, gradient in alone.gradients.items():
            np.testing.assert_array_equal(result.gradients[name], gradient, err_msg=name)
    assert len(results[0]) == len(results[1]) == 5


def test_programs_follow_the_number_of_threads():
    before = torch.get_num_threads()
    exact = run(bound(lenet(), "torch", "float64", data=(4, 1, 28, 28)))
    try:
        torch.set_num_threads(1)
        executor = bound(lenet(), "onednn", "float32", data=(4, 1, 28, 28))
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            result = run(executor)
            assert error(result.training[0], exact.training[0]) < OUTPUT_TOLERANCE
            for name, gradient in exact.gradients.items():
                assert error(result.gradients[name], gradient) < GRADIENT_TOLERANCE, name
        executor.forward(is_train=True)
        torch.set_num_threads(2)
        executor.backward()
        for name, gradient in exact.gradients.items():
            assert error(executor.grad_dict[name].asnumpy(), gradient) < GRADIENT_TOLERANCE, name
    finally:
        torch.set_num_threads(before)


def test_gradients_are_added_where_that_is_asked_for():
    once = run(bound(lenet(), "onednn", "float32", data=(4, 1, 28, 28)))
    executor = bound(lenet(), "onednn", "float32", grad_req="add", data=(4, 1, 28, 28))
    for array in executor.grad_arrays:
        array[:] = 1
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward()
    for name, gradient in once.gradients.items():
        np.testing.assert_allclose(executor.grad_dict[name].asnumpy(), 1 + 2 * gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inputs_too", [False, True])
def test_a_monitor_sees_plain_arrays(inputs_too):
    symbol, seen = resnet(), []
    for engine, dtype in (("onednn", "float32"), ("torch", "float64")):
        executor = bound(symbol, engine, dtype, data=(2, 3, 24, 24))
        values: dict[str, np.ndarray] = {}

        def note(name: bytes, array: mx.nd.NDArray, values: dict[str, np.ndarray] = values) -> None:
            values[name.decode()] = array.asnumpy()

        executor.set_monitor_callback(note, inputs_too)
        executor.forward(is_train=True)
        seen.append(values)
    ours, exact = seen
    assert list(ours) == list(exact) and ("stem_conv_weight" in ours) == inputs_too
    for name, value in exact.items():
        assert error(ours[name], value) < 5 * OUTPUT_TOLERANCE, name


def test_a_window_of_nothing_but_padding_runs_on_torch():
    window = {"kernel": (2, 2), "stride": (3, 3), "pad": (1, 1), "pooling_convention": "full"}
    executor = bound(mx.sym.Pooling(data(), **window), "onednn", "float32", data=(1, 4, 8, 8))
    assert kernels(executor)["Pooling"] == kernels(executor)["_backward_Pooling"] == {"torch"}


def test_parameters_that_another_executor_computes_are_not_taken_for_constant():
    maker = mx.sym.tanh(mx.sym.var("z")).simple_bind(mx.cpu(), grad_req="null", z=(3, 8))
    layer = mx.sym.FullyConnected(data(), mx.sym.var("weight"), num_hidden=3, no_bias=True)
    arrays = {"data": mx.nd.ones((4, 8)), "weight": maker.outputs[0]}
    reader = layer.bind(mx.cpu(), arrays, grad_req="null")
    for z in (0.1, 0.2, 0.3):
        maker.arg_dict["z"][:] = z
        maker.forward()
        np.testing.assert_allclose(reader.forward()[0].asnumpy(), np.full((4, 3), 8 * np.tanh(z)), rtol=1e-5)


def test_other_types_run_on_torch():
    net = mx.sym.Convolution(data(), kernel=(3, 3), num_filter=4, name="conv")
    executor = bound(net, "onednn", "float64", data=(1, 2, 5, 5))
    assert kernels(executor)["Convolution"] == {"torch"}
    assert not executor.plan_report(is_train=True).conversions


@pytest.mark.parametrize("instructions", ["AVX2", "SSE41"])
def test_older_processors(instructions):
    chosen = "networks_agree or batch_normalization or products or what_follows"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "OMP_NUM_THREADS": "1"}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", chosen]
    result = subprocess.run(tests, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


# ---- which engine -------------------------------------------------------------------------------


def test_onednn_is_the_default_and_torch_can_be_asked_for(monkeypatch):
    monkeypatch.delenv("SYMBIND_ENGINE", raising=False)
    cpu = torch.device("cpu")
    assert engines.engine_for(cpu).name == "onednn"
    with use_engine("torch"):
        assert engines.engine_for(cpu).name == "torch"
    monkeypatch.setenv("SYMBIND_ENGINE", "torch")
    assert engines.engine_for(cpu).name == "torch"
    monkeypatch.setenv("SYMBIND_ENGINE", "abacus")
    with pytest.raises(ValueError, match="no engine called 'abacus'.*onednn.*torch"):
        engines.engine_for(cpu)


def test_without_the_library_torch_runs_everything_and_the_log_says_so_once(monkeypatch, caplog):
    monkeypatch.delenv("SYMBIND_ENGINE", raising=False)
    monkeypatch.setattr(library, "_outcome", library.Unavailable("oneDNN is not here"))
    engines._onednn.cache_clear()
    try:
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                assert engines.engine_for(torch.device("cpu")).name == "torch"
        with use_engine("onednn"), pytest.raises(mx.MXNetError, match="oneDNN is not here"):
            data().simple_bind(mx.cpu(), data=(1,))
    finally:
        engines._onednn.cache_clear()
    assert [record.getMessage().count("oneDNN is not here") for record in caplog.records] == [1]


@pytest.mark.parametrize("filters", [16, 20])
def test_what_is_computed_again_is_right(monkeypatch, filters):
    """Normalizations by statistics that were kept, alone, rectified, and with the sum that ends a residual block."""
    monkeypatch.setattr(recompute, "SMALLEST", 1)

    def normalized(net, name):
        net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=f"conv_{name}")
        return mx.sym.BatchNorm(net, fix_gamma=False, name=f"norm_{name}")

    net = mx.sym.Activation(normalized(data(), "a"), act_type="relu")
    net = mx.sym.Activation(normalized(net, "b") + net, act_type="relu", name="join")
    last = mx.sym.Convolution(normalized(net, "c"), kernel=(1, 1), num_filter=4, name="last")
    executor = check(last, data=(2, 3, 8, 8))
    again = {row.name: row for row in executor.plan_report(is_train=True).rows if "_again" in row.name}
    assert len(again) == 3, again.keys()
    assert all(row.implementation == "onednn jit:uni" for row in again.values()), again
    # After an inference pass the gradient is that of the moving statistics.
    gradients = []
    for engine, dtype in (("onednn", "float32"), ("torch", "float64")):
        executor = bound(net, engine, dtype, data=(2, 3, 8, 8))
        executor.forward(is_train=False)
        executor.backward(mx.nd.ones(executor.outputs[0].shape, dtype=dtype))
        gradients.append([array.asnumpy() for array in executor.grad_arrays])
    for got, wanted in zip(*gradients, strict=True):
        assert error(got, wanted) < GRADIENT_TOLERANCE
