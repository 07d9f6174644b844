"""Recomputation: less memory, the same numbers but for rounding."""

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.passes import recompute as module
from symbind.passes.gradient import build_gradient
from symbind.runtime.engines import engine_for, use_engine


def stack(layers):
    with mx.name.NameManager():
        net = mx.sym.var("data")
        for i in range(layers):
            net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=16, no_bias=True, name=f"conv{i}")
            net = mx.sym.BatchNorm(net, fix_gamma=False, name=f"bn{i}")
        return mx.sym.LinearRegressionOutput(mx.sym.mean(net, axis=(1, 2, 3)), name="loss")


def run(monkeypatch, smallest, engine, net):
    monkeypatch.setattr(module, "SMALLEST", smallest)
    with use_engine(engine):
        ex = net.simple_bind(mx.cpu(), data=(4, 16, 32, 32))
    rng = np.random.RandomState(0)
    for name, array in ex.arg_dict.items():
        array[:] = rng.uniform(0.5, 1, array.shape) if name.endswith("gamma") else rng.normal(0, 0.1, array.shape)
    for array in ex.aux_dict.values():
        array[:] = 1
    for _ in range(2):
        ex.forward(is_train=True)
        ex.backward()
    results = [a.asnumpy() for a in (*ex.outputs, *ex.grad_arrays, *ex.aux_arrays)]
    ex.forward(is_train=False)
    ex.backward()
    return ex, results + [a.asnumpy() for a in ex.grad_arrays]


def assert_equal_but_for_rounding(results, expected):
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())


@pytest.mark.parametrize("engine", ["torch", "onednn"])
def test_normalized_values_are_computed_again_with_the_same_result(monkeypatch, engine):
    kept, expected = run(monkeypatch, 1 << 60, engine, stack(6))
    dropped, results = run(monkeypatch, 1 << 10, engine, stack(6))
    assert_equal_but_for_rounding(results, expected)
    assert dropped.memory_plan().arena < 0.75 * kept.memory_plan().arena
    names = {row.name for row in dropped.plan_report(is_train=True).rows}
    assert {f"bn{i}_again" for i in range(5)} <= names
    assert not any(name.endswith("_again") for name in {r.name for r in kept.plan_report(is_train=True).rows})


def residual(blocks):
    def normalized(net, name):
        net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=16, no_bias=True, name=f"conv_{name}")
        return mx.sym.BatchNorm(net, fix_gamma=False, name=f"bn_{name}")

    with mx.name.NameManager():
        net = mx.sym.Activation(normalized(mx.sym.var("data"), "first"), act_type="relu")
        for i in range(blocks):
            net = mx.sym.Activation(normalized(net, i) + net, act_type="relu", name=f"out{i}")
        return mx.sym.LinearRegressionOutput(mx.sym.mean(net, axis=(1, 2, 3)), name="loss")


@pytest.mark.skipif(engine_for(torch.device("cpu")).name != "onednn", reason="the sum and its rectifier are one there")
def test_outputs_of_residual_blocks_are_computed_again_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 3)
    kept, expected = run(monkeypatch, 1 << 60, "onednn", residual(8))
    dropped, results = run(monkeypatch, 1 << 10, "onednn", residual(8))
    assert_equal_but_for_rounding(results, expected)
    assert dropped.memory_plan().arena < 0.75 * kept.memory_plan().arena
    rows = [row.name for row in dropped.plan_report(is_train=True).rows]
    again = [i for i in range(8) if any(name.endswith("_again") and f"out{i}" in name for name in rows)]
    # After three, the first normalization being one, comes one that is kept.
    assert again == [0, 1, 3, 4, 5, 7]


def test_a_value_whose_input_would_have_to_stay_is_kept(monkeypatch):
    """Nothing else in the backward pass reads the input of this normalization: it was replaced in place."""
    monkeypatch.setattr(module, "SMALLEST", 0)
    x = mx.sym.var("x")
    net = mx.sym.square(mx.sym.exp(mx.sym.sin(x)))
    gradient = list(build_gradient(net.entries, [x.entries[0].node]).of.values())
    assert module.recompute(net.entries, gradient, lambda e: 1 << 20) == gradient


def test_a_forward_value_that_is_given_as_a_gradient_is_kept(monkeypatch):
    monkeypatch.setattr(module, "SMALLEST", 0)
    total = (mx.sym.var("a") + mx.sym.var("b")).entries[0]
    heads = mx.sym.square(mx.sym.Symbol([total])).entries
    assert module.recompute(heads, [total], lambda e: 1 << 20) == [total]
