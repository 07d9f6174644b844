"""Networks in the user's words, each built the same way by MXNet and by this package.

A builder takes the system as ``mx`` and returns a Symbol. ``@network`` gives the shapes (and types) that are known
when it is inferred; with ``runs=False`` it is described but not bound. Inputs in ``fixed`` get no gradient, those in
``values`` are given numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["NETWORKS", "Network", "filling", "network"]


@dataclass(frozen=True)
class Network:
    """A builder and what is known about its inputs."""

    build: Callable[[Any], Any]
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, str]
    runs: bool
    fixed: tuple[str, ...]
    #: Inputs for which numbers made from the name will not do.
    values: dict[str, Any]

    def fill(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """What the argument or state ``name`` holds when the network is run."""
        return np.array(self.values[name], "float32") if name in self.values else filling(name, shape)


NETWORKS: dict[str, Network] = {}


def network(
    runs: bool = True,
    types: dict[str, str] | None = None,
    fixed: tuple[str, ...] = (),
    values: dict[str, Any] | None = None,
    table: dict[str, Network] = NETWORKS,
    **shapes: tuple[int, ...],
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register the builder below under its name, in ``table``."""

    def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        table[build.__name__] = Network(build, shapes, types or {}, runs, fixed, values or {})
        return build

    return register


