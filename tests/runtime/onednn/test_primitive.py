"""What a primitive says about itself, what binding checks, and that threads may share it."""

from __future__ import annotations

import threading

import pytest
import torch

from symbind.base import MXNetError
from symbind.runtime.onednn.convolution import Convolution
from symbind.runtime.onednn.declarations import Algorithm, Arg
from symbind.runtime.onednn.elementwise import Elementwise, binary
from symbind.runtime.onednn.engine import cpu_engine, thread_count
from symbind.runtime.onednn.library import Unsupported
from symbind.runtime.onednn.matmul import matmul
from symbind.runtime.onednn.memory import Memory, MemoryDesc
from symbind.runtime.onednn.primitive import Sum

from .harness import Run, any_like


def relu(shape: tuple[int, ...] = (4, 8)):
    desc = MemoryDesc.plain(shape, torch.float32)
    return Elementwise(Algorithm.RELU).forward(desc, desc, training=False)


def test_a_primitive_tells_what_was_chosen() -> None:
    primitive = relu()
    assert primitive.name == "eltwise_forward"
    assert primitive.implementation and not primitive.is_reference
    assert primitive.inputs == (Arg.SRC,) and primitive.outputs == (Arg.DST,)
    assert primitive.in_place == ((Arg.DST, Arg.SRC),)
    assert primitive.scratchpad is None and primitive.scratchpad_bytes == 0
    assert primitive.flops == 32
    assert primitive.thread_count == torch.get_num_threads()
    assert "SRC=float32:ab:4x8" in repr(primitive)


def test_in_place_only_where_layouts_are_equal() -> None:
    row = MemoryDesc.plain((1, 8), torch.float32)
    full = MemoryDesc.plain((4, 8), torch.float32)
    assert binary(Algorithm.ADD, full, row, full).in_place == ((Arg.DST, Arg.SRC),)
    column_major = MemoryDesc.plain((4, 8), torch.float32, (1, 4))
    assert binary(Algorithm.ADD, column_major, full, full).in_place == ()


def test_an_accumulated_destination_is_an_input() -> None:
    desc = MemoryDesc.plain((8, 8), torch.float32)
    assert Arg.DST not in matmul(desc, desc, desc).inputs
    assert Arg.DST in matmul(desc, desc, desc, post_ops=(Sum(),)).inputs


def test_binding_names_what_is_missing_or_wrong() -> None:
    primitive = relu()
    tensor = torch.zeros(4, 8)
    with pytest.raises(MXNetError, match=r"eltwise_forward: missing \[DST\], not taken \[WEIGHTS\]"):
        primitive.bind({Arg.SRC: tensor.data_ptr(), Arg.WEIGHTS: tensor.data_ptr()})
    other = Memory(MemoryDesc.plain((8, 4), torch.float32), tensor.data_ptr())
    with pytest.raises(MXNetError, match="SRC is float32:ab:8x4, expected float32:ab:4x8"):
        primitive.bind({Arg.SRC: other, Arg.DST: tensor.data_ptr()})


def test_a_scratchpad_is_asked_for() -> None:
    src, weights = torch.randn(1, 3, 9, 8), torch.randn(5, 3, 3, 2)
    plain = Convolution((1, 1), (1, 1), (0, 0), (0, 0)).forward(
        MemoryDesc.of(src),
        MemoryDesc.of(weights),
        None,
        MemoryDesc.plain((1, 5, 7, 7), torch.float32),
        training=True,
    )
    assert plain.scratchpad == Arg.SCRATCHPAD and plain.scratchpad_bytes > 0
    with pytest.raises(MXNetError, match="SCRATCHPAD"):
        plain.bind({Arg.SRC: 0, Arg.WEIGHTS: 0, Arg.DST: 0})


def test_what_the_library_refuses() -> None:
    double = MemoryDesc.plain((2, 3, 5, 5), torch.float64)
    with pytest.raises(Unsupported, match=r"convolution_forward of float64:abcd:2x3x5x5, float64:abcd:4x3x3x3"):
        Convolution((1, 1), (1, 1), (0, 0), (0, 0)).forward(
            double,
            MemoryDesc.plain((4, 3, 3, 3), torch.float64),
            None,
            MemoryDesc.plain((2, 4, 3, 3), torch.float64),
            training=True,
        )
    mismatched = MemoryDesc.plain((4, 5), torch.float32), MemoryDesc.plain((6, 7), torch.float32)
    with pytest.raises(MXNetError, match="compute matmul"):
        matmul(*mismatched, MemoryDesc.plain((4, 7), torch.float32))


def test_threads_share_a_primitive_but_not_its_memory() -> None:
    weights = torch.randn(16, 16, 3, 3)
    src = torch.randn(2, 16, 20, 20)
    dst = MemoryDesc.any((2, 16, 18, 18), torch.float32)
    forward = Convolution((1, 1), (1, 1), (0, 0), (0, 0)).forward(
        any_like(src), any_like(weights), None, dst, training=True
    )
    expected = Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights})[Arg.DST]
    results: list[torch.Tensor] = []

    def work() -> None:
        thread_count()
        results.extend(Run(forward, {Arg.SRC: src, Arg.WEIGHTS: weights})[Arg.DST] for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(torch.equal(result, expected) for result in results)


def test_thread_count_belongs_to_a_primitive() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        primitive = relu()
        torch.set_num_threads(2)
        assert thread_count() == 2
        with pytest.raises(MXNetError, match="described for 1 threads but torch now uses 2"):
            primitive.bind({Arg.SRC: 0, Arg.DST: 0})
    finally:
        torch.set_num_threads(before)


def test_a_new_thread_learns_the_setting_of_torch() -> None:
    """OpenMP's count is per thread; without asking, a new thread would use every core."""
    before = torch.get_num_threads()
    seen: list[int] = []
    try:
        torch.set_num_threads(1)
        thread = threading.Thread(target=lambda: seen.append(thread_count()))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_there_is_one_engine() -> None:
    assert cpu_engine() is cpu_engine()
