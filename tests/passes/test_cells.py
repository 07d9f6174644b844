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
    given = {"h": (BATCH, HIDDEN), "c": (BATCH, HIDDEN), **{f"x{t}": (BATCH, 5) for t in range(STEPS)}}
    shapes = {name: shape for name, shape in given.items() if name in symbol.list_arguments()}
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
    monkeypatch.setattr(module, "cells", lambda training: [])
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


# ---- GRU and plain cells ------------------------------------------------------------------------


def unrolled_gru(swap=False, one=1.0):
    """A GRU written out; with ``swap`` the operands of products and sums change places."""

    def plus(a, b):
        return b + a if swap else a + b

    def times(a, b):
        return b * a if swap else a * b

    with mx.name.NameManager():
        names = [f"{path}_{part}" for path in ("i2h", "h2h") for part in ("weight", "bias")]
        i2h_weight, i2h_bias, h2h_weight, h2h_bias = map(mx.sym.var, names)
        h = mx.sym.var("h")
        for t in range(STEPS):
            i2h = mx.sym.FullyConnected(mx.sym.var(f"x{t}"), i2h_weight, i2h_bias, num_hidden=3 * HIDDEN)
            h2h = mx.sym.FullyConnected(h, h2h_weight, h2h_bias, num_hidden=3 * HIDDEN)
            x, s = mx.sym.SliceChannel(i2h, num_outputs=3), mx.sym.SliceChannel(h2h, num_outputs=3)
            r, z = (mx.sym.Activation(plus(x[i], s[i]), act_type="sigmoid") for i in (0, 1))
            n = mx.sym.Activation(plus(x[2], times(r, s[2])), act_type="tanh")
            h = plus(times(one - z, n), times(z, h))
        return mx.sym.MakeLoss(mx.sym.sum(h * h))


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("engine", ["torch", "onednn"])
def test_a_step_of_a_gru_is_one_operator_with_the_same_result(monkeypatch, engine, swap):
    found_by, found = results(unrolled_gru(swap), engine)
    monkeypatch.setattr(module, "cells", lambda training: [])
    described_by, expected = results(unrolled_gru(swap), engine)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert count(found_by, "_gru_cell") == count(found_by, "_backward_gru_cell") == STEPS
    assert count(found_by, "SliceChannel") == 0
    assert count(described_by, "_gru_cell") == 0


def test_what_is_almost_a_gru_is_left_alone():
    ex, _ = results(unrolled_gru(one=2.0), "torch")
    assert count(ex, "_gru_cell") == 0


@pytest.mark.parametrize(
    "cell, operator",
    [(mx.rnn.LSTMCell, "_lstm_cell"), (mx.rnn.GRUCell, "_gru_cell"), (mx.rnn.RNNCell, "_fused_FullyConnected")],
)
def test_cells_of_the_package_are_one_kernel_a_step_between_their_products(cell, operator):
    outputs, _ = cell(HIDDEN).unroll(STEPS, mx.sym.var("x"), merge_outputs=True)
    with use_engine("onednn"):
        ex = mx.sym.MakeLoss(mx.sym.sum(outputs)).simple_bind(mx.cpu(), x=(BATCH, STEPS, 5))
    assert count(ex, operator) >= STEPS
    steps = ("Activation", "elemwise_mul", "elemwise_add", "tanh", "sigmoid")
    assert not any(count(ex, step) for step in steps)


@pytest.mark.parametrize("cell", [mx.rnn.LSTMCell, mx.rnn.GRUCell, mx.rnn.RNNCell])
def test_sequences_agree_between_engines_and_with_float64(cell):
    def run(engine, dtype):
        with mx.name.NameManager():
            one = cell(HIDDEN)
            states = one.begin_state(func=mx.sym.Variable)
            outputs, _ = one.unroll(12, mx.sym.var("x"), begin_state=states, merge_outputs=True)
            symbol = mx.sym.MakeLoss(mx.sym.sum(outputs * outputs))
        types = dict.fromkeys(symbol.list_arguments(), dtype)
        with use_engine(engine):
            ex = symbol.simple_bind(mx.cpu(), x=(BATCH, 12, 5), type_dict=types)
        rng = np.random.RandomState(1)
        for array in ex.arg_arrays:
            array[:] = rng.normal(0, 0.3, array.shape)
        ex.forward(is_train=True)
        ex.backward()
        return [a.asnumpy() for a in (*ex.outputs, *ex.grad_arrays)]

    exact = run("torch", "float64")
    for engine in ("torch", "onednn"):
        for found, expected in zip(run(engine, "float32"), exact):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
