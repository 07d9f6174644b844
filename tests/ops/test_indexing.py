"""Slices by their numbers: inference, indices outside, values."""

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
