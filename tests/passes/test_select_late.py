"""Selecting late: the layer runs on the table, the results stay."""

import numpy as np
import pytest

import symbind as mx
from symbind.runtime import executor as module
from symbind.runtime.engines import use_engine

BATCH, STEPS, LETTERS, WIDTH, HIDDEN = 4, 6, 10, 5, 7


def network(flatten, cut_axis=1):
    with mx.name.NameManager():
        x = mx.sym.Embedding(mx.sym.var("data"), mx.sym.var("table"), input_dim=LETTERS, output_dim=WIDTH)
        weight, bias = mx.sym.var("weight"), mx.sym.var("bias")
        parts = mx.sym.SliceChannel(x, num_outputs=STEPS, axis=cut_axis, squeeze_axis=True)
        rows = [
            mx.sym.FullyConnected(part, weight, bias, num_hidden=HIDDEN, flatten=flatten, name=f"fc{t}")
            for t, part in enumerate(parts)
        ]
        return mx.sym.MakeLoss(mx.sym.add_n(*[mx.sym.square(row) * (t + 1) for t, row in enumerate(rows)]))


def results(symbol, engine="torch", monitored=None):
    with use_engine(engine):
        ex = symbol.simple_bind(mx.cpu(), data=(BATCH, STEPS))
    rng = np.random.RandomState(0)
    for name, array in ex.arg_dict.items():
        # Some numbers are outside of the table, and mean its ends.
        array[:] = rng.randint(-3, LETTERS + 3, array.shape) if name == "data" else rng.normal(size=array.shape)
    if monitored is not None:
        ex.set_monitor_callback(lambda name, array: monitored.append(name.decode()))
    ex.forward(is_train=True)
    ex.backward()
    return ex, [ex.outputs[0].asnumpy(), *(ex.grad_dict[name].asnumpy() for name in ("table", "weight", "bias"))]


def rows_of(ex, operator):
    return [row for row in ex.plan_report(is_train=True).rows if operator in row.operator]


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("cut_axis", [1, -2])
@pytest.mark.parametrize("engine", ["torch", "onednn"])
def test_one_layer_on_the_table_gives_what_many_on_its_rows_do(monkeypatch, engine, cut_axis, flatten):
    late, found = results(network(flatten, cut_axis), engine)
    monkeypatch.setattr(module, "select_late", lambda outputs, infer: list(outputs))
    early, expected = results(network(flatten, cut_axis), engine)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert len([r for r in rows_of(late, "FullyConnected") if r.phase == "forward"]) == 1
    assert len([r for r in rows_of(early, "FullyConnected") if r.phase == "forward"]) == STEPS


def test_a_monitor_sees_the_network_as_it_was_described():
    _, expected = results(network(True))
    seen = []
    _, found = results(network(True), monitored=seen)
    assert {f"fc{t}_output" for t in range(STEPS)} <= set(seen)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_large_table_is_looked_up_first():
    data, table = mx.sym.var("data"), mx.sym.var("table")
    net = mx.sym.Embedding(data, table, input_dim=100, output_dim=WIDTH)
    net = mx.sym.FullyConnected(net, num_hidden=HIDDEN)
    ex = net.simple_bind(mx.cpu(), grad_req="null", data=(20,))
    assert [r.operator for r in ex.plan_report().rows] == ["Embedding", "FullyConnected"]


def test_a_layer_that_mixes_the_rows_is_left_alone():
    """Flattened, a row of the output comes from all rows of a sentence."""
    net = mx.sym.Embedding(mx.sym.var("data"), mx.sym.var("table"), input_dim=3, output_dim=WIDTH)
    net = mx.sym.FullyConnected(net, num_hidden=HIDDEN, flatten=True)
    ex = net.simple_bind(mx.cpu(), grad_req="null", data=(BATCH, STEPS))
    assert [r.operator for r in ex.plan_report().rows] == ["Embedding", "FullyConnected"]
