"""Imperative gradients: against finite differences, against bound networks, and what may and may not be done."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind import autograd as ag
from symbind.ndarray.recording import values

nd = mx.nd


def leaf(*shape: int, seed: int = 0, grad_req: str = "write", dtype: str = "float64") -> mx.nd.NDArray:
    array = nd.array(np.random.default_rng(seed).uniform(0.5, 1.5, shape), dtype=dtype)
    array.attach_grad(grad_req)
    return array


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "pairs of arrays": lambda x, w: (x + w) * w - x / w + x**w + nd.maximum(x, w),
    "arrays and numbers": lambda x, w: (2 - x) * 3 / (1 + x) + 2.0**x + x**2 + (3 % x) - 2 / x + nd.minimum(x, 1) + w,
    "mirrored": lambda x, w: 1 - x + (1 / x) ** 2 - x % 0.7 + nd.add(1, x) + nd.power(2, w),
    "signs": lambda x, w: abs(-x - w) * (x > w) + (x < 2) * w,
    "broadcasting": lambda x, w: x * w[0] + w[:, 1].reshape((3, 1)),
    "parts": lambda x, w: x[1:] * w[:2] + x[::-2][0] + x[:, [0, 2]].sum() * w[1, 2] + x[0, 1] + x[None][0][1],
    "shapes": lambda x, w: nd.dot(x.T, w.reshape((-1, 4))).reshape((2, 2, -1)) + x.T.transpose()[0, 0],
    "types and copies": lambda x, w: x.astype("float32").astype("float64") * w.copy() + x.as_in_context(mx.cpu(0)),
    "operators": lambda x, w: nd.FullyConnected(nd.tanh(x), w, no_bias=True, num_hidden=3).softmax(axis=1) * x[:, :3],
    "several outputs": lambda x, w: nd.split(x, num_outputs=2, axis=1)[1] * nd.SliceChannel(w, num_outputs=2)[0],
    "methods": lambda x, w: x.sum(axis=0).expand_dims(0).broadcast_to((3, 4)) * w.exp().mean(),
    "into a new array": lambda x, w: x.copyto(nd.zeros((3, 4), dtype="float64")) * w,
    "in place": lambda x, w: _accumulated(x, w),
}


def _accumulated(x: Any, w: Any) -> Any:
    total = nd.ones((3, 4), dtype="float64")
    total *= x
    product = nd.full((3, 4), 2, dtype="float64")
    product *= w
    return total * product


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    function = FUNCTIONS[name]
    arrays = [leaf(3, 4, seed=1), leaf(3, 4, seed=2)]
    with ag.record():
        y = function(*arrays)
    weights = nd.array(np.random.default_rng(3).normal(size=y.shape), dtype="float64")
    y.backward(weights)
    single = name == "types and copies"  # float32 on the way
    step = 1e-2 if single else 1e-6
    for array in arrays:
        expected = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            heights = []
            for sign in (1, -1):
                moved = array.asnumpy()
                moved[index] += sign * step
                others = [nd.array(moved, dtype="float64") if a is array else a for a in arrays]
                heights.append((function(*others) * weights).sum().asscalar())
            expected[index] = (heights[0] - heights[1]) / (2 * step)
        np.testing.assert_allclose(array.grad.asnumpy(), expected, *((1e-3, 1e-3) if single else (1e-6, 1e-7)))


def test_a_network_has_the_gradients_of_its_executor() -> None:
    rng = np.random.default_rng(0)
    shapes = {
        "data": (4, 2, 6, 6), "conv_weight": (3, 2, 3, 3), "conv_bias": (3,), "bn_gamma": (3,), "bn_beta": (3,),
        "fc_weight": (5, 12), "fc_bias": (5,), "label": (4,),
    }  # fmt: skip
    numbers = {name: rng.normal(size=shape).astype("f") for name, shape in shapes.items()}
    numbers["label"] = np.float32([0, 3, 1, 4])

    def network(api: Any, v: dict[str, Any], moving: list[Any]) -> Any:
        x = api.Convolution(v["data"], v["conv_weight"], v["conv_bias"], kernel=(3, 3), num_filter=3)
        x = api.BatchNorm(x, v["bn_gamma"], v["bn_beta"], *moving, fix_gamma=False)
        x = api.Pooling(api.Activation(x, act_type="relu"), kernel=(2, 2), stride=(2, 2), pool_type="max")
        x = api.FullyConnected(api.flatten(x), v["fc_weight"], v["fc_bias"], num_hidden=5)
        return api.SoftmaxOutput(x, v["label"])

    arrays = {name: nd.array(value) for name, value in numbers.items()}
    for array in arrays.values():
        array.attach_grad()
    moving = [nd.zeros((3,)), nd.ones((3,))]
    with ag.record():
        output = network(nd, arrays, moving)
    output.backward()

    symbols = {name: mx.sym.var(name) for name in numbers}
    symbol = network(mx.sym, symbols, [mx.sym.var("bn_moving_mean"), mx.sym.var("bn_moving_var")])
    executor = symbol.simple_bind(mx.cpu(), **shapes)
    executor.copy_params_from({name: nd.array(value) for name, value in numbers.items()})
    executor.aux_dict["bn_moving_var"][:] = 1
    np.testing.assert_allclose(output.asnumpy(), executor.forward(True)[0].asnumpy(), 1e-5, 1e-6)
    executor.backward()
    for name in set(shapes) - {"label"}:
        np.testing.assert_allclose(arrays[name].grad.asnumpy(), executor.grad_dict[name].asnumpy(), 1e-4, 1e-5)
    np.testing.assert_allclose(moving[0].asnumpy(), executor.aux_dict["bn_moving_mean"].asnumpy(), 1e-5, 1e-6)


def test_dropout_drops_the_same_in_both_directions() -> None:
    x = leaf(1000)
    with ag.record():
        y = nd.Dropout(x, p=0.5)
    y.backward()
    np.testing.assert_allclose(x.grad.asnumpy() * x.asnumpy(), y.asnumpy())
    assert set(x.grad.asnumpy()) == {0.0, 2.0}
    with ag.record(train_mode=False):
        np.testing.assert_array_equal(nd.Dropout(x, p=0.5).asnumpy(), x.asnumpy())


def test_gradients_are_those_of_the_mode_that_was_recorded() -> None:
    x, gamma = leaf(4, 3), nd.ones(3, dtype="float64")
    with ag.record(train_mode=False):
        y = nd.Dropout(x, p=0.5)
        z = nd.BatchNorm(y, gamma, nd.zeros_like(gamma), nd.zeros_like(gamma), gamma * 4, eps=0, fix_gamma=False)
        with ag.train_mode():
            dropped = nd.Dropout(z, p=0.5)
    dropped.backward()
    # The first layer drops nothing and the second divides by the deviation it was given; only the third draws.
    np.testing.assert_allclose(x.grad.asnumpy(), np.where(dropped.asnumpy() == 0, 0, 2 / 2))


def test_derivatives_of_any_order() -> None:
    x = leaf(5)
    with ag.record():
        y = nd.exp(x) * x**3
        for _ in range(3):
            (y,) = ag.grad(y, [x], create_graph=True)
    y.backward()
    t = x.asnumpy()
    np.testing.assert_allclose(x.grad.asnumpy(), np.exp(t) * (t**3 + 12 * t**2 + 36 * t + 24), 1e-10)


def test_requests() -> None:
    x, w, n = leaf(3, grad_req="add"), leaf(3), leaf(3, grad_req="null")
    n.grad[:] = 7
    for _ in range(2):
        with ag.record():
            y = x * w * n
        y.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), 2 * (w * n).asnumpy())
    np.testing.assert_allclose(w.grad.asnumpy(), (x * n).asnumpy())
    assert (n.grad.asnumpy() == 7).all()
    buffer = nd.full((3,), 5, dtype="float64")
    ag.mark_variables([w], [buffer], "add")
    with ag.record():
        y = w * 2
    y.backward()
    assert (buffer.asnumpy() == 7).all()


def test_several_heads() -> None:
    x = leaf(3)
    with ag.record():
        heads = [x * 2, x * x, x]
    ag.backward(heads, [None, nd.array([1, 2, 3], dtype="float64"), None])
    np.testing.assert_allclose(x.grad.asnumpy(), 2 + 2 * x.asnumpy() * [1, 2, 3] + 1)


def test_where_gradients_end() -> None:
    x = leaf(3)
    with ag.record():
        y = (x * 2).detach() * x + nd.BlockGrad(x * x)
        with ag.pause():
            constant = x * 100
        y = y + constant
    y.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), 2 * x.asnumpy())
    with ag.record():
        middle = x * 2
        middle.attach_grad()
        y = middle * 3
    y.backward()
    assert (middle.grad.asnumpy() == 3).all()
    np.testing.assert_allclose(x.grad.asnumpy(), 2 * x.asnumpy())  # untouched


def test_a_graph_is_used_once_unless_retained() -> None:
    x = leaf(3)
    with ag.record():
        y = x * x
        z = y * 3
    z.backward(retain_graph=True)
    z.backward()
    for head in (z, y, x * 2, nd.ones((2,))):
        with pytest.raises(mx.MXNetError, match="not in a computational graph"):
            head.backward()
    # What remains is a constant, which may be changed and used.
    with ag.record():
        y += 1
        z = y * x
    z.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), y.asnumpy())


def test_nothing_is_kept_when_nobody_needs_it() -> None:
    x = leaf(3)
    gc.collect()
    before = len(values)
    for _ in range(3):
        with ag.record():
            y, z = nd.exp(x * 2)[1:].sum(), x * 2
        y.backward()
        ag.grad(z, [x])
    del y, z
    gc.collect()
    assert len(values) == before
    with ag.record():
        nd.ones((3,)) * 2  # no variable takes part
    assert len(values) == before


def test_long_graphs() -> None:
    x = leaf(2)
    with ag.record():
        y = x
        for _ in range(20000):
            y = y + 1
    y.backward()
    assert (x.grad.asnumpy() == 1).all()
    del y


def test_updates_in_place_are_refused_while_recording() -> None:
    x = leaf(3)
    with ag.record():
        y = x * 2
        for update in (
            lambda: y.__iadd__(1), lambda: y.__setitem__(0, 1), lambda: x.__setitem__(0, 1), lambda: nd.relu(x, out=y),
            lambda: nd.ones((3,)).copyto(y),
        ):  # fmt: skip
            before = y.asnumpy()
            with pytest.raises(mx.MXNetError, match="already in a computational graph"):
                update()
            np.testing.assert_array_equal(y.asnumpy(), before)
    x[:] = 1


def test_modes() -> None:
    def modes() -> tuple[bool, bool]:
        return ag.is_recording(), ag.is_training()

    with ag.record():
        assert modes() == (True, True)
        with ag.pause():
            assert modes() == (False, False)
        with ag.predict_mode():
            assert modes() == (True, False)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(modes()))
        thread.start()
        thread.join()
        assert seen == [(False, False)]
    with ag.train_mode():
        assert modes() == (False, True)
    with pytest.raises(KeyError), ag.record(train_mode=False):
        assert modes() == (True, False)
        raise KeyError
    assert modes() == (False, False)
    assert [ag.set_recording(True), ag.set_recording(False), ag.set_training(True), ag.set_training(False)] == [
        False, True, False, True,
    ]  # fmt: skip


def test_the_symbol_of_an_array() -> None:
    x = leaf(1, 3, dtype="float32")
    with ag.record():
        y = nd.FullyConnected(x * 2, nd.ones((2, 3)), num_hidden=2, no_bias=True)
    symbol = ag.get_symbol(y)
    first, second = symbol.list_arguments()
    executor = symbol.bind(mx.cpu(), {first: x, second: nd.ones((2, 3))})
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), y.asnumpy(), 1e-6)
    with pytest.raises(mx.MXNetError, match="not in a computational graph"):
        ag.get_symbol(nd.ones((2,)))


def test_wrong_use() -> None:
    x, other = leaf(3), leaf(3)
    w = nd.ones((3,), dtype="float64")
    with ag.record():
        y = x * w
        z = y * 2
    with pytest.raises(ValueError, match="2 head gradients for 1 heads"):
        ag.backward([y], [w, None])
    with pytest.raises(mx.MXNetError, match=r"shape \(1,\) for a head of shape \(3,\)"):
        y.backward(w[:1])
    for variable in (w, y):
        with pytest.raises(mx.MXNetError, match="2-th variable because it does not require gradient"):
            ag.grad(z, [x, variable])
    with pytest.raises(mx.MXNetError, match="1-th variable because it is unreachable"):
        ag.grad(z, other)
    with pytest.raises(TypeError, match="Expected NDArrays, got int"):
        ag.backward([3])
    with pytest.raises(ValueError, match="grad_req must be one of"):
        x.attach_grad("wrong")
    with pytest.raises(ValueError, match="gradient of shape"):
        ag.mark_variables(x, nd.ones((2,)))
    n = leaf(3, grad_req="null")
    with ag.record():
        y = n * 2
    with pytest.raises(mx.MXNetError, match="no inputs in computation graph that require gradients"):
        y.backward()
    with ag.record():
        y = nd.argsort(x * 1)
    y.backward()
    assert not x.grad.asnumpy().any()


# ---- functions of one's own -----------------------------------------------------------------------------------------


class Products(ag.Function):
    def forward(self, x: Any, y: Any) -> Any:
        assert not ag.is_recording()
        self.save_for_backward(x, y)
        return [x * y, x + y]

    def backward(self, dp: Any, ds: Any) -> Any:
        x, y = self.saved_tensors
        return dp * y + ds, dp * x + ds


def test_functions() -> None:
    x, y = leaf(3, seed=1), leaf(3, seed=2)
    function = Products()
    with ag.record():
        product, total = function(x * 1, y)
        loss = product.sum() + 2 * total.sum()
    loss.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), y.asnumpy() + 2)
    np.testing.assert_allclose(y.grad.asnumpy(), x.asnumpy() + 2)
    with pytest.raises(mx.MXNetError, match="only be called once"):
        function(x, y)
    with ag.record():
        product, _ = Products()(x, y)
    product.backward()  # no gradient reaches the other output
    np.testing.assert_allclose(x.grad.asnumpy(), y.asnumpy())


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda d: [d, d], "returned 2 gradients for 1 inputs"),
        (lambda d: d[:1], r"gradient of shape \(1,\) for input 0 of shape \(3,\)"),
        (lambda d: 1 // 0, "ZeroDivisionError"),
    ],
)
def test_mistakes_in_functions(result: Callable[[Any], Any], message: str) -> None:
    class Mistaken(ag.Function):
        def forward(self, x: Any) -> Any:
            return x

        def backward(self, d: Any) -> Any:
            return result(d)

    x = leaf(3)
    with ag.record():
        y = Mistaken()(x)
    with pytest.raises(mx.MXNetError, match=rf"(?s)Mistaken\.backward.*{message}"):
        y.backward()


def test_operators_written_in_python() -> None:
    class Square(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], in_data[0] * in_data[0])

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            self.assign(in_grad[0], req[0], 2 * in_data[0] * out_grad[0])

    @mx.operator.register("square_of_autograd_test")
    class SquareProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx, shapes, dtypes):
            return Square()

    x = leaf(3, dtype="float32")
    with ag.record():
        y = nd.Custom(x, op_type="square_of_autograd_test")
    y.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), 2 * x.asnumpy())
