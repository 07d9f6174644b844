"""Pooling and resampling against torch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.pooling import Pooling, Resampling

from .harness import Run, assert_close, blocked, differentiate

MAX = Algorithm.POOLING_MAX
INCLUDE, EXCLUDE = Algorithm.POOLING_AVERAGE_INCLUDE_PADDING, Algorithm.POOLING_AVERAGE_EXCLUDE_PADDING


@pytest.mark.parametrize("algorithm", [MAX, INCLUDE, EXCLUDE], ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize(
    "shape, kernel, stride, padding",
    [
        ((2, 16, 12, 12), (3, 3), (2, 2), (1, 1)),
        ((1, 3, 9, 8), (2, 3), (1, 2), (0, 1)),
        ((3, 5, 7, 7), (7, 7), (1, 1), (0, 0)),
        ((2, 16, 11, 11), (2, 2), (3, 4), (0, 0)),
        ((2, 5, 20), (3,), (2,), (1,)),
        ((1, 16, 6, 6, 6), (2, 3, 2), (2, 2, 1), (1, 1, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("blocks", [False, True], ids=["plain", "blocked"])
def test_pooling_matches_torch(algorithm, shape, kernel, stride, padding, blocks: bool) -> None:
    torch.manual_seed(17)
    axes = len(kernel)

    def reference(src):
        if algorithm is MAX:
            pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[axes]
            return pool(src, kernel, stride, padding)
        pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[axes]
        return pool(src, kernel, stride, padding, count_include_pad=algorithm is INCLUDE)

    src = torch.randn(shape)
    diff_dst = torch.randn(reference(src).shape)
    dst, (diff_src,) = differentiate(reference, (src,), diff_dst)
    # Windows that do not divide the source leave its end unused: the padding after is what is left, maybe negative.
    after = tuple(
        (out - 1) * step + size - before - length
        for out, step, size, before, length in zip(dst.shape[2:], stride, kernel, padding, shape[2:])
    )
    layer = Pooling(algorithm, kernel, stride, padding, after)
    src_desc = blocked(shape) if blocks else MemoryDesc.of(src)
    dst_desc = MemoryDesc.any(dst.shape, torch.float32)
    forward = layer.forward(src_desc, dst_desc, training=True)
    backward = layer.backward(forward, src_desc, forward.descs[Arg.DST])
    run = Run(forward, {Arg.SRC: src})
    assert_close(run[Arg.DST], dst)
    assert (Arg.WORKSPACE in forward.descs) == (algorithm is MAX)
    saved = {Arg.WORKSPACE: run.memory[Arg.WORKSPACE]} if algorithm is MAX else {}
    assert_close(Run(backward, {Arg.DIFF_DST: diff_dst, **saved})[Arg.DIFF_SRC], diff_src)
    inference = layer.forward(src_desc, dst_desc, training=False)
    assert Arg.WORKSPACE not in inference.descs
    assert_close(Run(inference, {Arg.SRC: src})[Arg.DST], dst)


@pytest.mark.parametrize("shape, size", [((2, 5, 4, 6), (8, 12)), ((1, 16, 7, 5), (5, 9))], ids=str)
@pytest.mark.parametrize("linear", [False, True], ids=["nearest", "linear"])
def test_resampling_matches_torch(shape, size, linear: bool) -> None:
    torch.manual_seed(17)

    def reference(src):
        if linear:
            return F.interpolate(src, size, mode="bilinear", align_corners=False)
        return F.interpolate(src, size, mode="nearest-exact")

    src = torch.randn(shape)
    diff_dst = torch.randn(*shape[:2], *size)
    dst, (diff_src,) = differentiate(reference, (src,), diff_dst)
    layer = Resampling(Algorithm.RESAMPLING_LINEAR if linear else Algorithm.RESAMPLING_NEAREST)
    src_desc, dst_desc = MemoryDesc.of(src), MemoryDesc.of(diff_dst)
    forward = layer.forward(src_desc, dst_desc, training=True)
    backward = layer.backward(forward, src_desc, dst_desc)
    assert_close(Run(forward, {Arg.SRC: src})[Arg.DST], dst)
    assert_close(Run(backward, {Arg.DIFF_DST: diff_dst})[Arg.DIFF_SRC], diff_src)
