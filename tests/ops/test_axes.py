"""The order of axes, and of parts of them, against NumPy."""

import numpy as np
import pytest

from symbind.base import MXNetError

from .interpreter import call, infer

X = np.arange(24.0).reshape(2, 3, 4)


def test_transpose_and_swapaxis():
    np.testing.assert_array_equal(call("transpose", X), X.T)
    np.testing.assert_array_equal(call("transpose", X, axes=(2, 0, 1)), X.transpose(2, 0, 1))
    assert infer("transpose", [None], [(2, 3, 4)], axes=(2, 0, 1))[0] == [(3, 4, 2)]
    assert infer("transpose", [None], [(2, 3)])[0] == [(3, 2)]
    for axes in ((0, 0, 1), (-1, 0, 1), (0, 1)):
        with pytest.raises(MXNetError, match="not an order"):
            infer("transpose", [(2, 3, 4)], axes=axes)

    np.testing.assert_array_equal(call("SwapAxis", X, dim1=0, dim2=-1), X.swapaxes(0, -1))
    assert infer("SwapAxis", [None], [(2, 3, 4)], dim1=0, dim2=1)[0] == [(3, 2, 4)]
    with pytest.raises(MXNetError, match="dim 5"):
        infer("SwapAxis", [(2, 3)], dim1=5)


def test_blocks_between_depth_and_space():
    x = np.arange(48.0).reshape(1, 12, 2, 2)
    flat = call("depth_to_space", x, block_size=2)
    # Written out from the definition.
    for c, h, w, i, j in np.ndindex(3, 2, 2, 2, 2):
        assert flat[0, c, 2 * h + i, 2 * w + j] == x[0, (2 * i + j) * 3 + c, h, w]
    np.testing.assert_array_equal(call("space_to_depth", flat, block_size=2), x)
    assert infer("depth_to_space", [None], [(1, 2, 4, 6)], block_size=2)[0] == [(1, 8, 2, 3)]
    assert infer("space_to_depth", [(0, 2, 4, 6)], block_size=2)[1] == [(0, 8, 2, 3)]
    for op, shape, block in [("depth_to_space", (1, 8, 2, 2), 3), ("space_to_depth", (1, 8, 3, 2), 2),
                             ("space_to_depth", (8, 2, 2), 2), ("depth_to_space", (1, 8, 2, 2), 0)]:  # fmt: skip
        with pytest.raises(MXNetError):
            infer(op, [shape], block_size=block)
