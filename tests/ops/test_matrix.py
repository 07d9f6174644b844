"""dot and batch_dot: every rank and transposition against NumPy, inference both ways, errors."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, check_gradient, infer

RANDOM = np.random.RandomState(0)


def array(*shape):
    return RANDOM.normal(size=shape)


@pytest.mark.parametrize("right", [(4,), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("left", [(4,), (2, 4), (2, 3, 4)])
@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
def test_dot(left, right, a, b):
    if len(left) == len(right) == 1 and (a or b):
        with pytest.raises(MXNetError, match="vectors"):
            infer("dot", [left, right], transpose_a=a, transpose_b=b)
        return
    lhs = array(*(np.roll(left, 1) if a else left))
    rhs = array(*(np.roll(right, -1) if b else right))
    expected = np.atleast_1d(np.tensordot(lhs, rhs, (0 if a else -1, -1 if b else 0)))
    np.testing.assert_allclose(call("dot", lhs, rhs, transpose_a=a, transpose_b=b), expected, atol=1e-12)
    assert infer("dot", [lhs.shape, rhs.shape], transpose_a=a, transpose_b=b)[1] == [expected.shape]
    check_gradient("dot", lhs, rhs, wrt=(0, 1), transpose_a=a, transpose_b=b)


def test_dot_infers_what_it_can():
    assert infer("dot", [(2, 0), (4, 0)], [(0, 5)]) == ([(2, 4), (4, 5)], [(2, 5)])
    assert infer("dot", [(2, 3), None], [(2, 5)])[0] == [(2, 3), None]
    for shapes in ([(2, 3), (4, 5)], [(3,), (4,)], [(2, 3, 4), (3, 4)]):
        with pytest.raises(MXNetError, match="dot shape error"):
            infer("dot", shapes)


@pytest.mark.parametrize("a", [False, True])
@pytest.mark.parametrize("b", [False, True])
@pytest.mark.parametrize("batch", [(3,), (2, 3)])
def test_batch_dot(a, b, batch):
    lhs = array(*batch, *((4, 2) if a else (2, 4)))
    rhs = array(*batch, *((5, 4) if b else (4, 5)))
    expected = (lhs.swapaxes(-1, -2) if a else lhs) @ (rhs.swapaxes(-1, -2) if b else rhs)
    np.testing.assert_allclose(call("batch_dot", lhs, rhs, transpose_a=a, transpose_b=b), expected, atol=1e-12)
    unknown = [(*batch, 0, 0), rhs.shape]
    told = infer("batch_dot", unknown, [(0, *expected.shape[1:])], transpose_a=a, transpose_b=b)
    assert told == ([lhs.shape, rhs.shape], [expected.shape])


def test_batch_dots_that_cannot_be():
    for shapes in ([(2, 3), (3, 4)], [(2, 3, 4), (3, 4, 5)], [(1, 3, 4), (2, 4, 5)], [(2, 3, 4), (2, 5, 6)]):
        with pytest.raises(MXNetError):
            infer("batch_dot", shapes)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_products_keep_the_type(dtype):
    lhs, rhs = array(2, 3).astype(dtype), array(3, 2).astype(dtype)
    result = call("dot", lhs, rhs)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, lhs.astype("float64") @ rhs, atol=1e-2)


def test_khatri_rao():
    a, b, c = array(2, 3), array(4, 3), array(2, 3)
    columns = [np.kron(np.kron(a[:, i], b[:, i]), c[:, i]) for i in range(3)]
    np.testing.assert_allclose(call("khatri_rao", a, b, c), np.stack(columns, 1), atol=1e-12)
    assert infer("khatri_rao", [(2, 0), (4, 3)]) == ([(2, 3), (4, 3)], [(8, 3)])
    with pytest.raises(MXNetError):
        infer("khatri_rao", [(2, 3), (4, 4)])
