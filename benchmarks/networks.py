"""The networks of the benchmarks, written once for symbind and MXNet (``mx`` is either)."""

from __future__ import annotations

from typing import Any

__all__ = ["NETWORKS"]


def mlp(mx: Any) -> Any:
    """784-128-64-10 with ReLU."""
    net = mx.sym.Variable("data")
    for i, width in enumerate((128, 64)):
        net = mx.sym.FullyConnected(net, num_hidden=width, name=f"fc{i + 1}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i + 1}")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc3")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def lenet(mx: Any) -> Any:
    """Two 5x5 convolutions with tanh and max pooling, two dense layers."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i + 1}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{i + 1}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i + 1}")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=500, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def resnet50(mx: Any) -> Any:
    """ResNet-50 (He et al. 2015, stride in the 3x3 convolution) at 224x224."""

    def conv_bn(net: Any, filters: int, kernel: int, stride: int, name: str, relu: bool = True) -> Any:
        pad = kernel // 2
        net = mx.sym.Convolution(
            net,
            num_filter=filters,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(pad, pad),
            no_bias=True,
            name=f"{name}_conv",
        )
        net = mx.sym.BatchNorm(net, fix_gamma=False, eps=1e-5, name=f"{name}_bn")
        return mx.sym.Activation(net, act_type="relu", name=f"{name}_relu") if relu else net

    net = conv_bn(mx.sym.Variable("data"), 64, 7, 2, "stem")
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max", name="pool0")
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512))):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            name = f"stage{stage + 1}_block{block + 1}"
            body = conv_bn(net, width, 1, 1, f"{name}_a")
            body = conv_bn(body, width, 3, stride, f"{name}_b")
            body = conv_bn(body, width * 4, 1, 1, f"{name}_c", relu=False)
            shortcut = conv_bn(net, width * 4, 1, stride, f"{name}_sc", relu=False) if block == 0 else net
            net = mx.sym.Activation(body + shortcut, act_type="relu", name=f"{name}_out")
    net = mx.sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool1")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=1000, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def lstm_cell(mx: Any, x: Any, state: tuple[Any, Any], weights: dict[str, Any], hidden: int, name: str) -> tuple:
    """One step of an LSTM layer, node by node as MXNet's ``rnn.LSTMCell`` makes it; returns ``h`` and ``(h, c)``."""
    h, c = state
    i2h = mx.sym.FullyConnected(x, weights["i2h_weight"], weights["i2h_bias"], num_hidden=4 * hidden, name=f"{name}i2h")
    h2h = mx.sym.FullyConnected(h, weights["h2h_weight"], weights["h2h_bias"], num_hidden=4 * hidden, name=f"{name}h2h")
    gates = mx.sym.SliceChannel(i2h + h2h, num_outputs=4, name=f"{name}slice")
    in_gate = mx.sym.Activation(gates[0], act_type="sigmoid", name=f"{name}i")
    forget_gate = mx.sym.Activation(gates[1], act_type="sigmoid", name=f"{name}f")
    in_transform = mx.sym.Activation(gates[2], act_type="tanh", name=f"{name}c")
    out_gate = mx.sym.Activation(gates[3], act_type="sigmoid", name=f"{name}o")
    next_c = forget_gate * c + in_gate * in_transform
    next_h = out_gate * mx.sym.Activation(next_c, act_type="tanh")
    return next_h, (next_h, next_c)


def char_lstm(mx: Any) -> Any:
    """The unrolled character RNN: two layers of 256 LSTM cells over 64 characters out of 96."""
    length, characters, hidden, layers = 64, 96, 256, 2
    net = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=characters, output_dim=hidden, name="embed")
    steps = list(mx.sym.SliceChannel(net, num_outputs=length, axis=1, squeeze_axis=True, name="steps"))
    for layer in range(layers):
        names = [f"{path}_{part}" for path in ("i2h", "h2h") for part in ("weight", "bias")]
        weights = {name: mx.sym.Variable(f"lstm{layer}_{name}") for name in names}
        state = (mx.sym.zeros((0, hidden)), mx.sym.zeros((0, hidden)))  # as many rows as the batch has
        for t in range(length):
            steps[t], state = lstm_cell(mx, steps[t], state, weights, hidden, f"lstm{layer}_t{t}_")
    net = mx.sym.Concat(*[mx.sym.expand_dims(h, axis=1) for h in steps], dim=1, name="hidden")
    net = mx.sym.FullyConnected(mx.sym.Reshape(net, shape=(-1, hidden)), num_hidden=characters, name="decoder")
    label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
    return mx.sym.SoftmaxOutput(net, label, name="softmax")


NETWORKS = {"mlp": mlp, "lenet": lenet, "char_lstm": char_lstm, "resnet50": resnet50}
