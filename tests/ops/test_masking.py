"""What masks keep: rows, on arrays, and why not in a network; elements of one array or another."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

ROWS = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("mask", [[1, 0, 2, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_rows_that_are_kept(mask, dtype):
    kept = mx.nd.contrib.boolean_mask(mx.nd.array(ROWS), mx.nd.array(mask, dtype=dtype))
    np.testing.assert_array_equal(kept.asnumpy(), ROWS[np.array(mask) != 0])


def test_into_an_array_of_the_right_size():
    out = mx.nd.zeros((2, 3))
    mx.nd.contrib.boolean_mask(mx.nd.array(ROWS), mx.nd.array([0, 1, 1, 0]), out=out)
    np.testing.assert_array_equal(out.asnumpy(), ROWS[1:3])
    with pytest.raises(MXNetError, match="boolean_mask"):
        mx.nd.contrib.boolean_mask(mx.nd.array(ROWS), mx.nd.array([0, 1, 1, 1]), out=out)


@pytest.mark.parametrize("mask", [[1, 0, 2, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
def test_gradient(mask):
    rows = mx.nd.array(ROWS, dtype="float64")
    rows.attach_grad()
    with mx.autograd.record():
        loss = (mx.nd.contrib.boolean_mask(rows * 3, mx.nd.array(mask)) ** 2).sum()
    loss.backward()
    np.testing.assert_allclose(rows.grad.asnumpy(), 18 * ROWS * (np.array(mask) != 0)[:, None])


def test_a_network_with_it_is_not_bound():
    symbol = mx.sym.contrib.boolean_mask(mx.sym.var("data"), mx.sym.var("mask"), name="kept")
    with pytest.raises(MXNetError, match="shape of kept_output"):
        symbol.simple_bind(mx.cpu(), data=(4, 3))


def test_inference_and_mistakes():
    assert infer("_contrib_boolean_mask", [(0, 3), (4,)]) == ([(4, 3), (4,)], [None])
    with pytest.raises(MXNetError):
        infer("_contrib_boolean_mask", [(4, 3), (5,)])
    with pytest.raises(MXNetError, match="axis=1"):
        mx.nd.contrib.boolean_mask(mx.nd.array(ROWS), mx.nd.array([1, 0, 1]), axis=1)


def test_where():
    x, y = ROWS[:3], -ROWS[:3]
    condition = np.random.RandomState(0).randint(-1, 2, x.shape)
    np.testing.assert_array_equal(call("where", condition, x, y), np.where(condition, x, y))
    rows = np.array([0, 2, 0])
    np.testing.assert_array_equal(call("where", rows, x, y), np.where(rows[:, None], x, y))
    to_x, to_y = call("_backward_where", np.full_like(x, np.inf), rows)
    # Selected, not multiplied: an infinite gradient leaves no NaN on the other side.
    assert to_x[0].tolist() == [0] * 3 == to_y[1].tolist()
    assert np.isinf(to_x[1]).all() and np.isinf(to_y[0]).all()
    assert infer("where", [(2,), (0, 3), (2, 0)])[1] == [(2, 3)]
    with pytest.raises(MXNetError, match="neither"):
        infer("where", [(3,), (2, 3), (2, 3)])
