"""Checks of symbols pass what is right, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx
from symbind import test_utils as tu

A, B = mx.sym.Variable("a"), mx.sym.Variable("b")
X, Y = np.random.default_rng(1).normal(size=(2, 3, 3)).astype(np.float32)
HEAD = np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32)
PRODUCT = mx.sym.dot(A, B, name="dot")
GRADIENTS = {"a": HEAD @ Y.T, "b": X.T @ HEAD}


class CubeWithSlope(mx.operator.CustomOp):
    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], in_data[0] ** 3)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * self.slope * in_data[0] ** 2)


@mx.operator.register("cube_with_slope")
class CubeWithSlopeProp(mx.operator.CustomOpProp):
    def __init__(self, slope: str) -> None:
        super().__init__()
        self.slope = float(slope)

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return CubeWithSlope(self.slope)


def test_simple_forward():
    np.testing.assert_allclose(tu.simple_forward(PRODUCT, a=X, b=Y), X @ Y, rtol=1e-5)
    both = tu.simple_forward(mx.sym.Group([A, B]), a=X, b=Y)
    np.testing.assert_array_equal(both, [X, Y])


@pytest.mark.parametrize("location", [[X, Y], {"b": Y, "a": X}, [mx.nd.array(X), Y]], ids=["list", "dict", "mixed"])
def test_forward(location):
    (output,) = tu.check_symbolic_forward(PRODUCT, location, [X @ Y])
    np.testing.assert_allclose(output.asnumpy(), X @ Y, rtol=1e-5)
    tu.check_symbolic_forward(PRODUCT, location, {"dot_output": X @ Y})
    with pytest.raises(AssertionError, match="FORWARD_dot_output"):
        tu.check_symbolic_forward(PRODUCT, location, [X @ Y + 0.1])


def test_types_of_numpy_arrays_can_be_kept():
    (output,) = tu.check_symbolic_forward(A + 1, [np.arange(3)], [np.arange(3) + 1], dtype="asnumpy")
    assert output.dtype == np.int64


@pytest.mark.parametrize("location", [[X], {"a": X}, {"a": X, "c": Y}])
def test_location_must_be_complete(location):
    with pytest.raises(ValueError, match="location has"):
        tu.check_symbolic_forward(PRODUCT, location, [X @ Y])


@pytest.mark.parametrize("request_", ["write", "add", "null"])
def test_backward(request_):
    tu.check_symbolic_backward(PRODUCT, [X, Y], [HEAD], list(GRADIENTS.values()), grad_req=request_)
    tu.check_symbolic_backward(PRODUCT, [X, Y], {"dot_output": HEAD}, GRADIENTS, grad_req=dict.fromkeys("ab", request_))
    wrong = GRADIENTS | {"b": GRADIENTS["b"] + 0.1}
    if request_ != "null":
        with pytest.raises(AssertionError, match="BACKWARD_b"):
            tu.check_symbolic_backward(PRODUCT, [X, Y], [HEAD], wrong, grad_req=request_)


def test_backward_of_some_arguments():
    grads = tu.check_symbolic_backward(PRODUCT, [X, Y], [HEAD], {"b": GRADIENTS["b"]})
    assert list(grads) == ["b"]


def test_backward_of_a_loss():
    tu.check_symbolic_backward(mx.sym.make_loss(A * A), [X], None, [2 * X])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nodes", [None, ["x"], {"x": "add"}])
def test_numeric_gradient(dtype, nodes):
    def cube(slope):
        return mx.sym.Custom(mx.sym.Variable("x"), op_type="cube_with_slope", slope=slope)

    location = [np.linspace(-1, 1, 6).reshape(2, 3)]
    tu.check_numeric_gradient(cube(3), location, grad_nodes=nodes, dtype=dtype, atol=1e-2)
    with pytest.raises(AssertionError, match="NUMERICAL_x"):
        tu.check_numeric_gradient(cube(3.3), location, grad_nodes=nodes, dtype=dtype, atol=1e-2)


def test_numeric_gradient_with_auxiliary_states():
    """Training moves the averages; every difference must start from the same ones."""
    network = mx.sym.BatchNorm(A, name="bn", fix_gamma=False, eps=1e-2)
    location = {"a": X, "bn_gamma": np.ones(3), "bn_beta": np.zeros(3)}
    states = {"bn_moving_mean": np.full(3, 0.5), "bn_moving_var": np.full(3, 2.0)}
    tu.check_numeric_gradient(network, location, states, dtype=np.float64)
    np.testing.assert_array_equal(states["bn_moving_mean"], 0.5)


def test_numeric_grad_leaves_the_arguments_as_they_were():
    executor = mx.sym.make_loss(A * A).bind(mx.cpu(), {"a": mx.nd.zeros((3, 3))})
    gradients = tu.numeric_grad(executor, {"a": X}, eps=2.0**-6)
    np.testing.assert_allclose(gradients["a"], 2 * X, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(executor.arg_dict["a"].asnumpy(), X)


def test_consistency():
    places = [
        {"ctx": mx.cpu(), "a": (3, 3), "b": (3, 3), "type_dict": {"a": kind, "b": kind}}
        for kind in ("float64", "float32", "float16")
    ]
    truth = tu.check_consistency(PRODUCT, places)
    assert truth["dot_output"].dtype == np.float64 and set(truth) == {"dot_output", "a", "b"}
    tu.check_consistency(PRODUCT, places[:2], grad_req="null", use_uniform=True)
    tu.check_consistency(PRODUCT, places[:2], grad_req="add", arg_params={"a": X, "b": Y})
    other = mx.sym.dot(A, B * 1.1, name="dot")
    with pytest.raises(AssertionError, match="Predict Err: ctx 1 vs ctx 0 at dot_output"):
        tu.check_consistency([PRODUCT, other], places[:2])
    with pytest.raises(ValueError, match="nothing to compare"):
        tu.check_consistency(PRODUCT, places[:1])


def test_consistency_can_report_and_go_on(capsys):
    places = [{"ctx": mx.cpu(), "a": (3, 3), "b": (3, 3)}] * 2
    tu.check_consistency([PRODUCT, mx.sym.dot(A, B * 1.1, name="dot")], places, raise_on_err=False)
    assert "Train Err" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["whole", "forward"])
def test_speed(kind):
    assert tu.check_speed(PRODUCT, {"a": X, "b": Y}, N=2, typ=kind) > 0
    assert tu.check_speed(PRODUCT, N=2, typ=kind, a=(3, 3), b=(3, 3)) > 0
    with pytest.raises(ValueError, match="backward"):
        tu.check_speed(PRODUCT, typ="backward", a=(3, 3), b=(3, 3))


def test_optimizers():
    def sgd(**options):
        return mx.optimizer.SGD(learning_rate=0.1, **options)

    tu.compare_optimizer(sgd(momentum=0.9), sgd(momentum=0.9), (3, 4), "float32")
    tu.compare_optimizer(sgd(momentum=0.9), sgd(momentum=0.9), [(3, 4), (2,)], "float32", ntensors=2)
    with pytest.raises(AssertionError):
        tu.compare_optimizer(sgd(), sgd(wd=0.5), (3, 4), "float32")
    with pytest.raises(AssertionError):
        tu.compare_optimizer(sgd(), sgd(wd=0.5), [(3, 4), (2,)], "float32", ntensors=2)
