"""Reorder, concat and shuffle: exact copies."""

from __future__ import annotations

import pytest
import torch

from symbind.runtime.onednn.declarations import Arg
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.movement import Shuffle, concat, reorder
from symbind.runtime.onednn.primitive import Sum

from .harness import Run, assert_close, blocked, pack, unpack


@pytest.mark.parametrize("shape", [(2, 16, 5, 4), (1, 3, 7, 7), (3, 5, 2, 2)], ids=str)
def test_reorder_there_and_back(shape) -> None:
    tensor = torch.randn(shape)
    desc = blocked(shape)
    assert torch.equal(unpack(pack(tensor, desc), desc), tensor)
    last = tensor.to(memory_format=torch.channels_last)
    assert torch.equal(unpack(pack(last, desc), desc), tensor)


def test_reorder_converts_and_accumulates() -> None:
    src, before = torch.randn(4, 6), torch.randn(4, 6)
    half = reorder(MemoryDesc.of(src), MemoryDesc.plain((4, 6), torch.bfloat16))
    assert torch.equal(Run(half, {Arg.SRC: src})[Arg.DST], src.bfloat16().float())
    add = reorder(MemoryDesc.of(src), MemoryDesc.of(before), post_ops=(Sum(),))
    assert Arg.DST in add.inputs
    assert_close(Run(add, {Arg.SRC: src, Arg.DST: before})[Arg.DST], src + before, 1e-6)


def test_reorder_out_of_a_slice() -> None:
    """The gradient of a concatenation; the address stays that of the whole."""
    whole = torch.randn(2, 32, 3, 3)
    desc = blocked(whole.shape)
    part = desc.slice((0, 16, 0, 0), (2, 16, 3, 3))
    copy = reorder(part, MemoryDesc.plain((2, 16, 3, 3), torch.float32))
    out = torch.empty(2, 16, 3, 3)
    packed = pack(whole, desc)
    copy.bind({Arg.SRC: packed.data_ptr(), Arg.DST: out.data_ptr()})()
    assert torch.equal(out, whole[:, 16:])


@pytest.mark.parametrize("axis, sizes", [(1, (16, 32)), (1, (3, 5, 1)), (0, (2, 1)), (3, (4, 4, 4))], ids=str)
def test_concat(axis: int, sizes: tuple[int, ...]) -> None:
    shape = [2, 16, 3, 4]
    tensors = [torch.randn(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    expected = torch.cat(tensors, axis)
    for describe in (MemoryDesc.of, lambda tensor: blocked(tensor.shape)):
        primitive = concat([describe(tensor) for tensor in tensors], axis, describe(expected))
        run = Run(primitive, {Arg.source(i): tensor for i, tensor in enumerate(tensors)})
        assert torch.equal(run[Arg.DST], expected)


def test_shuffle() -> None:
    src = torch.randn(2, 12, 3, 3)
    desc = MemoryDesc.of(src)
    shuffle = Shuffle(1, 3)
    forward = shuffle.forward(desc, desc, training=True)
    backward = shuffle.backward(forward, desc, desc)
    dst = Run(forward, {Arg.SRC: src})[Arg.DST]
    assert torch.equal(dst, src.unflatten(1, (4, 3)).transpose(1, 2).flatten(1, 2))
    assert torch.equal(Run(backward, {Arg.DIFF_DST: dst})[Arg.DIFF_SRC], src)
