"""New operators written in Python: a softmax loss, a sigmoid and a dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbind as mx

from .data import digits


class Softmax(mx.operator.CustomOp):
    def forward(self, is_train: bool, req: list, in_data: list, out_data: list, aux: list) -> None:
        scores = in_data[0].asnumpy()
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        self.assign(out_data[0], req[0], mx.nd.array(weights / weights.sum(axis=1, keepdims=True)))

    def backward(self, req: list, out_grad: list, in_data: list, out_data: list, in_grad: list, aux: list) -> None:
        truth = np.eye(in_data[0].shape[1], dtype=np.float32)[in_data[1].asnumpy().astype(int)]
        self.assign(in_grad[0], req[0], out_data[0] - mx.nd.array(truth))


@mx.operator.register("softmax")
class SoftmaxProp(mx.operator.CustomOpProp):
    def __init__(self) -> None:
        super().__init__(need_top_grad=False)

    def list_arguments(self) -> list[str]:
        return ["data", "label"]

    def list_outputs(self) -> list[str]:
        return ["output"]

    def infer_shape(self, in_shape: list) -> tuple[list, list, list]:
        scores, _ = in_shape
        return [scores, scores[:1]], [scores], []

    def infer_type(self, in_type: list) -> tuple[list, list, list]:
        return in_type, [in_type[0]], []

    def create_operator(self, ctx: Any, shapes: list, dtypes: list) -> Softmax:
        return Softmax()


def test_a_softmax_of_ones_own_trains() -> None:
    images, labels = digits()
    data = mx.symbol.Variable("data")
    fc1 = mx.symbol.FullyConnected(data=data, name="fc1", num_hidden=128)
    act1 = mx.symbol.Activation(data=fc1, name="relu1", act_type="relu")
    fc3 = mx.symbol.FullyConnected(data=act1, name="fc3", num_hidden=10)
    custom = mx.symbol.Custom(data=fc3, name="softmax", op_type="softmax")
    assert custom.list_arguments()[-1] == "softmax_label"
    assert custom.list_outputs() == ["softmax_output"]

    def trained(net: mx.sym.Symbol) -> dict[str, mx.nd.NDArray]:
        mx.random.seed(0)
        batches = mx.io.NDArrayIter(images[:500].reshape(500, 64), labels[:500], 100)
        module = mx.mod.Module(net)
        module.fit(
            batches, num_epoch=6, initializer=mx.init.Xavier(factor_type="in", magnitude=2.34),
            optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "wd": 0.00001},
        )  # fmt: skip
        assert module.score(batches, "acc")[0][1] > 0.9
        return module.get_params()[0]

    ours, built_in = trained(custom), trained(mx.symbol.SoftmaxOutput(data=fc3, name="softmax"))
    for name, value in built_in.items():
        np.testing.assert_allclose(ours[name].asnumpy(), value.asnumpy(), rtol=1e-3, atol=1e-5)


class Sigmoid(mx.operator.CustomOp):
    def forward(self, is_train: bool, req: list, in_data: list, out_data: list, aux: list) -> None:
        self.assign(out_data[0], req[0], 1.0 / (1.0 + mx.nd.exp(-in_data[0])))

    def backward(self, req: list, out_grad: list, in_data: list, out_data: list, in_grad: list, aux: list) -> None:
        y = out_data[0]
        self.assign(in_grad[0], req[0], out_grad[0] * y * (1.0 - y))


@mx.operator.register("sigmoid")
class SigmoidProp(mx.operator.CustomOpProp):
    def create_operator(self, ctx: Any, shapes: list, dtypes: list) -> Sigmoid:
        return Sigmoid()


def test_a_sigmoid_on_arrays() -> None:
    x = mx.nd.array([0, 1, 2, 3])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.Custom(x, op_type="sigmoid")
    y.backward()
    np.testing.assert_array_equal(y.asnumpy().round(4), np.float32([0.5, 0.7311, 0.8808, 0.9526]))
    np.testing.assert_array_equal(x.grad.asnumpy().round(4), np.float32([0.25, 0.1966, 0.1050, 0.0452]))


class Dense(mx.operator.CustomOp):
    def __init__(self, bias: float) -> None:
        self._bias = bias

    def forward(self, is_train: bool, req: list, in_data: list, out_data: list, aux: list) -> None:
        x, weight = in_data
        self.assign(out_data[0], req[0], mx.nd.dot(x, weight.T) + self._bias)

    def backward(self, req: list, out_grad: list, in_data: list, out_data: list, in_grad: list, aux: list) -> None:
        x, weight = in_data
        self.assign(in_grad[0], req[0], mx.nd.dot(out_grad[0], weight))
        self.assign(in_grad[1], req[1], mx.nd.dot(out_grad[0].T, x))


@mx.operator.register("tutorial_dense")
class DenseProp(mx.operator.CustomOpProp):
    def __init__(self, bias: str) -> None:
        super().__init__(need_top_grad=True)
        assert bias == "0.1"  # keywords arrive as text
        self._bias = float(bias)

    def list_arguments(self) -> list[str]:
        return ["data", "weight"]

    def infer_shape(self, in_shape: list) -> tuple[list, list, list]:
        data, weight = in_shape
        return [data, weight], [(data[0], weight[0])], []

    def create_operator(self, ctx: Any, shapes: list, dtypes: list) -> Dense:
        return Dense(self._bias)


def test_a_dense_layer_with_a_keyword() -> None:
    x, weight = mx.nd.random.uniform(shape=(4, 3)), mx.nd.random.uniform(shape=(5, 3))
    y = mx.nd.Custom(x, weight, bias=0.1, op_type="tutorial_dense")
    assert y.shape == (4, 5)
    np.testing.assert_allclose(y.asnumpy(), x.asnumpy() @ weight.asnumpy().T + 0.1, rtol=1e-5)
    symbol = mx.sym.Custom(mx.sym.var("x"), mx.sym.var("w"), bias=0.1, op_type="tutorial_dense")
    executor = symbol.bind(mx.cpu(), {"x": x, "w": weight}, {"w": mx.nd.zeros((5, 3))})
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((4, 5)))
    expected = np.ones((5, 4)) @ x.asnumpy()
    np.testing.assert_allclose(executor.grad_dict["w"].asnumpy(), expected, rtol=1e-5)


def test_mistakes_show_the_users_own_code() -> None:
    with pytest.raises(mx.MXNetError, match=r"self\.assign\(out_data\[0\], req\[0\], mx\.nd\.dot\(x, weight\.T\)"):
        mx.nd.Custom(mx.nd.ones((4, 3)), mx.nd.ones((5, 2)), bias=0.1, op_type="tutorial_dense").asnumpy()
