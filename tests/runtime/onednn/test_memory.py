"""Memory descriptors: what they say about themselves, how they compare, what they refuse."""

from __future__ import annotations

import gc

import pytest
import torch

from symbind.base import MXNetError
from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.elementwise import Elementwise
from symbind.runtime.onednn.library import Unsupported
from symbind.runtime.onednn.memory import Memory, MemoryDesc, dense_strides

from .harness import blocked, pack, unpack


def test_a_tensor_describes_itself() -> None:
    tensor = torch.zeros(2, 3, 4, 5)
    desc = MemoryDesc.of(tensor)
    assert (desc.shape, desc.dtype, desc.strides) == ((2, 3, 4, 5), torch.float32, (60, 20, 5, 1))
    assert desc.layout == "abcd"
    assert desc.nbytes == 480
    assert desc.is_plain and desc.is_row_major and desc.is_dense and not desc.is_any
    assert repr(desc) == "float32:abcd:2x3x4x5"
    assert MemoryDesc.of(torch.tensor(1.0)).shape == (1,)
    assert dense_strides(()) == ()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.int8, torch.uint8], ids=str)
def test_element_types(dtype: torch.dtype) -> None:
    desc = MemoryDesc.plain((2, 3), dtype)
    assert desc.dtype is dtype
    assert desc.nbytes == 6 * dtype.itemsize


def test_layouts_that_are_not_row_major() -> None:
    last = MemoryDesc.of(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last))
    assert last.layout == "acdb" and last.is_plain and last.is_dense and not last.is_row_major
    gaps = MemoryDesc.of(torch.zeros(2, 3, 4, 5)[:, :, ::2])
    assert gaps.layout == "abcd*" and not gaps.is_dense
    assert gaps.nbytes == 480


def test_blocks_and_their_padding() -> None:
    desc = blocked((2, 5, 4, 4))
    assert not desc.is_plain and not desc.is_row_major
    ((axis, size),) = desc.blocks
    assert axis == 1 and desc.layout == f"aBcd{size}b"
    assert desc.padded_shape == (2, -(-5 // size) * size, 4, 4)
    assert desc.nbytes == 2 * desc.padded_shape[1] * 16 * 4
    assert not desc.is_dense
    assert blocked((2, 2 * size, 4, 4)).is_dense


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 32, 4, 3), (1, 32, 2, 3, 4)], ids=str)
def test_the_layouts_of_images_are_those_that_kernels_choose(shape: tuple[int, ...]) -> None:
    assert MemoryDesc.channel_blocks(shape, torch.float32) == blocked(shape)
    last = MemoryDesc.channels_last(shape, torch.float32)
    assert last == MemoryDesc.of(torch.zeros(shape).movedim(1, -1).contiguous().movedim(-1, 1))


def test_channel_blocks_are_for_images() -> None:
    with pytest.raises(Unsupported, match=r"no blocks of channels for 2 axes: \(3, 4\)"):
        MemoryDesc.channel_blocks((3, 4), torch.float32)


def test_blocks_of_whole_arrays_may_be_row_major() -> None:
    assert blocked((2, 32, 1, 1)).is_row_major  # one place: the blocks follow each other as the channels do
    assert not blocked((2, 32, 1, 2)).is_row_major
    assert not blocked((2, 5, 1, 1)).is_row_major  # padded
    tensor = torch.arange(64.0).view(2, 32, 1, 1)
    assert torch.equal(pack(tensor, blocked((2, 32, 1, 1))).view(torch.float32), tensor.flatten())


def test_equality_is_by_meaning() -> None:
    one = MemoryDesc.plain((1, 4, 3), torch.float32, (12, 3, 1))
    other = MemoryDesc.plain((1, 4, 3), torch.float32, (999, 3, 1))
    assert one == other and hash(one) == hash(other)  # the stride of a single entry means nothing
    assert one != MemoryDesc.plain((1, 4, 3), torch.float32, (12, 1, 4))
    assert one != MemoryDesc.plain((1, 4, 3), torch.bfloat16, (12, 3, 1))
    assert one != MemoryDesc.any((1, 4, 3), torch.float32)
    assert blocked((2, 16, 4, 4)) == blocked((2, 16, 4, 4)) != blocked((2, 16, 4, 5))
    assert one != "something else"


