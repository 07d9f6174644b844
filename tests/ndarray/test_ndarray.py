"""What an array is, its copies and views, and its way to and from other libraries."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import symbind as mx
from symbind import nd

VALUES = np.array([[1, 2, 3], [4, 5, 6]], "float32")
DTYPES = ["float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"]


# ---- what it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_properties(dtype):
    array = nd.array(VALUES, dtype=dtype)
    assert (array.shape, array.size, array.ndim, len(array)) == ((2, 3), 6, 2, 2)
    assert array.dtype is np.dtype(dtype).type
    assert array.stype == "default"
    assert array.context is array.ctx
    assert array.grad is None
    np.testing.assert_array_equal(array.asnumpy(), VALUES.astype(dtype))
    assert array.asnumpy().dtype == dtype


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3), (2, 3, 4)])
def test_T_reverses_the_axes(shape):
    values = np.random.RandomState(0).rand(*shape).astype("float32")
    array = nd.array(values)
    np.testing.assert_array_equal(array.T.asnumpy(), values.T)
    array.T[:] = 0
    np.testing.assert_array_equal(array.asnumpy(), values)


def test_repr_is_that_of_mxnet():
    assert repr(nd.array([[1, 2]])) == str(nd.array([[1, 2]])) == "\n[[1. 2.]]\n<NDArray 1x2 @cpu(0)>"
    assert repr(nd.ones((1,), ctx=mx.cpu(2))) == "\n[1.]\n<NDArray 1 @cpu(2)>"
    assert repr(nd.array(5)) == "\n5.0\n<NDArray  @cpu(0)>"
    assert repr(nd.array([])) == "\n[]\n<NDArray 0 @cpu(0)>"


def test_truth():
    assert nd.array([2])
    assert nd.array([[-0.5]])
    assert not nd.zeros((1, 1))
    assert not nd.array([])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(nd.array([1, 1]))


def test_iteration_and_length():
    rows = list(nd.array(VALUES))
    assert [row.asnumpy().tolist() for row in rows] == VALUES.tolist()
    rows[1][:] = 0
    with pytest.raises(TypeError):
        len(nd.array(5))
    with pytest.raises(TypeError):
        iter(nd.array(5))


def test_arrays_are_keys_by_identity():
    one, two = nd.ones((2,)), nd.ones((2,))
    table = {one: 1, two: 2}
    assert (table[one], table[two]) == (1, 2)


def test_constructor_takes_the_tensor_as_it_is():
    tensor = torch.arange(6.0).view(2, 3)
    array = nd.NDArray(tensor)
    array[0] = 9
    assert tensor[0].tolist() == [9, 9, 9]
    assert array.context == mx.cpu(0)
    assert not nd.NDArray(torch.ones(2, requires_grad=True)).tensor.requires_grad
    with pytest.raises(ValueError, match="contiguous"):
        nd.NDArray(tensor.T)
    with pytest.raises(mx.MXNetError, match="complex64"):
        nd.NDArray(torch.ones(2, dtype=torch.complex64))


# ---- copies ------------------------------------------------------------------------------------------------------


def test_asnumpy_is_a_copy_that_may_be_written():
    array = nd.array(VALUES)
    for values in (array.asnumpy(), np.array(array), np.asarray(array)):
        assert values.flags.writeable
        values[:] = 0
    np.testing.assert_array_equal(array.asnumpy(), VALUES)
    assert np.asarray(array, dtype="int32").dtype == np.int32
    with pytest.raises(ValueError, match="makes a copy"):
        np.array(array, copy=False)


def test_bfloat16_leaves_as_float32():
    array = nd.array([1.5, -2], dtype="bfloat16")
    assert array.tensor.dtype == torch.bfloat16
    assert array.dtype is np.float32
    assert array.asnumpy().dtype == np.float32
    assert array.asnumpy().tolist() == [1.5, -2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_asscalar(dtype):
    scalar = nd.array([[1]], dtype=dtype).asscalar()
    assert type(scalar) is np.dtype(dtype).type
    assert scalar == 1
    for array in (nd.array([1, 2]), nd.array([])):
        with pytest.raises(ValueError, match="not a scalar"):
            array.asscalar()


@pytest.mark.parametrize("dtype", DTYPES)
def test_astype(dtype):
    array = nd.array(VALUES)
    converted = array.astype(dtype)
    assert converted is not array
    assert converted.dtype is np.dtype(dtype).type
    np.testing.assert_array_equal(converted.asnumpy(), VALUES.astype(dtype))
    converted[:] = 0
    np.testing.assert_array_equal(array.asnumpy(), VALUES)
    assert array.astype(np.float32, copy=False) is array
    assert array.astype("float64", copy=False) is not array


@pytest.mark.parametrize("make", [nd.NDArray.copy, copy.copy, copy.deepcopy, lambda a: a.tostype("default")])
def test_copies_share_nothing(make):
    array = nd.array(VALUES, ctx=mx.cpu(1))
    other = make(array)
    assert other.context == mx.cpu(1)
    other[:] = 0
    np.testing.assert_array_equal(array.asnumpy(), VALUES)


def test_copyto():
    array = nd.array(VALUES)
    for dtype in ("float32", "int32"):
        target = nd.zeros((2, 3), dtype=dtype)
        assert array.copyto(target) is target
        np.testing.assert_array_equal(target.asnumpy(), VALUES)
    moved = array.copyto(mx.cpu(1))
    assert moved.context == mx.cpu(1)
    moved[:] = 0
    np.testing.assert_array_equal(array.asnumpy(), VALUES)
    for shape in ((3, 2), (1, 3), (1, 2, 3)):
        with pytest.raises(mx.MXNetError, match=r"shape \(2, 3\) does not fit"):
            array.copyto(nd.zeros(shape))
    with pytest.raises(TypeError, match="ndarray"):
        array.copyto(np.zeros((2, 3)))
    with pytest.warns(RuntimeWarning, match="to itself"):
        assert array.copyto(array) is array


def test_as_in_context():
    array = nd.array(VALUES)
    assert array.as_in_context(mx.cpu(0)) is array
    other = array.as_in_context(mx.cpu(1))
    assert other.context == mx.cpu(1)
    other[:] = 0
    np.testing.assert_array_equal(array.asnumpy(), VALUES)


def test_storage_that_is_not_for_an_array_is_refused():
    for stype, mentions in (("csr", "2 Dimensional"), ("dense", "Unknown storage type 'dense'")):
        with pytest.raises(ValueError, match=mentions):
            nd.ones((2,)).tostype(stype)


def test_waiting_returns():
    array = nd.ones((2,)) + 1
    array.wait_to_read()
    nd.waitall()
    assert array.asnumpy().tolist() == [2, 2]


# ---- reshape -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "codes", "expected"),
    [
        ((2, 3), (3, 2), (3, 2)), ((2, 3), (-1,), (6,)), ((2, 3), (0, -1), (2, 3)), ((2, 3), (-2,), (2, 3)),
        ((2, 3), (-3,), (6,)), ((2, 3), (-4, 1, 2, -2), (1, 2, 3)), ((2, 3), (-4, -1, 2, 0), (1, 2, 3)),
        ((2, 3), (0, 0, 1), (2, 3, 1)), ((2, 3, 4), (-3, 0), (6, 4)), ((2, 3, 4), (0, -3), (2, 12)),
        ((2, 3, 4), (-1, 0), (8, 3)), ((1,), (1, 1, 1), (1, 1, 1)),
    ],
)  # fmt: skip
def test_reshape(shape, codes, expected):
    array = nd.zeros(shape)
    for result in (array.reshape(codes), array.reshape(*codes), array.reshape(shape=codes), array.reshape(list(codes))):
        assert result.shape == expected
    array.reshape(codes)[:] = 1
    assert array.asnumpy().all()


def test_reshape_from_the_right():
    assert nd.zeros((10, 5, 4)).reshape((-1, 0), reverse=True).shape == (50, 4)
    assert nd.zeros((2, 3)).reshape(-1).shape == (6,)


@pytest.mark.parametrize("codes", [(4, 2), (-1, -1), (-1, 4), (2, 3, 0), (-5,), (-3, -3), (-4, 3, 1, 0)])
def test_shapes_that_do_not_fit(codes):
    with pytest.raises(mx.MXNetError):
        nd.zeros((2, 3)).reshape(codes)


def test_reshape_arguments():
    with pytest.raises(TypeError, match="foo"):
        nd.zeros((2, 3)).reshape(3, 2, foo=1)
    with pytest.raises(ValueError, match="must be provided"):
        nd.zeros((2, 3)).reshape()
    with pytest.raises(TypeError):
        nd.zeros((2, 3)).reshape(3.0, 2)


# ---- gradients ---------------------------------------------------------------------------------------------------


def test_attach_grad_and_detach():
    array = nd.array(VALUES, dtype="float64", ctx=mx.cpu(1))
    array.attach_grad()
    assert (array.grad.shape, array.grad.dtype, array.grad.context) == ((2, 3), np.float64, mx.cpu(1))
    assert not array.grad.asnumpy().any()
    detached = array.detach()
    assert detached.grad is None
    detached[0] = 9
    assert array.asnumpy()[0].tolist() == [9, 9, 9]
    with pytest.raises(ValueError, match="'sum'"):
        array.attach_grad("sum")


# ---- other libraries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_pickle(dtype):
    array = nd.array(VALUES, dtype=dtype, ctx=mx.cpu(1))
    back = pickle.loads(pickle.dumps(array))
    assert back.tensor.dtype == array.tensor.dtype
    assert back.context == mx.cpu(1)
    np.testing.assert_array_equal(back.asnumpy(), array.asnumpy())
    back[0] = 0


def test_dlpack_shares_memory_both_ways():
    array = nd.array(VALUES)
    as_torch = torch.from_dlpack(array)
    as_numpy = np.from_dlpack(array)
    back = nd.from_dlpack(as_torch)
    through_capsule = nd.from_dlpack(array.to_dlpack_for_write())
    reading = nd.from_dlpack(nd.to_dlpack_for_read(array))
    array[0] = 9
    for other in (as_torch, as_numpy, back.asnumpy(), through_capsule.asnumpy(), reading.asnumpy()):
        assert other[0].tolist() == [9, 9, 9]
    through_capsule[1] = 7
    assert array.asnumpy()[1].tolist() == [7, 7, 7]
    with pytest.raises(ValueError, match="contiguous"):
        nd.from_dlpack(torch.ones(2, 3).T)


def test_from_numpy_shares_memory_and_locks_it():
    values = VALUES.astype("float64")
    array = nd.from_numpy(values)
    assert array.dtype is np.float64
    array[0] = 9
    assert values[0].tolist() == [9, 9, 9]
    assert not values.flags.writeable


def test_from_numpy_copies_what_it_may_not_write():
    values = np.arange(3)
    values.flags.writeable = False
    array = nd.from_numpy(values)
    array[:] = 7
    assert values.tolist() == [0, 1, 2]
    writable = np.arange(3)
    nd.from_numpy(writable, zero_copy=False)[:] = 7
    assert writable.tolist() == [0, 1, 2]
    assert writable.flags.writeable


def test_from_numpy_refusals():
    with pytest.raises(ValueError, match="c-contiguous"):
        nd.from_numpy(VALUES.T)
    with pytest.raises(TypeError, match="list"):
        nd.from_numpy([1])
    with pytest.raises(mx.MXNetError, match="complex"):
        nd.from_numpy(np.ones(2, "complex64"))
