"""Arrays made from values, sequences, and other arrays; what NumPy does otherwise was read off MXNet 1.9.1."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx
from symbind import nd
from symbind.base import MXNetError


def same(array: nd.NDArray, expected: object, dtype: str = "float32") -> None:
    assert array.dtype is np.dtype(dtype).type
    np.testing.assert_allclose(array.asnumpy(), np.asarray(expected, dtype), rtol=1e-6)


# ---- array -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        [[1, 2], [3, 4]], ((1, 2), (3, 4)), np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]], "uint16"),
        np.array([[1, 3], [2, 4]]).T, np.array([[3, 4], [1, 2]])[::-1], np.array([[1, 2], [3, 4]], ">f8"),
        np.array([[1, 2], [3, 4]], "longdouble"), [nd.array([1, 2]), nd.array([3, 4])],
    ],
)  # fmt: skip
def test_sources_become_float32(source):
    same(nd.array(source), [[1, 2], [3, 4]])


def test_shapes_may_be_arrays():
    for make in (nd.empty, nd.zeros, nd.ones):
        assert make(np.array([2, 3])).shape == (2, 3)
    with pytest.raises(MXNetError, match="A shape is a tuple of sizes"):
        nd.empty(np.array([2.5, 3]))


def test_array_copies():
    values = np.ones((2,), "float32")
    values.flags.writeable = False
    array = nd.array(values)
    array[:] = 2
    assert values.tolist() == [1, 1]
    again = nd.array(array)
    again[:] = 3
    same(array, [2, 2])


def test_types():
    same(nd.array([1, 2], dtype=np.int64), [1, 2], "int64")
    same(nd.array([1.7, -1.7], dtype="int32"), [1, -1], "int32")
    same(nd.array([200, 100], dtype="int8"), [-56, 100], "int8")
    same(nd.array([1, 0, 2], dtype=bool), [True, False, True], "bool")
    same(nd.array(nd.array([1, 2], dtype="int32")), [1, 2], "int32")
    same(nd.array(nd.array([1, 2], dtype="int32"), dtype="float64"), [1, 2], "float64")
    assert nd.array(5.5).shape == ()
    with pytest.raises(mx.MXNetError, match="uint16"):
        nd.array([1], dtype="uint16")


def test_context_of_the_copy():
    source = nd.array([1], ctx=mx.cpu(1))
    assert nd.array(source).context == mx.cpu(0)
    assert nd.array(source, ctx=mx.cpu(2)).context == mx.cpu(2)


@pytest.mark.parametrize("source", ["abc", [[1, 2], [3]], None, [1j], object(), ["1"]])
def test_sources_that_are_no_arrays(source):
    with pytest.raises(TypeError, match="source_array must be array like"):
        nd.array(source)


# ---- filled ------------------------------------------------------------------------------------------------------


def test_filled_arrays():
    same(nd.zeros((2, 3)), np.zeros((2, 3)))
    same(nd.ones(3), [1, 1, 1])
    same(nd.ones([2], dtype="int8"), [1, 1], "int8")
    same(nd.zeros(np.int64(2), dtype=None), [0, 0])
    same(nd.full((2,), 7), [7, 7])
    same(nd.full((2,), 1.5, dtype="int32"), [1, 1], "int32")
    same(nd.full((2, 2), nd.array([1, 2])), [[1, 2], [1, 2]])
    out = nd.zeros((2,))
    assert nd.full((2,), 3, out=out) is out
    same(out, [3, 3])
    assert nd.empty((2, 3), dtype="float64").shape == (2, 3)
    same(nd.zeros_like(nd.full((2,), 7)), [0, 0])
    same(nd.ones_like(nd.full((2,), 7)), [1, 1])


@pytest.mark.parametrize("shape", [(0, 3), 0, (), (2, 0)])
def test_zeros_and_ones_need_elements(shape):
    for function in (nd.zeros, nd.ones):
        with pytest.raises(mx.MXNetError, match="0 stands for an unknown dimension"):
            function(shape)


def test_arrays_without_elements_elsewhere():
    assert nd.array(np.zeros((0, 3))).shape == nd.empty((0, 3)).shape == (0, 3)
    assert nd.array([]).asnumpy().shape == (0,)
    assert (nd.empty((0, 3)) + 1).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, -1), "ab", 2.5, (2, 1.5), None])
def test_shapes_that_are_none(shape):
    for function in (nd.zeros, nd.ones, nd.empty):
        with pytest.raises(mx.MXNetError, match="tuple of sizes"):
            function(shape)


def test_storage_types():
    same(nd.zeros((2,), stype="default"), [0, 0])
    assert nd.zeros((2, 2), stype="csr").stype == "csr"
    assert nd.empty((2, 2), stype="row_sparse").stype == "row_sparse"
    with pytest.raises(ValueError, match="Unknown storage type 'dense'"):
        nd.zeros((2, 2), stype="dense")


# ---- sequences ---------------------------------------------------------------------------------------------------


def test_arange():
    same(nd.arange(5), [0, 1, 2, 3, 4])
    same(nd.arange(2, 5), [2, 3, 4])
    same(nd.arange(2, None), [0, 1])
    same(nd.arange(5, 0, -2), [5, 3, 1])
    same(nd.arange(0, 1, 0.3), [0, 0.3, 0.6, 0.9])
    same(nd.arange(3, repeat=2), [0, 0, 1, 1, 2, 2])
    same(nd.arange(0, 5, dtype="int32"), [0, 1, 2, 3, 4], "int32")
    assert nd.arange(3, ctx=mx.cpu(1)).context == mx.cpu(1)
    for arguments in ((5, 2), (0,), (0, 5, 0)):
        with pytest.raises(mx.MXNetError):
            nd.arange(*arguments)


def test_linspace():
    same(nd.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1])
    same(nd.linspace(0, 1, 5, endpoint=False), [0, 0.2, 0.4, 0.6, 0.8])
    same(nd.linspace(0, 1, 1), [0])
    same(nd.linspace(0, 10, 5, dtype="int32"), [0, 2, 5, 7, 10], "int32")
    assert nd.linspace(0, 1, 0).shape == (0,)


def test_eye():
    same(nd.eye(3), np.eye(3))
    same(nd.eye(2, 3, 1), np.eye(2, 3, 1))
    same(nd.eye(3, k=-1, dtype="int32"), np.eye(3, k=-1), "int32")


# ---- from arrays -------------------------------------------------------------------------------------------------


def test_concatenate_and_stack():
    a, b = nd.ones((2, 2)), nd.zeros((1, 2))
    same(nd.concatenate([a, b]), np.concatenate([a.asnumpy(), b.asnumpy()]))
    same(nd.concatenate([a, b.T], axis=1), [[1, 1, 0], [1, 1, 0]])
    single = nd.concatenate([a])
    assert single is not a
    assert nd.concatenate([a], always_copy=False) is a
    same(nd.stack(a[0], b[0], axis=1), [[1, 0], [1, 0]])
    for arrays, error in [(a, TypeError), ([], TypeError), ([a, 1], TypeError), ([a, nd.zeros((1, 3))], mx.MXNetError),
                          ([a, nd.zeros((1, 2), dtype="int32")], mx.MXNetError)]:  # fmt: skip
        with pytest.raises(error):
            nd.concatenate(arrays)


@pytest.mark.parametrize(
    ("source", "destination"), [(0, 2), (-1, 0), ([0, 1], [-1, -2]), ([2, 0], [0, 1]), (1, 1), ([3, 1, 2], [0, 3, 1])]
)
def test_moveaxis(source, destination):
    values = np.arange(24, dtype="float32").reshape(1, 2, 3, 4)
    same(nd.moveaxis(nd.array(values), source, destination), np.moveaxis(values, source, destination))


@pytest.mark.parametrize(
    ("source", "destination", "text"),
    [
        (5, 0, "source axis 5"),
        (0, -4, "destination axis -4"),
        ([0, 0], [1, 2], "repeated"),
        ([0, 1], [1], "same number"),
    ],
)
def test_moveaxis_refusals(source, destination, text):
    with pytest.raises(ValueError, match=text):
        nd.moveaxis(nd.zeros((1, 2, 3)), source, destination)


def test_split_v2():
    values = np.arange(12, dtype="float32").reshape(2, 6)
    for sections in (3, (1, 4)):
        parts = nd.split_v2(nd.array(values), sections, axis=1)
        for part, expected in zip(parts, np.split(values, sections, axis=1), strict=True):
            same(part, expected)
        same(nd.array(values).split_v2(sections, axis=1)[0], np.split(values, sections, axis=1)[0])
    assert nd.split_v2(nd.zeros((2, 3)), 2, axis=0, squeeze_axis=True)[0].shape == (3,)


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5, 9], [1, 1, 1]])
def test_histogram(values):
    array = nd.array(values)
    for bins, range_ in [(10, None), (5, None), (4, (0, 8)), ([0.0, 2, 5], None)]:
        counts, edges = nd.histogram(array, nd.array(bins) if isinstance(bins, list) else bins, range_)
        expected_counts, expected_edges = np.histogram(values, bins, range_)
        counted_by_numpy = isinstance(bins, int) and range_ is None
        same(counts, expected_counts, "float32" if counted_by_numpy else "int64")
        same(edges, expected_edges)


@pytest.mark.parametrize("create", [nd.zeros, nd.ones, lambda shape, out: nd.full(shape, 3, out=out)])
def test_created_into_an_array(create):
    out = nd.full((2, 3), 7, dtype="int32")
    assert create((2, 3), out=out) is out
    assert out.dtype == np.int32 and (out.asnumpy() != 7).all()


def test_onehot_encode():
    out = nd.ones((3, 3))
    assert nd.onehot_encode(nd.array([0, 2, 5]), out) is out
    same(out, [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    with pytest.raises(mx.MXNetError, match="do not fit"):
        nd.onehot_encode(nd.array([0, 1]), nd.zeros((3, 3)))
