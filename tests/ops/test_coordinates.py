"""Elements by all their coordinates, against NumPy."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

X = np.arange(24.0).reshape(2, 3, 4)


def test_gather_nd_and_scatter_nd():
    indices = np.array([[0, 1, -1], [2, 0, -3]])
    np.testing.assert_array_equal(call("gather_nd", X, indices), X[tuple(indices)])
    np.testing.assert_array_equal(call("gather_nd", X, indices[:1]), X[indices[0]])
    placed = np.zeros_like(X)
    placed[0, 2], placed[1, 0] = 1, 2
    values = np.stack([np.ones(4), np.full(4, 2.0)])
    np.testing.assert_array_equal(call("scatter_nd", values, indices[:, :2], shape=X.shape), placed)
    np.testing.assert_array_equal(
        call("_scatter_set_nd", -np.ones_like(X), values, indices[:, :2], shape=X.shape), np.where(placed, placed, -1)
    )
    added = call("_backward_gather_nd", np.ones((3, 4)), X, indices)
    assert added[1, 0].tolist() == [2] * 4  # (1, 0) and (-1, -3) are one place

    assert infer("gather_nd", [(2, 3, 4), (2, 5)])[1] == [(5, 4)]
    assert infer("gather_nd", [(2, 3), (2, 5, 6)])[1] == [(5, 6)]
    assert infer("scatter_nd", [None, (2, 3)], shape=(4, 5, 6)) == ([(3, 6), (2, 3)], [(4, 5, 6)])
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        call("gather_nd", X, [[0], [3]])
    with pytest.raises(MXNetError, match="exceeds"):
        infer("gather_nd", [(2, 3), (3, 5)])
    with pytest.raises(MXNetError):
        infer("scatter_nd", [(2, 5), (1, 2)], shape=(3, 4))


def test_flat_positions():
    shape = (3, 4, 5)
    flat = np.arange(60)[::-7]
    coordinates = call("_unravel_index", flat, shape=shape)
    np.testing.assert_array_equal(coordinates, np.unravel_index(flat, shape))
    np.testing.assert_array_equal(call("_ravel_multi_index", coordinates, shape=(-1, 4, 5)), flat)
    assert call("_unravel_index", np.array([13.0, -1]), shape=(3, 4)).tolist() == [[3, 0], [1, -1]]
    square = flat[:4].reshape(2, 2)
    np.testing.assert_array_equal(call("_unravel_index", square, shape=shape), np.unravel_index(square, shape))
    assert infer("_ravel_multi_index", [None], [(7,)], shape=shape)[0] == [(3, 7)]
    for op, data, params in [
        ("_ravel_multi_index", (2, 5), {"shape": shape}),
        ("_ravel_multi_index", (3, 5, 1), {"shape": shape}),
        ("_unravel_index", (3,), {}),
    ]:
        with pytest.raises(MXNetError):
            infer(op, [data], **params)


def test_positions_as_numbers():
    indices = call("_contrib_index_array", X, axes=(2, 0))
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, np.stack(np.indices(X.shape)[[2, 0]], -1))
    np.testing.assert_array_equal(call("_contrib_arange_like", X), X)
    assert call("_contrib_arange_like", X, axis=-1, start=1, step=0.5, repeat=3).tolist() == [1, 1, 1, 1.5]
