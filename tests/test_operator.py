"""Operators written in Python, as the tutorials write them."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError


class Sigmoid(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        x = in_data[0].asnumpy()
        self.assign(out_data[0], req[0], mx.nd.array(1.0 / (1.0 + np.exp(-x))))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        y = out_data[0].asnumpy()
        dy = out_grad[0].asnumpy()
        self.assign(in_grad[0], req[0], mx.nd.array(dy * (1.0 - y) * y))


@mx.operator.register("sigmoid")
class SigmoidProp(mx.operator.CustomOpProp):
    def __init__(self):
        super().__init__(True)

    def list_arguments(self):
        return ["data"]

    def list_outputs(self):
        return ["output"]

    def infer_shape(self, in_shapes):
        return (in_shapes[0],), (in_shapes[0],), ()

    def create_operator(self, ctx, in_shapes, in_dtypes):
        assert ctx == mx.cpu()
        assert in_shapes == [[4]]
        assert in_dtypes == [np.float32]
        return Sigmoid()


class Dense(mx.operator.CustomOp):
    def __init__(self, bias):
        self._bias = bias

    def forward(self, is_train, req, in_data, out_data, aux):
        x, weight = in_data[0].asnumpy(), in_data[1].asnumpy()
        self.assign(out_data[0], req[0], mx.nd.array(x.dot(weight.T) + self._bias))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        x, weight, dy = in_data[0].asnumpy(), in_data[1].asnumpy(), out_grad[0].asnumpy()
        self.assign(in_grad[0], req[0], mx.nd.array(dy.dot(weight)))
        self.assign(in_grad[1], req[1], mx.nd.array(dy.T.dot(x)))


@mx.operator.register("dense")
class DenseProp(mx.operator.CustomOpProp):
    def __init__(self, bias):
        super().__init__(True)
        self._bias = float(bias)

    def list_arguments(self):
        return ["data", "weight"]

    def infer_shape(self, in_shapes):
        data, weight = in_shapes
        return [data, weight], [(data[0], weight[0])]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return Dense(self._bias)


class Softmax(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        x = in_data[0].asnumpy()
        y = np.exp(x - x.max(axis=1, keepdims=True))
        self.assign(out_data[0], req[0], y / y.sum(axis=1, keepdims=True))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        assert out_grad == [None]
        labels = in_data[1].asnumpy().astype(int)
        y = out_data[0].asnumpy()
        y[np.arange(len(labels)), labels] -= 1.0
        self.assign(in_grad[0], req[0], y)


@mx.operator.register("softmax")
class SoftmaxProp(mx.operator.CustomOpProp):
    def __init__(self):
        super().__init__(need_top_grad=False)

    def list_arguments(self):
        return ["data", "label"]

    def infer_shape(self, in_shape):
        return [in_shape[0], (in_shape[0][0],)], [in_shape[0]], []

    def create_operator(self, ctx, shapes, dtypes):
        return Softmax()


# ---- the tutorials -------------------------------------------------------------------------------------------------


def test_sigmoid():
    data = mx.nd.array([0, 1, 2, 3])
    y = mx.nd.Custom(data, op_type="sigmoid")
    np.testing.assert_allclose(y.asnumpy(), [0.5, 0.7310586, 0.880797, 0.95257413], rtol=1e-6)
    gradient = mx.nd.zeros((4,))
    executor = mx.sym.Custom(mx.sym.var("data"), op_type="sigmoid").bind(
        mx.cpu(), {"data": data}, {"data": gradient}
    )
    np.testing.assert_array_equal(executor.forward(is_train=True)[0].asnumpy(), y.asnumpy())
    executor.backward(mx.nd.ones((4,)))
    np.testing.assert_allclose(gradient.asnumpy(), [0.25, 0.19661197, 0.10499357, 0.04517666], rtol=1e-5)


def test_dense_with_a_keyword():
    x, weight = mx.nd.array(np.random.uniform(1, 10, (4, 3))), mx.nd.array(np.random.uniform(1, 10, (5, 3)))
    y = mx.nd.Custom(x, weight, bias=0.1, op_type="dense")
    np.testing.assert_allclose(y.asnumpy(), x.asnumpy() @ weight.asnumpy().T + 0.1, rtol=1e-6)
    by_name = mx.nd.Custom(weight=weight, data=x, bias=0.1, op_type="dense")
    np.testing.assert_array_equal(by_name.asnumpy(), y.asnumpy())


def test_gradients_of_two_inputs_among_other_operators():
    def network(dense):
        return mx.sym.tanh(dense(mx.sym.var("x") * 2)) * 3

    custom = network(lambda x: mx.sym.Custom(x, mx.sym.var("w"), op_type="dense", bias=0.0))
    builtin = network(lambda x: mx.sym.FullyConnected(x, mx.sym.var("w"), num_hidden=5, no_bias=True))
    random, results = np.random.RandomState(0), []
    values = {"x": random.uniform(-0.5, 0.5, (4, 3)), "w": random.uniform(-0.5, 0.5, (5, 3))}
    for symbol in (custom, builtin):
        executor = symbol.simple_bind(mx.cpu(), x=(4, 3), w=(5, 3), grad_req={"x": "write", "w": "add"})
        for _ in range(2):
            executor.forward(is_train=True, **{name: mx.nd.array(value) for name, value in values.items()})
            executor.backward(mx.nd.ones((4, 5)))
        results.append([array.asnumpy() for array in (*executor.outputs, *executor.grad_arrays)])
    for seen, wanted in zip(*results):
        np.testing.assert_allclose(seen, wanted, rtol=1e-5, atol=1e-6)


def test_softmax_loss_trains():
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, (60, 2)).astype("float32")
    labels = (x[:, 0] > x[:, 1]).astype("float32")
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, name="fc")
    net = mx.sym.Custom(data=net, name="softmax", op_type="softmax")
    assert net.list_arguments() == ["data", "fc_weight", "fc_bias", "softmax_label"]
    module = mx.mod.Module(net, label_names=["softmax_label"])
    batches = mx.io.NDArrayIter(x, labels, batch_size=20, label_name="softmax_label")
    optimizer = {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-5}
    module.fit(batches, num_epoch=20, optimizer="sgd", optimizer_params=optimizer)
    assert dict(module.score(batches, "acc"))["accuracy"] > 0.95


# ---- state ---------------------------------------------------------------------------------------------------------


class Counter(mx.operator.CustomOp):
    """Adds how often it ran to its input; its gradient is what forward remembered; keeps a running sum."""

    def __init__(self):
        self.runs = 0

    def forward(self, is_train, req, in_data, out_data, aux):
        self.runs += 1
        self.assign(out_data[0], req[0], in_data[0] + self.runs)
        if is_train:
            aux[0][:] += in_data[0]

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * self.runs)
        aux[0][:] *= 10


@mx.operator.register("counter")
class CounterProp(mx.operator.CustomOpProp):
    made = 0

    def list_auxiliary_states(self):
        return ["sum"]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        assert in_shapes == [[2], [2]]
        type(self).made += 1
        return Counter()


def test_one_operator_serves_both_modes_and_keeps_its_state():
    before = CounterProp.made
    executor = mx.sym.Custom(mx.sym.var("x"), op_type="counter", name="c").simple_bind(mx.cpu(), x=(2,))
    executor.arg_dict["x"][:] = 1.0
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [2, 2]
    assert executor.forward(is_train=False)[0].asnumpy().tolist() == [3, 3]
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [4, 4]
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["x"].asnumpy().tolist() == [3, 3]
    assert executor.aux_dict["c_sum"].asnumpy().tolist() == [20, 20]
    assert CounterProp.made == before + 1


def test_every_node_and_every_executor_has_its_own():
    x = mx.sym.var("x")
    twice = mx.sym.Group([mx.sym.Custom(x, op_type="counter"), mx.sym.Custom(x, op_type="counter")])
    first, second = (twice.simple_bind(mx.cpu(), x=(2,)) for _ in range(2))
    for _ in range(2):
        outputs = first.forward(is_train=True)
    assert [y.asnumpy()[0] for y in outputs] == [2, 2]
    assert [y.asnumpy()[0] for y in second.forward(is_train=True)] == [1, 1]


def test_operators_go_with_their_executor():
    made = []

    @mx.operator.register("watched")
    class Prop(mx.operator.CustomOpProp):
        def create_operator(self, ctx, in_shapes, in_dtypes):
            operator = Sigmoid()
            made.append(weakref.ref(operator))
            return operator

    executor = mx.sym.Custom(mx.sym.var("x"), op_type="watched").simple_bind(mx.cpu(), x=(2,))
    executor.forward()
    assert made[0]() is not None
    del executor
    gc.collect()
    assert made[0]() is None


def test_backward_before_forward():
    executor = mx.sym.Custom(mx.sym.var("x"), op_type="counter").simple_bind(mx.cpu(), x=(2,))
    with pytest.raises(MXNetError, match="backward of custom operator counter ran before forward"):
        executor.backward(mx.nd.ones((2,)))


def test_what_backward_does_not_assign_is_zero():
    class Lazy(Sigmoid):
        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            pass

    @mx.operator.register("lazy")
    class Prop(mx.operator.CustomOpProp):
        def create_operator(self, ctx, in_shapes, in_dtypes):
            return Lazy()

    executor = mx.sym.Custom(mx.sym.var("x"), op_type="lazy").simple_bind(mx.cpu(), x=(2,))
    executor.grad_dict["x"][:] = 7
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["x"].asnumpy().tolist() == [0, 0]


def test_assign():
    operator, array = mx.operator.CustomOp(), mx.nd.array([1.0, 2.0])
    operator.assign(array, "null", 5.0)
    operator.assign(array, "add", mx.nd.array([10.0, 20.0]))
    assert array.asnumpy().tolist() == [11, 22]
    operator.assign(array, "inplace", np.array([3.0, 4.0]))
    operator.assign(array[1], "write", 9.0)
    assert array.asnumpy().tolist() == [3, 9]
    with pytest.raises(ValueError, match="'overwrite'"):
        operator.assign(array, "overwrite", 1.0)


# ---- errors --------------------------------------------------------------------------------------------------------


def faulty(where):
    """A registered operator that fails in one place."""

    class Op(Sigmoid):
        def forward(self, is_train, req, in_data, out_data, aux):
            if where == "CustomOp.forward":
                raise KeyError("my own mistake")
            super().forward(is_train, req, in_data, out_data, aux)

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            raise KeyError("my own mistake")

    @mx.operator.register("faulty")
    class Prop(mx.operator.CustomOpProp):
        def __init__(self):
            self.check("constructor")
            super().__init__()

        def check(self, place):
            if where == f"CustomOpProp.{place}":
                raise KeyError("my own mistake")

        def list_arguments(self):
            self.check("list_arguments")
            return ["data"]

        def infer_shape(self, in_shape):
            self.check("infer_shape")
            return super().infer_shape(in_shape)

        def infer_type(self, in_type):
            self.check("infer_type")
            return super().infer_type(in_type)

        def declare_backward_dependency(self, out_grad, in_data, out_data):
            self.check("declare_backward_dependency")
            return super().declare_backward_dependency(out_grad, in_data, out_data)

        def create_operator(self, ctx, in_shapes, in_dtypes):
            self.check("create_operator")
            return Op()


@pytest.mark.parametrize(
    "where",
    [
        "CustomOpProp.constructor", "CustomOpProp.list_arguments", "CustomOpProp.infer_shape",
        "CustomOpProp.infer_type", "CustomOpProp.declare_backward_dependency", "CustomOpProp.create_operator",
        "CustomOp.forward", "CustomOp.backward",
    ],
)  # fmt: skip
def test_errors_show_the_users_own_code(where):
    faulty(where)
    with pytest.raises(MXNetError) as raised:
        executor = mx.sym.Custom(mx.sym.var("x"), op_type="faulty").simple_bind(
            mx.cpu(), x=(2,), type_dict={"x": "float32"}
        )
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((2,)))
    text = str(raised.value)
    assert f"Error in {where} of custom operator faulty" in text
    assert "KeyError: 'my own mistake'" in text
    assert "test_operator.py" in text


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (([(2,)],), "expected 2 or 3 lists, got 1"),
        (([(2,)], []), r"expected 1 entries for the outputs \['output'\], got 0"),
        (([(2,), (2,)], [(2,)]), r"expected 1 entries for the arguments \['data'\], got 2"),
        (([(2,)], [(2,)], [(1,)]), "expected 0 entries for the auxiliary states"),
        (([(3,)], [(2,)]), "inconsistent"),
    ],
)
def test_answers_of_inference_that_cannot_be(answer, message):
    @mx.operator.register("wrong_shapes")
    class Prop(mx.operator.CustomOpProp):
        def infer_shape(self, in_shape):
            return answer

    with pytest.raises(MXNetError, match=message):
        mx.sym.Custom(mx.sym.var("x"), op_type="wrong_shapes").infer_shape(x=(2,))


def test_only_properties_can_be_registered():
    with pytest.raises(TypeError, match="subclass of CustomOpProp"):
        mx.operator.register("sigmoid")(Sigmoid)


# ---- the operators of the first releases ---------------------------------------------------------------------------


class NumpySoftmax(mx.operator.NumpyOp):
    def __init__(self):
        super().__init__(need_top_grad=False)

    def list_arguments(self):
        return ["data", "label"]

    def infer_shape(self, in_shape):
        return [in_shape[0], [in_shape[0][0]]], [in_shape[0]]

    def forward(self, in_data, out_data):
        x, y = in_data[0], out_data[0]
        y[:] = np.exp(x - x.max(axis=1, keepdims=True))
        y /= y.sum(axis=1, keepdims=True)

    def backward(self, out_grad, in_data, out_data, in_grad):
        labels = in_data[1].astype(int)
        in_grad[0][:] = out_data[0]
        in_grad[0][np.arange(len(labels)), labels] -= 1.0


def test_numpy_op():
    with pytest.warns(DeprecationWarning, match="NumpySoftmax is a PythonOp"):
        operator = NumpySoftmax()
    random = np.random.RandomState(0)
    values = {"data": random.uniform(-1, 1, (3, 4)), "softmax_label": np.array([0.0, 3, 1])}
    data, results = mx.sym.var("data"), []
    for symbol in (operator(data=data, name="softmax"), mx.sym.SoftmaxOutput(data=data, name="softmax")):
        executor = symbol.simple_bind(mx.cpu(), data=(3, 4))
        executor.forward(is_train=True, **values)
        executor.backward()
        results.append((executor.outputs[0].asnumpy(), executor.grad_dict["data"].asnumpy()))
    for seen, wanted in zip(*results):
        np.testing.assert_allclose(seen, wanted, rtol=1e-5, atol=1e-6)


class Double(mx.operator.NDArrayOp):
    def forward(self, in_data, out_data):
        out_data[0][:] = in_data[0] * 2

    def backward(self, out_grad, in_data, out_data, in_grad):
        assert in_data == [None]
        in_grad[0][:] = out_grad[0] * 2

    def declare_backward_dependency(self, out_grad, in_data, out_data):
        return [*out_grad]


def test_ndarray_op():
    with pytest.warns(DeprecationWarning):
        operator = Double()
    x = mx.sym.var("x")
    executor = (operator(x) + operator(x, name="again")).simple_bind(mx.cpu(), x=(2,))
    executor.forward(is_train=True, x=mx.nd.array([1, 2]))
    executor.backward(mx.nd.array([1, 10]))
    assert executor.outputs[0].asnumpy().tolist() == [4, 8]
    assert executor.grad_dict["x"].asnumpy().tolist() == [4, 40]


def test_what_a_python_op_does_unless_told():
    class Copy(mx.operator.NumpyOp):
        pass

    with pytest.warns(DeprecationWarning):
        symbol = Copy()(mx.sym.var("x"))
    executor = symbol.simple_bind(mx.cpu(), x=(2,))
    assert executor.forward(is_train=True, x=mx.nd.array([1, 2]))[0].asnumpy().tolist() == [1, 2]
    executor.backward(mx.nd.array([5, 5]))
    assert executor.grad_dict["x"].asnumpy().tolist() == [1, 1]


# ---- what there is -------------------------------------------------------------------------------------------------


def test_registered_operators():
    names = mx.operator.get_all_registered_operators()
    assert {"Convolution", "Custom", "elemwise_add", "_plus"} <= set(names)


def test_arguments_of_operators():
    arguments = mx.operator.get_operator_arguments("Convolution")
    assert arguments.narg == len(arguments.names) == len(arguments.types)
    assert arguments.names[:4] == ["data", "weight", "bias", "kernel"]
    assert arguments.types[0] == "NDArray-or-Symbol"
    assert arguments.types[3] == "Shape(tuple), required"
    assert mx.operator.get_operator_arguments("Custom").types[0] == "NDArray-or-Symbol[]"
    assert mx.operator.get_operator_arguments("Concat").names == ["data", "num_args", "dim"]
    with pytest.raises(MXNetError, match="Operator nope is not registered"):
        mx.operator.get_operator_arguments("nope")
