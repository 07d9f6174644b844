"""Convolution and deconvolution against torch in float64, forward and backward, in every odd shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from symbind.runtime.onednn.convolution import Convolution, Deconvolution
from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.engine import supports_bfloat16
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.primitive import Binary, Eltwise, Sum

from .harness import Run, any_like, assert_close, differentiate


@dataclass(frozen=True)
class Case:
    """Sizes of a convolution; tuples are per spatial axis, padding is (before, after) of each."""

    src: tuple[int, ...]
    outputs: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    groups: int = 1

    @property
    def axes(self) -> int:
        return len(self.kernel)

    @property
    def geometry(self) -> Convolution:
        padding = self.padding or ((0, 0),) * self.axes
        return Convolution(
            self.stride or (1,) * self.axes,
            self.dilation or (1,) * self.axes,
            tuple(before for before, _ in padding),
            tuple(after for _, after in padding),
            self.groups,
        )

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        torch.manual_seed(7)
        weights = torch.randn(self.outputs, self.src[1] // self.groups, *self.kernel)
        return torch.randn(self.src), weights, torch.randn(self.outputs)

    def reference(self, src: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        geometry = self.geometry
        both = zip(reversed(geometry.padding), reversed(geometry.padding_after))
        padded = F.pad(src, [size for pair in both for size in pair])
        convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[self.axes]
        return convolve(padded, weights, bias, stride=geometry.stride, dilation=geometry.dilation, groups=self.groups)


CASES = {
    "usual": Case((2, 32, 14, 14), 48, (3, 3), padding=((1, 1), (1, 1))),
    "first layer": Case((2, 3, 30, 30), 16, (7, 7), (2, 2), padding=((3, 3), (3, 3))),
    "pointwise": Case((2, 64, 7, 7), 32, (1, 1)),
    "strided pointwise": Case((2, 32, 14, 14), 64, (1, 1), (2, 2)),
    "batch 1, channels 3 and 5": Case((1, 3, 9, 8), 5, (3, 2)),
    "channels 5 to 3": Case((3, 5, 7, 7), 3, (3, 3), padding=((1, 1), (1, 1))),
    "stride over kernel": Case((2, 16, 17, 17), 16, (2, 2), (4, 3)),
    "dilation": Case((2, 16, 15, 15), 16, (3, 3), dilation=(2, 3), padding=((2, 2), (3, 3))),
    "groups": Case((2, 32, 10, 10), 64, (3, 3), groups=2, padding=((1, 1), (1, 1))),
    "groups of odd size": Case((2, 6, 8, 8), 9, (3, 3), groups=3),
    "depthwise": Case((2, 32, 12, 12), 32, (3, 3), groups=32, padding=((1, 1), (1, 1))),
    "depthwise, 5 channels": Case((1, 5, 9, 9), 5, (3, 3), (2, 2), groups=5, padding=((1, 1), (1, 1))),
    "depthwise, 2 each": Case((2, 16, 9, 9), 32, (3, 3), groups=16),
    "asymmetric padding": Case((2, 16, 11, 11), 16, (4, 4), padding=((1, 2), (2, 1))),
    "1d": Case((2, 16, 25), 32, (5,), (2,), padding=((2, 2),)),
    "1d, channels 3": Case((1, 3, 20), 5, (3,), dilation=(2,)),
    "3d": Case((1, 16, 6, 7, 8), 16, (3, 3, 3), padding=((1, 1),) * 3),
    "3d, channels 3": Case((2, 3, 6, 6, 6), 5, (2, 3, 2), (2, 1, 1)),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cases
@pytest.mark.parametrize("plain", [False, True], ids=["any", "plain"])
def test_convolution_matches_torch(case: Case, plain: bool) -> None:
    src, weights, bias = case.tensors()
    geometry = case.geometry
    diff_dst = torch.randn(case.reference(src, weights, bias).shape)
    dst, (diff_src, diff_weights, diff_bias) = differentiate(case.reference, (src, weights, bias), diff_dst)

    describe = MemoryDesc.of if plain else any_like
    src_desc, dst_desc = describe(src), describe(diff_dst)
    weights_desc, bias_desc = geometry.weights(describe(weights)), MemoryDesc.of(bias)
    forward = geometry.forward(src_desc, weights_desc, bias_desc, dst_desc, training=True)
    run = Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.BIAS: bias})
    assert_close(run[Arg.DST], dst)

    by_data = geometry.backward_data(forward, src_desc, weights_desc, dst_desc)
    run = Run(by_data, {Arg.WEIGHTS: weights, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_SRC], diff_src)

    by_weights = geometry.backward_weights(forward, src_desc, weights_desc, bias_desc, dst_desc)
    run = Run(by_weights, {Arg.SRC: src, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_WEIGHTS], diff_weights)
    assert_close(run[Arg.DIFF_BIAS], diff_bias)

    for primitive in (forward, by_data, by_weights):
        assert not primitive.is_reference, primitive


@pytest.mark.parametrize("name", ["usual", "first layer", "pointwise", "groups", "depthwise"])
def test_bfloat16_accumulates_in_float32(name: str) -> None:
    if not supports_bfloat16():
        pytest.skip("this CPU has no bfloat16 instructions")
    case = CASES[name]
    src, weights, bias = (tensor.bfloat16().float() for tensor in case.tensors())
    geometry = case.geometry
    diff_dst = torch.randn(case.reference(src, weights, bias).shape).bfloat16().float()
    dst, (diff_src, diff_weights, diff_bias) = differentiate(case.reference, (src, weights, bias), diff_dst)

    half = torch.bfloat16
    src_desc, dst_desc = any_like(src, half), any_like(diff_dst, half)
    weights_desc = geometry.weights(any_like(weights, half))
    bias_desc = MemoryDesc.of(bias)
    forward = geometry.forward(src_desc, weights_desc, bias_desc, dst_desc, training=True)
    by_data = geometry.backward_data(forward, src_desc, weights_desc, dst_desc)
    # Gradients of parameters leave in float32, where the master weights are.
    exact_weights = geometry.weights(any_like(weights))
    by_weights = geometry.backward_weights(forward, src_desc, exact_weights, bias_desc, dst_desc)

    rounding = 2**-8
    assert_close(Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.BIAS: bias})[Arg.DST], dst, rounding)
    run = Run(by_data, {Arg.WEIGHTS: weights, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_SRC], diff_src, rounding)
    run = Run(by_weights, {Arg.SRC: src, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_WEIGHTS], diff_weights, 1e-5)
    assert_close(run[Arg.DIFF_BIAS], diff_bias, 1e-5)
    for primitive in (forward, by_data, by_weights):
        assert not primitive.is_reference, primitive


@pytest.mark.parametrize("name", ["usual", "pointwise", "depthwise", "channels 5 to 3"])
def test_post_ops_run_in_order(name: str) -> None:
    case = CASES[name]
    src, weights, bias = case.tensors()
    geometry = case.geometry
    plain = case.reference(src.double(), weights.double(), bias.double())
    residual, factor = torch.randn(plain.shape), torch.randn(1, plain.shape[1], 1, 1)
    expected = torch.relu(plain + 0.5 * residual) * factor
    post_ops = (Sum(0.5), Eltwise(Algorithm.RELU), Binary(Algorithm.MUL, MemoryDesc.of(factor)))

    forward = geometry.forward(
        any_like(src),
        geometry.weights(any_like(weights)),
        MemoryDesc.of(bias),
        any_like(residual),
        training=False,
        post_ops=post_ops,
    )
    operand = Arg.post_op(2)
    assert {Arg.DST, operand} <= set(forward.inputs)
    given = {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.BIAS: bias, Arg.DST: residual, operand: factor}
    assert_close(Run(forward, given)[Arg.DST], expected)
    assert not forward.is_reference, forward


def test_padding_of_blocks_is_zero() -> None:
    """Whoever works on the flat memory, such as an optimizer, relies on it."""
    case = CASES["channels 5 to 3"]
    src, weights, bias = case.tensors()
    dst = case.reference(src, weights, bias)
    forward = case.geometry.forward(any_like(src), any_like(weights), MemoryDesc.of(bias), any_like(dst), training=True)
    run = Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights, Arg.BIAS: bias})
    desc = forward.descs[Arg.DST]
    padded = math.prod(desc.padded_shape) - math.prod(desc.shape)
    if not padded:
        pytest.skip(f"{desc} has no padding on this CPU")
    zeros = (run.memory[Arg.DST].view(torch.float32) == 0).sum()
    assert zeros == padded  # random results are never exactly zero

    by_weights = case.geometry.backward_weights(
        forward, any_like(src), any_like(weights), MemoryDesc.of(bias), forward.descs[Arg.DST]
    )
    run = Run(by_weights, {Arg.SRC: src, Arg.DIFF_DST: torch.randn(dst.shape)})
    desc = by_weights.descs[Arg.DIFF_WEIGHTS]
    padded = math.prod(desc.padded_shape) - math.prod(desc.shape)
    assert (run.memory[Arg.DIFF_WEIGHTS].view(torch.float32) == 0).sum() == padded


def test_flops_count_multiplications_and_additions() -> None:
    case = Case((2, 6, 5, 5), 4, (3, 3), groups=2)
    src, weights, bias = case.tensors()
    dst = case.reference(src, weights, bias)
    geometry = case.geometry
    forward = geometry.forward(any_like(src), geometry.weights(any_like(weights)), None, any_like(dst), training=False)
    # 2 images of 4 channels of 3 x 3 positions, each a sum over 3 channels of 3 x 3 products
    assert forward.flops == 2 * (2 * 4 * 9) * (3 * 9)
    assert Arg.BIAS not in forward.descs


DECONVOLUTIONS = {
    "usual": Case((2, 32, 7, 7), 16, (4, 4), (2, 2), padding=((1, 1), (1, 1))),
    "batch 1, channels 3 and 5": Case((1, 3, 6, 5), 5, (3, 2), (2, 1)),
    "output adjusted by 1": Case((2, 16, 5, 5), 16, (3, 3), (2, 2), padding=((1, 0), (1, 0))),
    "output adjusted beyond padding": Case((2, 16, 5, 5), 16, (3, 3), (3, 3), padding=((0, -2), (0, -2))),
    "stride over kernel": Case((2, 16, 5, 5), 16, (2, 2), (3, 3)),
    "dilation": Case((2, 16, 6, 6), 16, (3, 3), dilation=(2, 2)),
    "groups": Case((2, 32, 6, 6), 32, (3, 3), (2, 2), groups=2),
    "groups of odd size": Case((2, 6, 6, 6), 9, (3, 3), groups=3),
    "depthwise": Case((2, 16, 6, 6), 16, (4, 4), (2, 2), groups=16, padding=((1, 1), (1, 1))),
    "1d": Case((2, 16, 9), 16, (3,), (2,)),
    "3d": Case((1, 16, 4, 4, 4), 16, (3, 3, 3), (2, 2, 2), padding=((1, 1),) * 3),
}


@pytest.mark.parametrize("case", DECONVOLUTIONS.values(), ids=DECONVOLUTIONS.keys())
def test_deconvolution_matches_torch(case: Case) -> None:
    torch.manual_seed(7)
    geometry = Deconvolution(**vars(case.geometry))
    src = torch.randn(case.src)
    weights = torch.randn(case.src[1], case.outputs // case.groups, *case.kernel)
    bias = torch.randn(case.outputs)
    adjust = tuple(before - after for before, after in case.padding) or (0,) * case.axes

    def reference(src, weights, bias):
        deconvolve = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[case.axes]
        return deconvolve(
            src,
            weights,
            bias,
            stride=geometry.stride,
            padding=geometry.padding,
            output_padding=adjust,
            groups=case.groups,
            dilation=geometry.dilation,
        )

    diff_dst = torch.randn(reference(src, weights, bias).shape)
    dst, (diff_src, diff_weights, diff_bias) = differentiate(reference, (src, weights, bias), diff_dst)

    src_desc, dst_desc, bias_desc = any_like(src), any_like(diff_dst), MemoryDesc.of(bias)
    weights_desc = geometry.weights(any_like(weights))

    def in_library_order(tensor):
        """The same weights as the library's logical shape ([G,] O/G, C/G, ...)."""
        if case.groups > 1:
            tensor = tensor.unflatten(0, (case.groups, -1))
        return tensor.transpose(-case.axes - 2, -case.axes - 1)

    forward = geometry.forward(src_desc, weights_desc, bias_desc, dst_desc, training=True)
    by_data = geometry.backward_data(forward, src_desc, weights_desc, dst_desc)
    by_weights = geometry.backward_weights(forward, src_desc, weights_desc, bias_desc, dst_desc)
    view = in_library_order(weights)
    assert_close(Run(forward, {Arg.SRC: src, Arg.WEIGHTS: view, Arg.BIAS: bias})[Arg.DST], dst)
    assert_close(Run(by_data, {Arg.WEIGHTS: view, Arg.DIFF_DST: diff_dst})[Arg.DIFF_SRC], diff_src)
    run = Run(by_weights, {Arg.SRC: src, Arg.DIFF_DST: diff_dst})
    assert_close(run[Arg.DIFF_WEIGHTS], in_library_order(diff_weights))
    assert_close(run[Arg.DIFF_BIAS], diff_bias)
    assert geometry.weights(MemoryDesc.of(weights)) == MemoryDesc.of(view)
    for primitive in (forward, by_data, by_weights):
        assert not primitive.is_reference, primitive
