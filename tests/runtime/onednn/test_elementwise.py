"""Functions of one and two arrays, weighted sums and PReLU against torch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.elementwise import Elementwise, PReLU, binary, weighted_sum
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.primitive import Eltwise

from .harness import Run, assert_close, blocked, differentiate

FUNCTIONS = {
    Elementwise(Algorithm.RELU): torch.relu,
    Elementwise(Algorithm.RELU, 0.2): lambda x: F.leaky_relu(x, 0.2),
    Elementwise(Algorithm.TANH): torch.tanh,
    Elementwise(Algorithm.ELU, 1.5): lambda x: F.elu(x, 1.5),
    Elementwise(Algorithm.SQUARE): torch.square,
    Elementwise(Algorithm.ABS): torch.abs,
    Elementwise(Algorithm.LINEAR, 2.0, -0.5): lambda x: 2 * x - 0.5,
    Elementwise(Algorithm.SOFT_RELU, 1.0): F.softplus,
    Elementwise(Algorithm.HARD_SIGMOID, 0.2, 0.5): lambda x: (0.2 * x + 0.5).clamp(0, 1),
    Elementwise(Algorithm.LOGISTIC): torch.sigmoid,
    Elementwise(Algorithm.EXP): torch.exp,
    Elementwise(Algorithm.GELU_TANH): lambda x: F.gelu(x, approximate="tanh"),
    Elementwise(Algorithm.GELU_ERF): F.gelu,
    Elementwise(Algorithm.SWISH, 1.0): F.silu,
    Elementwise(Algorithm.CLIP_V2, -0.7, 0.9): lambda x: x.clamp(-0.7, 0.9),
    Elementwise(Algorithm.MISH): F.mish,
    Elementwise(Algorithm.HARD_SWISH, 1 / 6, 0.5): F.hardswish,
    Elementwise(Algorithm.RELU_FROM_DST): torch.relu,
    Elementwise(Algorithm.TANH_FROM_DST): torch.tanh,
    Elementwise(Algorithm.ELU_FROM_DST, 1.5): lambda x: F.elu(x, 1.5),
    Elementwise(Algorithm.LOGISTIC_FROM_DST): torch.sigmoid,
    Elementwise(Algorithm.EXP_FROM_DST): torch.exp,
}
OF_POSITIVE = {
    Elementwise(Algorithm.SQRT): torch.sqrt,
    Elementwise(Algorithm.SQRT_FROM_DST): torch.sqrt,
    Elementwise(Algorithm.LOG): torch.log,
    Elementwise(Algorithm.POW, 2.0, 1.5): lambda x: 2 * x**1.5,
}


@pytest.mark.parametrize(
    "function, reference",
    [*FUNCTIONS.items(), *OF_POSITIVE.items()],
    ids=lambda value: f"{value.algorithm.name}-{value.alpha:g}" if isinstance(value, Eltwise) else "",
)
def test_function_and_gradient(function: Elementwise, reference) -> None:
    torch.manual_seed(19)
    src, diff_dst = torch.randn(3, 5, 7), torch.randn(3, 5, 7)
    if function in OF_POSITIVE:
        src = src.abs() + 0.1
    dst, (diff_src,) = differentiate(reference, (src,), diff_dst)
    desc = MemoryDesc.of(src)
    forward = function.forward(desc, desc, training=True)
    backward = function.backward(forward, desc, desc, desc)
    run = Run(forward, {Arg.SRC: src})
    assert_close(run[Arg.DST], dst, 1e-4)
    data = {Arg.DST: run[Arg.DST]} if function.from_result else {Arg.SRC: src}
    assert_close(Run(backward, {Arg.DIFF_DST: diff_dst, **data})[Arg.DIFF_SRC], diff_src, 1e-4)
    shared = Run(backward, {Arg.DIFF_DST: diff_dst, **data}, in_place={Arg.DIFF_SRC: Arg.DIFF_DST})
    assert_close(shared[Arg.DIFF_SRC], diff_src, 1e-4)
    assert not forward.is_reference and not backward.is_reference


BINARY = {
    Algorithm.ADD: torch.add,
    Algorithm.SUB: torch.sub,
    Algorithm.MUL: torch.mul,
    Algorithm.DIV: torch.div,
    Algorithm.MAX: torch.maximum,
    Algorithm.MIN: torch.minimum,
    Algorithm.GREATER: torch.gt,
    Algorithm.GREATER_EQUAL: torch.ge,
    Algorithm.LESS: torch.lt,
    Algorithm.LESS_EQUAL: torch.le,
    Algorithm.EQUAL: torch.eq,
    Algorithm.NOT_EQUAL: torch.ne,
}


@pytest.mark.parametrize("algorithm", BINARY, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("other", [(2, 5, 4, 3), (1, 5, 1, 1), (2, 1, 4, 3), (1, 1, 1, 1), (1, 1, 1, 3)], ids=str)
def test_binary_broadcasts_the_second(algorithm: Algorithm, other) -> None:
    torch.manual_seed(19)
    left, right = torch.randn(2, 5, 4, 3), torch.randn(other)
    if left.shape == right.shape:
        right[0] = left[0]  # something must be equal
    primitive = binary(algorithm, MemoryDesc.of(left), MemoryDesc.of(right), MemoryDesc.of(left))
    expected = BINARY[algorithm](left.double(), right.double()).double()
    given = {Arg.SRC: left, Arg.SRC_1: right}
    assert_close(Run(primitive, given)[Arg.DST], expected)
    assert_close(Run(primitive, given, in_place={Arg.DST: Arg.SRC})[Arg.DST], expected)


def test_add_and_relu_in_one_pass_over_blocks() -> None:
    left, right = torch.randn(2, 2, 5, 4, 4)
    desc = blocked(left.shape)
    primitive = binary(Algorithm.ADD, desc, desc, desc, post_ops=(Eltwise(Algorithm.RELU),))
    assert_close(Run(primitive, {Arg.SRC: left, Arg.SRC_1: right})[Arg.DST], torch.relu(left + right))
    assert not primitive.is_reference


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("blocks", [False, True], ids=["plain", "blocked"])
def test_weighted_sum(count: int, blocks: bool) -> None:
    torch.manual_seed(19)
    tensors = [torch.randn(2, 5, 4, 4) for _ in range(count)]
    scales = [1.0 - 0.5 * i for i in range(count)]
    desc = blocked(tensors[0].shape) if blocks else MemoryDesc.of(tensors[0])
    primitive = weighted_sum([desc] * count, scales, desc)
    given = {Arg.source(i): tensor for i, tensor in enumerate(tensors)}
    expected = sum(scale * tensor.double() for scale, tensor in zip(scales, tensors))
    assert_close(Run(primitive, given)[Arg.DST], expected)
    assert_close(Run(primitive, given, in_place={Arg.DST: Arg.source(0)})[Arg.DST], expected)


@pytest.mark.parametrize("slopes", [(1, 5, 1, 1), (1, 1, 1, 1), (2, 5, 4, 3)], ids=str)
def test_prelu(slopes) -> None:
    torch.manual_seed(19)
    src, diff_dst, weights = torch.randn(2, 5, 4, 3), torch.randn(2, 5, 4, 3), torch.randn(slopes)

    def reference(src, weights):
        return torch.where(src > 0, src, src * weights)

    dst, (diff_src, diff_weights) = differentiate(reference, (src, weights), diff_dst)
    desc, weights_desc = MemoryDesc.of(src), MemoryDesc.of(weights)
    forward = PReLU().forward(desc, weights_desc, desc, training=True)
    backward = PReLU().backward(forward, desc, weights_desc, desc, weights_desc, desc)
    assert_close(Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights})[Arg.DST], dst)
    run = Run(backward, {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_SRC], diff_src)
    assert_close(run[Arg.DIFF_WEIGHTS], diff_weights)
