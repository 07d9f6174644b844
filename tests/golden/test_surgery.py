"""Old bodies with new heads, on a residual network whose numbers MXNet has recorded."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import symbind as mx

from . import test_zoo
from .zoo import ZOO, filling, parameters

NAME = "resnet18_v1"
SHAPE = ZOO[NAME].shape
FEATURES = f"{NAME}_pool1_fwd_output"


@cache
def trained() -> tuple[Any, dict[str, Any], dict[str, Any], np.ndarray]:
    """A checkpoint in memory: symbol, arguments, states; and what the network gives for its image."""
    record = test_zoo.RECORDS[NAME]
    arguments, states = ({k: mx.nd.array(v) for k, v in part.items()} for part in parameters(record))
    return mx.sym.load_json(record["json"]), arguments, states, record["outputs"][0]


def batch(label: Any = None) -> Any:
    return mx.io.DataBatch([mx.nd.array(filling("data", SHAPE))], [] if label is None else [mx.nd.array(label)])


def body_with_new_head() -> Any:
    body = trained()[0].get_internals()[FEATURES]
    head = mx.sym.FullyConnected(mx.sym.Flatten(body), num_hidden=4, name="new_fc")
    return mx.sym.SoftmaxOutput(head, name="softmax")


def module_with_new_head(**options: Any) -> Any:
    module = mx.mod.Module(body_with_new_head(), **options)
    module.bind([("data", SHAPE)], [("softmax_label", SHAPE[:1])])
    return module


def test_features_are_what_the_last_layer_reads():
    symbol, arguments, states, outputs = trained()
    assert FEATURES in symbol.get_internals().list_outputs()
    module = mx.mod.Module(symbol.get_internals()[FEATURES], label_names=None)
    module.bind([("data", SHAPE)], for_training=False)
    # The parameters of the head that is gone are left out.
    module.set_params(arguments, states)
    module.forward(batch(), is_train=False)
    features = module.get_outputs()[0].asnumpy().reshape(SHAPE[0], -1)
    weight, bias = (arguments[f"{NAME}_dense0_{part}"].asnumpy() for part in ("weight", "bias"))
    np.testing.assert_allclose(features @ weight.T + bias, outputs, rtol=1e-4, atol=1e-4 * np.abs(outputs).max())


def test_inner_outputs_side_by_side():
    symbol, arguments, states, outputs = trained()
    inner = symbol.get_internals()
    names = [f"{NAME}_stage{i}_activation1_output" for i in (1, 2, 3, 4)]
    group = mx.sym.Group([*(inner[name] for name in names), symbol])
    assert group.list_arguments() == symbol.list_arguments()
    executor = group.simple_bind(mx.cpu(), grad_req="null", data=SHAPE)
    executor.copy_params_from(arguments, states)
    *stages, last = executor.forward(is_train=False, data=filling("data", SHAPE))
    assert [stage.shape for stage in stages] == [(2, 64, 16, 16), (2, 128, 8, 8), (2, 256, 4, 4), (2, 512, 2, 2)]
    np.testing.assert_allclose(last.asnumpy(), outputs, rtol=1e-4, atol=1e-4 * np.abs(outputs).max())
    pooled = stages[-1].asnumpy().mean((2, 3))
    weight, bias = (arguments[f"{NAME}_dense0_{part}"].asnumpy() for part in ("weight", "bias"))
    np.testing.assert_allclose(pooled @ weight.T + bias, outputs, rtol=1e-4, atol=1e-4 * np.abs(outputs).max())


def test_a_new_head_is_initialized_and_the_body_is_kept():
    _, arguments, states, _ = trained()
    module = module_with_new_head()
    with pytest.raises(RuntimeError, match="new_fc_(weight|bias) is not presented"):
        module.init_params(mx.init.One(), arg_params=arguments, aux_params=states, allow_extra=True)
    module.init_params(
        mx.init.One(), arg_params=arguments, aux_params=states, allow_missing=True, allow_extra=True, force_init=True
    )
    kept, kept_states = module.get_params()
    assert set(kept) - set(arguments) == {"new_fc_weight", "new_fc_bias"}
    assert set(arguments) - set(kept) == {f"{NAME}_dense0_weight", f"{NAME}_dense0_bias"}
    np.testing.assert_array_equal(kept["new_fc_weight"].asnumpy(), np.ones((4, 512)))
    for before, after in ((arguments, kept), (states, kept_states)):
        for name in set(before) & set(after):
            np.testing.assert_array_equal(after[name].asnumpy(), before[name].asnumpy(), err_msg=name)


def test_only_the_new_head_is_trained():
    _, arguments, states, _ = trained()
    body = [name for name in arguments if "dense0" not in name]
    module = module_with_new_head(fixed_param_names=body)
    module.init_params(mx.init.Xavier(), arg_params=arguments, aux_params=states, allow_missing=True, allow_extra=True)
    before = {name: array.asnumpy() for name, array in module.get_params()[0].items()}
    module.init_optimizer(optimizer_params={"learning_rate": 0.1, "wd": 0.1})
    module.forward_backward(batch(label=[0, 3]))
    module.update()
    changed = {
        name for name, array in module.get_params()[0].items() if not np.array_equal(array.asnumpy(), before[name])
    }
    assert changed == {"new_fc_weight", "new_fc_bias"}


def test_a_body_is_put_on_another_input():
    """The whole network composed behind a preprocessing of its data, as deployment scripts do."""
    symbol, arguments, states, outputs = trained()
    pixels = mx.sym.Variable("pixels")
    net = symbol(data=(pixels - 127.5) / 50, name="scores")
    assert net.list_arguments()[0] == "pixels"
    assert net.list_outputs() == ["scores_output"]
    executor = net.simple_bind(mx.cpu(), grad_req="null", pixels=SHAPE)
    executor.copy_params_from(arguments, states)
    (scores,) = executor.forward(is_train=False, pixels=filling("data", SHAPE) * 50 + 127.5)
    np.testing.assert_allclose(scores.asnumpy(), outputs, rtol=1e-3, atol=1e-4 * np.abs(outputs).max())


def test_a_part_of_the_parameters_is_loaded(tmp_path):
    """From a file with some parameters only, the rest is initialized; shapes that do not fit are named."""
    _, arguments, _, _ = trained()
    file = str(tmp_path / "some.params")
    mx.nd.save(file, {f"arg:{name}": array for name, array in arguments.items() if "stage1" in name})
    module = module_with_new_head()
    module.init_params(mx.init.Mixed([".*"], [mx.init.Load(file, default_init=mx.init.Zero())]))
    loaded = module.get_params()[0]
    name = f"{NAME}_stage1_conv0_weight"
    np.testing.assert_array_equal(loaded[name].asnumpy(), arguments[name].asnumpy())
    assert not loaded["new_fc_weight"].asnumpy().any()

    wrong = {**arguments, name: mx.nd.zeros((64, 64, 5, 5))}
    with pytest.raises((ValueError, mx.MXNetError), match=name):
        module.set_params(wrong, {}, allow_missing=True, allow_extra=True)
