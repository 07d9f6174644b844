"""diag, and diagonals and triangles of stacked matrices, against NumPy."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

X = np.arange(20.0).reshape(4, 5)
MATRICES = np.random.RandomState(0).normal(size=(2, 4, 4))


def test_diag():
    for k in (-2, 0, 1):
        np.testing.assert_array_equal(call("diag", X, k=k), np.diag(X, k))
        np.testing.assert_array_equal(call("diag", X[0], k=k), np.diag(X[0], k))
    volume = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(call("diag", volume, axis1=-1, axis2=0), np.diagonal(volume, 0, -1, 0))
    assert infer("diag", [(0, 4)])[1] == [(0,)]
    for params in ({"k": 5}, {"k": -4}, {"axis1": 1}, {"axis2": 2}):
        with pytest.raises(MXNetError):
            infer("diag", [(4, 5)], **params)


@pytest.mark.parametrize("offset", [-2, -1, 0, 1])
def test_diagonals(offset):
    a = MATRICES
    taken = call("_linalg_extractdiag", a, offset=offset)
    np.testing.assert_array_equal(taken, np.diagonal(a, offset, 1, 2))
    made = call("_linalg_makediag", taken, offset=offset)
    np.testing.assert_array_equal(made, np.stack([np.diag(row, offset) for row in taken]))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_triangles(offset, lower):
    a = MATRICES
    # Off the main diagonal, the sign of offset says which triangle it is.
    cut = np.tril if offset < 0 or (offset == 0 and lower) else np.triu
    params = {"offset": offset, "lower": lower}
    taken = call("_linalg_extracttrian", a, **params)
    np.testing.assert_array_equal(taken, a[:, cut(np.ones((4, 4)), offset) == 1])
    np.testing.assert_array_equal(call("_linalg_maketrian", taken, **params), cut(a, offset))


def test_inference_of_stacks():
    assert infer("_linalg_extractdiag", [(2, 3, 0)], offset=1) == ([(2, 3, 3)], [(2, 2)])
    assert infer("_linalg_extracttrian", [(3, 3)], offset=-1)[1] == [(3,)]
    assert infer("_linalg_makediag", [(2, 3)], offset=-2)[1] == [(2, 5, 5)]
    assert infer("_linalg_maketrian", [(2, 6)], offset=1)[1] == [(2, 4, 4)]
    assert infer("_linalg_maketrian", [(2, 0)])[1] == [None]
    for op, shape, params in [
        ("_linalg_extractdiag", (2, 3, 3), {"offset": 3}),
        ("_linalg_extractdiag", (2, 3, 4), {}),
        ("_linalg_maketrian", (2, 5), {}),
    ]:
        with pytest.raises(MXNetError):
            infer(op, [shape], **params)
