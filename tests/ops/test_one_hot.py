"""Rows that are zero but for one place."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer


def test_one_hot():
    hot = call("one_hot", np.array([1.7, -0.5, 3, -1]), depth=3, on_value=5, off_value=-1, dtype="int32")
    assert hot.dtype == np.int32
    assert hot.tolist() == [[-1, 5, -1], [5, -1, -1], [-1] * 3, [-1] * 3]
    assert infer("one_hot", [None], [(2, 0)], depth=3) == ([(2,)], [(2, 3)])
    with pytest.raises(MXNetError, match="depth"):
        infer("one_hot", [(2,)], depth=0)
    assert call("_onehot_encode", [2, -1], np.zeros((2, 3))).tolist() == [[0, 0, 1], [0, 0, 0]]
    assert infer("_onehot_encode", [(2,), (0, 3)])[1] == [(2, 3)]
