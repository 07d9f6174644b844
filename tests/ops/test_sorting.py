"""topk, sort, argsort: ties, axes, what is asked for, errors."""

import numpy as np
import pytest
import torch

from symbind.base import MXNetError
from symbind.graph import registry
from symbind.graph.symbol import apply, var

from .interpreter import call, infer

TIES = np.array([[1.0, 3, 3, 2], [2, 2, 1, 2]])
X = np.random.RandomState(0).permutation(24).reshape(2, 3, 4).astype("float64")


def test_equal_elements_keep_their_order():
    values, positions = call("topk", TIES, k=3, ret_typ="both")
    assert values.tolist() == [[3, 3, 2], [2, 2, 2]]
    assert positions.tolist() == [[1, 2, 3], [0, 1, 3]]
    assert call("topk", TIES, k=3, is_ascend=True).tolist() == [[0, 3, 1], [2, 0, 1]]
    assert call("argsort", TIES).tolist() == [[0, 3, 1, 2], [2, 0, 1, 3]]
    assert call("argsort", TIES, is_ascend=False).tolist() == [[1, 2, 3, 0], [0, 1, 3, 2]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("ascend", [False, True])
def test_topk_of_every_type_is_the_beginning_of_a_stable_sort(dtype, ascend):
    x = np.random.RandomState(0).randint(-9, 9, (2, 30, 3)).astype(dtype)
    if x.dtype.kind == "f":
        x[0, :4, 0] = [-0.0, np.inf, 0.0, -np.inf]
    key = x if ascend else -x.astype("float64")
    expected = np.argsort(key, 1, kind="stable")[:, :11]
    values, positions = call("topk", x, axis=1, k=11, ret_typ="both", is_ascend=ascend, dtype="int32")
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(x, expected, 1))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("ascend", [False, True])
def test_topk_along_an_axis(axis, ascend):
    ordered = np.sort(X if ascend else -X, axis)
    ordered = (ordered if ascend else -ordered).take([0, 1], axis)
    params = {"axis": axis, "k": 2, "is_ascend": ascend}
    values, positions = call("topk", X, ret_typ="both", dtype="int64", **params)
    np.testing.assert_array_equal(values, ordered)
    np.testing.assert_array_equal(np.take_along_axis(X, positions, axis), ordered)
    np.testing.assert_array_equal(call("topk", X, **params), positions)
    mask = call("topk", X, ret_typ="mask", **params)
    np.testing.assert_array_equal(np.sort(X[mask == 1]), np.sort(ordered.ravel()))


def test_topk_of_everything():
    assert call("topk", TIES, axis=None, k=2, ret_typ="value").tolist() == [3, 3]
    assert call("topk", TIES, axis=None, k=2, ret_typ="mask").tolist() == [[0, 1, 1, 0], [0, 0, 0, 0]]
    assert infer("topk", [(2, 4)], k=0)[1] == [(2, 4)]
    assert infer("topk", [(2, 4)], k=3, axis=None)[1] == [(3,)]
    assert infer("topk", [(0, 4)], k=2, ret_typ="both")[1] == [(0, 2), (0, 2)]
    with pytest.raises(MXNetError, match="k = 9"):
        infer("topk", [(2, 4)], k=9)
    with pytest.raises(MXNetError, match="axis 5"):
        infer("topk", [(2, 4)], axis=5)


def test_types_and_names():
    def types(ret_typ, dtype, outputs):
        op = registry.find("topk")
        return op.infer_dtype(op.parse({"ret_typ": ret_typ, "dtype": dtype}), [torch.float16], [None] * outputs)[1]

    assert list(types("indices", "int32", 1)) == [torch.int32]
    assert list(types("both", "float32", 2)) == [torch.float16, torch.float32]
    assert list(types("mask", "float32", 1)) == [torch.float16]
    x = var("x")
    assert apply("topk", x, name="t").list_outputs() == ["t_output"]
    assert apply("topk", x, name="t", ret_typ="value").list_outputs() == ["t_output0"]
    assert apply("sort", x, name="t").list_outputs() == ["t_output0"]
    assert call("argsort", TIES, dtype="int32").dtype == np.int32


@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("ascend", [False, True])
def test_sort(axis, ascend):
    expected = np.sort(X, axis) if ascend else -np.sort(-X, axis)
    np.testing.assert_array_equal(call("sort", X, axis=axis, is_ascend=ascend), expected)
    positions = call("argsort", X, axis=axis, is_ascend=ascend, dtype="int64")
    source = X if axis is not None else X.ravel()
    np.testing.assert_array_equal(np.take_along_axis(source, positions, 0 if axis is None else axis), expected)
    assert infer("sort", [X.shape], axis=axis)[1] == [expected.shape] * 2
