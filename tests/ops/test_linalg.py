"""Linear algebra against NumPy: values, what only one triangle may decide, inference, errors."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry
from symbind.graph.symbol import Symbol, apply, var
from symbind.passes.gradient import build_gradient

from .interpreter import call, evaluate, infer

RANDOM = np.random.RandomState(0)


def array(*shape):
    return RANDOM.normal(size=shape)


POSITIVE = array(2, 3, 3)
POSITIVE = POSITIVE @ POSITIVE.swapaxes(-1, -2) + 2 * np.eye(3)


@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
def test_gemm(a, b):
    left, right, added = array(2, *((4, 3) if a else (3, 4))), array(2, *((5, 4) if b else (4, 5))), array(2, 3, 5)
    flags = {"transpose_a": a, "transpose_b": b, "alpha": 0.5}
    expected = 0.5 * (left.swapaxes(1, 2) if a else left) @ (right.swapaxes(1, 2) if b else right)
    np.testing.assert_allclose(call("_linalg_gemm2", left, right, **flags), expected, atol=1e-12)
    np.testing.assert_allclose(
        call("_linalg_gemm", left, right, added, beta=-2, **flags), expected - 2 * added, atol=1e-12
    )
    # The same with the rows on another axis.
    apart = call("_linalg_gemm", left.swapaxes(0, 1), right.swapaxes(0, 1), added.swapaxes(0, 1), axis=0, **flags)
    np.testing.assert_allclose(apart, (expected + added).swapaxes(0, 1), atol=1e-12)


def test_inference_of_products():
    assert infer("_linalg_gemm2", [(2, 3, 4), (2, 4, 0)])[1] == [(2, 3, 0)]
    assert infer("_linalg_gemm2", [(2, 3, 7, 4), (2, 4, 7, 5)], axis=1)[1] == [(2, 3, 7, 5)]
    assert infer("_linalg_gemm", [(2, 3, 4), (2, 4, 5), None])[0][2] == (2, 3, 5)
    assert infer("_linalg_syrk", [(2, 3, 4)], transpose=True)[1] == [(2, 4, 4)]
    assert infer("_linalg_trsm", [None, (2, 3, 4)])[1] == [(2, 3, 4)]
    assert infer("_linalg_trmm", [(2, 3, 0), (2, 0, 4)]) == ([(2, 3, 3), (2, 3, 4)], [(2, 3, 4)])
    for op, shapes, params in [
        ("_linalg_gemm2", [(2, 3, 4), (3, 4, 5)], {}),
        ("_linalg_gemm2", [(2, 3, 4), (2, 5, 5)], {}),
        ("_linalg_gemm2", [(4,), (4, 5)], {}),
        ("_linalg_gemm2", [(3, 2, 4), (4, 2, 5)], {"axis": -1}),
        ("_linalg_gemm", [(2, 3, 4), (2, 4, 5), (2, 3, 4)], {}),
        ("_linalg_trmm", [(2, 3, 3), (2, 4, 3)], {}),
        ("_linalg_trmm", [(2, 3, 4), (2, 3, 4)], {}),
        ("_linalg_syrk", [(3,)], {}),
        ("_linalg_inverse", [(2, 3, 4)], {}),
        ("_linalg_det", [(3,)], {}),
    ]:
        with pytest.raises(MXNetError):
            infer(op, shapes, **params)


def test_syrk():
    a = array(2, 3, 4)
    np.testing.assert_allclose(call("_linalg_syrk", a, alpha=2), 2 * a @ a.swapaxes(1, 2), atol=1e-12)
    np.testing.assert_allclose(call("_linalg_syrk", a, transpose=True), a.swapaxes(1, 2) @ a, atol=1e-12)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("rightside", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular(transpose, rightside, lower):
    full = array(2, 3, 3) + 3 * np.eye(3)
    factor = np.tril(full) if lower else np.triu(full)
    factor = factor.swapaxes(1, 2) if transpose else factor
    b = array(2, 4, 3) if rightside else array(2, 3, 4)
    flags = {"transpose": transpose, "rightside": rightside, "lower": lower, "alpha": 0.5}
    product = call("_linalg_trmm", full, b, **flags)
    np.testing.assert_allclose(product, 0.5 * (b @ factor if rightside else factor @ b), atol=1e-12)
    solution = call("_linalg_trsm", full, b, **flags)
    np.testing.assert_allclose(solution @ factor if rightside else factor @ solution, 0.5 * b, atol=1e-12)


def test_cholesky():
    factor = call("_linalg_potrf", POSITIVE)
    np.testing.assert_allclose(factor, np.linalg.cholesky(POSITIVE), atol=1e-12)
    np.testing.assert_allclose(call("_linalg_potri", factor), np.linalg.inv(POSITIVE), atol=1e-12)
    np.testing.assert_allclose(
        call("_linalg_sumlogdiag", factor), np.log(np.diagonal(factor, 0, 1, 2)).sum(1), atol=1e-12
    )
    assert call("_linalg_sumlogdiag", factor[0]).shape == (1,)
    with pytest.raises(MXNetError, match="positive definite"):
        call("_linalg_potrf", -POSITIVE)


def test_cholesky_of_upper_triangles():
    factor = call("_linalg_potrf", POSITIVE, lower=False)
    np.testing.assert_allclose(factor, np.linalg.cholesky(POSITIVE).swapaxes(1, 2), atol=1e-12)
    np.testing.assert_allclose(call("_linalg_potri", factor, lower=False), np.linalg.inv(POSITIVE), atol=1e-12)


@pytest.mark.parametrize("lower", [True, False])
def test_gradient_of_cholesky_is_that_of_symmetric_matrices(lower):
    a = var("a")
    symbol = apply("_linalg_potrf", a, lower=lower)
    gradient = build_gradient(symbol.entries, [a.entries[0].node])
    head = array(2, 3, 3)
    values = {"a": POSITIVE, gradient.head_gradients[0].node.name: head}
    (got,) = evaluate(Symbol([gradient.of[a.entries[0].node]]), values)
    np.testing.assert_allclose(got, got.swapaxes(1, 2), atol=1e-12)
    direction = array(2, 3, 3)
    direction = direction + direction.swapaxes(1, 2)
    ends = [np.linalg.cholesky(POSITIVE + step * direction) for step in (1e-6, -1e-6)]
    change = (ends[0] - ends[1]) / 2e-6
    slope = ((change if lower else change.swapaxes(1, 2)) * head).sum()
    np.testing.assert_allclose((got * direction).sum(), slope, rtol=1e-6)


def test_inverse_and_determinants():
    a = array(2, 3, 3)
    np.testing.assert_allclose(call("_linalg_inverse", a), np.linalg.inv(a), atol=1e-10)
    np.testing.assert_allclose(call("_linalg_det", a), np.linalg.det(a), atol=1e-12)
    for got, expected in zip(call("_linalg_slogdet", a), np.linalg.slogdet(a)):
        np.testing.assert_allclose(got, expected, atol=1e-12)
    with pytest.raises(MXNetError, match="singular"):
        call("_linalg_inverse", np.zeros((2, 2)))


def test_files_count_hidden_outputs_of_determinants():
    for name, count in (("_linalg_det", 3), ("_linalg_slogdet", 4)):
        op = registry.find(name)
        assert op.num_recorded_outputs(op.parse({})) == count