def test_any_has_no_memory() -> None:
    desc = MemoryDesc.any((2, 3), torch.float32)
    assert desc.is_any and desc.nbytes == 0 and repr(desc) == "float32:any:2x3"
    assert desc.reshape((3, 2)).shape == (3, 2) and desc.permute((1, 0)).is_any
    assert desc.with_dtype(torch.bfloat16).dtype is torch.bfloat16
    with pytest.raises(MXNetError, match="no strides"):
        _ = desc.strides


def test_views_of_the_same_memory() -> None:
    tensor = torch.arange(24.0).reshape(2, 3, 4)
    desc = MemoryDesc.of(tensor)
    assert desc.permute((2, 0, 1)) == MemoryDesc.of(tensor.permute(2, 0, 1))
    assert desc.reshape((2, 1, 12)) == MemoryDesc.of(tensor.reshape(2, 1, 12))
    assert desc.with_dtype(torch.bfloat16) == MemoryDesc.of(tensor.bfloat16())
    with pytest.raises(MXNetError, match=r"\(5, 5\)"):
        desc.reshape((5, 5))
    with pytest.raises(MXNetError, match="order of the axes"):
        desc.permute((0, 0, 1))
    with pytest.raises(MXNetError, match="element type"):
        blocked((2, 16, 4, 4)).with_dtype(torch.bfloat16)


def test_a_slice_keeps_the_address() -> None:
    whole = MemoryDesc.plain((4, 6), torch.float32)
    part = whole.slice((1, 2), (2, 3))
    assert part.shape == (2, 3) and part.strides == (6, 1)
    assert part.nbytes == 4 * ((2 * 6 + 4) + 1)  # up to element (2, 4) of the whole
    with pytest.raises(MXNetError, match="take"):
        whole.slice((3, 0), (2, 6))


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 0), (1,) * 13], ids=str)
def test_shapes_that_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MXNetError, match="oneDNN"):
        MemoryDesc.plain(shape, torch.float32)


def test_types_and_strides_that_are_refused() -> None:
    with pytest.raises(MXNetError, match="int64"):
        MemoryDesc.plain((2,), torch.int64)
    with pytest.raises(MXNetError, match="strides"):
        MemoryDesc.plain((2, 3), torch.float32, (1,))


def test_memory_moves_under_a_bound_call() -> None:
    first, second, out = torch.full((3, 8), -1.0), torch.full((3, 8), 2.0), torch.zeros(3, 8)
    desc = MemoryDesc.of(out)
    source = Memory(desc, first.data_ptr())
    relu = Elementwise(Algorithm.RELU).forward(desc, desc, training=False)
    call = relu.bind({Arg.SRC: source, Arg.DST: out.data_ptr()})
    call()
    assert torch.equal(out, torch.zeros(3, 8))
    source.move(second.data_ptr())
    call()
    assert torch.equal(out, second)


def test_a_call_keeps_alive_what_it_needs() -> None:
    tensor = torch.full((64, 64), -1.0)
    desc = MemoryDesc.of(tensor)
    relu = Elementwise(Algorithm.RELU).forward(desc, desc, training=False)
    call = relu.bind({Arg.SRC: tensor.data_ptr(), Arg.DST: tensor.data_ptr()})
    del desc, relu
    gc.collect()
    for _ in range(100):  # whatever was freed by mistake is overwritten
        MemoryDesc.plain((7, 7), torch.float32)
    call()
    assert torch.equal(tensor, torch.zeros(64, 64))


def test_packing_round_trip_of_odd_channels() -> None:
    tensor = torch.randn(3, 5, 2, 7)
    desc = blocked(tensor.shape)
    assert torch.equal(unpack(pack(tensor, desc), desc), tensor)
