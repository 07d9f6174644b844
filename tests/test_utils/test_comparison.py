"""When arrays count as equal, and what an assertion says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symbind as mx
from symbind import test_utils as tu


@given(
    hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e3, 1e3)),
    hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e3, 1e3)),
    st.sampled_from([0.0, 1e-3, 1.0]),
    st.sampled_from([0.0, 1e-3, 1.0]),
)
def test_agrees_with_numpy(a, b, rtol, atol):
    close = np.allclose(a, b, rtol, atol)
    assert tu.almost_equal(a, b, rtol, atol) == close
    if close:
        tu.assert_almost_equal(mx.nd.array(a, dtype="float64"), b, rtol, atol)
    else:
        with pytest.raises(AssertionError):
            tu.assert_almost_equal(mx.nd.array(a, dtype="float64"), b, rtol, atol)


@pytest.mark.parametrize(
    ("one", "two", "tolerance"),
    [
        ("float32", "float32", (1e-4, 1e-3)),
        ("float64", "float32", (1e-4, 1e-3)),
        ("float64", "float16", (1e-2, 1e-1)),
        ("float64", "float64", (1e-5, 1e-20)),
        ("int32", "int64", (0, 0)),
        ("bool", "float16", (1e-2, 1e-1)),
    ],
)
def test_default_tolerance_is_that_of_the_coarser_type(one, two, tolerance):
    assert tu.get_tols(np.zeros(1, one), mx.nd.zeros(1, dtype=two), None, None) == tolerance


def test_tolerance_by_type():
    one = mx.nd.ones(2, dtype="float16")
    assert tu.get_tols(one, 1.0, {np.dtype("float16"): 0.5}, 0.25) == (0.5, 0.25)


def test_message_tells_what_differs_most():
    a, b = np.arange(6.0).reshape(2, 3), np.array([[0.0, 1, 2], [3, 8, 5.5]])
    with pytest.raises(AssertionError, match=r"33\.3\d*%: 2 of 6 elements") as error:
        tu.assert_almost_equal(a, b, rtol=0, atol=0.1, names=("mine", "yours"))
    assert tu.find_max_violation(a, b, 0, 0.1) == ((1, 1), pytest.approx(40))
    assert "40 at (1, 1): mine=4, yours=8" in str(error.value)
    with pytest.raises(AssertionError) as error:
        tu.assert_almost_equal(a, b, rtol=0, atol=0.1, mismatches=(1, 1))
    assert "(1, 1)" in str(error.value) and "(1, 2)" not in str(error.value)


def test_infinities_and_nans():
    odd = np.array([np.inf, -np.inf, np.nan, 1])
    tu.assert_almost_equal(odd[:2], odd[:2].copy())
    tu.assert_almost_equal(odd, odd.copy(), equal_nan=True)
    with pytest.raises(AssertionError, match=r"\(2,\)"):
        tu.assert_almost_equal(odd, odd.copy())
    tu.assert_almost_equal_ignore_nan(odd, np.array([np.inf, -np.inf, 5, 1]))
    with pytest.raises(AssertionError, match=r"\(3,\)"):
        tu.assert_almost_equal_ignore_nan(odd, np.array([np.inf, -np.inf, 5, 2]))


def test_shapes():
    tu.assert_almost_equal(np.ones((2, 3)), np.ones(3))
    with pytest.raises(AssertionError, match=r"\(2, 3\) and \(3,\)"):
        tu.assert_almost_equal(np.ones((2, 3)), np.ones(3), use_broadcast=False)
    with pytest.raises(AssertionError, match=r"\(2, 3\) and \(2,\)"):
        tu.assert_almost_equal(np.ones((2, 3)), np.ones(2))


def test_arrays_of_bool_are_equal_or_not():
    tu.assert_almost_equal(np.array([True, False]), np.array([True, False]))
    with pytest.raises(AssertionError, match="50"):
        tu.assert_almost_equal(np.array([True, False]), np.array([True, True]), rtol=2, atol=2)


def test_a_part_may_differ():
    a, b = np.zeros(10), np.array([1.0] * 2 + [0] * 8)
    tu.assert_almost_equal_with_err(a, b, etol=0.2)
    with pytest.raises(AssertionError):
        tu.assert_almost_equal_with_err(a, b, etol=0.1)


def test_tuples_of_any_depth():
    one = (mx.nd.ones(2), (mx.nd.zeros(2), None))
    tu.compare_ndarray_tuple(one, (mx.nd.ones(2), (mx.nd.zeros(2), mx.nd.ones(3))))
    with pytest.raises(AssertionError):
        tu.compare_ndarray_tuple(one, (mx.nd.ones(2), (mx.nd.ones(2), None)))
    with pytest.raises(AssertionError, match="tuple of 2"):
        tu.compare_ndarray_tuple(one, (mx.nd.ones(2),))


def test_same_memory():
    whole = mx.nd.arange(6)
    assert tu.same_array(whole, whole.detach())
    assert tu.same_array(whole[2:4], whole[2:4])
    assert not tu.same_array(whole, whole.copy())
    assert not tu.same_array(whole[2:4], whole[3:5])
    assert tu.same(whole.asnumpy(), np.arange(6)) and not tu.same(whole.asnumpy(), np.arange(5))


def test_same_structure():
    def network(name, operator="relu", layers=1):
        result = mx.sym.Variable(name)
        for _ in range(layers):
            result = getattr(mx.sym, operator)(result)
        return result

    assert tu.same_symbol_structure(network("a"), network("b"))
    assert not tu.same_symbol_structure(network("a"), network("a", "tanh"))
    assert not tu.same_symbol_structure(network("a"), network("a", layers=2))
