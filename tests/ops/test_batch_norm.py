"""Batch normalization: statistics, moving averages, fixed gamma, modes."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.RandomState(0)
EPS = 1e-3


def bound(data, req="write", dtype="float64", name="BatchNorm", **params):
    """An executor over ``data`` with gamma 2, 3, …, beta 0.5, moving mean 0.1 and moving variance 3."""
    symbol = getattr(mx.sym, name)(mx.sym.var("data"), name="bn", **params)
    executor = symbol.simple_bind(data=data.shape, grad_req=req, type_dict={"data": dtype})
    channels = executor.arg_dict["bn_gamma"].size
    executor.arg_dict["data"][:] = mx.nd.array(data, dtype=dtype)
    executor.arg_dict["bn_gamma"][:] = mx.nd.array(np.arange(channels) + 2)
    executor.arg_dict["bn_beta"][:] = 0.5
    executor.aux_dict["bn_moving_mean"][:] = 0.1
    executor.aux_dict["bn_moving_var"][:] = 3
    return executor


def states(executor):
    return [executor.aux_dict[f"bn_moving_{key}"].asnumpy() for key in ("mean", "var")]


def column(numbers, rank, axis=1):
    return np.reshape(numbers, [-1 if i == axis % rank else 1 for i in range(rank)])


SHAPES = [((4, 3), 1), ((4, 3, 5), 1), ((2, 3, 4, 2), 1), ((2, 4, 2, 3), -1), ((2, 3, 4), 0), ((1, 2, 1, 1), 1)]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_training_normalizes_by_the_batch(shape, axis):
    data = RANDOM.randn(*shape) * 3 + 1
    executor = bound(data, fix_gamma=False, axis=axis, output_mean_var=True)
    output, mean, deviation = (o.asnumpy() for o in executor.forward(is_train=True))
    others = tuple(i for i in range(len(shape)) if i != axis % len(shape))
    gamma = np.arange(shape[axis]) + 2.0
    np.testing.assert_allclose(mean, data.mean(others), atol=1e-12)
    np.testing.assert_allclose(deviation, (data.var(others) + EPS) ** -0.5)
    centred = data - data.mean(others, keepdims=True)
    wanted = column(gamma, data.ndim, axis) * centred / np.sqrt(data.var(others, keepdims=True) + EPS) + 0.5
    np.testing.assert_allclose(output, wanted)


@pytest.mark.parametrize(("is_train", "frozen"), [(True, True), (False, True), (False, False)])
def test_otherwise_the_moving_statistics_rule(is_train, frozen):
    data = RANDOM.randn(4, 3, 2)
    executor = bound(data, fix_gamma=False, use_global_stats=frozen, output_mean_var=True)
    output, mean, deviation = (o.asnumpy() for o in executor.forward(is_train=is_train))
    gamma = column([2.0, 3, 4], 3)
    np.testing.assert_allclose(output, gamma * (data - 0.1) / np.sqrt(3 + EPS) + 0.5)
    np.testing.assert_allclose(mean, [0.1] * 3)
    np.testing.assert_allclose(deviation, [(3 + EPS) ** -0.5] * 3)
    # The gradient is that of this formula, a line.
    head = RANDOM.randn(4, 3, 2)
    executor.backward([mx.nd.array(head, dtype="float64"), *(mx.nd.zeros(3, dtype="float64") for _ in range(2))])
    np.testing.assert_allclose(executor.grad_dict["data"].asnumpy(), head * gamma / np.sqrt(3 + EPS))
    np.testing.assert_allclose(executor.grad_dict["bn_beta"].asnumpy(), head.sum((0, 2)))
    for state, before in zip(states(executor), (0.1, 3)):
        np.testing.assert_array_equal(state, [before] * 3)


def test_the_backward_pass_moves_the_statistics():
    data = RANDOM.randn(4, 3, 5)
    executor = bound(data, fix_gamma=False, momentum=0.7)
    executor.forward(is_train=True)
    for state, before in zip(states(executor), (0.1, 3)):
        np.testing.assert_array_equal(state, [before] * 3)
    for step in (1, 2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones(data.shape, dtype="float64"))
        kept = 0.7**step
        mean, variance = states(executor)
        np.testing.assert_allclose(mean, 0.1 * kept + data.mean((0, 2)) * (1 - kept))
        # The variance is divided by N, not by N - 1.
        np.testing.assert_allclose(variance, 3 * kept + data.var((0, 2)) * (1 - kept))


def test_fixed_gamma_is_overwritten_and_has_no_gradient():
    data = RANDOM.randn(4, 3, 5)
    for is_train in (False, True):
        executor = bound(data)
        executor.grad_dict["bn_gamma"][:] = 7
        output = executor.forward(is_train=is_train)[0].asnumpy()
        np.testing.assert_array_equal(executor.arg_dict["bn_gamma"].asnumpy(), [1, 1, 1])
        executor.backward(mx.nd.array(RANDOM.randn(4, 3, 5), dtype="float64"))
        np.testing.assert_array_equal(executor.grad_dict["bn_gamma"].asnumpy(), [0, 0, 0])
    np.testing.assert_allclose(output.mean((0, 2)), [0.5] * 3)
    np.testing.assert_allclose(output.var((0, 2)), data.var((0, 2)) / (data.var((0, 2)) + EPS))


def test_half_precision_keeps_statistics_in_single():
    data = RANDOM.randn(8, 3, 4).astype("float16")
    executor = bound(data, dtype="float16", fix_gamma=False)
    assert {name: a.dtype for name, a in executor.arg_dict.items()} == {
        "data": np.float16, "bn_gamma": np.float32, "bn_beta": np.float32,
    }  # fmt: skip
    output = executor.forward(is_train=True)[0]
    executor.backward(mx.nd.ones(data.shape, dtype="float16"))
    assert output.dtype == np.float16
    assert {a.dtype for a in executor.aux_dict.values()} == {np.float32}
    wide = data.astype("float64")
    np.testing.assert_allclose(states(executor)[0], 0.09 + 0.1 * wide.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(states(executor)[1], 2.7 + 0.1 * wide.var((0, 2)), rtol=1e-4)


def test_only_beta_asked_for():
    """The statistics move even if nothing but beta wants a gradient."""
    data = RANDOM.randn(4, 3)
    executor = bound(data, req={"bn_beta": "write"})
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones(data.shape, dtype="float64"))
    np.testing.assert_allclose(executor.grad_dict["bn_beta"].asnumpy(), [4, 4, 4])
    np.testing.assert_allclose(states(executor)[0], 0.09 + 0.1 * data.mean(0))


def test_the_first_release_is_the_same():
    data = RANDOM.randn(4, 3, 2)
    old, new = (bound(data, name=name, fix_gamma=False) for name in ("BatchNorm_v1", "BatchNorm"))
    for executor in (old, new):
        executor.forward(is_train=True)
        executor.backward(mx.nd.array(np.arange(24).reshape(4, 3, 2), dtype="float64"))
    for one, two in ((old.outputs[0], new.outputs[0]), *zip(old.grad_arrays, new.grad_arrays)):
        np.testing.assert_array_equal(one.asnumpy(), two.asnumpy())


def test_with_relu():
    arrays = [RANDOM.randn(4, 3, 2), np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)]
    plain = call("BatchNorm", *arrays, fix_gamma=False)
    assert plain.min() < 0
    np.testing.assert_array_equal(
        call("_contrib_BatchNormWithReLU", *arrays, fix_gamma=False), np.maximum(plain, 0)
    )


def test_inference_of_shapes_and_types():
    params = {"axis": -1}
    told = infer("BatchNorm", [(0, 4, 3), None, None, None, None], [(2, 0, 0), None, None], **params)
    assert told == ([(2, 4, 3), *[(3,)] * 4], [(2, 4, 3), (3,), (3,)])
    assert infer("BatchNorm", [None, (3,), None, None, None])[0] == [None, (3,), None, None, None]
    with pytest.raises(MXNetError, match="Channel axis 1 is out of range for an array of 1 dimensions"):
        infer("BatchNorm", [(3,), None, None, None, None])
    symbol = mx.sym.BatchNorm(mx.sym.var("data"), name="bn")
    arguments, outputs, states = symbol.infer_type(data="float16")
    assert (arguments, outputs, states) == ([np.float16, *[np.float32] * 2], [np.float16], [np.float32] * 2)


def test_names_and_initializers():
    symbol = mx.sym.BatchNorm(mx.sym.var("data"), name="bn", output_mean_var=True)
    assert symbol.list_outputs() == ["bn_output", "bn_mean", "bn_var"]
    assert symbol.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert symbol.attr_dict()["bn_moving_mean"]["__init__"] == '["zero", {}]'
    assert symbol.attr_dict()["bn_moving_var"]["__init__"] == '["one", {}]'


@pytest.mark.parametrize("use_global_stats", [False, True])
def test_the_synchronized_layer_shows_variances(use_global_stats):
    random = np.random.RandomState(0)
    arrays = {"data": random.randn(4, 3, 5), "bn_gamma": random.rand(3) + 0.5, "bn_beta": random.randn(3)}
    found = {}
    for name, layer, key in (("own", mx.sym.BatchNorm, {}), ("shared", mx.sym.contrib.SyncBatchNorm, {"key": "k"})):
        symbol = layer(
            mx.sym.var("data"), name="bn", eps=0.1, fix_gamma=False, output_mean_var=True,
            use_global_stats=use_global_stats, **key,
        )  # fmt: skip
        executor = symbol.simple_bind(mx.cpu(), data=(4, 3, 5))
        for argument, value in arrays.items():
            executor.arg_dict[argument][:] = value
        executor.aux_dict["bn_moving_var"][:] = 2
        outputs = [output.asnumpy() for output in executor.forward(is_train=True)]
        executor.backward([mx.nd.array(arrays["data"] ** 2), mx.nd.zeros(3), mx.nd.zeros(3)])
        found[name] = (outputs, [executor.grad_dict[argument].asnumpy() for argument in arrays])
    (own, own_gradients), (shared, shared_gradients) = found.values()
    np.testing.assert_allclose(shared[2], np.full(3, 2) if use_global_stats else arrays["data"].var((0, 2)), 1e-5)
    for value, expected in zip([*shared[:2], *shared_gradients], [*own[:2], *own_gradients]):
        np.testing.assert_allclose(value, expected, 1e-4, 1e-5)


def test_more_devices_are_refused():
    with pytest.raises(MXNetError, match="ndev=2"):
        mx.sym.contrib.SyncBatchNorm(mx.sym.var("data"), key="bn", ndev=2)
