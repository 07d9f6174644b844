"""Softmax and reductions against torch in float64."""

from __future__ import annotations

import pytest
import torch

from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.reduction import Softmax, reduction

from .harness import Run, assert_close, differentiate


@pytest.mark.parametrize("shape, axis", [((6, 10), 1), ((3, 5, 7), 1), ((1, 3, 4, 5), 3), ((2, 1000), 1)], ids=str)
@pytest.mark.parametrize("log", [False, True], ids=["softmax", "log softmax"])
def test_softmax(shape, axis: int, log: bool) -> None:
    torch.manual_seed(23)
    src, diff_dst = torch.randn(shape) * 3, torch.randn(shape)
    reference = torch.log_softmax if log else torch.softmax
    dst, (diff_src,) = differentiate(lambda src: reference(src, axis), (src,), diff_dst)
    layer = Softmax(axis, Algorithm.LOG_SOFTMAX if log else Algorithm.SOFTMAX)
    desc = MemoryDesc.of(src)
    forward = layer.forward(desc, desc, training=True)
    backward = layer.backward(forward, desc, desc, desc)
    run = Run(forward, {Arg.SRC: src}, in_place={Arg.DST: Arg.SRC})
    assert_close(run[Arg.DST], dst)
    given = {Arg.DST: dst.float(), Arg.DIFF_DST: diff_dst}
    assert_close(Run(backward, given, in_place={Arg.DIFF_SRC: Arg.DIFF_DST})[Arg.DIFF_SRC], diff_src)


REDUCTIONS = {
    Algorithm.REDUCE_SUM: torch.sum,
    Algorithm.REDUCE_MEAN: torch.mean,
    Algorithm.REDUCE_MAX: torch.amax,
    Algorithm.REDUCE_MIN: torch.amin,
    Algorithm.REDUCE_PRODUCT: lambda x, axes, keepdim: (
        x.movedim(axes, list(range(len(axes)))).flatten(0, len(axes) - 1).prod(0)
    ),
}


@pytest.mark.parametrize("algorithm", REDUCTIONS, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("axes", [[1], [0], [2, 3], [0, 2, 3], [0, 1, 2, 3]], ids=str)
def test_reduction(algorithm: Algorithm, axes: list[int]) -> None:
    torch.manual_seed(23)
    src = torch.randn(2, 5, 3, 4)
    kept = [1 if axis in axes else size for axis, size in enumerate(src.shape)]
    primitive = reduction(algorithm, MemoryDesc.of(src), MemoryDesc.plain(kept, torch.float32))
    expected = REDUCTIONS[algorithm](src.double(), axes, keepdim=True)
    assert_close(Run(primitive, {Arg.SRC: src})[Arg.DST], expected)
