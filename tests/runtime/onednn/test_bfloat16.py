"""bfloat16: as exact as its eight bits allow, on kernels of its own, with weights that are learned in float32."""

import logging

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import symbind as mx
from symbind.passes import recompute
from symbind.runtime.engines import use_engine
from symbind.runtime.onednn import graph_engine
from symbind.runtime.onednn.engine import supports_bfloat16

from .test_fusion import conv, norm, relu, residual_net


@pytest.fixture(autouse=True)
def bfloat16_instructions(onednn):
    if not supports_bfloat16():
        pytest.skip("this CPU has no instructions for bfloat16")


def bind(net, engine, dtype, shape, grad_req="write"):
    """An executor with numbers that bfloat16 represents."""
    with use_engine(engine):
        executor = net.simple_bind(mx.cpu(), grad_req=grad_req, type_dict={"data": dtype}, data=shape)
    rng = np.random.RandomState(0)
    for name, array in {**executor.arg_dict, **executor.aux_dict}.items():
        low, high = (0.5, 1.5) if name.endswith(("gamma", "var")) else (-1, 1)
        values = rng.uniform(low, high, array.shape)
        if name.endswith("weight"):
            values /= np.sqrt(np.prod(array.shape[1:]))
        array[:] = torch.from_numpy(values).bfloat16().float().numpy()
    return executor


def step(executor):
    """Output and gradients of a step, as float64."""
    output = executor.forward(is_train=True)[0]
    head = np.random.RandomState(1).choice([-1, -0.5, 0.5, 1], output.shape)
    executor.backward(mx.nd.array(head, dtype="float64").astype(executor.outputs[0].tensor.dtype))
    arrays = {"output": output, **executor.grad_dict}
    return {name: array.asnumpy().astype("float64") for name, array in arrays.items()}


def distance(actual, expected):
    return np.sqrt(((actual - expected) ** 2).mean() / (expected**2).mean())


NETS = {
    "residual": (residual_net, (4, 16, 8, 8)),
    "normalized": (lambda: relu(norm(conv(mx.sym.var("data"), 16, no_bias=True))), (4, 16, 8, 8)),
    "with biases": (
        lambda: mx.sym.tanh(conv(mx.sym.Pooling(conv(mx.sym.var("data"), 8), kernel=(2, 2), pool_type="max"), 5)),
        (2, 3, 9, 9),
    ),
    "dense": (
        lambda: mx.sym.FullyConnected(relu(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=32)), num_hidden=5),
        (8, 20),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_steps_are_as_exact_as_torch_is_in_bfloat16(name):
    net, shape = NETS[name][0](), NETS[name][1]
    exact = step(bind(net, "torch", "float64", shape))
    judge = step(bind(net, "torch", "bfloat16", shape))
    executor = bind(net, "onednn", "bfloat16", shape)
    errors = {what: distance(values, exact[what]) for what, values in step(executor).items()}
    judged = {what: distance(values, exact[what]) for what, values in judge.items()}
    # A rectifier that rounding lets through is an error of its own; on the whole these are as many here as there.
    assert sum(errors.values()) <= 1.1 * sum(judged.values()), (errors, judged)
    assert errors["output"] < 0.01
    kernels = [row.implementation for row in executor.plan_report(is_train=True).rows if row.flops]
    assert kernels
    assert all("onednn" in kernel for kernel in kernels), kernels


@pytest.mark.parametrize("name", NETS)
def test_inference_folds_and_fuses_as_in_float32(name):
    net, shape = NETS[name][0](), NETS[name][1]
    expected = bind(net, "torch", "float64", shape, "null").forward()[0].asnumpy()
    executors = [bind(net, "onednn", dtype, shape, "null") for dtype in ("bfloat16", "float32")]
    assert distance(executors[0].forward()[0].asnumpy(), expected) < 0.01
    listed = [[row.operator for row in e.plan_report().rows if row.operator != "_convert_layout"] for e in executors]
    assert listed[0] == listed[1]


def test_what_is_computed_again_is_as_exact(monkeypatch):
    """Normalized in bfloat16 by statistics in float32, added up and rectified in one go."""
    net, shape = residual_net(), (4, 16, 8, 8)
    kept = step(bind(net, "onednn", "bfloat16", shape))
    monkeypatch.setattr(recompute, "SMALLEST", 1)
    executor = bind(net, "onednn", "bfloat16", shape)
    assert any("_fused__normalize" in row.operator for row in executor.plan_report(is_train=True).rows)
    exact = step(bind(net, "torch", "float64", shape))
    for what, values in step(executor).items():
        assert distance(values, exact[what]) <= 1.1 * distance(kept[what], exact[what]) + 1e-3, what


def test_a_network_learns_as_well_as_in_float32():
    """LeNet on the digits: bfloat16 from data to the last layer, the loss and the copies of the weights in float32."""
    digits = load_digits()
    images, labels = digits.images.astype("float32")[:, None] / 16, digits.target.astype("float32")
    accuracies = {}
    for dtype in ("float32", "bfloat16"):
        net = mx.sym.Cast(mx.sym.var("data"), dtype=dtype)
        for filters in (8, 16):
            net = mx.sym.Activation(conv(net, filters), act_type="tanh")
            net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max")
        net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=64), act_type="tanh")
        net = mx.sym.Cast(mx.sym.FullyConnected(net, num_hidden=10), dtype="float32")
        model = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
        mx.random.seed(3)
        np.random.seed(3)
        training = mx.io.NDArrayIter(images[:1500], labels[:1500], 50, shuffle=True)
        model.fit(
            training,
            num_epoch=12,
            optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "multi_precision": True},
            initializer=mx.init.Xavier(),
        )
        accuracies[dtype] = dict(model.score(mx.io.NDArrayIter(images[1500:], labels[1500:], 27), "acc"))["accuracy"]
    assert accuracies["float32"] > 0.9
    assert accuracies["bfloat16"] >= accuracies["float32"] - 0.005


def test_a_cpu_that_cannot_is_told_of_once(monkeypatch, caplog):
    monkeypatch.setattr(graph_engine, "supports_bfloat16", lambda: False)
    graph_engine._computes_in_bfloat16.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                executor = bind(conv(mx.sym.var("data"), 4), "onednn", "bfloat16", (1, 3, 5, 5))
        assert len([r for r in caplog.records if "no instructions for bfloat16" in r.message]) == 1
        assert all("onednn" not in row.implementation for row in executor.plan_report().rows)
    finally:
        graph_engine._computes_in_bfloat16.cache_clear()
