"""Batch, layer and local response normalization against their formulas in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from symbind.runtime.onednn.declarations import Algorithm, Arg, NormalizationFlag
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.normalization import (
    BatchNormalization,
    LayerNormalization,
    LocalResponseNormalization,
)

from .harness import Run, assert_close, blocked, differentiate

SCALE, SHIFT = NormalizationFlag.SCALE, NormalizationFlag.SHIFT
RELU, GLOBAL = NormalizationFlag.RELU, NormalizationFlag.GLOBAL_STATISTICS
EPSILON = 1e-3


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(13)


def per_channel(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.reshape(1, -1, *(1,) * (like.dim() - 2))


@pytest.mark.parametrize("shape", [(4, 32, 6, 5), (1, 3, 7, 7), (2, 5, 4), (3, 16, 2, 3, 4), (8, 12)], ids=str)
@pytest.mark.parametrize("flags", [SCALE | SHIFT, SHIFT, NormalizationFlag.NONE, SCALE | SHIFT | RELU])
@pytest.mark.parametrize("blocks", [False, True], ids=["plain", "blocked"])
def test_batch_normalization_in_training(shape, flags: NormalizationFlag, blocks: bool) -> None:
    src, diff_dst = torch.randn(shape) * 2 + 1, torch.randn(shape)
    channels = shape[1]
    scale = torch.randn(channels) if SCALE in flags else torch.ones(channels)
    shift = torch.randn(channels) if SHIFT in flags else torch.zeros(channels)
    axes = [axis for axis in range(len(shape)) if axis != 1]

    def reference(src, scale, shift):
        mean, variance = src.mean(axes, keepdim=True), src.var(axes, keepdim=True, correction=0)
        result = (src - mean) / torch.sqrt(variance + EPSILON) * per_channel(scale, src) + per_channel(shift, src)
        return torch.relu(result) if RELU in flags else result

    dst, (diff_src, diff_scale, diff_shift) = differentiate(reference, (src, scale, shift), diff_dst)

    desc = blocked(shape) if blocks else MemoryDesc.of(src)
    layer = BatchNormalization(EPSILON, flags)
    forward = layer.forward(desc, desc, training=True)
    backward = layer.backward(forward, desc, desc, desc)
    given = {Arg.SRC: src}
    if SCALE in flags:
        given[Arg.SCALE] = scale
    if SHIFT in flags:
        given[Arg.SHIFT] = shift
    run = Run(forward, given)
    assert_close(run[Arg.DST], dst)
    assert_close(run[Arg.MEAN], src.double().mean(axes))
    assert_close(run[Arg.VARIANCE], src.double().var(axes, correction=0))  # MXNet's, not torch's

    saved = {Arg.SRC: src, Arg.MEAN: run[Arg.MEAN], Arg.VARIANCE: run[Arg.VARIANCE], Arg.DIFF_DST: diff_dst}
    if SCALE in flags:
        saved[Arg.SCALE] = scale
    if RELU in flags:
        saved[Arg.WORKSPACE] = run.memory[Arg.WORKSPACE]
        assert run.memory[Arg.WORKSPACE].numel() <= src.numel() * 2
    run = Run(backward, saved)
    assert_close(run[Arg.DIFF_SRC], diff_src)
    if SCALE in flags:
        assert_close(run[Arg.DIFF_SCALE], diff_scale)
    if SHIFT in flags:
        assert_close(run[Arg.DIFF_SHIFT], diff_shift)
    assert (Arg.DST, Arg.SRC) in forward.in_place
    assert (Arg.DIFF_SRC, Arg.DIFF_DST) in backward.in_place


@pytest.mark.parametrize("shape", [(4, 32, 6, 5), (1, 3, 7, 7)], ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_batch_normalization_with_global_statistics(shape, training: bool) -> None:
    src, diff_dst = torch.randn(shape), torch.randn(shape)
    scale, shift, mean = torch.randn(3, shape[1])
    variance = torch.rand(shape[1]) + 0.5

    def reference(src, scale, shift):
        return F.batch_norm(src, mean.double(), variance.double(), scale, shift, False, 0.0, EPSILON)

    dst, (diff_src, diff_scale, diff_shift) = differentiate(reference, (src, scale, shift), diff_dst)
    desc = MemoryDesc.of(src)
    layer = BatchNormalization(EPSILON, SCALE | SHIFT | GLOBAL)
    forward = layer.forward(desc, desc, training=training)
    given = {Arg.SRC: src, Arg.SCALE: scale, Arg.SHIFT: shift, Arg.MEAN: mean, Arg.VARIANCE: variance}
    assert_close(Run(forward, given)[Arg.DST], dst)
    if training:
        backward = layer.backward(forward, desc, desc, desc)
        del given[Arg.SHIFT]
        run = Run(backward, {**given, Arg.DIFF_DST: diff_dst})
        assert_close(run[Arg.DIFF_SRC], diff_src)
        assert_close(run[Arg.DIFF_SCALE], diff_scale)
        assert_close(run[Arg.DIFF_SHIFT], diff_shift)


def test_batch_normalization_in_place() -> None:
    src = torch.randn(2, 16, 5, 5)
    desc = blocked(src.shape)
    forward = BatchNormalization(EPSILON, NormalizationFlag.NONE).forward(desc, desc, training=True)
    separate = Run(forward, {Arg.SRC: src})
    shared = Run(forward, {Arg.SRC: src}, in_place={Arg.DST: Arg.SRC})
    assert torch.equal(shared[Arg.DST], separate[Arg.DST])


@pytest.mark.parametrize("shape", [(6, 32), (2, 5, 7), (3, 2, 4, 16)], ids=str)
def test_layer_normalization(shape) -> None:
    src, diff_dst = torch.randn(shape), torch.randn(shape)
    scale, shift = torch.randn(2, shape[-1])

    def reference(src, scale, shift):
        return F.layer_norm(src, shape[-1:], scale, shift, EPSILON)

    dst, (diff_src, diff_scale, diff_shift) = differentiate(reference, (src, scale, shift), diff_dst)
    desc = MemoryDesc.of(src)
    layer = LayerNormalization(EPSILON)
    forward = layer.forward(desc, desc, training=True)
    backward = layer.backward(forward, desc, desc, desc)
    run = Run(forward, {Arg.SRC: src, Arg.SCALE: scale, Arg.SHIFT: shift})
    assert_close(run[Arg.DST], dst)
    assert_close(run[Arg.MEAN], src.double().mean(-1))
    assert_close(run[Arg.VARIANCE], src.double().var(-1, correction=0))
    saved = {Arg.MEAN: run[Arg.MEAN], Arg.VARIANCE: run[Arg.VARIANCE]}
    run = Run(backward, {Arg.SRC: src, Arg.SCALE: scale, Arg.DIFF_DST: diff_dst, **saved})
    assert_close(run[Arg.DIFF_SRC], diff_src)
    assert_close(run[Arg.DIFF_SCALE], diff_scale)
    assert_close(run[Arg.DIFF_SHIFT], diff_shift)


@pytest.mark.parametrize("shape", [(2, 16, 5, 6), (1, 5, 4, 4)], ids=str)
@pytest.mark.parametrize("within", [False, True], ids=["across", "within"])
def test_local_response_normalization(shape, within: bool) -> None:
    size, alpha, beta, k = 5, 0.3, 0.75, 2.0
    src, diff_dst = torch.randn(shape), torch.randn(shape)

    def reference(src):
        if within:
            squares = F.avg_pool2d(src * src, size, 1, size // 2, divisor_override=1) / size**2
        else:
            padded = F.pad(src * src, (0, 0, 0, 0, size // 2, size // 2))
            squares = padded.unfold(1, size, 1).sum(-1) / size
        return src / (k + alpha * squares) ** beta

    dst, (diff_src,) = differentiate(reference, (src,), diff_dst)
    algorithm = Algorithm.LRN_WITHIN_CHANNEL if within else Algorithm.LRN_ACROSS_CHANNELS
    layer = LocalResponseNormalization(size, alpha, beta, k, algorithm)
    desc = MemoryDesc.of(src)
    forward = layer.forward(desc, desc, training=True)
    backward = layer.backward(forward, desc, desc, desc)
    run = Run(forward, {Arg.SRC: src})
    assert_close(run[Arg.DST], dst)
    saved = {Arg.WORKSPACE: run.memory[Arg.WORKSPACE]} if Arg.WORKSPACE in backward.descs else {}
    assert_close(Run(backward, {Arg.SRC: src, Arg.DIFF_DST: diff_dst, **saved})[Arg.DIFF_SRC], diff_src)
