"""The RNN operator with oneDNN's products against torch's, and what its plan says."""

import threading

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.runtime.engines import use_engine

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 7, 12


def bound(engine, mode="lstm", dtype="float32", **params):
    names = ["x", "parameters", "state", *["cell"] * (mode == "lstm")]
    settings = {"state_size": HIDDEN, "num_layers": 2, "state_outputs": True, **params}
    symbol = mx.sym.RNN(*map(mx.sym.var, names), mode=mode, name="rnn", **settings)
    with use_engine(engine):
        ex = symbol.simple_bind(mx.cpu(), x=(STEPS, BATCH, INPUTS), type_dict=dict.fromkeys(names, dtype))
    rng = np.random.RandomState(0)
    for array in ex.arg_arrays:
        array[:] = rng.normal(0, 0.3, array.shape)
    heads = [mx.nd.array(rng.normal(size=output.shape), dtype=dtype) for output in ex.outputs]
    return ex, heads


def run(ex, heads):
    ex.forward(is_train=True)
    ex.backward(heads)
    return [a.asnumpy() for a in (*ex.outputs, *ex.grad_arrays)]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_both_engines_are_as_near_to_float64(mode, bidirectional):
    exact = run(*bound("torch", mode, "float64", bidirectional=bidirectional))
    for engine in ("torch", "onednn"):
        for found, expected in zip(run(*bound(engine, mode, bidirectional=bidirectional)), exact):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_plan_names_the_kernel_and_counts_its_products():
    ex, _ = bound("onednn", bidirectional=False)
    rows = {row.operator: row for row in ex.plan_report(is_train=True).rows}
    per_layer = [2 * STEPS * BATCH * 4 * HIDDEN * (width + HIDDEN) for width in (INPUTS, HIDDEN)]
    assert "onednn" in rows["RNN"].implementation and not rows["RNN"].is_reference
    assert rows["RNN"].flops == sum(per_layer)
    assert rows["_backward_RNN"].flops == 2 * sum(per_layer)


def test_float64_is_left_to_torch():
    ex, _ = bound("onednn", dtype="float64")
    assert all(row.implementation == "torch" for row in ex.plan_report(is_train=True).rows)


def test_a_state_of_one_number_runs():
    for found, expected in zip(run(*bound("onednn", state_size=1)), run(*bound("torch", state_size=1))):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_runs_repeat_to_the_bit_also_beside_each_other():
    pairs = [bound("onednn", mode) for mode in ("lstm", "gru")]
    alone = [run(*pair) for pair in pairs]
    beside: list = [None, None]

    def work(i):
        for _ in range(20):
            beside[i] = run(*pairs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for before, after in zip(alone, beside):
        assert all(np.array_equal(a, b) for a, b in zip(before, after))


def test_another_number_of_threads_makes_other_products():
    ex, heads = bound("onednn")
    before, count = run(ex, heads), torch.get_num_threads()
    try:
        torch.set_num_threads(count + 1)
        for found, expected in zip(run(ex, heads), before):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    finally:
        torch.set_num_threads(count)
