"""One element of every line, against NumPy."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

X = np.arange(24.0).reshape(2, 3, 4)


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
