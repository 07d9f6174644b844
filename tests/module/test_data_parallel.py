"""Modules on several contexts do what they do on one: samples are shared out, gradients summed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx

TWO = [mx.cpu(0), mx.cpu(1)]


def network() -> Any:
    net = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1"), act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def parameters() -> dict[str, Any]:
    random = np.random.RandomState(1)
    shapes = {"fc1_weight": (5, 4), "fc1_bias": (5,), "fc2_weight": (3, 5), "fc2_bias": (3,)}
    return {name: mx.nd.array(random.randn(*shape)) for name, shape in shapes.items()}


def samples(size: int = 6) -> Any:
    random = np.random.RandomState(0)
    data = random.randn(60, 4).astype("float32")
    return mx.io.NDArrayIter(data, data[:, :3].argmax(axis=1), batch_size=size)


def bound(context: Any, size: int = 6, **settings: Any) -> Any:
    module = mx.mod.Module(network(), context=context, **settings)
    module.bind(samples(size).provide_data, samples(size).provide_label, inputs_need_grad=True)
    module.init_params(arg_params=parameters())
    return module


@pytest.mark.parametrize("settings", [{}, {"work_load_list": [1, 2]}], ids=["equal", "unequal"])
@pytest.mark.parametrize("kvstore", ["local", "device"])
def test_training_is_that_of_one_context(settings: dict[str, Any], kvstore: str) -> None:
    results = []
    for module in (bound(mx.cpu()), bound(TWO, **settings)):
        module.fit(
            samples(),
            kvstore=kvstore,
            optimizer_params={"learning_rate": 0.5, "momentum": 0.9, "wd": 0.01},
            arg_params=parameters(),
            num_epoch=3,
        )
        results.append((module.get_params()[0], module.predict(samples()), module.score(samples(), ["acc", "ce"])))
    (params, outputs, scores), (other_params, other_outputs, other_scores) = results
    for name in params:
        np.testing.assert_allclose(other_params[name].asnumpy(), params[name].asnumpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other_outputs.asnumpy(), outputs.asnumpy(), rtol=1e-4, atol=1e-6)
    assert [name for name, _ in other_scores] == ["accuracy", "cross-entropy"]
    np.testing.assert_allclose([v for _, v in other_scores], [v for _, v in scores], rtol=1e-4)


def test_updating_on_each_device_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what is done when a parameter is too large for the store."""
    modules = [bound(TWO), bound(TWO)]
    for largest, module in zip((2**24, 1), modules):
        monkeypatch.setattr("symbind.module.updating._LARGEST_IN_STORE", largest)
        module.fit(samples(), optimizer="adam", optimizer_params={"learning_rate": 0.1}, num_epoch=2)
    assert [module._update_on_kvstore for module in modules] == [True, False]
    first, second = (module.get_params()[0] for module in modules)
    for name in first:
        np.testing.assert_allclose(first[name].asnumpy(), second[name].asnumpy(), rtol=1e-5, atol=1e-7)
    for arrays in modules[1]._exec_group.param_arrays:
        np.testing.assert_array_equal(arrays[0].asnumpy(), arrays[1].asnumpy())


def test_outputs_and_gradients_are_joined_or_apart() -> None:
    whole, shared = bound(mx.cpu(), 5), bound(TWO, 5)
    batch = samples(5).next()
    for module in (whole, shared):
        module.forward_backward(batch)
    assert [[part.shape for part in parts] for parts in shared.get_outputs(merge_multi_context=False)] == [
        [(2, 3), (3, 3)]
    ]
    for what in ("get_outputs", "get_input_grads"):
        [joined], [expected] = getattr(shared, what)(), getattr(whole, what)()
        np.testing.assert_allclose(joined.asnumpy(), expected.asnumpy(), rtol=1e-5, atol=1e-7)
        assert joined.context == mx.cpu(0)
    assert shared.output_shapes == [("softmax_output", (5, 3))]
    assert shared.data_shapes[0].shape == (5, 4)


def test_gradients_of_outputs_are_shared_out() -> None:
    grads = []
    for context in (mx.cpu(), TWO):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
        module = mx.mod.Module(net, label_names=None, context=context)
        module.bind([("data", (5, 4))], inputs_need_grad=True)
        module.init_params(mx.init.One())
        module.forward(mx.io.DataBatch([mx.nd.ones((5, 4))]), is_train=True)
        module.backward([mx.nd.array(np.arange(10).reshape(5, 2))])
        grads.append(module.get_input_grads()[0].asnumpy())
    np.testing.assert_array_equal(*grads)


