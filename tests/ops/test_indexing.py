"""Embedding, take, pick, one_hot, where, gather and scatter, ravel: inference, indices outside, values."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

X = np.arange(24.0).reshape(2, 3, 4)


def infer_dtype(operator, inputs, outputs=(None,), **attrs):
    op = registry.find(operator)
    told = op.infer_dtype(op.parse(attrs), list(inputs), list(outputs))
    return list(told[0]), list(told[1])


def test_embedding():
    import torch

    table, rows = np.arange(12.0).reshape(4, 3), np.array([[0, 3], [-1, 9]])
    params = {"input_dim": 4, "output_dim": 3}
    np.testing.assert_array_equal(call("Embedding", rows, table, **params), table[[[0, 3], [0, 3]]])
    assert infer("Embedding", [None, None], [(2, 5, 3)], **params) == ([(2, 5), (4, 3)], [(2, 5, 3)])
    assert infer("Embedding", [(2, 0), None], **params)[1] == [(2, 0, 3)]
    with pytest.raises(MXNetError):
        infer("Embedding", [(2,), (4, 2)], **params)

    attrs = {"input_dim": "4", "output_dim": "3"}
    assert infer_dtype("Embedding", [torch.int32, None], **attrs)[1] == [torch.float32]
    assert infer_dtype("Embedding", [torch.int32, torch.float16], **attrs)[1] == [torch.float16]
    assert infer_dtype("Embedding", [torch.int32, None], dtype="float64", **attrs)[0] == [torch.int32, torch.float64]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("mode", ["clip", "wrap"])
def test_take(axis, mode):
    indices = np.array([[0, -3, 1], [7, 2, -1]])
    taken = call("take", X, indices, axis=axis, mode=mode)
    np.testing.assert_array_equal(taken, np.take(X, indices, axis, mode=mode))
    assert infer("take", [X.shape, indices.shape], axis=axis)[1] == [taken.shape]

    expected = np.zeros_like(X)
    n = X.shape[axis]
    flat = (indices % n if mode == "wrap" else indices.clip(0, n - 1)).ravel()
    for position, i in enumerate(flat):
        part = np.moveaxis(taken.reshape(*X.shape[: axis % 3], -1, *X.shape[axis % 3 + 1 :]), axis, 0)[position]
        np.moveaxis(expected, axis, 0)[i] += part
    np.testing.assert_array_equal(call("_backward_take", taken, X, indices, axis=axis, mode=mode), expected)


def test_take_in_mode_raise():
    np.testing.assert_array_equal(call("take", X, np.array([1.9, 0]), mode="raise"), X[[1, 0]])
    for outside in (2, -1):
        with pytest.raises(MXNetError, match="axis of length 2"):
            call("take", X, np.array([0, outside]), mode="raise")


def test_take_infers_from_its_output():
    assert infer("take", [(0, 3), (0,)], [(5, 3)], axis=0) == ([(0, 3), (5,)], [(5, 3)])
    assert infer("take", [(4, 0), (5,)], [(5, 3)], axis=0)[0] == [(4, 3), (5,)]
    with pytest.raises(MXNetError, match="axis 3"):
        infer("take", [X.shape, (2,)], axis=3)


def test_index_copy():
    new = np.array([[9.0, 9], [8, 8]])
    assert call("_contrib_index_copy", np.zeros((3, 2)), [2, 0], new).tolist() == [[8, 8], [0, 0], [9, 9]]
    with pytest.raises(MXNetError):
        call("_contrib_index_copy", np.zeros((3, 2)), [3, 0], new)
    with pytest.raises(MXNetError):
        infer("_contrib_index_copy", [(3, 2), (2,), (3, 2)])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_pick(axis, keepdims):
    shape = np.delete(X.shape, axis)
    index = np.random.RandomState(0).randint(0, X.shape[axis], shape)
    expected = np.take_along_axis(X, np.expand_dims(index, axis), axis)
    if not keepdims:
        expected = expected.squeeze(axis)
    for given in (index, np.expand_dims(index, axis)):
        np.testing.assert_array_equal(call("pick", X, given, axis=axis, keepdims=keepdims), expected)
    assert infer("pick", [X.shape, None], axis=axis, keepdims=keepdims) == ([X.shape, tuple(shape)], [expected.shape])


def test_pick_outside_and_errors():
    rows = np.array([[1.0, 2, 3], [4, 5, 6]])
    assert call("pick", rows, [-1, 9]).tolist() == [1, 6]
    assert call("pick", rows, [-1, 4], mode="wrap").tolist() == [3, 5]
    assert call("batch_take", rows, np.array([-1, 9], "int32")).tolist() == [1, 6]
    for index in ((3,), (1,)):
        with pytest.raises(MXNetError):
            infer("pick", [(2, 3), index])
    with pytest.raises(MXNetError, match="axis=None"):
        registry.find("pick").parse({"axis": "None"})
    with pytest.raises(MXNetError, match="2 indices"):
        infer("batch_take", [(2, 3), (3,)])


def test_fill_element():
    rows = np.zeros((3, 2))
    assert call("fill_element_0index", rows, [7, 8, 9], [1, 5, 0]).tolist() == [[0, 7], [0, 0], [9, 0]]
    assert infer("fill_element_0index", [(0, 2), (3,), None]) == ([(3, 2), (3,), (3,)], [(3, 2)])
    with pytest.raises(MXNetError):
        infer("fill_element_0index", [(3, 2), (2,), None])


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
    with pytest.raises(MXNetError, match="leave the array"):
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
    assert infer("_ravel_multi_index", [None], [(7,)], shape=shape)[0] == [(3, 7)]
    for op, data, params in [
        ("_ravel_multi_index", (2, 5), {"shape": shape}),
        ("_ravel_multi_index", (3, 5, 1), {"shape": shape}),
        ("_unravel_index", (3, 5), {"shape": shape}),
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


def test_one_hot():
    hot = call("one_hot", np.array([1.7, -0.5, 3, -1]), depth=3, on_value=5, off_value=-1, dtype="int32")
    assert hot.dtype == np.int32
    assert hot.tolist() == [[-1, 5, -1], [5, -1, -1], [-1] * 3, [-1] * 3]
    assert infer("one_hot", [None], [(2, 0)], depth=3) == ([(2,)], [(2, 3)])
    with pytest.raises(MXNetError, match="depth"):
        infer("one_hot", [(2,)], depth=0)
    assert call("_onehot_encode", [2, -1], np.zeros((2, 3))).tolist() == [[0, 0, 1], [0, 0, 0]]
    assert infer("_onehot_encode", [(2,), (0, 3)])[1] == [(2, 3)]


def test_where():
    x, y = X[0], -X[0]
    condition = np.random.RandomState(0).randint(-1, 2, x.shape)
    np.testing.assert_array_equal(call("where", condition, x, y), np.where(condition, x, y))
    rows = np.array([0, 2, 0])
    np.testing.assert_array_equal(call("where", rows, x, y), np.where(rows[:, None], x, y))
    to_x, to_y = call("_backward_where", np.full_like(x, np.inf), rows)
    # Selected, not multiplied: an infinite gradient leaves no NaN on the other side.
    assert to_x[0].tolist() == [0] * 4 == to_y[1].tolist()
    assert np.isinf(to_x[1]).all() and np.isinf(to_y[0]).all()
    assert infer("where", [(2,), (0, 3), (2, 0)])[1] == [(2, 3)]
    with pytest.raises(MXNetError, match="neither"):
        infer("where", [(3,), (2, 3), (2, 3)])
