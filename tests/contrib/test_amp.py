"""Automatic mixed precision: where the casts go, and that a network still learns."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

import symbind as mx
from symbind.contrib import amp


def lenet():
    net = mx.sym.var("data")
    for i, filters in enumerate((8, 16)):
        net = mx.sym.Convolution(net, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=f"conv{i}")
        net = mx.sym.Activation(mx.sym.BatchNorm(net, name=f"norm{i}"), act_type="relu")
        net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name=f"pool{i}")
    net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=64, name="dense0"), act_type="softrelu", name="soft")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=10, name="dense1"), name="softmax")


def types_of(net, **shapes):
    """The type of each inner value of a bound network, as the nodes give them."""
    executor = net.get_internals().simple_bind(mx.cpu(), grad_req="null", **shapes)
    return {name: str(array.tensor.dtype)[6:] for name, array in executor.output_dict.items()}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_heavy_work_is_in_half_precision_and_losses_are_not(dtype):
    net = amp.convert_symbol(lenet(), dtype)
    types = types_of(net, data=(2, 1, 8, 8))
    for name in ("conv0", "norm0", "pool0", "conv1", "dense0", "dense1"):
        assert types[f"{name}_output"] == dtype, name
    assert types["soft_output"] == types["softmax_output"] == "float32"
    # Parameters are what they were: the master weights.
    assert {types[name] for name in net.list_arguments()} == {"float32"}
    assert {types[name] for name in net.list_auxiliary_states()} == {"float32"}


def test_every_value_is_cast_once():
    x, w = mx.sym.var("x"), mx.sym.var("weight")
    first = mx.sym.FullyConnected(x, w, num_hidden=4, no_bias=True, name="a")
    second = mx.sym.FullyConnected(x, w, num_hidden=4, no_bias=True, name="b")
    net = amp.convert_symbol(mx.sym.exp(first + second) + mx.sym.exp(first + second), "bfloat16")
    casts = [name for name in net.get_internals().list_outputs() if "amp_cast" in name]
    assert sorted(casts) == sorted({*casts})
    assert len([name for name in casts if name.startswith(("x_", "weight_"))]) == 2


def test_what_is_of_two_types_meets_in_the_wider():
    x = mx.sym.var("x")
    product = mx.sym.FullyConnected(x, num_hidden=3, name="fc")
    mixed = mx.sym.elemwise_add(product, x, name="mixed")
    alike = mx.sym.elemwise_add(product, product, name="alike")
    types = types_of(amp.convert_symbol(mx.sym.Group([mixed, alike]), "bfloat16"), x=(2, 3))
    assert (types["mixed_output"], types["alike_output"]) == ("float32", "bfloat16")


def test_a_saved_network_has_no_casts():
    net = lenet()
    assert json.loads(amp.convert_symbol(net, "bfloat16").tojson()) == json.loads(net.tojson())


def test_chosen_operators_and_nodes_stay_in_single_precision():
    net = lenet()
    types = types_of(amp.convert_symbol(net, "bfloat16", excluded_sym_names=["conv1"]), data=(2, 1, 8, 8))
    assert (types["conv0_output"], types["conv1_output"]) == ("bfloat16", "float32")
    types = types_of(amp.convert_symbol(net, "bfloat16", fp32_ops=["BatchNorm"]), data=(2, 1, 8, 8))
    assert (types["conv0_output"], types["norm0_output"]) == ("bfloat16", "float32")
    types = types_of(amp.convert_symbol(net, "bfloat16", target_dtype_ops=["FullyConnected"]), data=(2, 1, 8, 8))
    assert (types["conv0_output"], types["dense1_output"]) == ("float32", "bfloat16")
    conditions = [("Pooling", "pool_type", ["max"])]
    types = types_of(amp.convert_symbol(net, "bfloat16", conditional_fp32_ops=conditions), data=(2, 1, 8, 8))
    assert (types["pool0_output"], types["soft_output"]) == ("float32", "bfloat16")


def test_parameters_may_be_stored_in_half_precision():
    net = lenet()
    shapes, _, aux_shapes = net.infer_shape(data=(2, 1, 8, 8), softmax_label=(2,))
    params = {n: mx.nd.ones(s) for n, s in zip(net.list_arguments(), shapes) if n not in ("data", "softmax_label")}
    states = {n: mx.nd.ones(s) for n, s in zip(net.list_auxiliary_states(), aux_shapes)}
    converted, args, auxes = amp.convert_model(net, params, states, "bfloat16", cast_optional_params=True)
    assert args["conv0_weight"].tensor.dtype == args["dense1_bias"].tensor.dtype
    assert str(args["conv0_weight"].tensor.dtype) == "torch.bfloat16"
    assert args["norm0_gamma"] is params["norm0_gamma"] and auxes == states
    executor = converted.simple_bind(mx.cpu(), grad_req="null", data=(2, 1, 8, 8), softmax_label=(2,))
    executor.copy_params_from(args, auxes)
    assert executor.arg_dict["conv0_weight"].tensor.dtype == args["conv0_weight"].tensor.dtype
    assert np.isfinite(executor.forward()[0].asnumpy()).all()


def test_a_network_learns_as_well_as_in_single_precision():
    digits = load_digits()
    images, labels = digits.images.astype("float32")[:, None] / 16, digits.target.astype("float32")
    accuracies = {}
    for dtype in ("float32", "bfloat16"):
        net = lenet() if dtype == "float32" else amp.convert_symbol(lenet(), dtype)
        module = mx.mod.Module(net)
        mx.random.seed(3)
        np.random.seed(3)
        training = mx.io.NDArrayIter(images[:1500], labels[:1500], 50, shuffle=True)
        settings = {"learning_rate": 0.05, "momentum": 0.9}
        module.fit(training, num_epoch=6, optimizer_params=settings, initializer=mx.init.Xavier())
        accuracies[dtype] = module.score(mx.io.NDArrayIter(images[1500:], labels[1500:], 27), "acc")[0][1]
    assert accuracies["float32"] > 0.9
    # On 297 samples two networks that are as good as each other differ by 0.02, as a standard deviation.
    assert accuracies["bfloat16"] >= accuracies["float32"] - 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_dtype": "float32"}, "target_dtype must be 'float16' or 'bfloat16', not 'float32'"),
        ({"fp32_ops": ["Convolutoin"]}, "no operator called 'Convolutoin'"),
        ({"fp32_ops": ["Convolution"]}, "both in half precision and in float32"),
        ({"excluded_sym_names": ["conv7"]}, r"\['conv7'\], which no node"),
    ],
)
def test_mistakes(settings, message):
    with pytest.raises(ValueError, match=message):
        amp.convert_symbol(lenet(), **{"target_dtype": "bfloat16", **settings})


def test_the_lists_are_of_all_operators():
    listed = [amp.list_lp16_ops(), amp.list_lp16_fp32_ops(), amp.list_widest_type_cast(), amp.list_fp32_ops("bfloat16")]
    names = [name for one in listed for name in one]
    assert len(names) == len(set(names))
    assert "SoftmaxOutput" in listed[3]
    assert amp.list_conditional_fp32_ops()[0] == ("Activation", "act_type", ["softrelu"])
