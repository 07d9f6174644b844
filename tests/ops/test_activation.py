"""Activation functions against NumPy, at the edges and in low precision; slopes that are drawn or learned."""

import numpy as np
import pytest
from scipy import special

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, check_gradient, infer

DATA = np.array([[-30.0, -2.5, -0.5, -1e-3], [0.0, 1e-3, 0.5, 30.0]])
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": special.expit,
    "softrelu": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + abs(x)),
    "tanh": np.tanh,
}
LEAKY = {
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "elu": lambda x: np.where(x > 0, x, 0.1 * np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x: x * special.ndtr(x),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation(kind):
    np.testing.assert_allclose(call("Activation", DATA, act_type=kind), ACTIVATIONS[kind](DATA), rtol=1e-12)


@pytest.mark.parametrize("kind", LEAKY)
def test_leaky(kind):
    got = call("LeakyReLU", DATA, act_type=kind, slope=0.1)
    np.testing.assert_allclose(got, LEAKY[kind](DATA), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("float32", 1e-6)])
def test_precisions(dtype, tolerance):
    data = DATA.astype(dtype)
    for operator, table in (("Activation", ACTIVATIONS), ("LeakyReLU", LEAKY)):
        for kind, function in table.items():
            extra = {"slope": 0.1} if operator == "LeakyReLU" else {}
            got = call(operator, data, act_type=kind, **extra)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, function(data.astype(float)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_gradient_of_the_gradient(kind):
    output = ACTIVATIONS[kind](np.array([-1.5, -0.3, 0.4, 1.2]))
    output = output[output > 0] if kind == "relu" else output
    check_gradient("_backward_Activation", np.linspace(-1, 1, len(output)), output, wrt=(0,), act_type=kind)
    if kind != "relu":
        check_gradient("_backward_Activation", np.linspace(-1, 1, len(output)), output, wrt=(1,), act_type=kind)


def test_gradient_is_that_of_the_negative_side_at_zero():
    for params, slope in (({"act_type": "leaky", "slope": 0.1}, 0.1), ({"act_type": "elu", "slope": 0.5}, 0.5)):
        executor = mx.sym.LeakyReLU(mx.sym.var("data"), **params).simple_bind(data=(1,))
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones(1))
        np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), [slope], rtol=1e-6)


# ---- prelu --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2), (1, 3, 2, 2)])
@pytest.mark.parametrize("shared", [True, False])
def test_learned_slopes(shape, shared):
    data = np.random.RandomState(0).randn(*shape)
    gamma = np.array([0.4]) if shared else np.array([0.1, -0.2, 3.0])
    slope = gamma.reshape(-1, *[1] * (len(shape) - 2))
    got = call("LeakyReLU", data, gamma, act_type="prelu")
    np.testing.assert_allclose(got, np.where(data > 0, data, slope * data))


@pytest.mark.parametrize("gamma", [(2, 3), (2, 1), (1, 3), (2, 3, 1)])
def test_learned_slopes_of_each_sample(gamma):
    """Slopes with several axes lie along the first of the data."""
    random = np.random.RandomState(1)
    data, slopes, head = random.randn(2, 3, 4), random.randn(*gamma), random.randn(2, 3, 4)
    spread = slopes.reshape(*gamma, *[1] * (3 - len(gamma)))
    np.testing.assert_allclose(call("LeakyReLU", data, slopes, act_type="prelu"), np.where(data > 0, 1, spread) * data)
    d_data, d_gamma = call("_backward_LeakyReLU_prelu", head, data, slopes)
    np.testing.assert_allclose(d_data, np.where(data > 0, 1, spread) * head)
    others = tuple(axis for axis, size in enumerate(spread.shape) if size == 1)
    np.testing.assert_allclose(d_gamma, (head * np.minimum(data, 0)).sum(others).reshape(gamma))


