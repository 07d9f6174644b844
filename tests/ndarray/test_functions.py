"""Operators as functions and methods of arrays: the call, not what each of them computes."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import symbind as mx
from symbind import nd
from symbind.ndarray.functions import run
from symbind.ops.operator import Operator

X = np.array([[1, -2, 3], [-4, 5, -6]], "float32")


def test_inputs_and_parameters_by_position_and_keyword():
    data, weight = nd.array(X), nd.ones((4, 3))
    expected = X @ np.ones((3, 4))
    for result in (
        nd.FullyConnected(data, weight, num_hidden=4, no_bias=True),
        nd.FullyConnected(data, weight=weight, num_hidden=4, no_bias=True),
        nd.FullyConnected(data, weight, None, 4, True),
        nd.FullyConnected(num_hidden="4", no_bias="True", weight=weight, data=data, name="fc"),
    ):
        np.testing.assert_allclose(result.asnumpy(), expected)


def test_any_number_of_inputs():
    data = nd.array(X)
    assert nd.concat(data, data, data, dim=0).shape == (6, 3)
    np.testing.assert_array_equal(nd.add_n(data, data).asnumpy(), 2 * X)


def test_several_outputs_are_a_list():
    parts = nd.split(nd.array(X), num_outputs=3, axis=1)
    assert isinstance(parts, list)
    np.testing.assert_array_equal(parts[1].asnumpy(), X[:, 1:2])
    assert isinstance(nd.split(nd.array(X), num_outputs=1), nd.NDArray)


def test_methods_are_the_functions():
    data = nd.array(X)
    np.testing.assert_array_equal(data.sum(axis=1).asnumpy(), X.sum(axis=1))
    np.testing.assert_array_equal(data.sum(1, True).asnumpy(), X.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(data.transpose((1, 0)).asnumpy(), X.T)
    np.testing.assert_array_equal(data.expand_dims(axis=0).asnumpy(), X[None])
    np.testing.assert_array_equal(data.clip(-1, 1).asnumpy(), X.clip(-1, 1))
    np.testing.assert_array_equal(data.relu().asnumpy(), X.clip(0))


def test_functions_copy_where_methods_of_the_array_share():
    data = nd.array(X)
    for result in (nd.reshape(data, shape=(6,)), data.expand_dims(0), data.flatten(), data.broadcast_to((2, 3))):
        result[:] = 0
    np.testing.assert_array_equal(data.asnumpy(), X)


def test_namespaces():
    data = nd.array([[4.0, 0], [0, 9]])
    assert nd.op.relu is nd.relu
    assert nd._internal._plus_scalar(data, scalar=1).asnumpy()[0, 0] == 5
    assert nd.random.uniform_like(data).shape == (2, 2)


def test_signature_and_documentation():
    signature = inspect.signature(nd.sum)
    assert list(signature.parameters) == ["data", "axis", "keepdims", "exclude", "out", "name", "kwargs"]
    assert signature.parameters["keepdims"].default is False
    assert nd.sum.__name__ == "sum"
    assert "axis" in nd.sum.__doc__
    assert list(inspect.signature(nd.concat).parameters) == ["data", "dim", "out", "name", "kwargs"]
    assert "keepdims" in nd.NDArray.sum.__doc__


def test_nothing_needs_a_context_but_creation():
    assert nd.relu(nd.ones((2,), ctx=mx.cpu(1))).context == mx.cpu(1)
    assert nd._internal._zeros(shape=(2,), ctx="cpu(1)").context == mx.cpu(1)
    assert nd._internal._zeros(shape=(2,), ctx=mx.cpu(2)).context == mx.cpu(2)
    out = nd.ones((2,), ctx=mx.cpu(1))
    assert nd._internal._zeros(shape=(2,), out=out) is out
    assert out.context == mx.cpu(1)
    assert out.asnumpy().tolist() == [0, 0]


# ---- out ---------------------------------------------------------------------------------------------------------


def test_out_is_written_and_returned():
    out = nd.zeros((2,))
    assert nd.sum(nd.array(X), axis=1, out=out) is out
    np.testing.assert_array_equal(out.asnumpy(), X.sum(axis=1))
    outs = [nd.zeros((2, 1)) for _ in range(3)]
    results = nd.split(nd.array(X), num_outputs=3, axis=1, out=outs)
    assert all(a is b for a, b in zip(results, outs, strict=True))
    np.testing.assert_array_equal(outs[2].asnumpy(), X[:, 2:])


def test_out_may_be_an_input():
    data = nd.array(X)
    nd.relu(data, out=data)
    np.testing.assert_array_equal(data.asnumpy(), X.clip(0))
    # An operator that must not overwrite what it reads still gives the right answer.
    square = nd.array([[1, 2], [3, 4]])
    nd.dot(square, square, out=square)
    np.testing.assert_array_equal(square.asnumpy(), [[7, 10], [15, 22]])
    shifted = nd.arange(6)
    nd.elemwise_add(shifted[:5], shifted[1:], out=shifted[1:])
    np.testing.assert_array_equal(shifted.asnumpy(), [0, 1, 3, 5, 7, 9])


@pytest.mark.parametrize(
    ("out", "error", "text"),
    [
        (lambda: nd.zeros((3,)), mx.MXNetError, "Shape inconsistent"),
        (lambda: nd.zeros((2,), dtype="float64"), mx.MXNetError, "expected float32, got float64"),
        (lambda: [nd.zeros((2,))] * 2, mx.MXNetError, "1 outputs, but out holds 2"),
        (lambda: "x", TypeError, "out of sum must be an NDArray"),
    ],
)
def test_out_that_does_not_fit(out, error, text):
    with pytest.raises(error, match=text):
        nd.sum(nd.array(X), axis=1, out=out())


class Step(Operator):
    """``weight`` after a step; the kernel counts steps in ``state``. As optimizers' updates are declared."""

    name = "step"
    inputs = ("weight", "gradient", "state")
    inplace = ((0, 0),)

    def infer_shape(self, p, inputs, outputs):
        return [inputs[0], inputs[0], (1,)], [inputs[0]]

    def mutated_inputs(self, p):
        return (2,)

    def kernel(self, p, inputs, outputs, env):
        weight, gradient, state = inputs

        def step() -> None:
            state.add_(1)
            torch.sub(weight, gradient, out=outputs[0])

        return step


