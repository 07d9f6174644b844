"""Reshape and its codes, Flatten, the shape as numbers: inference both ways, errors, values."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("data", "shape", "out"),
    [
        ((2, 3, 4), (4, 0, 2), (4, 3, 2)),
        ((2, 3, 4), (-1, 0), (8, 3)),
        ((2, 3, 4), (-2,), (2, 3, 4)),
        ((2, 3, 4), (2, -2), (2, 3, 4)),
        ((2, 3, 4), (-2, 1, 1), (2, 3, 4, 1, 1)),
        ((2, 3, 4), (-3, 0), (6, 4)),
        ((2, 3, 4, 5), (-3, -3), (6, 20)),
        ((2, 3, 4), (-4, 1, 2, -2), (1, 2, 3, 4)),
        ((2, 3, 4), (2, -4, -1, 3, -2), (2, 1, 3, 4)),
    ],
)
def test_codes_of_reshape(data, shape, out):
    assert infer("Reshape", [data], shape=shape) == ([data], [out])
    x = np.arange(np.prod(data), dtype="float64").reshape(data)
    np.testing.assert_array_equal(call("Reshape", x, shape=shape), x.reshape(out))


def test_reverse_walks_from_the_right():
    assert infer("Reshape", [(10, 5, 4)], shape=(-1, 0))[1] == [(40, 5)]
    assert infer("Reshape", [(10, 5, 4)], shape=(-1, 0), reverse=True)[1] == [(50, 4)]
    # A split is written mirrored as well.
    assert infer("Reshape", [(3, 4, 8)], shape=(0, 0, 4, 2, -4), reverse=True)[1] == [(3, 4, 4, 2)]


def test_old_spelling_of_reshape():
    assert infer("Reshape", [(2, 3, 4)], target_shape=(0, 12))[1] == [(2, 12)]
    assert infer("Reshape", [(2, 3, 4)], target_shape=(7, 0), keep_highest=True)[1] == [(2, 12)]
    assert infer("Reshape", [(0, 3, 4)], target_shape=(0, 12)) == ([(0, 3, 4)], [(0, 12)])


@pytest.mark.parametrize(
    ("data", "shape", "out", "inferred"),
    [
        ((0, 3, 4), (0, -1), (2, 12), (2, 3, 4)),
        ((0, 3, 4), (-3, 0), (6, 4), (2, 3, 4)),
        ((0, 4), (-4, 2, -1, 0), (2, 3, 4), (6, 4)),
        ((2, 0), (3, 2), None, (2, 3)),
        ((0, 0, 4), (0, -1), (2, 12), (0, 0, 4)),
        (None, (0, -1), (2, 12), None),
    ],
)
def test_reshape_infers_its_input(data, shape, out, inferred):
    assert infer("Reshape", [data], [out], shape=shape)[0] == [inferred]


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        ((2, 3), (-1, -1), "can be inferred"),
        ((2, 3), (0, 0, 0), "more dimensions"),
        ((2, 3), (-3, -3), "more dimensions"),
        ((2, 3, 4), (-4, 5, -1, 0, 0), "do not divide"),
        ((2, 3, 4), (-4, -1, -1, 0, 0), "both"),
        ((2, 3, 4), (-4,), "followed"),
        ((2, 3, 4), (-5,), "no code"),
        ((2, 3), (4, 2), "Target shape size"),
        ((2, 3), (-1, 4), "6 elements"),
        ((2, 3), (), "needs a shape"),
    ],
)
def test_reshapes_that_cannot_be(data, shape, message):
    with pytest.raises(MXNetError, match=message):
        infer("Reshape", [data], shape=shape)


def test_reshape_like():
    assert infer("reshape_like", [(6, 4), (2, 3, 4)])[1] == [(2, 3, 4)]
    assert infer("reshape_like", [(0, 4), (2, 3, 4)])[0] == [(6, 4), (2, 3, 4)]
    part = {"lhs_begin": 0, "lhs_end": 1, "rhs_begin": 0, "rhs_end": -1}
    assert infer("reshape_like", [(6, 5), (2, 3, 4)], **part)[1] == [(2, 3, 5)]
    with pytest.raises(MXNetError, match="lhs_begin=1, lhs_end=1"):
        infer("reshape_like", [(6, 5), (2, 3)], lhs_begin=1, lhs_end=1)
    with pytest.raises(MXNetError, match="Cannot reshape"):
        infer("reshape_like", [(6, 5), (2, 3)])


def test_flatten():
    assert infer("Flatten", [(2, 3, 4)])[1] == [(2, 12)]
    assert infer("Flatten", [(2,)])[1] == [(2, 1)]
    assert infer("Flatten", [(0, 3, 4)], [(5, 0)]) == ([(5, 3, 4)], [(5, 12)])
    assert infer("Flatten", [(5, 0, 4)], [(0, 12)])[0] == [(5, 3, 4)]
    assert infer("Flatten", [None], [(2, 12)]) == ([None], [(2, 12)])
    np.testing.assert_array_equal(call("Flatten", X), X.reshape(2, 12))


def test_expand_dims_and_squeeze():
    assert infer("expand_dims", [(2, 3)], axis=-1)[1] == [(2, 3, 1)]
    assert infer("expand_dims", [None], [(2, 1, 3)], axis=1)[0] == [(2, 3)]
    with pytest.raises(MXNetError, match="axis 3"):
        infer("expand_dims", [(2, 3)], axis=3)
    with pytest.raises(MXNetError):
        infer("expand_dims", [None], [(2, 2, 3)], axis=1)

    assert infer("squeeze", [(1, 3, 1)])[1] == [(3,)]
    assert infer("squeeze", [(1, 1)])[1] == [(1,)]
    assert infer("squeeze", [(0, 0, 4)], [(3, 4)], axis=1)[0] == [(3, 1, 4)]
    assert infer("squeeze", [(1, 0)])[1] == [None]
    with pytest.raises(MXNetError, match="not equal to one"):
        infer("squeeze", [(1, 3)], axis=1)
    with pytest.raises(MXNetError, match="twice"):
        infer("squeeze", [(1, 3)], axis=(0, -2))


def test_numbers_of_the_shape():
    shape, size = call("shape_array", X), call("size_array", X)
    assert shape.dtype == size.dtype == np.int64
    assert shape.tolist() == [2, 3, 4]
    assert size.tolist() == [24]
