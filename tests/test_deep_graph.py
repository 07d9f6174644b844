"""A chain of 100,000 nodes: no stage recurses, and the work of each is proportional to the length."""

import sys

import pytest

import symbind as mx


def chain(length):
    net = mx.sym.var("x")
    for _ in range(length):
        net = net + 1
    return net


def stages(length, path, measure=lambda name, work: work()):
    """Build, infer, differentiate, save, load, bind and run; ``measure`` wraps every stage."""
    with mx.name.NameManager():
        net = measure("build", lambda: chain(length))
    assert measure("infer", lambda: net.infer_shape(x=(2, 3)))[1] == [(2, 3)]
    gradient = measure("gradient", lambda: net.gradient("x"))
    assert gradient.list_arguments()[0].endswith("_grad")
    measure("save", lambda: net.save(path))
    loaded = measure("load", lambda: mx.sym.load(path))
    assert loaded.list_outputs() == net.list_outputs()
    executor = measure("bind", lambda: net.simple_bind(mx.cpu(), x=(2, 3)))
    [out] = measure("forward", lambda: executor.forward(is_train=True, x=mx.nd.zeros((2, 3))))
    assert (out.asnumpy() == length).all()
    executor.backward(mx.nd.ones((2, 3)))
    assert (executor.grad_dict["x"].asnumpy() == 1).all()
    assert executor.memory_plan().arena <= 4096


def calls_of_stages(length, path):
    """How many functions, Python's and built-in ones, each stage calls: its work, whatever the machine is doing."""
    counts: dict[str, int] = {}

    def measure(name, work):
        count = 0

        def profile(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(profile)
        try:
            return work()
        finally:
            sys.setprofile(None)
            counts[name] = count

    stages(length, path, measure)
    return counts


def test_work_is_proportional_to_length(tmp_path):
    path = str(tmp_path / "chain-symbol.json")
    stages(100, path)  # imports and caches
    short, long = calls_of_stages(500, path), calls_of_stages(2000, path)
    for name in short:
        assert long[name] < 4.3 * short[name], f"{name}: {short[name]} calls for 500 nodes, {long[name]} for 2000"


def test_a_long_chain_does_not_recurse(tmp_path):
    stages(20_000, str(tmp_path / "chain-symbol.json"))


@pytest.mark.slow
def test_a_chain_of_100000_nodes(tmp_path):
    stages(100_000, str(tmp_path / "chain-symbol.json"))
