"""What the R package stands on, as far as it can be seen from Python."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx


@pytest.mark.parametrize(
    ("name", "expected"),
    [("_Plus", 9.0), ("_Minus", 5.0), ("_Mul", 14.0), ("_Div", 3.5), ("_Mod", 1.0), ("_power", 49.0)],
)
def test_operators_of_two_symbols(name: str, expected: float) -> None:
    symbol = getattr(mx.sym._internal, name)(mx.sym.Variable("a"), mx.sym.Variable("b"))
    assert symbol.eval(a=mx.nd.array([7]), b=mx.nd.array([2]))[0].asnumpy() == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_PlusScalar", 9.0), ("_MinusScalar", 5.0), ("_rminus_scalar", -5.0), ("_MulScalar", 14.0),
        ("_DivScalar", 3.5), ("_rdiv_scalar", 2 / 7), ("_mod_scalar", 1.0), ("_power_scalar", 49.0),
        ("_rpower_scalar", 128.0),
    ],
)  # fmt: skip
def test_operators_with_a_number(name: str, expected: float) -> None:
    symbol = getattr(mx.sym._internal, name)(mx.sym.Variable("a"), scalar=2)
    assert symbol.eval(a=mx.nd.array([7]))[0].asnumpy() == pytest.approx(expected)


def test_an_optimizer_is_a_symbol() -> None:
    """``sgd_mom_update`` bound to weight, gradient and momentum: it updates the momentum in place."""
    names = ("weight", "grad", "mom")
    update = mx.sym.sgd_mom_update(*map(mx.sym.Variable, names), lr=0.1, wd=0.01, momentum=0.9)
    weight, grad, mom = mx.nd.array([1, -2]), mx.nd.array([0.5, 0.25]), mx.nd.array([0.1, 0.2])
    assert update.list_arguments() + update.list_auxiliary_states() == list(names)
    executor = update.bind(mx.cpu(), {"weight": weight, "grad": grad}, aux_states={"mom": mom}, grad_req="null")
    expected_mom = 0.9 * np.array([0.1, 0.2]) - 0.1 * (np.array([0.5, 0.25]) + 0.01 * np.array([1, -2]))
    [new] = executor.forward()
    np.testing.assert_allclose(mom.asnumpy(), expected_mom, rtol=1e-6)
    np.testing.assert_allclose(new.asnumpy(), np.array([1, -2]) + expected_mom, rtol=1e-6)


def test_xavier_counts_the_rest_as_inputs() -> None:
    weight = mx.nd.zeros((64, 3, 5, 5))
    mx.init.Xavier(factor_type="in", magnitude=3)(mx.init.InitDesc("conv_weight"), weight)
    bound = np.sqrt(3 / (3 * 5 * 5))
    values = weight.asnumpy()
    assert 0.95 * bound < np.abs(values).max() <= bound
    assert abs(values.mean()) < 0.01


def test_uniform_numbers() -> None:
    values = mx.random.uniform(0, 1, shape=(100, 100)).asnumpy()
    assert abs(values.mean() - 0.5) < 0.01 and values.min() >= 0 and values.max() < 1


def test_small_facts_of_arrays() -> None:
    x = mx.nd.array([[1, 2], [3, 4]])
    assert mx.nd.clip(x, 2, 3).asnumpy().tolist() == [[2, 2], [3, 3]]
    assert mx.nd.dot(x, x).asnumpy().tolist() == [[7, 10], [15, 22]]
    assert mx.nd.concat(x, x, dim=1).shape == (2, 4)
    greater = x > 2
    assert greater.dtype == np.float32 and greater.asnumpy().tolist() == [[0, 0], [1, 1]]