def test_gradients_of_losses_may_be_left_out() -> None:
    x = mx.sym.Variable("data")
    net = mx.sym.Group([x * 2, mx.sym.MakeLoss(x)])
    data = mx.nd.array(np.arange(6).reshape(6, 1))
    module = mx.mod.Module(net, label_names=None, context=TWO)
    module.bind([("data", (6, 1))], inputs_need_grad=True)
    module.init_params()
    for heads in ([data], [data, None]):
        module.forward(mx.io.DataBatch([data]), is_train=True)
        module.backward(heads)
        assert (module.get_input_grads()[0] == 2 * data + 1).asnumpy().all()
    with pytest.raises(mx.MXNetError, match="3 head gradients for 2 outputs"):
        module.backward([data] * 3)


def test_another_batch_size() -> None:
    whole, shared = bound(mx.cpu()), bound(TWO)
    batch = samples(9).next()
    for module in (whole, shared):
        module.forward(batch, is_train=False)
    np.testing.assert_allclose(shared.get_outputs()[0].asnumpy(), whole.get_outputs()[0].asnumpy(), rtol=1e-5)


def test_axes_of_samples_come_from_layouts() -> None:
    """Time comes first here, and what has no axis of samples is given to every context as it is."""
    data, scale = mx.sym.Variable("data"), mx.sym.Variable("scale")
    net = mx.sym.broadcast_mul(data, scale, name="scaled", attr={"__layout__": "TNC"})
    module = mx.mod.Module(net, ["data", "scale"], None, context=TWO)
    described = [mx.io.DataDesc("data", (3, 4, 2), layout="TNC"), mx.io.DataDesc("scale", (1, 1, 2), layout="TC")]
    module.bind(described, for_training=False)
    module.init_params()
    values = np.arange(24, dtype="float32").reshape(3, 4, 2)
    module.forward(mx.io.DataBatch([mx.nd.array(values), mx.nd.array([[[2, 3]]])]))
    np.testing.assert_array_equal(module.get_outputs()[0].asnumpy(), values * [2, 3])


def test_auxiliary_states_are_averaged() -> None:
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), momentum=0, name="bn")
    module = mx.mod.Module(net, label_names=None, context=TWO)
    module.bind([("data", (4, 1))])
    module.init_params()
    module.forward(mx.io.DataBatch([mx.nd.array([[1], [3], [10], [20]])]), is_train=True)
    module.backward([mx.nd.ones((4, 1))])
    assert module.get_params()[1]["bn_moving_mean"].asnumpy() == [(2 + 15) / 2]


def test_states_of_the_optimizer_are_saved(tmp_path: Path) -> None:
    file = str(tmp_path / "states")
    trained, resumed = bound(TWO), bound(TWO)
    for module in (trained, resumed):
        module.init_optimizer(optimizer_params={"learning_rate": 0.5, "momentum": 0.9})
    batch = samples().next()
    trained.forward_backward(batch)
    trained.update()
    trained.save_optimizer_states(file)
    resumed.load_optimizer_states(file)
    resumed.set_params(*trained.get_params())
    for module in (trained, resumed):
        module.forward_backward(batch)
        module.update()
    for name, array in trained.get_params()[0].items():
        np.testing.assert_array_equal(resumed.get_params()[0][name].asnumpy(), array.asnumpy())


def test_a_store_of_the_callers_and_none() -> None:
    one, store = bound(mx.cpu()), mx.kv.create("local")
    one.init_optimizer(kvstore=store)
    assert one._kvstore is store
    one.forward_backward(samples().next())
    before = one.get_params()[0]["fc1_bias"].asnumpy()
    one.update()
    assert not np.array_equal(one.get_params()[0]["fc1_bias"].asnumpy(), before)
    alone = bound(TWO)
    alone.init_optimizer(kvstore=None, optimizer_params={"learning_rate": 1.0})
    alone.forward_backward(samples().next())
    alone.update()
    left, right = alone._exec_group.param_arrays[0]
    assert not np.array_equal(left.asnumpy(), right.asnumpy())