def test_operators_may_update_inputs():
    weight, gradient, state = nd.ones((2,)), nd.array([1, 2]), nd.zeros((1,))
    result = run(Step(), [weight, gradient, state], {})
    assert result.asnumpy().tolist() == [0, -1]
    assert weight.asnumpy().tolist() == [1, 1]
    assert run(Step(), [weight, gradient, state], {}, out=weight) is weight
    assert weight.asnumpy().tolist() == [0, -1]
    assert state.asnumpy().tolist() == [2]


def test_shapes_that_an_operator_infers_for_its_inputs_are_checked():
    with pytest.raises(mx.MXNetError, match=r"operator step.*gradient=\(3,\).*Shape inconsistent"):
        run(Step(), [nd.ones((2,)), nd.ones((3,)), nd.zeros((1,))], {})


def test_inputs_on_two_devices():
    elsewhere = nd.NDArray(torch.empty(2, device="meta"))
    with pytest.raises(mx.MXNetError, match="elemwise_add: inputs are on"):
        nd.elemwise_add(nd.ones((2,)), elsewhere)
    with pytest.raises(mx.MXNetError, match="add are on cpu and meta"):
        nd.ones((2,)) + elsewhere


# ---- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: nd.FullyConnected(x, nd.ones((4, 3)), num_hidden=4), mx.MXNetError, "expects 3 inputs.*bias.*got 2"),
        (lambda x: nd.FullyConnected(x, nd.ones((4, 5)), num_hidden=4, no_bias=True), mx.MXNetError,
         "operator FullyConnected.*Shape inconsistent"),
        (lambda x: nd.FullyConnected(x, nd.ones((4, 3), dtype="float64"), num_hidden=4, no_bias=True), mx.MXNetError,
         "at 1-th input: expected float32, got float64"),
        (lambda x: nd.FullyConnected(x, nd.ones((4, 3)), no_bias=True), mx.MXNetError, "num_hidden"),
        (lambda x: nd.FullyConnected(x, nd.ones((4, 3)), nd.ones((5,)), num_hidden=4), mx.MXNetError,
         r"bias=\(5,\).*inferred"),
        (lambda x: nd.elemwise_add(x, nd.ones((3, 2))), mx.MXNetError, r"lhs=\(2, 3\).*rhs=\(3, 2\)"),
        (lambda x: nd.elemwise_add(x), mx.MXNetError, "expects 2 inputs"),
        (lambda x: nd.sum(x, foo=1), mx.MXNetError, "'foo'"),
        (lambda x: nd.sum(), mx.MXNetError, "expects 1 inputs"),
        (lambda x: nd.sum([1, 2]), TypeError, "data"),
        (lambda x: nd.concat([x]), TypeError, "Argument 0 of Concat"),
        (lambda x: nd.relu(x, weight=x), mx.MXNetError, "takes no input weight"),
        (lambda x: nd.relu(nd.empty((0, 3))), mx.MXNetError, "unknown"),
        (lambda x: nd.topk(x, ret_typ="bad"), mx.MXNetError, "'bad'"),
    ],
)  # fmt: skip
def test_calls_that_cannot_be(call, error, text):
    with pytest.raises(error, match=text):
        call(nd.array(X))


