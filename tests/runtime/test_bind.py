"""Binding to arrays that are shared, in every way that MXNet 1.9.1 allows; what comes out was observed there."""

import numpy as np
import pytest

import symbind as mx

X, Y = mx.sym.var("x"), mx.sym.var("y")


def rows(*values):
    return mx.nd.array(np.array(values, "float32"))


def dense():
    return mx.sym.FullyConnected(X, mx.sym.var("w"), num_hidden=2, no_bias=True, name="dense")


def check(array, *values):
    np.testing.assert_array_equal(array.asnumpy(), np.array(values, "float32"))


def test_one_array_for_two_arguments():
    shared, gradients = rows([2, 3]), [rows([0, 0]), rows([0, 0])]
    executor = (X * Y).bind(mx.cpu(), [shared, shared], args_grad=gradients)
    check(executor.forward(is_train=True)[0], [4, 9])
    executor.backward(rows([1, 1]))
    for gradient in gradients:
        check(gradient, [2, 3])


@pytest.mark.parametrize(
    ("grad_req", "expected"),
    [("write", [2, 3]), ("add", [8, 11]), ({"x": "write", "y": "add"}, [7, 10])],
    ids=["write", "add", "both"],
)
def test_one_array_for_two_gradients(grad_req, expected):
    """The last one stands, or both are added up."""
    gradient = rows([1, 1])
    executor = (X * Y).bind(mx.cpu(), [rows([2, 3]), rows([5, 7])], [gradient, gradient], grad_req)
    executor.forward(is_train=True)
    executor.backward(rows([1, 1]))
    check(gradient, expected)


def test_one_weight_under_two_names_is_trained():
    """Of a layer whose weights are kept as its kernel wants them."""

    def trained(same):
        net = X
        for name in ("v", "w"):
            net = mx.sym.Convolution(net, mx.sym.var(name), kernel=(3, 3), pad=(1, 1), num_filter=16, no_bias=True)
        rng = np.random.default_rng(0)
        weights = [mx.nd.array(rng.normal(0, 0.1, (16, 16, 3, 3)))]
        weights.append(weights[0] if same else weights[0].copy())
        gradients = [weight.zeros_like() for weight in weights]
        data = mx.nd.array(rng.normal(size=(2, 16, 6, 6)))
        executor = net.bind(mx.cpu(), [data, *weights], [None, *gradients])
        for _ in range(6):
            output = executor.forward(is_train=True)[0]
            executor.backward(output)
            change = 0.001 * (gradients[0] + gradients[1])
            for weight in weights[: 1 if same else 2]:
                weight -= change
        return executor.forward()[0].asnumpy()

    np.testing.assert_allclose(trained(True), trained(False), rtol=1e-4, atol=1e-6)


def test_an_output_is_the_argument_of_another():
    first = (X * 2).bind(mx.cpu(), {"x": rows([1, 2])})
    first.forward()
    second = (Y + 1).bind(mx.cpu(), {"y": first.outputs[0]})
    check(second.forward()[0], [3, 5])
    first.arg_dict["x"][:] = 5
    first.forward()
    check(second.forward()[0], [11, 11])


def test_an_output_is_a_parameter_of_another():
    """It is written by kernels, and what the other prepares from it is prepared again."""
    made = mx.sym.Convolution(X, kernel=(1, 1), num_filter=16, no_bias=True, name="made")
    maker = made.simple_bind(mx.cpu(), grad_req="null", x=(16, 16, 3, 3))
    user = mx.sym.Convolution(X, mx.sym.var("w"), kernel=(3, 3), num_filter=16, no_bias=True)
    data = mx.nd.ones((2, 16, 8, 8))
    executor = user.bind(mx.cpu(), {"x": data, "w": maker.outputs[0]}, grad_req="null")
    maker.arg_dict["made_weight"][:] = 1
    for value in (1, 2):
        maker.arg_dict["x"][:] = value
        maker.forward()
        np.testing.assert_allclose(executor.forward()[0].asnumpy(), 16 * value * 16 * 9)
    maker.set_monitor_callback(lambda name, array: None)
    maker.arg_dict["x"][:] = 3
    maker.forward()
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), 3 * 16 * 16 * 9)