def test_buckets_and_models_on_several_contexts() -> None:
    def generate(length: int) -> Any:
        total = mx.sym.sum(mx.sym.Variable("data"), axis=1, keepdims=True)
        return (
            mx.sym.SoftmaxOutput(mx.sym.FullyConnected(total, num_hidden=3, name="fc"), name="softmax"),
            ("data",),
            ("softmax_label",),
        )

    weights = []
    for context in (mx.cpu(), TWO):
        module = mx.mod.BucketingModule(generate, default_bucket_key=5, context=context)
        module.bind([("data", (4, 5))], [("softmax_label", (4,))])
        module.init_params(mx.init.One())
        module.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
        for length in (3, 5, 3):
            batch = mx.io.DataBatch(
                [mx.nd.ones((4, length))],
                [mx.nd.array([0, 1, 2, 1])],
                bucket_key=length,
                provide_data=[("data", (4, length))],
                provide_label=[("softmax_label", (4,))],
            )
            module.forward_backward(batch)
            module.update()
        weights.append(module.get_params()[0]["fc_weight"].asnumpy())
    np.testing.assert_allclose(*weights, rtol=1e-5)


def test_mistakes() -> None:
    with pytest.raises(AssertionError, match="work_load_list"):
        mx.mod.Module(network(), context=TWO, work_load_list=[1])
    module = mx.mod.Module(network(), context=TWO)
    with pytest.raises(ValueError, match="Too many slices"):
        module.bind([("data", (1, 4))], [("softmax_label", (1,))])
    with pytest.raises(mx.MXNetError, match="compressed"):
        mx.mod.Module(network(), compression_params={"type": "2bit"})


def in_two_stages() -> mx.sym.Symbol:
    with mx.AttrScope(ctx_group="stage1"):
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc1", num_hidden=8)
    with mx.AttrScope(ctx_group="stage2"):
        net = mx.sym.BatchNorm(mx.sym.FullyConnected(net, name="fc2", num_hidden=4), name="bn")
        return mx.sym.SoftmaxOutput(net, name="softmax")


def test_arrays_of_a_group_are_where_it_is_placed() -> None:
    places = {"stage1": mx.cpu(1), "stage2": mx.cpu(2)}
    executor = in_two_stages().simple_bind(mx.cpu(0), group2ctx=places, data=(2, 5))
    for arrays in (executor.arg_dict, executor.grad_dict, executor.aux_dict):
        for name, array in arrays.items():
            assert array.context == places["stage1" if name.startswith(("data", "fc1")) else "stage2"], name
    executor.forward(is_train=True)
    executor.backward()


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"stage1": mx.cpu(4), "stage2": [mx.cpu(5)]}, [(4, 5), (4, 5)]),
        ({"stage1": [mx.cpu(4), mx.cpu(5)], "stage2": mx.cpu(6)}, [(4, 6), (5, 6)]),
        ([{"stage1": mx.cpu(4)}, {"stage2": mx.cpu(5)}], [(4, 0), (1, 5)]),
    ],
)
def test_groups_of_each_context(groups: Any, expected: list[tuple[int, int]]) -> None:
    module = mx.mod.Module(in_two_stages(), context=[mx.cpu(0), mx.cpu(1)], group2ctxs=groups)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    names = "fc1_weight", "fc2_weight"
    found = [
        tuple(executor.arg_dict[name].context.device_id for name in names) for executor in module._exec_group.execs
    ]
    assert found == expected


def test_groups_that_do_not_fit_the_contexts() -> None:
    for groups in ({"stage1": [mx.cpu(1), mx.cpu(2)]}, [{"stage1": mx.cpu(1)}] * 2):
        with pytest.raises(ValueError, match="group2ctxs has 2 .*expected"):
            mx.mod.Module(in_two_stages(), context=[mx.cpu(i) for i in range(3)], group2ctxs=groups)


def test_arrays_of_parameters_by_context():
    """Programs that add up gradients themselves, as for generative adversarial networks, find them so."""
    module = bound(TWO)
    group = module._exec_group
    assert group.param_names == module._param_names and len(group.execs) == len(module._context) == 2
    for arrays, by_name in ((group.param_arrays, "arg_dict"), (group.grad_arrays, "grad_dict")):
        for name, pair in zip(group.param_names, arrays):
            assert all(array is getattr(executor, by_name)[name] for array, executor in zip(pair, group.execs))
    for i, pair in enumerate(group.aux_arrays):
        assert all(array is executor.aux_arrays[i] for array, executor in zip(pair, group.execs))
