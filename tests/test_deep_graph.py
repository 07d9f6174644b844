"""A chain of 100,000 nodes: every stage is linear and none recurses."""

import time

import pytest

import symbind as mx


def chain(length):
    net = mx.sym.var("x")
    for _ in range(length):
        net = net + 1
    return net


def stages(length, path):
    """Seconds of each stage."""
    times = {}

    def timed(name, work):
        start = time.perf_counter()
        result = work()
        times[name] = time.perf_counter() - start
        return result

    with mx.name.NameManager():
        net = timed("build", lambda: chain(length))
    assert timed("infer", lambda: net.infer_shape(x=(2, 3)))[1] == [(2, 3)]
    gradient = timed("gradient", lambda: net.gradient("x"))
    assert gradient.list_arguments()[0].endswith("_grad")
    timed("save", lambda: net.save(path))
    loaded = timed("load", lambda: mx.sym.load(path))
    assert loaded.list_outputs() == net.list_outputs()
    executor = timed("bind", lambda: net.simple_bind(mx.cpu(), x=(2, 3)))
    [out] = timed("forward", lambda: executor.forward(is_train=True, x=mx.nd.zeros((2, 3))))
    assert (out.asnumpy() == length).all()
    executor.backward(mx.nd.ones((2, 3)))
    assert (executor.grad_dict["x"].asnumpy() == 1).all()
    assert executor.memory_plan().arena <= 4096
    return times


def test_a_long_chain_does_not_recurse(tmp_path):
    stages(20_000, str(tmp_path / "chain-symbol.json"))


@pytest.mark.slow
def test_a_chain_of_100000_nodes_is_linear(tmp_path):
    path = str(tmp_path / "chain-symbol.json")
    short, long = stages(25_000, path), stages(100_000, path)
    # Four times the nodes: a quadratic stage would take sixteen times as long.
    for name in short:
        assert long[name] < 10 * max(short[name], 0.05), (name, short[name], long[name])
