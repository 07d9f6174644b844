"""Bookkeeping: registration, learning rates, multipliers, counts, precision, and the order of things."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import symbind as mx

NAMES = {0: "fc_weight", 1: "fc_bias", 2: "bn_gamma", 3: "bn_beta", 4: "embedding"}


def step(optimizer: mx.optimizer.Optimizer, index: Any = 0, value: float = 1.0, gradient: float = 1.0) -> float:
    """The one element of a new parameter after an update."""
    weight = mx.nd.full((1,), value)
    optimizer.update(index, weight, mx.nd.full((1,), gradient), optimizer.create_state(index, weight))
    return float(weight.asnumpy()[0])


# --- names


def test_registered_names() -> None:
    expected = [
        *("adadelta", "adagrad", "adam", "adamax", "ccsgd", "dcasgd", "ftml", "ftrl", "groupadagrad", "lamb"),
        *("lars", "lbsgd", "nadam", "nag", "rmsprop", "sgd", "sgld", "signum", "test"),
    ]
    assert set(expected) <= set(mx.optimizer.Optimizer.opt_registry)
    for name in expected:
        assert type(mx.optimizer.create(name.upper())).__name__.lower() == name


def test_create_errors() -> None:
    with pytest.raises(ValueError, match=r"Cannot find optimizer nope.*sgd"):
        mx.optimizer.create("nope")
    with pytest.raises(TypeError, match="5"):
        mx.optimizer.create(5)
    with pytest.raises(TypeError, match="foo"):
        mx.optimizer.create("sgd", foo=1)
    with pytest.raises(TypeError, match="param_idx2name"):
        mx.optimizer.create("sgd", param_idx2name=["a"])
    with pytest.raises(NotImplementedError, match="update"):
        step(mx.optimizer.Optimizer())


# --- learning rates


def test_learning_rate_defaults() -> None:
    assert mx.optimizer.SGD().learning_rate == 0.01
    assert mx.optimizer.Adam().learning_rate == 0.001
    assert mx.optimizer.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(2, base_lr=0.3)).learning_rate == 0.3


def test_set_learning_rate() -> None:
    optimizer = mx.optimizer.SGD()
    optimizer.set_learning_rate(0.5)
    assert step(optimizer) == 0.5
    optimizer = mx.optimizer.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(2))
    with pytest.raises(UserWarning, match="LRScheduler"):
        optimizer.set_learning_rate(0.3)


def test_the_learning_rate_replaces_the_schedulers() -> None:
    scheduler = mx.lr_scheduler.FactorScheduler(2, 0.5)
    with pytest.warns(UserWarning, match="overwritten"):
        optimizer = mx.optimizer.SGD(learning_rate=0.5, lr_scheduler=scheduler)
    assert optimizer.learning_rate == scheduler.base_lr == 0.5


def test_the_scheduler_sees_the_number_of_the_update() -> None:
    seen: list[int] = []

    class Recorder(mx.lr_scheduler.LRScheduler):
        def __call__(self, num_update: int) -> float:
            seen.append(num_update)
            return 0.125

    optimizer = mx.optimizer.SGD(lr_scheduler=Recorder(), begin_num_update=10)
    weights, gradients = [mx.nd.ones(1), mx.nd.ones(1)], [mx.nd.ones(1), mx.nd.ones(1)]
    for _ in range(2):
        optimizer.update_multi([0, 1], weights, gradients, [None, None])
    optimizer.update(0, weights[0], gradients[0], None)
    assert seen == [11, 12, 13]
    assert optimizer.num_update == 13
    assert weights[0].asnumpy() == 1 - 3 * 0.125


# --- multipliers


def test_only_weights_and_gammas_decay() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=1.0, wd=0.25, param_idx2name=NAMES)
    assert [step(optimizer, i, gradient=0.0) for i in NAMES] == [0.75, 1.0, 0.75, 1.0, 1.0]
    lars = mx.optimizer.LARS(wd=0.25, param_idx2name=NAMES)
    assert lars._get_wds(list(NAMES)) == [0.25, 0.0, 0.0, 0.0, 0.0]
    unnamed = mx.optimizer.SGD(learning_rate=1.0, wd=0.25)
    assert step(unnamed, 1, gradient=0.0) == 0.75


def test_multipliers_by_name_and_by_index() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=1.0, wd=0.25, param_idx2name=NAMES)
    optimizer.set_lr_mult({"fc_weight": 0.5, 1: 0.0})
    optimizer.set_wd_mult({"fc_bias": 1.0, 2: 2.0})
    assert optimizer._get_lrs(list(NAMES)) == [0.5, 0.0, 1.0, 1.0, 1.0]
    assert optimizer._get_wds(list(NAMES)) == [0.25, 0.25, 0.5, 0.0, 0.0]
    assert step(optimizer, 0, gradient=0.0) == 1 - 0.5 * 0.25


def test_multipliers_of_variables() -> None:
    weight = mx.sym.Variable("a_weight", lr_mult=0.5)
    bias = mx.sym.Variable("a_bias", wd_mult=3.0)
    optimizer = mx.optimizer.SGD(
        learning_rate=1.0, wd=0.25, sym=weight + bias, param_idx2name={0: "a_weight", 1: "a_bias"}
    )
    assert optimizer._get_lrs([0, 1]) == [0.5, 1.0]
    assert optimizer._get_wds([0, 1]) == [0.25, 0.75]
    optimizer.set_lr_mult({"a_bias": 2.0})
    assert optimizer._get_lrs([0, 1]) == [0.5, 2.0]


def test_multipliers_of_parameter_objects() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=1.0, wd=1.0, param_dict={0: SimpleNamespace(lr_mult=0.5, wd_mult=0.25)})
    assert (optimizer._get_lr(0), optimizer._get_wd(0), optimizer._get_lr(1)) == (0.5, 0.25, 1.0)


def test_multipliers_may_change_between_steps() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=1.0, param_idx2name=NAMES)
    weights, gradients = [mx.nd.ones(2), mx.nd.ones(2)], [mx.nd.ones(2), mx.nd.ones(2)]
    for multiplier in (1.0, 0.0, 0.5):
        optimizer.set_lr_mult({"fc_weight": multiplier})
        optimizer.update_multi([0, 1], weights, gradients, [None, None])
    assert [float(w.asnumpy()[0]) for w in weights] == [-0.5, -2.0]


# --- counts


def test_replicas_on_devices_are_counted_separately() -> None:
    optimizer = mx.optimizer.Test()
    updater = mx.optimizer.get_updater(optimizer)
    for device in (0, 1, 0, 1):
        array = mx.nd.ones(1, ctx=mx.cpu(device))
        updater.states.clear()
        updater("x", array, array.copy())
    assert optimizer.num_update == 2


def test_parameters_that_joined_later_have_counts_of_their_own() -> None:
    # Adam's first step is lr·sign(gradient) for each of them.
    optimizer = mx.optimizer.Adam(learning_rate=0.5, epsilon=0.0)
    weights, gradients = [mx.nd.zeros(1), mx.nd.zeros(1)], [mx.nd.ones(1), mx.nd.ones(1)]
    states = [optimizer.create_state(i, weight) for i, weight in enumerate(weights)]
    optimizer.update(0, weights[0], gradients[0], states[0])
    optimizer.update_multi([0, 1], weights, gradients, states)
    np.testing.assert_allclose([w.asnumpy()[0] for w in weights], [-1.0, -0.5], rtol=1e-6)


def test_arrays_may_change_between_steps() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=1.0, momentum=0.5)
    state = optimizer.create_state(0, mx.nd.zeros(2))
    for expected in (-1.0, -1.5, -1.75):
        weight = mx.nd.zeros(2)
        optimizer.update(0, weight, mx.nd.ones(2), state)
        assert weight.asnumpy().tolist() == [expected] * 2


# --- precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "rmsprop", "lamb", "lars", "lbsgd", "dcasgd", "adagrad"])
def test_multi_precision_updates_a_float32_copy(name: str, dtype: torch.dtype) -> None:
    random = np.random.RandomState(0)
    start, gradients = random.randn(6, 5), random.randn(5, 6, 5)
    options = {"learning_rate": 1e-3, "rescale_grad": 0.5, "wd": 0.1}
    if name in ("sgd", "nag", "lars", "lbsgd"):
        options["momentum"] = 0.9
    low = mx.nd.NDArray(torch.tensor(start).to(dtype))
    high = mx.nd.NDArray(low.tensor.float())
    with_copy = mx.optimizer.get_updater(mx.optimizer.create(name, multi_precision=True, **options))
    plain = mx.optimizer.get_updater(mx.optimizer.create(name, **options))
    for gradient in gradients:
        rough = mx.nd.NDArray(torch.tensor(gradient).to(dtype))
        with_copy("x_weight", rough, low)
        plain("x_weight", mx.nd.NDArray(rough.tensor.float()), high)
    np.testing.assert_array_equal(low.tensor.float(), high.tensor.to(dtype).float())


def test_position_of_the_float32_copy_is_that_of_mxnet() -> None:
    weight = mx.nd.ones(2, dtype="float16")
    for name, options, position in (
        ("sgd", {"momentum": 0.9}, 1),
        ("nag", {"momentum": 0.9}, 1),
        ("lars", {}, 1),
        ("adam", {}, 0),
        ("lbsgd", {}, 0),
    ):
        state = mx.optimizer.create(name, multi_precision=True, **options).create_state_multi_precision(0, weight)
        assert state[position].asnumpy().tolist() == [1, 1]
        assert state[position].dtype is np.float32


def test_low_precision_without_a_copy_warns() -> None:
    with pytest.warns(UserWarning, match="multi_precision"):
        mx.optimizer.SGD().create_state_multi_precision(0, mx.nd.ones(2, dtype="float16"))


def test_gradients_of_another_precision_are_converted() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=1.0)
    weight = mx.nd.ones(2)
    optimizer.update(0, weight, mx.nd.full((2,), 0.5, dtype="float16"), None)
    assert weight.asnumpy().tolist() == [0.5, 0.5]


# --- errors


def test_arrays_that_do_not_fit() -> None:
    optimizer = mx.optimizer.SGD(momentum=0.9, param_idx2name=NAMES)
    weight = mx.nd.ones((2, 3))
    state = optimizer.create_state(0, weight)
    with pytest.raises(ValueError, match=r"gradient of parameter fc_weight has shape \(3, 2\).*\(2, 3\)"):
        optimizer.update(0, weight, mx.nd.ones((3, 2)), state)
    with pytest.raises(ValueError, match=r"state of parameter fc_bias has shape \(2,\)"):
        optimizer.update(1, weight, weight.copy(), mx.nd.ones(2))
    with pytest.raises(ValueError, match="float64"):
        optimizer.update(0, weight, weight.copy(), mx.nd.ones((2, 3), dtype="float64"))
    assert optimizer.num_update == 0
    assert (weight.asnumpy() == 1).all()


def test_group_adagrad_is_for_matrices_without_decay() -> None:
    optimizer = mx.optimizer.GroupAdaGrad(wd=0.1, param_idx2name=NAMES)
    with pytest.raises(ValueError, match=r"fc_weight has shape \(3,\)"):
        optimizer.create_state(0, mx.nd.ones(3))
    with pytest.raises(ValueError, match=r"Weight decay.*fc_weight"):
        updater = mx.optimizer.get_updater(optimizer)
        updater(0, mx.nd.ones((2, 2)), mx.nd.ones((2, 2)))


# --- a user's own optimizers


def test_an_optimizer_that_defines_update_only() -> None:
    @mx.optimizer.register
    class Halver(mx.optimizer.Optimizer):
        def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
            self._update_count(index)
            weight[:] = weight - self._get_lr(index) * grad * self.rescale_grad

    updater = mx.optimizer.get_updater(mx.optimizer.create("halver", learning_rate=0.5))
    weights = [mx.nd.ones(2), mx.nd.full((2,), 2.0)]
    updater([0, 1], [w.copy() for w in weights], weights)
    updater(0, weights[0].copy(), weights[0])
    assert [w.asnumpy().tolist() for w in weights] == [[0.25, 0.25], [1.0, 1.0]]


@pytest.mark.parametrize("hook", ["update", "update_multi_precision"])
def test_an_overridden_update_is_asked_for_every_parameter(hook: str) -> None:
    asked: list[Any] = []

    def overridden(self: Any, index: Any, weight: Any, grad: Any, state: Any) -> None:
        asked.append(index)
        getattr(mx.optimizer.SGD, hook)(self, index, weight, grad, state)

    mine = type("Mine", (mx.optimizer.SGD,), {hook: overridden})
    weights = [mx.nd.ones(2), mx.nd.ones(2)]
    mx.optimizer.get_updater(mine(learning_rate=0.5))([0, 1], [w.copy() for w in weights], weights)
    assert asked == [0, 1]
    assert [w.asnumpy().tolist() for w in weights] == [[0.5, 0.5]] * 2


# --- copies


def test_copies_go_on_independently() -> None:
    optimizer = mx.optimizer.SGD(learning_rate=0.5, param_idx2name=NAMES, param_dict={7: SimpleNamespace(lr_mult=1)})
    step(optimizer)
    for clone in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert clone.num_update == 1
        assert clone.param_dict == {}
        step(clone)
        assert (clone.num_update, optimizer.num_update) == (2, 1)
        assert clone._all_index_update_counts == {0: {0: 2}}
