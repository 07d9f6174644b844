"""Splitting the batch: the same numbers from smaller arrays, for networks with branches, odd batches and many heads."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind.graph.node import execution_order
from symbind.passes.infer import infer_shapes
from symbind.passes.split_batch import split_batch
from symbind.runtime import compile as module
from symbind.runtime.engines import use_engine

KIB = 1024


def convolution(data, filters, name, stride=1):
    return mx.sym.Convolution(
        data, num_filter=filters, kernel=(3, 3), pad=(1, 1), stride=(stride, stride), no_bias=True, name=name
    )


def network():
    """Large images first: a residual block with batch normalization and a branch that only the end reads."""
    stem = mx.sym.Activation(convolution(mx.sym.var("data"), 16, "stem"), act_type="relu")
    branch = mx.sym.Pooling(stem, kernel=(8, 8), stride=(8, 8), pool_type="avg")
    side = mx.sym.exp(mx.sym.mean(branch, axis=0, keepdims=True), name="side")  # mixes the samples
    body = mx.sym.BatchNorm(convolution(stem, 16, "body"), fix_gamma=False, name="norm")
    joined = mx.sym.Activation(body + stem, act_type="relu")
    down = convolution(joined, 32, "down", stride=4)
    end = mx.sym.broadcast_mul(mx.sym.Pooling(down, kernel=(2, 2), stride=(2, 2), pool_type="max")[0], mx.sym.sum(side))
    return mx.sym.Group([mx.sym.FullyConnected(mx.sym.Flatten(end), num_hidden=5, name="fc"), branch, joined])


def run(symbol, engine, cache_bytes, monkeypatch, batch, size=16):
    monkeypatch.setattr(module, "cache_bytes", lambda device: cache_bytes)
    with use_engine(engine):
        ex = symbol.simple_bind(mx.cpu(), grad_req="null", data=(batch, 3, size, size))
    rng = np.random.RandomState(0)
    for array in (*ex.arg_arrays, *ex.aux_arrays):
        array[:] = np.abs(rng.normal(size=array.shape)) * 0.1
    return ex, [output.asnumpy() for output in ex.forward()]


def parts(ex, is_train=False):
    """How often the first convolution runs."""
    rows = ex.plan_report(is_train=is_train).rows
    found = [row for row in rows if row.operator in ("Convolution", "_fused_Convolution")]
    return sum(row.name.startswith("stem") for row in found)


@pytest.mark.parametrize("batch", [2, 7, 8])
@pytest.mark.parametrize("engine, arrays", [("torch", 3), ("onednn", 2)])
def test_the_parts_of_a_batch_give_the_same_results(monkeypatch, engine, arrays, batch):
    """``arrays`` is how many of 16 KiB per sample a kernel touches: a sum alone, or a convolution with a sum."""
    whole, expected = run(network(), engine, 0, monkeypatch, batch)
    assert parts(whole) == 1
    for cache_bytes, count in ((1 * KIB, batch), (2 * arrays * 16 * KIB, -(-batch // 2)), (10_000 * KIB, 1)):
        split, found = run(network(), engine, cache_bytes, monkeypatch, batch)
        assert parts(split) == count
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_is_kept_for_gradients_and_trained_is_not_split(monkeypatch):
    monkeypatch.setattr(module, "cache_bytes", lambda device: KIB)
    ex = mx.sym.sum(network()[0]).simple_bind(mx.cpu(), data=(4, 3, 16, 16))
    assert parts(ex) == 1
    ex = network().simple_bind(mx.cpu(), grad_req="null", data=(4, 3, 16, 16))
    ex.forward(is_train=True)
    assert parts(ex, is_train=True) == 1


def test_a_monitor_sees_the_whole_batch(monkeypatch):
    monkeypatch.setattr(module, "cache_bytes", lambda device: KIB)
    ex = network().simple_bind(mx.cpu(), grad_req="null", data=(4, 3, 16, 16))
    seen = {}
    ex.set_monitor_callback(lambda name, array: seen.update({name.decode(): array.shape}))
    ex.forward()
    assert seen["stem_output"] == (4, 16, 16, 16)


def random_network(rng):
    """Layers on some of the last values, which are images of (channels, size); some mix the samples."""
    values = [(mx.sym.var("data"), 3, 16)]
    kinds = ["conv", "conv", "grouped", "pool", "norm", "act", "add", "cat", "up", "mix", "squeeze", "cut"]

    def one(op, x, **params):
        return getattr(mx.sym, op)(x, **params)[0]

    for _ in range(rng.randint(2, 14)):
        x, channels, size = rng.choice(values[-4:])
        kind = rng.choice(kinds)
        if kind == "conv":
            channels, stride = rng.choice([4, 16, 20]), rng.choice([1, 1, 2])
            x, size = convolution(x, channels, None, stride), -(-size // stride)
        elif kind == "grouped":
            x = mx.sym.Convolution(x, num_filter=channels, num_group=channels, kernel=(3, 3), pad=(1, 1))
        elif kind == "pool" and size % 2 == 0:
            x, size = one("Pooling", x, kernel=(2, 2), stride=(2, 2), pool_type=rng.choice(["max", "avg"])), size // 2
        elif kind == "norm":
            x = one("BatchNorm", x)
        elif kind == "act":
            x = mx.sym.LeakyReLU(x, act_type=rng.choice(["leaky", "prelu"]))
        elif kind in ("add", "cat"):
            y, more, _ = rng.choice([v for v in values if v[2] == size and (kind == "cat" or v[1] == channels)])
            x, channels = (x + y, channels) if kind == "add" else (mx.sym.Concat(x, y, dim=1), channels + more)
        elif kind == "up" and size <= 16:
            x, size = mx.sym.UpSampling(x, scale=2, sample_type="nearest", num_args=1), 2 * size
        elif kind == "mix":
            x = mx.sym.broadcast_add(x, mx.sym.mean(x, axis=0, keepdims=True))
        elif kind == "squeeze":
            x = mx.sym.broadcast_mul(x, one("Pooling", x, global_pool=True, kernel=(1, 1), pool_type="avg"))
        elif kind == "cut" and channels % 2 == 0:
            x, channels = mx.sym.SliceChannel(x, num_outputs=2, axis=1)[rng.randint(0, 1)], channels // 2
        values.append((x, channels, size))
    heads = [x for x, _, _ in rng.sample(values[1:], rng.randint(1, min(3, len(values) - 1)))]
    return mx.sym.Group([*heads, mx.sym.FullyConnected(values[-1][0], num_hidden=5)])


@given(st.integers(0, 10**6), st.integers(2, 7), st.sampled_from([1, 8, 32, 64, 128]))
@settings(max_examples=60, deadline=None)
def test_random_networks_give_the_same_results(seed, batch, kibibytes):
    symbol = random_network(random.Random(seed))
    for engine in ("torch", "onednn"):
        with pytest.MonkeyPatch.context() as monkeypatch:
            _, expected = run(symbol, engine, 0, monkeypatch, batch)
            _, found = run(symbol, engine, kibibytes * KIB, monkeypatch, batch)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def split(symbol, cache_bytes, **shapes):
    order = execution_order(symbol.entries)
    by_name = {node.name: node for node in order if node.is_variable}
    known = infer_shapes(order, {by_name[name]: shape for name, shape in shapes.items()})

    def num_bytes(entry):
        return 4 * int(np.prod(known[entry.node][entry.index]))

    return split_batch(symbol.entries, known, num_bytes, cache_bytes)


def test_only_what_is_too_large_is_split_and_what_leads_to_it():
    small = mx.sym.Activation(mx.sym.var("data"), act_type="tanh", name="first")
    large = mx.sym.exp(mx.sym.UpSampling(small, scale=4, sample_type="nearest", name="up"), name="large")
    last = mx.sym.exp(mx.sym.Pooling(large, kernel=(4, 4), stride=(4, 4), pool_type="max", name="down"), name="last")
    names = [node.name for node in execution_order(split(last, 40 * KIB, data=(4, 4, 8, 8)))]
    # 16 KiB a sample are read and as many written.
    parts = ["0_1", "1_2", "2_3", "3_4"]
    assert [n for n in names if n.startswith("large") and "output" not in n] == [f"large_{part}" for part in parts]
    assert sum(n.startswith("first") for n in names) == 4
    assert names.count("last") == 1
    # One part after the other.
    assert names.index("up_0_1") < names.index("first_1_2")


def test_each_layer_gets_as_many_samples_as_fit():
    net = mx.sym.var("data")
    for i in range(3):
        net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg", name=f"pool{i}")
    # With what it makes, the first layer touches 5 KiB of a sample, the next 1.25, the last 0.3.
    nodes = execution_order(split(net, 10 * KIB, data=(16, 1, 32, 32)))
    names = [node.name for node in nodes if not node.is_variable]
    assert [sum(name.startswith(f"pool{i}") and "output" not in name for name in names) for i in range(3)] == [8, 2, 1]
    # What is not read between the parts is joined once.
    joined = [node for node in nodes if not node.is_variable and node.op.name == "Concat"]
    assert [len(node.inputs) for node in joined] == [4, 4, 2]


def test_parameters_that_would_be_read_again_and_again_are_not():
    """A dense layer of a large batch, whose weights are as large as what it works on."""
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=512, name="fc")
    assert split(net, 64 * KIB, data=(256, 512)) == net.entries


def test_a_graph_that_mixes_its_samples_stays():
    net = mx.sym.exp(mx.sym.mean(mx.sym.var("data"), axis=0, keepdims=True))
    assert split(net, 16, data=(8, 100)) == net.entries


def test_parameters_with_as_many_rows_as_there_are_samples_are_no_samples(monkeypatch):
    monkeypatch.setattr(module, "cache_bytes", lambda device: 64)
    weight = mx.sym.L2Normalization(mx.sym.var("weight"), mode="instance")
    net = mx.sym.FullyConnected(mx.sym.exp(mx.sym.var("data")), weight, no_bias=True, num_hidden=4)
    ex = net.simple_bind(mx.cpu(), grad_req="null", data=(4, 30))
    data, rows = np.random.RandomState(0).normal(size=(2, 4, 30))
    found = ex.forward(data=mx.nd.array(data), weight=mx.nd.array(rows))[0].asnumpy()
    expected = np.exp(data) @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
