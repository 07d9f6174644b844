"""Operators about sparse storage, on dense arrays."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

DATA = np.float32([[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize("stype", ["default", "row_sparse", "csr"])
def test_cast_storage_is_the_identity_and_keeps_what_was_asked(stype: str) -> None:
    symbol = mx.sym.sparse.cast_storage(mx.sym.var("x"), stype=stype)
    assert f'"stype": "{stype}"' in symbol.tojson()
    executor = symbol.bind(mx.cpu(), {"x": mx.nd.array(DATA)})
    np.testing.assert_array_equal(executor.forward()[0].asnumpy(), DATA)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_retain_keeps_rows(dtype: str) -> None:
    kept = mx.nd.sparse.retain(mx.nd.array(DATA), mx.nd.array([2, 0, 2], dtype=dtype))
    np.testing.assert_array_equal(kept.asnumpy(), [[1, 2], [0, 0], [5, 6]])


@pytest.mark.parametrize("index", [-1, 3])
def test_retain_refuses_rows_that_are_not_there(index: int) -> None:
    with pytest.raises(MXNetError, match=f"index {index} is outside the 3 rows"):
        mx.nd.sparse.retain(mx.nd.array(DATA), mx.nd.array([0, index]))


def test_scatter_operators_on_dense_arrays_are_the_plain_ones() -> None:
    x, y = mx.nd.array(DATA), mx.nd.array(DATA + 1)
    np.testing.assert_array_equal(mx.nd._internal._scatter_plus_scalar(x, scalar=2).asnumpy(), DATA + 2)
    np.testing.assert_array_equal(mx.nd._internal._scatter_minus_scalar(x, scalar=2).asnumpy(), DATA - 2)
    np.testing.assert_allclose(mx.nd._internal._scatter_elemwise_div(x, y).asnumpy(), DATA / (DATA + 1), rtol=1e-6)
    assert '"op": "_scatter_plus_scalar"' in mx.sym._internal._scatter_plus_scalar(mx.sym.var("x"), scalar=1).tojson()


def test_set_value_and_copyto_write_into_out() -> None:
    target = mx.nd.zeros((2, 3))
    mx.nd._internal._set_value(src=2.5, out=target)
    np.testing.assert_array_equal(target.asnumpy(), np.full((2, 3), 2.5))
    mx.nd._internal._copyto(mx.nd.array([[1, 2, 3]]), out=target[1:])
    np.testing.assert_array_equal(target.asnumpy(), [[2.5, 2.5, 2.5], [1, 2, 3]])