def filling(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers for the argument or state ``name``: classes for labels and indices, positive for variances."""
    random = np.random.RandomState(sum(map(ord, name)))
    if any(word in name for word in ("label", "user", "item", "index")):
        return random.randint(0, 3, size=shape).astype("float32")
    low, high = (0.5, 1.5) if name.endswith(("gamma", "var")) else (-1, 1)
    return random.uniform(low, high, size=shape).round(3).astype("float32")


# Dense networks


@network(data=(4, 6))
def mlp(mx: Any) -> Any:
    data = mx.symbol.Variable("data")
    fc1 = mx.symbol.FullyConnected(data, name="fc1", num_hidden=8)
    act1 = mx.symbol.Activation(fc1, name="sigmoid1", act_type="sigmoid")
    fc2 = mx.symbol.FullyConnected(act1, name="fc2", num_hidden=3)
    return mx.symbol.Softmax(fc2, name="sm")


@network(data=(4, 6))
def mlp_automatic_names(mx: Any) -> Any:
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=5)
    net = mx.sym.Activation(net, act_type="tanh")
    net = mx.sym.FullyConnected(data=net, num_hidden=3, no_bias=True)
    return mx.sym.Softmax(net)


@network(data=(2, 1, 12, 12), types={"data": "float64"})
def lenet(mx: Any) -> Any:
    net = mx.sym.Variable("data")
    for filters in (3, 4):
        net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=filters)
        net = mx.sym.Activation(net, act_type="tanh")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2))
    net = mx.sym.Flatten(net)
    net = mx.sym.FullyConnected(net, num_hidden=5)
    net = mx.sym.Activation(net, act_type="tanh")
    net = mx.sym.Dropout(net, p=0)
    net = mx.sym.FullyConnected(net, num_hidden=3)
    return mx.sym.SoftmaxOutput(net, name="softmax")


@network(data=(3, 5))
def shared_weights(mx: Any) -> Any:
    data, weight = mx.sym.Variable("data"), mx.sym.Variable("weight")
    first = mx.sym.FullyConnected(data, weight=weight, num_hidden=5, no_bias=True, name="first")
    bias = mx.sym.Variable("bias")
    second = mx.sym.FullyConnected(mx.sym.relu(first), weight=weight, bias=bias, num_hidden=5, name="second")
    return mx.sym.LinearRegressionOutput(second + first, name="out")


# A loss leaves the gradient of its label unwritten, so that of data would be whatever lay in memory.
@network(data=(3, 4), fixed=("data",))
def autoencoder(mx: Any) -> Any:
    data = mx.sym.var("data")
    code = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=2, name="encoder"), act_type="softrelu")
    decoded = mx.sym.FullyConnected(code, num_hidden=4, name="decoder")
    return mx.sym.LinearRegressionOutput(decoded, data, name="reconstruction")


@network(user=(4,), item=(4,), score=(4,), fixed=("user", "item"))
def matrix_factorization(mx: Any) -> Any:
    user, item, score = mx.symbol.Variable("user"), mx.symbol.Variable("item"), mx.symbol.Variable("score")
    user = mx.symbol.Embedding(data=user, input_dim=5, output_dim=3)
    item = mx.symbol.Embedding(data=item, input_dim=6, output_dim=3)
    predicted = mx.symbol.sum_axis(data=user * item, axis=1)
    predicted = mx.symbol.Flatten(data=predicted)
    return mx.symbol.LinearRegressionOutput(data=predicted, label=score)


@network(data=(3, 4), label=(3, 2))
def custom_loss(mx: Any) -> Any:
    predicted = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    loss = mx.sym.square(predicted - mx.sym.Variable("label"))
    return mx.sym.MakeLoss(loss, name="loss", normalization="batch")


@network(data=(3, 4))
def many_heads(mx: Any) -> Any:
    shared = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4), act_type="relu")
    classes = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(shared, num_hidden=3, name="classes"), name="softmax")
    score = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(shared, num_hidden=1, name="score"), name="lro")
    return mx.sym.Group([classes, score, mx.sym.BlockGrad(shared, name="features")])


# Images


@network(data=(2, 3, 6, 6))
def resnet(mx: Any) -> Any:
    def unit(net: Any, filters: int, stride: tuple[int, int], matches: bool, name: str) -> Any:
        bn1 = mx.sym.BatchNorm(net, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_bn1")
        act1 = mx.sym.Activation(bn1, act_type="relu", name=name + "_relu1")
        conv1 = mx.sym.Convolution(
            act1, num_filter=filters, kernel=(3, 3), stride=stride, pad=(1, 1), no_bias=True, name=name + "_conv1"
        )
        bn2 = mx.sym.BatchNorm(conv1, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_bn2")
        act2 = mx.sym.Activation(bn2, act_type="relu", name=name + "_relu2")
        conv2 = mx.sym.Convolution(
            act2, num_filter=filters, kernel=(3, 3), stride=(1, 1), pad=(1, 1), no_bias=True, name=name + "_conv2"
        )
        shortcut = net
        if not matches:
            shortcut = mx.sym.Convolution(
                act1, num_filter=filters, kernel=(1, 1), stride=stride, no_bias=True, name=name + "_sc"
            )
        return conv2 + shortcut

    data = mx.sym.Variable(name="data")
    net = mx.sym.BatchNorm(data, fix_gamma=True, eps=2e-5, momentum=0.9, name="bn_data")
    net = mx.sym.Convolution(net, num_filter=3, kernel=(3, 3), pad=(1, 1), no_bias=True, name="conv0")
    net = unit(net, 4, (2, 2), False, "stage1_unit1")
    net = unit(net, 4, (1, 1), True, "stage1_unit2")
    net = mx.sym.BatchNorm(net, name="bn1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool1")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=3, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


@network(data=(2, 2, 5, 5))
def inception(mx: Any) -> Any:
    def convolution(net: Any, filters: int, kernel: int, name: str) -> Any:
        half = kernel // 2
        net = mx.sym.Convolution(
            data=net, num_filter=filters, kernel=(kernel, kernel), pad=(half, half), no_bias=True, name=f"conv_{name}"
        )
        return mx.sym.Activation(mx.sym.BatchNorm(net, name=f"bn_{name}"), act_type="relu", name=f"relu_{name}")

    data = mx.sym.var("data")
    branches = [convolution(data, 2, kernel, f"{kernel}x{kernel}") for kernel in (1, 3, 5)]
    pooled = mx.sym.Pooling(data, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="avg")
    net = mx.sym.Concat(*branches, convolution(pooled, 2, 1, "proj"), name="ch_concat")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pooling_convention="full")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3))


@network(data=(1, 3, 12, 12), runs=False)
def proposal_network(mx: Any) -> Any:
    net = mx.sym.Variable("data")
    for layer, filters in enumerate((10, 16, 32), 1):
        net = mx.sym.Convolution(net, num_filter=filters, kernel=(3, 3), name=f"conv{layer}")
        net = mx.sym.LeakyReLU(net, act_type="prelu", name=f"prelu{layer}")
        if layer == 1:
            net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full")
    faces = mx.sym.Convolution(net, num_filter=2, kernel=(1, 1), name="conv4_1")
    boxes = mx.sym.Convolution(net, num_filter=4, kernel=(1, 1), name="conv4_2")
    return mx.sym.Group([boxes, mx.sym.SoftmaxActivation(faces, mode="channel", name="prob1")])


@network(data=(1, 2, 8, 8))
def segmentation(mx: Any) -> Any:
    data = mx.sym.Variable("data")
    small = mx.sym.Convolution(data, kernel=(3, 3), stride=(2, 2), pad=(1, 1), num_filter=3, name="down")
    big = mx.sym.Deconvolution(small, kernel=(4, 4), stride=(2, 2), num_filter=3, name="up", no_bias=True)
    cropped = mx.sym.Crop(big, data, offset=(1, 1), name="score")
    return mx.sym.SoftmaxOutput(cropped, multi_output=True, use_ignore=True, ignore_label=0, name="softmax")


@network(data=(1, 2, 4, 4), runs=False)
def detector_head(mx: Any) -> Any:
    features = mx.sym.Variable("data")
    scores = mx.sym.Convolution(features, kernel=(3, 3), pad=(1, 1), num_filter=6)
    scores = mx.sym.Flatten(mx.sym.transpose(scores, axes=(0, 2, 3, 1)))
    scores = mx.sym.Reshape(scores, shape=(0, -1, 3))
    shifts = mx.sym.Flatten(
        mx.sym.transpose(mx.sym.Convolution(features, kernel=(1, 1), num_filter=8), axes=(0, 2, 3, 1))
    )
    anchors = mx.sym.contrib.MultiBoxPrior(features, sizes=(0.2, 0.4), ratios=(1.0,), name="anchors")
    probabilities = mx.sym.SoftmaxActivation(mx.sym.transpose(scores, axes=(0, 2, 1)), mode="channel")
    return mx.sym.contrib.MultiBoxDetection(probabilities, shifts, anchors, name="detection", nms_threshold=0.5)


# Sequences


@network(data=(3, 2, 4))
def lstm_by_hand(mx: Any) -> Any:
    cells = {
        f"{kind}_{part}": mx.sym.Variable(f"l0_{kind}_{part}") for kind in ("i2h", "h2h") for part in ("weight", "bias")
    }
    hidden, memory = mx.sym.Variable("init_h", shape=(2, 3)), mx.sym.Variable("init_c", shape=(2, 3))
    steps = mx.sym.SliceChannel(mx.sym.var("data"), num_outputs=3, axis=0, squeeze_axis=True, name="steps")
    outputs = []
    for time in range(3):
        i2h = mx.sym.FullyConnected(
            steps[time], weight=cells["i2h_weight"], bias=cells["i2h_bias"], num_hidden=12, name=f"t{time}_i2h"
        )
        h2h = mx.sym.FullyConnected(
            hidden, weight=cells["h2h_weight"], bias=cells["h2h_bias"], num_hidden=12, name=f"t{time}_h2h"
        )
        gates = mx.sym.SliceChannel(i2h + h2h, num_outputs=4, name=f"t{time}_slice")
        entered = mx.sym.Activation(gates[0], act_type="sigmoid") * mx.sym.Activation(gates[1], act_type="tanh")
        memory = mx.sym.Activation(gates[2], act_type="sigmoid") * memory + entered
        hidden = mx.sym.Activation(gates[3], act_type="sigmoid") * mx.sym.tanh(memory)
        outputs.append(hidden)
    joined = mx.sym.Concat(*outputs, dim=0)
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(joined, num_hidden=3, name="cls"), name="sm")


@network(data=(2, 3), softmax_label=(2, 3), fixed=("data", "softmax_label"))
def lstm_cell(mx: Any) -> Any:
    cell = mx.rnn.SequentialRNNCell()
    cell.add(mx.rnn.LSTMCell(num_hidden=2, prefix="lstm_l0_"))
    cell.add(mx.rnn.GRUCell(num_hidden=2, prefix="gru_"))
    embedded = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=5, output_dim=3, name="embed")
    outputs, _ = cell.unroll(3, inputs=embedded, merge_outputs=True)
    net = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 2)), num_hidden=5, name="pred")
    label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
    return mx.sym.SoftmaxOutput(net, label, name="softmax")


@network(data=(2, 3, 4))
def attention(mx: Any) -> Any:
    data = mx.sym.Variable("data")
    normal = mx.sym.LayerNorm(data, name="ln")
    query, key, value = (
        mx.sym.FullyConnected(normal, num_hidden=4, flatten=False, name=name) for name in ("query", "key", "value")
    )
    scores = mx.sym.batch_dot(query, key, transpose_b=True) / 2.0
    mixed = mx.sym.batch_dot(mx.sym.softmax(scores, axis=-1), value)
    return data + mx.sym.LeakyReLU(mixed, act_type="gelu")


# Names, attributes, composition


@network(data=(2, 4))
def prefix(mx: Any) -> Any:
    data = mx.sym.Variable("data")
    with mx.name.Prefix("mynet_"):
        net = mx.sym.FullyConnected(data, num_hidden=10, name="fc1")
        net = mx.sym.Activation(net, act_type="relu")
        with mx.name.Prefix("inner_"):
            net = mx.sym.FullyConnected(net, num_hidden=3)
        net = mx.sym.FullyConnected(net, num_hidden=2)
    return net + data.slice_axis(axis=1, begin=0, end=2)


@network(data=(2, 4))
def attribute_scopes(mx: Any) -> Any:
    with mx.AttrScope(ctx_group="stage1", __mood__="happy"):
        data = mx.sym.Variable("data", attr={"mood": "angry"})
        with mx.AttrScope(lr_mult="0.1", __mood__="calm"):
            fc1 = mx.sym.FullyConnected(data, num_hidden=4, name="fc1", attr={"__color__": "red"})
            act = mx.sym.Activation(fc1, act_type="relu", name="relu1", lr_mult=0.5)
    with mx.AttrScope(ctx_group="stage2", force_mirroring="True"):
        fc2 = mx.sym.FullyConnected(act, num_hidden=3, name="fc2", wd_mult="2")
        return mx.sym.SoftmaxOutput(fc2, name="softmax")


@network(x=(2, 3), w=(3, 3), s=(3,))
def variable_attributes(mx: Any) -> Any:
    x = mx.sym.Variable("x", shape=(2, 0), dtype="float32", __layout__="NC")
    w = mx.sym.Variable("w", lr_mult=0.5, wd_mult=0.25, init=mx.init.Xavier(magnitude=2), dtype=np.float32)
    b = mx.sym.Variable("b", shape=(3,), init="zeros", attr={"note": "bias", "__tag__": "1"})
    s = mx.sym.var("s", stype="default", dtype="float32", init=mx.init.Constant(0.25))
    net = mx.sym.FullyConnected(x, w, b, num_hidden=3, name="fc")
    return mx.sym.broadcast_add(net, mx.sym.Reshape(s, shape=(1, 3), name="row"))


@network(data=(4, 3))
def shared_auxiliary(mx: Any) -> Any:
    mean = mx.sym.Variable("moving_mean")
    first = mx.sym.BatchNorm(mx.sym.var("data"), moving_mean=mean, fix_gamma=False, name="first")
    return mx.sym.BatchNorm(first, moving_mean=mean, fix_gamma=False, name="second")


@network(data=(2, 3))
def composition(mx: Any) -> Any:
    data = mx.sym.Variable("data")
    net1 = mx.sym.FullyConnected(data=data, name="fc1", num_hidden=10)
    net1 = mx.sym.FullyConnected(data=net1, name="fc2", num_hidden=5)
    net2 = mx.sym.FullyConnected(name="fc3", num_hidden=6)
    net2 = mx.sym.Activation(data=net2, act_type="relu")
    net2 = mx.sym.FullyConnected(data=net2, name="fc4", num_hidden=5)
    return net2(fc3_data=net1, name="composed")


@network(a=(2, 3), b=(2, 3))
def positional_composition(mx: Any) -> Any:
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    pair = mx.sym.elemwise_mul(a, b, name="pair")
    return pair(a=mx.sym.exp(b), b=a)


@network(data=(2, 4))
def internals(mx: Any) -> Any:
    net = mlp(mx)
    inside = net.get_internals()
    return mx.sym.Group([inside["sigmoid1_output"], inside["fc2_output"], inside[1]])


@network(a=(2, 3), runs=False)
def one_name_twice(mx: Any) -> Any:
    return mx.sym.Variable("a") + mx.sym.Variable("a")


@network(a=(0, 10), b=(12, 0))
def both_ways(mx: Any) -> Any:
    return mx.sym.Variable("a") + mx.sym.Variable("b")


@network(data=(0, 4), runs=False)
def unknown_batch(mx: Any) -> Any:
    return mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")


@network(out_weight=(3, 4), runs=False)
def unknown_data(mx: Any) -> Any:
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(2, 2), num_filter=4, name="conv")
    return mx.sym.FullyConnected(net, num_hidden=3, name="out")


@network(like=(2, 3))
def inferred_from_the_output(mx: Any) -> Any:
    hidden = mx.sym.Activation(mx.sym.Variable("unknown"), act_type="tanh")
    return hidden + mx.sym.zeros_like(mx.sym.Variable("like")) + mx.sym.zeros(shape=(0, 3))


@network(data=(2, 6))
def outputs_of_a_split(mx: Any) -> Any:
    parts = mx.sym.SliceChannel(mx.sym.Variable("data"), num_outputs=3, name="parts")
    first, second, third = parts
    return mx.sym.Group([first + second, parts[2] * third, mx.sym.Concat(*list(parts), dim=0), parts[1]])


@network(data=(2, 6))
def a_split(mx: Any) -> Any:
    return mx.sym.split(mx.sym.Variable("data"), num_outputs=2, axis=1)


# Arithmetic


@network(a=(2, 3), b=(2, 3))
def arithmetic_of_symbols(mx: Any) -> Any:
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    comparisons = [a == b, a != b, a > b, a >= b, a < b, a <= b]
    mathematics = [mx.sym.maximum(a, b), mx.sym.minimum(a, b), mx.sym.hypot(a, b), mx.sym.pow(abs(a), b)]
    return mx.sym.Group([a + b, a - b, a * b, a / b, a % b, abs(a) ** b, -a, *mathematics, *comparisons])


@network(a=(2, 3))
def arithmetic_with_scalars(mx: Any) -> Any:
    a = mx.sym.Variable("a")
    left = [a + 1, a - 1, a * 2, a / 2, a % 2, a**2, a + 0.5, a - np.float32(0.5), a / 1e-3]
    right = [1 + a, 1 - a, 2 * a, 2 / a, 2 % a, 2**a, 2.5**a]
    compared = [a == 1, a != 1, a > 0.5, a >= 1, a < 1, a <= 1, 1 > a, 1 == a]  # noqa: SIM300
    named = [mx.sym.maximum(a, 0.5), mx.sym.minimum(0.5, a), mx.sym.hypot(a, 2), mx.sym.hypot(2, a)]
    powers = [mx.sym.pow(abs(a), 0.5), mx.sym.pow(2, a), mx.sym.power(a, 3)]
    return mx.sym.Group([*left, *right, *compared, *named, *powers])


@network(a=(2, 3))
def in_place_arithmetic(mx: Any) -> Any:
    net = mx.sym.Variable("a")
    try:
        net += 1
    except mx.base.NotImplementedForSymbol:
        net = net * 2
    return net - 1


@network(a=(2, 3))
def creation(mx: Any) -> Any:
    made = [
        mx.sym.zeros((2, 3)),
        mx.sym.ones((2, 3), dtype="float32"),
        mx.sym.full((2, 3), 2.5),
        mx.sym.Reshape(mx.sym.arange(0, 6), shape=(2, 3)),
        mx.sym.arange(2, 8, 2, repeat=2, name="even").reshape((2, 3)),
        mx.sym.eye(2, 3, k=1),
        mx.sym.linspace(0, 1, 6).reshape((2, 3)),
        mx.sym.zeros(shape=(2, 3), name="nothing"),
    ]
    net = mx.sym.Variable("a")
    for part in made:
        net = net + part
    return mx.sym.Group([net, mx.sym.zeros(3), mx.sym.ones(2, dtype="int32")])


@network(data=(2, 3, 4))
def fluent(mx: Any) -> Any:
    data = mx.sym.Variable("data")
    net = data.reshape((2, 12)).exp().log1p().sum(axis=1, keepdims=True)
    turned = data.transpose((0, 2, 1)).slice_axis(axis=1, begin=1, end=3).expand_dims(axis=0).squeeze()
    chosen = data.mean(axis=(0, 1)).clip(a_min=-0.5, a_max=0.5).tile(reps=(2, 1)).softmax().sqrt()
    return mx.sym.Group([net, turned, chosen, data.flatten().max(axis=1), data.swapaxes(dim1=0, dim2=2).norm()])


@network(data=(2, 3))
def attributes_given_late(mx: Any) -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    net._set_attr(__mood__="late", mirror_stage="True")
    return net


@network(data=(2, 3))
def mixed_precision(mx: Any) -> Any:
    half = mx.sym.Cast(mx.sym.Variable("data"), dtype="float16")
    single = mx.sym.amp_cast(half + half, dtype="float32")
    return mx.sym.FullyConnected(single, num_hidden=2, name="fc")


@network(data=(2, 3))
def gradients_blocked(mx: Any) -> Any:
    data = mx.sym.Variable("data")
    net = mx.sym.BlockGrad(mx.sym.FullyConnected(data, num_hidden=3, name="frozen")) * data
    return mx.sym.make_loss(mx.sym.sum(net * net, axis=1), name="square")
