"""Unrolled cells: one operator per step, the same numbers as the nodes they are described by."""

import numpy as np
import pytest

import symbind as mx
from symbind.runtime import executor as module
from symbind.runtime.engines import use_engine

STEPS, BATCH, HIDDEN = 4, 3, 16


def unrolled(swap=False, candidate="tanh"):
    """An LSTM written out; with ``swap`` the operands of products and sums change places."""

    def both(a, b, combine):
        return combine(b, a) if swap else combine(a, b)

    def times(a, b):
        return a * b

    def plus(a, b):
        return a + b

    with mx.name.NameManager():
        weight, bias = mx.sym.var("weight"), mx.sym.var("bias")
        h, c = mx.sym.var("h"), mx.sym.var("c")
        for t in range(STEPS):
            joined = mx.sym.Concat(mx.sym.var(f"x{t}"), h, dim=1)
            gates = mx.sym.FullyConnected(joined, weight, bias, num_hidden=4 * HIDDEN)
            i, f, g, o = mx.sym.SliceChannel(gates, num_outputs=4)
            i, f, o = (mx.sym.Activation(gate, act_type="sigmoid") for gate in (i, f, o))
            g = mx.sym.Activation(g, act_type=candidate)
            c = both(both(f, c, times), both(i, g, times), plus)
            h = both(o, mx.sym.tanh(c), times)
        return mx.sym.Group([mx.sym.MakeLoss(mx.sym.sum(h * h)), mx.sym.BlockGrad(c, name="last")])


def results(symbol, engine):
    shapes = {"h": (BATCH, HIDDEN), "c": (BATCH, HIDDEN), **{f"x{t}": (BATCH, 5) for t in range(STEPS)}}
    with use_engine(engine):
        ex = symbol.simple_bind(mx.cpu(), **shapes)
    rng = np.random.RandomState(0)
    for array in ex.arg_dict.values():
        array[:] = rng.normal(0, 0.5, array.shape)
    ex.forward(is_train=True)
    ex.backward()
    return ex, [a.asnumpy() for a in (*ex.outputs, *ex.grad_arrays)]


def count(ex, operator):
    return sum(row.operator == operator for row in ex.plan_report(is_train=True).rows)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("engine", ["torch", "onednn"])
def test_a_step_is_one_operator_with_the_same_result(monkeypatch, engine, swap):
    found_by, found = results(unrolled(swap), engine)
    monkeypatch.setattr(module, "CELLS", [])
    described_by, expected = results(unrolled(swap), engine)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert count(found_by, "_lstm_cell") == count(found_by, "_backward_lstm_cell") == STEPS
    assert count(described_by, "_lstm_cell") == 0
    assert count(described_by, "SliceChannel") == STEPS


def test_what_is_almost_a_cell_is_left_alone():
    ex, _ = results(unrolled(candidate="relu"), "torch")
    assert count(ex, "_lstm_cell") == 0


def test_a_cell_with_a_gate_that_is_asked_for_is_left_alone():
    symbol = unrolled()
    gate = next(name for name in symbol.get_internals().list_outputs() if name.startswith("activation"))
    ex, _ = results(mx.sym.Group([symbol, mx.sym.BlockGrad(symbol.get_internals()[gate])]), "torch")
    assert count(ex, "_lstm_cell") == STEPS - 1