def test_a_shared_buffer_has_arguments_and_gradients():
    buffer = {}
    first = dense().simple_bind(mx.cpu(), x=(4, 2), shared_buffer=buffer)
    assert sorted(buffer) == ["grad of w", "grad of x", "w", "x"]
    first.arg_dict["w"][:], first.arg_dict["x"][:] = 3, 2
    second = dense().simple_bind(mx.cpu(), x=(2, 2), shared_buffer=buffer)
    assert {name: array.shape for name, array in buffer.items()} == {
        "w": (2, 2), "x": (4, 2), "grad of w": (2, 2), "grad of x": (4, 2),
    }  # fmt: skip
    check(second.arg_dict["w"], [3, 3], [3, 3])
    check(second.arg_dict["x"], [2, 2], [2, 2])
    check(second.forward(is_train=True)[0], [12, 12], [12, 12])
    second.backward(mx.nd.ones((2, 2)))
    check(buffer["grad of w"], [4, 4], [4, 4])
    check(first.grad_dict["w"], [4, 4], [4, 4])


def test_a_shared_buffer_grows():
    buffer = {}
    first = dense().simple_bind(mx.cpu(), x=(2, 2), shared_buffer=buffer)
    first.arg_dict["x"][:] = 2
    second = dense().simple_bind(mx.cpu(), x=(4, 2), shared_buffer=buffer)
    second.arg_dict["x"][:] = 1
    assert buffer["x"].shape == (4, 2)
    check(first.arg_dict["x"], [2, 2], [2, 2])


def test_a_shared_buffer_of_ones_own():
    buffer = {"x": mx.nd.ones((10,))}
    executor = dense().simple_bind(mx.cpu(), grad_req={"x": "null", "w": "write"}, x=(2, 2), shared_buffer=buffer)
    check(executor.arg_dict["x"], [1, 1], [1, 1])
    executor.arg_dict["x"][:] = 4
    check(buffer["x"], *[4] * 4, *[1] * 6)
    assert sorted(buffer) == ["grad of w", "w", "x"]


@pytest.mark.parametrize("name", ["x", "grad of x"])
def test_a_shared_buffer_of_another_type(name):
    buffer = {name: mx.nd.ones((10,), dtype="float64")}
    with pytest.raises(mx.MXNetError, match=f"shared_buffer has {name} as float64, but the network asks for float32"):
        dense().simple_bind(mx.cpu(), x=(2, 2), shared_buffer=buffer)
    assert list(buffer) == [name]


def test_named_arguments_of_another_executor_are_no_buffer():
    first = dense().simple_bind(mx.cpu(), x=(2, 2))
    buffer = {}
    second = dense().simple_bind(mx.cpu(), x=(2, 2), shared_exec=first, shared_arg_names=["w"], shared_buffer=buffer)
    assert sorted(buffer) == ["grad of x", "x"]
    for arrays in (first.arg_dict, first.grad_dict):
        arrays["w"][:] = 3
    check(second.arg_dict["w"], [3, 3], [3, 3])
    check(second.grad_dict["w"], [3, 3], [3, 3])


def test_arrays_without_elements_cannot_be_bound():
    empty = mx.nd.array(np.zeros((0, 2)))
    with pytest.raises(mx.MXNetError, match=r"Cannot bind x: its shape \(0, 2\) holds no elements"):
        dense().bind(mx.cpu(), {"x": empty, "w": mx.nd.ones((2, 2))})
    with pytest.raises(mx.MXNetError, match=r"Cannot decide the shape.*x"):
        dense().simple_bind(mx.cpu(), x=(0, 2))
    executor = dense().simple_bind(mx.cpu(), x=(2, 2))
    with pytest.raises(ValueError, match=r"Argument x, need: \(2, 2\), received: \(0, 2\)"):
        executor.forward(x=empty)
    with pytest.raises(mx.MXNetError, match="Cannot decide the shape of arg: x"):
        executor.reshape(x=(0, 2))
