"""Softmax and its kin, against NumPy."""

import numpy as np
import pytest
from scipy import special

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

DATA = np.random.RandomState(0).randn(2, 3, 4)
FUNCTIONS = {
    "softmax": special.softmax,
    "log_softmax": special.log_softmax,
    "softmin": lambda x, axis: special.softmax(-x, axis),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("temperature", [None, 2.5, 0.5, -1.0])
def test_values(function, axis, temperature):
    got = call(function, DATA, axis=axis, temperature=temperature)
    np.testing.assert_allclose(got, FUNCTIONS[function](DATA / (temperature or 1), axis=axis))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_large_numbers_do_not_overflow(function):
    data = np.array([[1000.0, 1001.0, -1000.0]])
    np.testing.assert_allclose(call(function, data), FUNCTIONS[function](data, axis=-1))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_type_of_the_output(function):
    symbol = getattr(mx.sym, function)(mx.sym.var("data"), dtype="float32", temperature=2.0)
    executor = symbol.simple_bind(data=DATA.shape, type_dict={"data": "float16"})
    executor.arg_dict["data"][:] = mx.nd.array(DATA, dtype="float16")
    output = executor.forward(is_train=True)[0].asnumpy()
    assert output.dtype == np.float32
    half = DATA.astype("float16").astype("float64")
    np.testing.assert_allclose(output, FUNCTIONS[function](half / 2, axis=-1), rtol=1e-5)
    executor.backward(mx.nd.array(DATA))
    gradient = executor.grad_dict["data"].asnumpy()
    assert gradient.dtype == np.float16
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=4e-3)


@pytest.mark.parametrize(("dtype", "axis"), [("int32", 1), ("int64", -1), ("float32", 1)])
def test_lengths(dtype, axis):
    lengths = np.random.RandomState(1).randint(0, DATA.shape[axis] + 2, np.delete(DATA.shape, axis)).astype(dtype)
    got = call("softmax", DATA, lengths, axis=axis, use_length=True, temperature=0.7)
    place = np.arange(DATA.shape[axis]).reshape([-1 if i == axis % 3 else 1 for i in range(3)])
    counted = place < np.expand_dims(lengths, axis)
    with np.errstate(invalid="ignore"):
        wanted = special.softmax(np.where(counted, DATA / 0.7, -np.inf), axis=axis)
    assert not counted.all()
    np.testing.assert_allclose(got, np.where(counted, wanted, 0))


def test_the_length_has_no_gradient():
    symbol = mx.sym.softmax(mx.sym.var("data"), mx.sym.var("length"), use_length=True)
    executor = symbol.simple_bind(data=(1, 3), type_dict={"data": "float32", "length": "int32"})
    executor.arg_dict["length"][:] = 2
    executor.grad_dict["length"][:] = 7
    executor.forward(is_train=True)
    executor.backward(mx.nd.array([[1, 2, 3]]))
    np.testing.assert_array_equal(executor.grad_dict["length"].asnumpy(), [0])
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), [[-0.25, 0.25, 0]])


def test_inference():
    assert infer("softmax", [(2, 0)], [(0, 3)]) == ([(2, 3)], [(2, 3)])
    assert infer("softmax", [(2, 3, 4), None], axis=1, use_length=True) == ([(2, 3, 4), (2, 4)], [(2, 3, 4)])
    with pytest.raises(MXNetError, match="axis 5 is out of range"):
        call("softmax", DATA, axis=5)


def test_names_of_inputs():
    data = mx.sym.var("data")
    assert mx.sym.softmax(data, name="s").list_arguments() == ["data"]
    assert mx.sym.softmax(data, name="s", use_length=True).list_arguments() == ["data", "s_length"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_impossible_parameters_are_refused(function):
    data = mx.sym.var("data")
    with pytest.raises(MXNetError, match=f"temperature of {function} must not be 0"):
        getattr(mx.sym, function)(data, temperature=0)
    if function != "softmax":
        with pytest.raises(MXNetError, match=f"{function} takes no lengths"):
            getattr(mx.sym, function)(data, use_length=True)


def test_softmax_activation():
    np.testing.assert_allclose(call("SoftmaxActivation", DATA), special.softmax(DATA, axis=-1))
    np.testing.assert_allclose(call("SoftmaxActivation", DATA, mode="channel"), special.softmax(DATA, axis=1))
    with pytest.raises(MXNetError, match="axis 1"):
        infer("SoftmaxActivation", [(3,)], mode="channel")
