"""The networks of the benchmarks, written once for symbind and MXNet (``mx`` is either)."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["WORKLOADS", "Workload"]


class Workload(NamedTuple):
    """A network with the shapes of its batch and what the label counts."""

    symbol: Any
    data: tuple[int, ...]
    label: tuple[int, ...]
    classes: int
    momentum: float = 0.9
    integer_data: int = 0
    """Data are whole numbers below this, instead of normal values."""


def mlp(mx: Any, batch: int = 128) -> Workload:
    """784-128-64-10 with ReLU."""
    net = mx.sym.Variable("data")
    for i, width in enumerate((128, 64)):
        net = mx.sym.FullyConnected(net, num_hidden=width, name=f"fc{i + 1}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i + 1}")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc3")
    return Workload(mx.sym.SoftmaxOutput(net, name="softmax"), (batch, 784), (batch,), 10)


def lenet(mx: Any, batch: int = 64) -> Workload:
    """Two 5x5 convolutions with tanh and max pooling, two dense layers."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50)):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i + 1}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{i + 1}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i + 1}")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=500, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    return Workload(mx.sym.SoftmaxOutput(net, name="softmax"), (batch, 1, 28, 28), (batch,), 10)


def resnet50(mx: Any, batch: int = 8) -> Workload:
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
    return Workload(mx.sym.SoftmaxOutput(net, name="softmax"), (batch, 3, 224, 224), (batch,), 1000)


WORKLOADS = {"mlp": mlp, "lenet": lenet, "resnet50": resnet50}
