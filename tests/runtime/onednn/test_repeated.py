"""Networks repeat themselves: what is alike is described once, and what many read is converted once."""

import gc
import weakref

import numpy as np
import pytest

import symbind as mx
from symbind.passes.layout import WORTH_A_CONVERSION
from symbind.runtime.engines import use_engine

HIDDEN = 48


def shared_layers(count):
    """Dense layers of different data that share a weight, as cells at different times do."""
    with mx.name.NameManager():
        weight = mx.sym.var("weight")
        layers = [
            mx.sym.FullyConnected(mx.sym.var(f"x{t}"), weight, no_bias=True, num_hidden=HIDDEN) for t in range(count)
        ]
        return mx.sym.Group(layers)


def bound(count, engine="onednn"):
    with use_engine(engine):
        ex = shared_layers(count).simple_bind(mx.cpu(), **{f"x{t}": (8, 80) for t in range(count)})
    rng = np.random.RandomState(0)
    for array in ex.arg_arrays:
        array[:] = rng.normal(size=array.shape)
    return ex


@pytest.mark.parametrize("count", [WORTH_A_CONVERSION - 1, WORTH_A_CONVERSION, 9])
def test_a_weight_that_many_layers_read_is_converted_once_for_all(count):
    results = []
    for engine in ("onednn", "torch"):
        ex = bound(count, engine)
        ex.forward(is_train=True)
        ex.backward([mx.nd.ones(output.shape) for output in ex.outputs])
        results.append([a.asnumpy() for a in (*ex.outputs, *ex.grad_arrays)])
        if engine == "onednn":
            layers = [row for row in ex.plan_report(is_train=True).rows if row.operator == "FullyConnected"]
            assert len(layers) == count
            assert len({row.layouts for row in layers}) == 1
            assert bool(layers[0].layouts) == (count >= WORTH_A_CONVERSION)
            forward = [r for r in ex.plan_report(is_train=True).conversions if r.phase == "forward"]
            assert len(forward) <= 1
    for found, expected in zip(*results):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_layers_that_are_alike_share_what_was_chosen_for_them():
    ex = bound(9)
    program = ex._programs[False]
    instructions = [i for i in program.instructions["forward"][True] if i.step.op.name == "FullyConnected"]
    assert len(instructions) == 9
    assert len({id(i.implementation) for i in instructions}) == 1


def test_what_is_remembered_keeps_no_graph_alive():
    symbol = shared_layers(5)
    with use_engine("onednn"):
        ex = symbol.simple_bind(mx.cpu(), **{f"x{t}": (8, 80) for t in range(5)})
    references = weakref.ref(ex.outputs[0]), weakref.ref(ex.arg_arrays[0]), weakref.ref(ex)
    del ex, symbol
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
