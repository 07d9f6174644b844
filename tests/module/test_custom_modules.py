"""Modules and loops that people have written themselves use what is below ours: stores, arrays, loaded parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind.model import _create_kvstore, _initialize_kvstore, _update_params, _update_params_on_kvstore

TWO = [mx.cpu(0), mx.cpu(1)]


def network() -> Any:
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc"), name="softmax")


def bound(context: Any = TWO, **settings: Any) -> Any:
    mx.random.seed(3)
    module = mx.mod.Module(network(), context=context, **settings)
    module.bind([("data", (6, 4))], [("softmax_label", (6,))])
    module.init_params(mx.init.Xavier())
    return module


def batch() -> Any:
    random = np.random.RandomState(0)
    return mx.io.DataBatch([mx.nd.array(random.randn(6, 4))], [mx.nd.array([0, 1, 2, 0, 1, 2])])


@pytest.mark.parametrize("where", ["in the store", "on the devices", "without a store"])
def test_a_training_of_ones_own_is_that_of_the_module(where: str) -> None:
    settings = {"learning_rate": 0.1, "momentum": 0.9, "rescale_grad": 1 / 6}
    reference, module = bound(), bound()
    reference.init_optimizer(optimizer_params=settings, kvstore=None if where == "without a store" else "device")
    group = module._exec_group
    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd", **settings))
    store, on_store = _create_kvstore(None if where == "without a store" else "device", 2, module._arg_params)
    assert on_store == (store is not None)
    on_store = where == "in the store"
    if store is not None:
        _initialize_kvstore(store, group.param_arrays, module._arg_params, group.param_names, on_store)
    if on_store:
        store.set_optimizer(mx.optimizer.create("sgd", **settings))
    for _ in range(3):
        for each in (reference, module):
            each.forward_backward(batch())
        reference.update()
        if on_store:
            _update_params_on_kvstore(group.param_arrays, group.grad_arrays, store, group.param_names)
        else:
            _update_params(group.param_arrays, group.grad_arrays, updater, 2, store, group.param_names)
    for ours, theirs in zip(group.param_arrays, reference._exec_group.param_arrays):
        for left, right in zip(ours, theirs):
            np.testing.assert_allclose(left.asnumpy(), right.asnumpy(), rtol=1e-5, atol=1e-7)
    first, second = group.param_arrays[group.param_names.index("fc_weight")]
    assert np.array_equal(first.asnumpy(), second.asnumpy()) == (where != "without a store")


def test_when_there_is_a_store() -> None:
    small = {"w": mx.nd.zeros((2,))}
    assert _create_kvstore(None, 2, small) == (None, False)
    assert _create_kvstore("device", 1, small) == (None, False)
    store = mx.kv.create("local")
    assert _create_kvstore(store, 1, small) == (store, True)


def test_what_is_not_trained_is_left_alone() -> None:
    module = bound(mx.cpu(), fixed_param_names=["fc_weight"])
    before = module.get_params()[0]
    group, seen = module._exec_group, []

    def updater(numbers: list[int], grads: list[Any], weights: list[Any]) -> None:
        seen.extend(numbers)
        for grad, weight in zip(grads, weights):
            weight -= grad

    module.forward_backward(batch())
    _update_params(group.param_arrays, group.grad_arrays, updater, 1)
    assert [group.param_names[i] for i in seen] == [name for name in group.param_names if name != "fc_weight"]
    after = module.get_params()[0]
    assert np.array_equal(before["fc_weight"].asnumpy(), after["fc_weight"].asnumpy())
    assert not np.array_equal(before["fc_bias"].asnumpy(), after["fc_bias"].asnumpy())


def test_a_load_of_ones_own(tmp_path: Path) -> None:
    trained = bound(mx.cpu())
    settings = {"learning_rate": 0.1, "momentum": 0.9}
    trained.init_optimizer(optimizer_params=settings)
    trained.forward_backward(batch())
    trained.update()
    trained._sync_params_from_devices()
    trained.save_checkpoint(str(tmp_path / "net"), 1, save_optimizer_states=True)

    class Derived(mx.mod.Module):
        @staticmethod
        def load(prefix: str, epoch: int) -> Any:
            symbol, arguments, auxiliary = mx.model.load_checkpoint(prefix, epoch)
            module = Derived(symbol)
            module._arg_params = arguments
            module._aux_params = auxiliary
            module.params_initialized = True
            module._preload_opt_states = f"{prefix}-{epoch:04d}.states"
            return module

    loaded = Derived.load(str(tmp_path / "net"), 1)
    for ours, theirs in ((loaded._arg_params, trained._arg_params), (loaded._aux_params, trained._aux_params)):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name].asnumpy(), theirs[name].asnumpy()) for name in ours)
    loaded.bind([("data", (6, 4))], [("softmax_label", (6,))])
    loaded.init_optimizer(optimizer_params=settings)
    for module in (trained, loaded):
        module.forward_backward(batch())
        module.update()
    for name, array in trained._arg_params.items():
        assert np.array_equal(array.asnumpy(), loaded._arg_params[name].asnumpy())


def test_the_group_of_executors() -> None:
    group = bound()._exec_group
    assert group.batch_size == 6
    assert group.aux_names == ["bn_moving_mean", "bn_moving_var"]
    group.set_params({}, {"bn_moving_mean": mx.nd.array([1, 2, 3, 4])})
    index = group.aux_names.index("bn_moving_mean")
    assert [array.asnumpy().tolist() for array in group.aux_arrays[index]] == [[1, 2, 3, 4]] * 2
    with pytest.raises(ValueError, match="strange"):
        group.set_params({"strange": mx.nd.zeros((1,))}, {})
    group.set_params({"strange": mx.nd.zeros((1,))}, {}, allow_extra=True)
    monitor = mx.mon.Monitor(1)
    group.install_monitor(monitor)
    monitor.tic()
    group.forward(is_train=False)
    assert {"fc_output", "softmax_output"} <= {name for _, name, _ in monitor.toc()}
    assert [part.shape for part in group.get_outputs(merge_multi_context=False)[0]] == [(3, 3), (3, 3)]


def test_the_module_of_the_bucket() -> None:
    module = mx.mod.BucketingModule(lambda _: (network(), ["data"], ["softmax_label"]), default_bucket_key=1)
    module.bind([("data", (6, 4))], [("softmax_label", (6,))])
    assert module._curr_module._exec_group.grad_arrays[0][0] is not None