def test_every_operator_is_callable_somewhere():
    from symbind.graph import registry
    from symbind.ops.signature import home

    for spelling in registry.names():
        namespace, public = home(spelling)
        assert callable(getattr(getattr(nd, namespace) if namespace else nd, public)), spelling


def without_elements(*shape):
    return nd.array(np.zeros(shape))


def test_arrays_without_elements():
    """They are made by NumPy's arrays, by indices, and by masks; what else MXNet 1.9.1 does with them, it does here."""
    rows = nd.array(X)
    for empty in (without_elements(0, 3), rows[0:0], rows[2:], nd.contrib.boolean_mask(rows, nd.zeros(2))):
        assert (empty.shape, empty.size, len(empty), list(empty)) == ((0, 3), 0, 0, [])
        assert empty.asnumpy().shape == (0, 3)
        assert not bool(empty)
        empty[:] = 1
        np.testing.assert_array_equal(nd.sum(empty).asnumpy(), [0])
        np.testing.assert_array_equal(nd.sum(empty, axis=0).asnumpy(), [0, 0, 0])
        np.testing.assert_array_equal(nd.prod(empty).asnumpy(), [1])
        assert np.isnan(nd.mean(empty).asscalar())
        np.testing.assert_array_equal(nd.shape_array(empty).asnumpy(), [0, 3])
        assert empty.reshape((-1,)).shape == (0,)
        assert empty.reshape((0, 1, 3)).shape == (0, 1, 3)
        with pytest.raises(ValueError, match="not a scalar"):
            empty.asscalar()


@pytest.mark.parametrize(
    ("name", "arguments", "params"),
    [
        ("max", [(0, 3)], {}),
        ("argmax", [(0, 3)], {"axis": 0}),
        ("squeeze", [(0, 1)], {}),
        ("reshape", [(0, 3)], {"shape": (3, 2)}),
        ("exp", [(0, 3)], {}),
        ("concat", [(2, 3), (0, 3)], {"dim": 0}),
        ("sum", [(0, 3)], {"axis": 1}),
        ("take", [(2, 3), (0,)], {}),
        ("dot", [(0, 3), (3, 2)], {}),
        ("Embedding", [(0,), (5, 2)], {"input_dim": 5, "output_dim": 2}),
    ],
)
def test_arrays_without_elements_are_refused_as_in_mxnet(name, arguments, params):
    """A 0 in a shape stands for a dimension that is not known: a result with one cannot be told from that."""
    with pytest.raises(mx.MXNetError, match=r"Error in operator \w+\(.*\(0,"):
        getattr(nd, name)(*(without_elements(*shape) for shape in arguments), **params)
    with pytest.raises(mx.MXNetError):
        nd.zeros((0, 3))
