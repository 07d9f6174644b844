"""Running one primitive on torch tensors, whatever layouts it chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from symbind.runtime.onednn.convolution import Convolution
from symbind.runtime.onednn.declarations import Arg
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.movement import reorder
from symbind.runtime.onednn.primitive import Primitive


def buffer(nbytes: int) -> torch.Tensor:
    """Fresh memory full of 0xFF: NaN as floating point, so that what a primitive fails to write is seen."""
    return torch.full((max(nbytes, 1),), 0xFF, dtype=torch.uint8)


def pack(tensor: torch.Tensor, desc: MemoryDesc) -> torch.Tensor:
    """The tensor's elements in the layout of ``desc``."""
    packed = buffer(desc.nbytes)
    _move(MemoryDesc.of(tensor).reshape(desc.shape), tensor, desc, packed)
    return packed


def unpack(packed: torch.Tensor, desc: MemoryDesc, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The elements as a contiguous tensor of ``desc``'s shape."""
    tensor = torch.empty(desc.shape, dtype=dtype)
    _move(desc, packed, MemoryDesc.of(tensor), tensor)
    return tensor


def _move(src_desc: MemoryDesc, src: torch.Tensor, dst_desc: MemoryDesc, dst: torch.Tensor) -> None:
    move = reorder(src_desc, dst_desc)
    places = {Arg.SRC: src.data_ptr(), Arg.DST: dst.data_ptr()}
    scratchpad = buffer(move.scratchpad_bytes)
    if move.scratchpad:
        places[Arg.SCRATCHPAD] = scratchpad.data_ptr()
    move.bind(places)()


class Run:
    """One execution. Tensors given as float32 or the like are packed; byte buffers are used as they are."""

    def __init__(
        self,
        primitive: Primitive,
        given: Mapping[int, torch.Tensor],
        in_place: Mapping[int, int] | None = None,
    ) -> None:
        self.primitive = primitive
        self.memory: dict[int, torch.Tensor] = {}
        for argument, desc in primitive.descs.items():
            tensor = given.get(argument)
            if tensor is None:
                self.memory[argument] = buffer(desc.nbytes)
            elif tensor.dtype == torch.uint8:
                self.memory[argument] = tensor
            else:
                self.memory[argument] = pack(tensor, desc)
        unknown = given.keys() - primitive.descs.keys()
        assert not unknown, f"{primitive} does not take {unknown}"
        for result, operand in (in_place or {}).items():
            assert (result, operand) in primitive.in_place
            self.memory[result] = self.memory[operand]
        primitive.bind({argument: memory.data_ptr() for argument, memory in self.memory.items()})()

    def __getitem__(self, argument: int) -> torch.Tensor:
        """An argument's elements after the run, as float32."""
        return unpack(self.memory[argument], self.primitive.descs[argument])


def any_like(tensor: torch.Tensor, dtype: torch.dtype | None = None) -> MemoryDesc:
    """The shape of a tensor in the layout that the primitive prefers."""
    return MemoryDesc.any(tensor.shape, dtype or tensor.dtype)


def blocked(shape: Sequence[int]) -> MemoryDesc:
    """An activation in the blocked layout that convolutions like best here, its channels padded to whole blocks."""
    axes = len(shape) - 2
    if axes == 0:
        return MemoryDesc.plain(shape, torch.float32)
    ones, none = (1,) * axes, (0,) * axes
    weights = MemoryDesc.any((shape[1], 16, *ones), torch.float32)
    src = MemoryDesc.any((shape[0], 16, *shape[2:]), torch.float32)
    dst = MemoryDesc.any(shape, torch.float32)
    forward = Convolution(ones, ones, none, none).forward(src, weights, None, dst, training=True)
    return forward.descs[Arg.DST]


def assert_close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 2e-5) -> None:
    """Equal up to ``tolerance`` relative to the largest expected element."""
    expected = expected.to(torch.float64).reshape(actual.shape)
    scale = max(expected.abs().max().item(), 1e-30)
    error = (actual.to(torch.float64) - expected).abs().max().item() / scale
    assert error <= tolerance, f"relative error {error:.3g} > {tolerance:g}"


def differentiate(
    reference: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], diff_dst: torch.Tensor
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """The value and the gradients of ``reference`` in float64; torch's autograd is the independent judge."""
    exact = [tensor.double().requires_grad_() for tensor in inputs]
    result = reference(*exact)
    return result.detach(), torch.autograd.grad(result, exact, diff_dst.double())
