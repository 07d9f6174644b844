"""Joining sums: fewer and larger products, the same gradients."""

import numpy as np
import pytest

import symbind as mx
from symbind.runtime import compile as module
from symbind.runtime.engines import use_engine

STEPS, ROWS, WIDTH = 5, 2, 8


def unrolled():
    """A plain recurrent network; its inputs are rows of a table."""
    with mx.name.NameManager():
        weights = {name: mx.sym.var(name) for name in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")}
        table, h = mx.sym.var("table"), mx.sym.var("begin")
        for t in range(STEPS):
            x = mx.sym.Embedding(mx.sym.var(f"data{t}"), table, input_dim=30, output_dim=WIDTH)
            i2h = mx.sym.FullyConnected(x, weights["i2h_weight"], weights["i2h_bias"], num_hidden=WIDTH)
            h2h = mx.sym.FullyConnected(h, weights["h2h_weight"], weights["h2h_bias"], num_hidden=WIDTH)
            h = mx.sym.tanh(i2h + h2h)
        return mx.sym.MakeLoss(mx.sym.sum(h * h))


def bound(symbol, **shapes):
    shapes = {name: shape for name, shape in shapes.items() if name in symbol.list_arguments()}
    ex = symbol.simple_bind(mx.cpu(), **shapes)
    rng = np.random.RandomState(0)
    for name, array in ex.arg_dict.items():
        array[:] = rng.randint(0, 30, array.shape) if name.startswith("data") else rng.normal(0, 0.5, array.shape)
    return ex


def gradients(ex):
    ex.forward(is_train=True)
    ex.backward()
    return {name: array.asnumpy() for name, array in ex.grad_dict.items()}


SHAPES = {"begin": (ROWS, WIDTH), **{f"data{t}": (ROWS,) for t in range(STEPS)}}


@pytest.mark.parametrize("engine", ["torch", "onednn"])
def test_gradients_stay_and_instructions_go(monkeypatch, engine):
    with use_engine(engine):
        joined = bound(unrolled(), **SHAPES)
        monkeypatch.setattr(module, "join_sums", lambda outputs, infer: list(outputs))
        apart = bound(unrolled(), **SHAPES)
    expected, found = gradients(apart), gradients(joined)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)

    def count(ex, word):
        return sum(word in row.operator for row in ex.plan_report(is_train=True).rows)

    for word in ("_backward_FullyConnected_weight", "_backward_take"):
        assert count(joined, word) < count(apart, word)
    assert count(joined, "_backward_FullyConnected_weight") == 2
    assert count(joined, "_backward_take") == 1
    # Their rows are joined for the weights' gradients anyway.
    assert [row.operator for row in joined.plan_report(is_train=True).rows if row.phase == "backward"].count("sum") == 1


def test_terms_that_are_smaller_than_their_rows_stay_apart():
    """Many rows, narrow weights: joining would copy more than it saves."""
    weight = mx.sym.var("weight")
    layers = [mx.sym.FullyConnected(mx.sym.var(f"x{i}"), weight, num_hidden=2, no_bias=True) for i in range(3)]
    ex = bound(mx.sym.MakeLoss(mx.sym.add_n(*layers)), **{f"x{i}": (50, 3) for i in range(3)})
    operators = [row.operator for row in ex.plan_report(is_train=True).rows]
    assert "Concat" not in operators
    np.testing.assert_allclose(
        gradients(ex)["weight"], sum(np.ones((2, 50)) @ ex.arg_dict[f"x{i}"].asnumpy() for i in range(3)), rtol=1e-5
    )


def test_a_term_that_is_an_output_too_is_still_there():
    weight, a, b = (mx.sym.var(name) for name in ("weight", "a", "b"))
    net = mx.sym.FullyConnected(a, weight, num_hidden=4, no_bias=True) + mx.sym.FullyConnected(
        b, weight, num_hidden=4, no_bias=True
    )
    gradient = mx.sym.Group([net.gradient(["weight"]), net])
    head = next(name for name in gradient.list_arguments() if name not in ("weight", "a", "b"))
    ex = gradient.bind(
        mx.cpu(),
        {"weight": mx.nd.ones((4, 3)), "a": mx.nd.ones((1, 3)), "b": 2 * mx.nd.ones((1, 3)), head: mx.nd.ones((1, 4))},
    )
    np.testing.assert_array_equal(ex.forward()[0].asnumpy(), np.full((4, 3), 3))
