"""Reading and writing parts, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind import nd

SHAPE = (3, 4, 2)
VALUES = np.arange(24, dtype="float32").reshape(SHAPE)


@st.composite
def keys(draw, arrays: bool = True):
    """A valid key for ``VALUES``, as a tuple."""
    axes = draw(st.integers(0, 3))
    joint = draw(st.sampled_from([(1,), (2,), (2, 2), (3, 1)]))
    items: list = []
    for size in SHAPE[:axes]:
        kind = draw(st.sampled_from(["int", "slice", "slice", "array"] if arrays else ["int", "slice", "slice"]))
        if kind == "int":
            items.append(draw(st.integers(-size, size - 1)))
        elif kind == "slice":
            end = st.none() | st.integers(-6, 6)
            items.append(slice(draw(end), draw(end), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
        else:
            count = int(np.prod(joint))
            index = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
            items.append(np.array(index).reshape(joint))
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    if draw(st.booleans()):
        # Dimensions that are left out are the last ones, so this changes nothing.
        items.append(Ellipsis)
    return tuple(items)


def is_element(key: tuple, result: np.ndarray) -> bool:
    return result.shape == () and all(isinstance(item, int) or item is Ellipsis for item in key)


@settings(max_examples=400, deadline=None)
@given(keys(), st.booleans())
def test_reading(key, as_ndarray):
    expected = VALUES[key]
    if is_element(key, expected):
        expected = expected.reshape(1)
    if as_ndarray:
        key = tuple(nd.array(k) if isinstance(k, np.ndarray) else k for k in key)
    result = nd.array(VALUES)[key]
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result.asnumpy(), expected)


@settings(max_examples=400, deadline=None)
@given(keys(), st.sampled_from(["number", "whole", "one", "list"]), st.booleans())
def test_writing(key, kind, as_ndarray):
    expected, array = VALUES.copy(), nd.array(VALUES)
    shape = expected[key].shape
    value: object = 77
    if kind != "number":
        value = 100 + np.arange(np.prod(shape, dtype=int), dtype="float32").reshape(shape)
        if kind == "one":
            value = value[..., :1] if shape else value
    # Where an index names an element twice, NumPy keeps the last value; no promise is made of that.
    positions = np.arange(24).reshape(SHAPE)[key].ravel()
    if len(set(positions)) != positions.size:
        value = 77
    expected[key] = value
    if as_ndarray:
        key = tuple(nd.array(k, dtype="int32") if isinstance(k, np.ndarray) else k for k in key)
        value = nd.array(value) if isinstance(value, np.ndarray) else value
    elif kind == "list" and isinstance(value, np.ndarray) and value.size:
        value = value.tolist()
    array[key] = value
    np.testing.assert_array_equal(array.asnumpy(), expected)


@pytest.mark.parametrize(
    ("key", "is_view"),
    [
        (1, True),
        (slice(1, 3), True),
        ((1, 2), True),
        ((1, 2, 1), True),
        ((1, slice(1, 3)), True),
        ((slice(1, 2), slice(1, 3)), True),
        (slice(0, 3, 3), True),
        (None, True),
        (..., True),
        ((), True),
        ((None, 1, ..., None), True),
        ((slice(None), slice(1, 3)), False),
        (slice(None, None, 2), False),
        (slice(None, None, -1), False),
        ((..., 0), False),
        ([0, 1], False),
        ([1], False),
    ],
)
def test_a_part_that_lies_together_is_a_view(key, is_view):
    array = nd.zeros(SHAPE)
    part = array[key]
    part[:] = 1
    assert array.asnumpy().sum() == (part.size if is_view else 0)


def test_a_single_element_has_one_dimension():
    array = nd.array(VALUES)
    assert array[1, 2, 1].shape == (1,)
    assert array[1, 2, 1].asscalar() == VALUES[1, 2, 1]
    assert array[0, 0][1].shape == (1,)
    assert [x.asscalar() for x in nd.array([1, 2])] == [1, 2]
    array[1, 2, 1] = nd.array([5])
    array[1, 2, 0] = nd.array([[6]])
    assert array[1, 2].asnumpy().tolist() == [6, 5]


def test_whole_parts_of_fractions_are_indices():
    np.testing.assert_array_equal(nd.array(VALUES)[nd.array([0.7, 1.2])].asnumpy(), VALUES[[0, 1]])


def test_other_kinds_of_index():
    array = nd.array(VALUES)
    for key in ([0, 2], (0, 2), range(0, 3, 2), np.array([0, 2], "int8"), np.array([0, 2], "uint16")):
        np.testing.assert_array_equal(array[key if not isinstance(key, tuple) else (key,)].asnumpy(), VALUES[[0, 2]])
    for key in (np.int64(1), np.array(1), nd.array(1)):
        np.testing.assert_array_equal(array[key].asnumpy(), VALUES[1])
    assert array[[]].shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (3, IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        ((0, -5), IndexError, "index -5 is out of bounds for axis 1 with size 4"),
        ([[0, 3]], IndexError, "index 3 is out of bounds for axis 0 with size 3"),
        ((slice(None), nd.array([-5])), IndexError, "index -5 is out of bounds for axis 1 with size 4"),
        ((0, 0, 0, 0), IndexError, r"too many indices \(4\) for array with 3 dimensions"),
        ((..., ...), IndexError, "more than one ellipsis"),
        (([0, 1], [0, 1, 2]), IndexError, r"could not be broadcast together.*\(2,\), \(3,\)"),
        (slice(None, None, 0), ValueError, "step cannot be zero"),
        (1.0, ValueError, "key 1.0 of type float"),
        ("a", ValueError, "key 'a' of type str"),
        (np.array([True, False, True]), ValueError, "boolean"),
        ([True, False, True], ValueError, "boolean"),
        (nd.array([1, 0, 1], dtype="bool"), ValueError, "boolean"),
        (["a"], TypeError, "array like object of numbers"),
        (slice("a"), TypeError, "slice indices"),
    ],
)
def test_keys_that_cannot_be(key, error, text):
    array = nd.array(VALUES)
    with pytest.raises(error, match=text):
        array[key]
    with pytest.raises(error, match=text):
        array[key] = 1
    with pytest.raises(error, match=text):
        array[key] = nd.ones((1,))
    np.testing.assert_array_equal(array.asnumpy(), VALUES)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (0, np.ones((2, 2))),
        (0, np.ones((2, 4, 2))),
        ((0, 0, 0), [5, 6]),
        ([0, 1], np.ones(3)),
        (slice(1, 1), np.ones(3)),
    ],
)
def test_values_of_another_shape(key, value):
    for given_value in (value, nd.array(value)):
        with pytest.raises(ValueError, match="could not be broadcast together"):
            nd.array(VALUES)[key] = given_value


@pytest.mark.parametrize("value", [None, "a", object()])
def test_values_that_are_no_arrays(value):
    with pytest.raises(TypeError, match="does not support assignment"):
        nd.zeros((2,))[0] = value


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("int32", 2.7, 2), ("int32", -1.5, -1), ("int32", np.array(2.7), 2), ("int32", [2.7], 2),
        ("int32", nd.array([2.5]), 2), ("uint8", 300, 44), ("uint8", -1, 255), ("bool", 2, True), ("bool", [0.5], True),
        ("float16", 1, 1), ("int64", 2**53 + 1, 2**53 + 1), ("float32", np.float64(0.5), 0.5), ("float32", True, 1),
    ],
)  # fmt: skip
def test_values_take_the_type_of_the_array(dtype, value, expected):
    array = nd.zeros((2,), dtype=dtype)
    array[0] = value
    assert array.dtype == np.dtype(dtype).type
    assert array.asnumpy().tolist() == [expected, 0]
    array[[1]] = value
    assert array.asnumpy().tolist() == [expected, expected]


def test_a_part_written_over_its_neighbour():
    array = nd.arange(6)
    array[1:] = array[:-1]
    assert array.asnumpy().tolist() == [0, 0, 1, 2, 3, 4]
    array[::-1] = array
    assert array.asnumpy().tolist() == [4, 3, 2, 1, 0, 0]


def test_the_context_is_kept():
    array = nd.array(VALUES, ctx=mx.cpu(3))
    for key in (0, [0], (0, 0, 0), slice(None, None, -1)):
        assert array[key].context == mx.cpu(3)
