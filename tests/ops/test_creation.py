"""Arrays made of nothing: values against NumPy, shapes that follow from the users, errors."""

import numpy as np
import pytest

import symbind as mx

from .interpreter import call, infer


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8", "bool"])
def test_one_number_everywhere(dtype):
    for operator, number, params in [("_zeros", 0, {}), ("_ones", 1, {}), ("_full", 2, {"value": 2.75})]:
        result = call(operator, shape=(2, 3), dtype=dtype, **params)
        assert result.dtype == dtype
        expected = np.array(2.75 if "float" in dtype and params else number).astype(dtype)
        assert (result == expected).all()
    data = np.array([[5, 6]]).astype(dtype)
    assert (call("zeros_like", data) == np.zeros_like(data)).all()
    assert (call("ones_like", data) == np.ones_like(data)).all()


def test_whole_numbers_wrap():
    assert call("_full", shape=(1,), value=300, dtype="uint8").tolist() == [44]


def test_unknown_dimensions_follow_from_the_users():
    x = mx.sym.Variable("x")
    symbol = mx.sym.zeros(shape=(0, 4)) + x
    assert symbol.infer_shape(x=(3, 4))[1] == [(3, 4)]
    assert symbol.simple_bind(mx.cpu(), x=(3, 4)).forward()[0].shape == (3, 4)
    assert (mx.sym.ones(shape=(-1, 4)) + x).infer_shape(x=(3, 4))[1] == [(3, 4)]
    assert (mx.sym.ones(shape=None) + x).infer_shape(x=(3, 4))[1] == [(3, 4)]
    # What stays unknown is said before anything runs.
    with pytest.raises(mx.MXNetError, match="shape"):
        mx.sym.zeros(shape=(0, 4)).simple_bind(mx.cpu())
    with pytest.raises(mx.MXNetError):
        symbol.infer_shape(x=(3, 5))


@pytest.mark.parametrize(
    "bounds",
    [{"start": 5}, {"start": 1, "stop": 6, "step": 2}, {"start": 0, "stop": 1, "step": 0.3},
     {"start": 5, "stop": 1, "step": -1.5}, {"start": -2, "stop": 2.5}],
)  # fmt: skip
def test_arange(bounds):
    expected = np.arange(*bounds.values())
    result = call("_arange", dtype="float64", **bounds)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-15)
    assert (call("_arange", dtype="float64", repeat=3, **bounds) == np.repeat(result, 3)).all()
    assert call("_arange", **bounds).dtype == "float32"


def test_arange_of_whole_numbers_cuts_start_and_step():
    assert call("_arange", start=1.5, stop=4.2, dtype="int32").tolist() == [1, 2, 3]
    assert call("_arange", start=0, stop=3, step=0.5, dtype="int32").tolist() == [0] * 6


def test_arange_may_take_its_length_from_the_users():
    x = mx.sym.Variable("x")
    numbers = mx.sym._internal._arange(start=2, step=0.5, repeat=2, infer_range=True)
    result = (numbers + mx.sym.zeros_like(x)).eval(x=mx.nd.zeros((7,)))[0]
    assert result.asnumpy().tolist() == [2, 2, 2.5, 2.5, 3, 3, 3.5]
    assert mx.sym._internal._arange(start=2, stop=5, infer_range=True).infer_shape()[1] == [(3,)]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"start": 0, "stop": 4, "step": 0}, "step=0"),
        ({"start": 5, "stop": 1}, r"Invalid range .* \(5, 1, 1\)"),
        ({"start": -3}, r"\(0, -3, 1\)"),
        ({"start": 0, "stop": 3, "repeat": 0}, "repeat > 0, received 0"),
        ({}, "Required parameter start"),
    ],
)
def test_impossible_ranges(params, message):
    with pytest.raises(mx.MXNetError, match=message):
        mx.sym._internal._arange(**params)


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [1, 2, 5])
def test_linspace(num, endpoint):
    result = call("_linspace", start=-1, stop=2, num=num, endpoint=endpoint, dtype="float64")
    np.testing.assert_allclose(result, np.linspace(-1, 2, num, endpoint=endpoint), rtol=1e-15)
    with pytest.raises(mx.MXNetError, match="negative"):
        mx.sym._internal._linspace(start=0, stop=1, num=-1)


def test_linspace_of_whole_numbers():
    assert call("_linspace", start=0, stop=5, num=4, dtype="int32").tolist() == [0, 1, 3, 5]


@pytest.mark.parametrize(("n", "m", "k"), [(3, 0, 0), (2, 4, 1), (4, 2, -1), (3, 3, 7), (3, -1, 0)])
def test_eye(n, m, k):
    result = call("_eye", N=n, M=m, k=k)
    assert (result == np.eye(n, m if m > 0 else n, k)).all()
    assert infer("_eye", [], N=n, M=m)[1] == [result.shape]


def test_created_arrays_are_the_same_at_every_run():
    symbol = mx.sym.elemwise_add(mx.sym._internal._arange(start=4), mx.sym.Variable("x"))
    executor = symbol.simple_bind(mx.cpu(), x=(4,))
    for _ in range(3):
        assert executor.forward()[0].asnumpy().tolist() == [0, 1, 2, 3]