def test_learned_slopes_start_at_a_quarter():
    symbol = mx.sym.LeakyReLU(mx.sym.var("data"), act_type="prelu", name="p")
    assert symbol.list_arguments() == ["data", "p_gamma"]
    assert symbol.attr_dict()["p_gamma"]["__init__"] == '["Constant", {"value": 0.25}]'


def test_shape_of_learned_slopes():
    assert infer("LeakyReLU", [(2, 3, 4), None], act_type="prelu") == ([(2, 3, 4), (3,)], [(2, 3, 4)])
    assert infer("LeakyReLU", [(2, 3, 4), (1,)], act_type="prelu") == ([(2, 3, 4), (1,)], [(2, 3, 4)])
    assert infer("LeakyReLU", [None, (3,)], [(2, 3)], act_type="prelu") == ([(2, 3), (3,)], [(2, 3)])
    for gamma in ((2,), (3, 1), (2, 3, 4, 1)):
        with pytest.raises(MXNetError, match=r"gamma of prelu has shape .* does not broadcast over data of shape"):
            infer("LeakyReLU", [(2, 3, 4), gamma], act_type="prelu")
    with pytest.raises(MXNetError, match="axis 1"):
        infer("LeakyReLU", [(2,), None], act_type="prelu")


# ---- rrelu --------------------------------------------------------------------------------------


def test_drawn_slopes():
    data = -np.ones((100, 50))
    data[0] = 2
    executor = mx.sym.LeakyReLU(
        mx.sym.var("data"), act_type="rrelu", lower_bound=0.1, upper_bound=0.3
    ).simple_bind(data=data.shape)
    output, mask = (o.asnumpy() for o in executor.forward(is_train=True, data=data))
    np.testing.assert_array_equal(output[0], data[0])
    np.testing.assert_allclose(output[1:], -mask[1:], rtol=1e-6)
    assert 0.1 <= mask.min() < 0.11 and 0.29 < mask.max() <= 0.3
    assert abs(mask.mean() - 0.2) < 0.003

    head = np.random.RandomState(0).randn(*data.shape).astype("float32")
    executor.backward([mx.nd.array(head), mx.nd.zeros(data.shape)])
    np.testing.assert_allclose(
        executor.grad_dict["data"].asnumpy(), np.where(data > 0, head, mask * head), rtol=1e-6
    )


def test_inference_uses_the_mean_slope():
    data = np.array([-1.0, 2.0])
    executor = mx.sym.LeakyReLU(
        mx.sym.var("data"), act_type="rrelu", lower_bound=0.1, upper_bound=0.3
    ).simple_bind(data=(2,))
    output, mask = executor.forward(is_train=False, data=data)
    np.testing.assert_allclose(output.asnumpy(), [-0.2, 2.0], rtol=1e-6)
    np.testing.assert_array_equal(mask.asnumpy(), [0, 0])
    executor.backward([mx.nd.ones(2), mx.nd.zeros(2)])
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), [0.2, 1.0], rtol=1e-6)


# ---- hard sigmoid -------------------------------------------------------------------------------


def test_hard_sigmoid():
    np.testing.assert_allclose(call("hard_sigmoid", DATA), np.clip(0.2 * DATA + 0.5, 0, 1))
    np.testing.assert_allclose(call("hard_sigmoid", DATA, alpha=2.0, beta=0.1), np.clip(2 * DATA + 0.1, 0, 1))


def test_hard_sigmoid_has_no_slope_where_it_is_flat():
    executor = mx.sym.hard_sigmoid(mx.sym.var("data")).simple_bind(data=(5,))
    executor.forward(is_train=True, data=np.array([-3, -2.5, 0, 2.5, 3]))
    executor.backward(mx.nd.ones(5))
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), [0, 0, 0.2, 0, 0], rtol=1e-6)


def test_unknown_functions_are_refused():
    with pytest.raises(MXNetError, match="Invalid Input: 'swish' for act_type"):
        mx.sym.Activation(mx.sym.var("data"), act_type="swish")
    with pytest.raises(MXNetError, match="Required parameter act_type"):
        mx.sym.Activation(mx.sym.var("data"))
