"""How the arrays of many parameters are cut into batches for an update.

A rule such as Adam's is a handful of elementwise operations one after the other. Over a whole net each of them
would stream every array through memory again, and would need a scratch array as large as all parameters. So
the arrays are cut: a batch is a list of pieces, of at most :func:`block_size` elements together, small enough
that all of its operations after the first find their operands in the cache. A large parameter makes many
batches; many small parameters share one, for which each operation is a single call.

Batches are views, made once for the same arrays and used in every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Batch", "Parameter", "Scratch", "ScratchPool", "block_size", "cut"]

# Elements per thread: with the four or five arrays of a rule in float32 this fills most of a 2 MiB L2 cache,
# and it is several times the size from which torch shares an operation among threads.
_BLOCK_PER_THREAD = 1 << 17
# A GPU gains nothing from locality; there a batch only bounds the scratch memory.
_BLOCK_ON_GPU = 1 << 24


def block_size(device: torch.device) -> int:
    """The number of elements of a batch on ``device``."""
    return _BLOCK_PER_THREAD * torch.get_num_threads() if device.type == "cpu" else _BLOCK_ON_GPU


class Scratch:
    """Memory for intermediate results of a batch: ``pieces``, one per piece of the batch, and all of it as ``flat``.

    What concerns no other array is best done on ``flat``: it is one operation, however many pieces there are.
    """

    __slots__ = ("flat", "pieces")

    def __init__(self, flat: Tensor, sizes: Sequence[int]) -> None:
        self.flat = flat
        self.pieces = list(flat.split(sizes))

    def load(self, sources: list[Tensor], scale: float = 1.0) -> Scratch:
        """Fill it with ``scale · sources``, which are shaped like the pieces; returns itself."""
        if len(sources) == 1:
            torch.mul(sources[0], scale, out=self.flat)
        else:
            torch.cat(sources, out=self.flat)
            if scale != 1:
                self.flat.mul_(scale)
        return self


class ScratchPool:
    """The memory behind scratches, by purpose, device and dtype; every batch uses the same."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    def take(self, purpose: str, sizes: Sequence[int], device: torch.device, dtype: torch.dtype) -> Scratch:
        """A scratch with pieces of ``sizes``."""
        key = (purpose, device, dtype)
        total = sum(sizes)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < total:
            # Pages of an untouched buffer cost nothing, so that asking for a whole block is no waste.
            buffer = torch.empty(max(total, block_size(device)), dtype=dtype, device=device)
            self._buffers[key] = buffer
        return Scratch(buffer[:total], sizes)


@dataclass(slots=True)
class Parameter:
    """The arrays of one parameter, or of one piece of it; all are contiguous.

    ``weight`` is what the rule updates. It is the user's array, or, where that is of too low a precision, a
    copy of it; ``stored`` is then the user's array.
    """

    weight: Tensor
    grad: Tensor
    states: tuple[Tensor, ...]
    stored: Tensor | None = None

    def pieces(self, size: int) -> Iterator[Parameter]:
        """The parameter as flat views of at most ``size`` elements."""
        flat = [array.view(-1) for array in (self.weight, self.grad, *self.states)]
        stored = None if self.stored is None else self.stored.view(-1)
        for start in range(0, self.weight.numel(), size):
            here = slice(start, start + size)
            weight, grad, *states = (array[here] for array in flat)
            yield Parameter(weight, grad, tuple(states), None if stored is None else stored[here])


class Batch:
    """Pieces of parameters that are updated together.

    ``weights``, ``grads`` and each list in ``states`` are parallel lists of one-dimensional tensors of one dtype, on
    one device. The gradients are not to be written to.
    """

    __slots__ = ("_converted", "_foreign", "_kept", "_pool", "_scratch", "_stored", "grads", "states", "weights")

    def __init__(self, parameters: Sequence[Parameter], pool: ScratchPool) -> None:
        self._pool = pool
        self._scratch: dict[str, Scratch] = {}
        self.weights = [parameter.weight for parameter in parameters]
        self.states = [list(arrays) for arrays in zip(*(parameter.states for parameter in parameters))]
        # Gradients of another dtype than the weights are converted first, into scratch memory.
        dtype, device = self.weights[0].dtype, self.weights[0].device
        self._foreign = [p.grad for p in parameters if p.grad.dtype is not dtype]
        sizes = [grad.numel() for grad in self._foreign]
        self._converted = pool.take("converted", sizes, device, dtype).pieces if sizes else []
        converted = iter(self._converted)
        self.grads = [p.grad if p.grad.dtype is dtype else next(converted) for p in parameters]
        # Weights that are copies of stored ones are rounded to these in the end.
        self._stored = [p.stored for p in parameters if p.stored is not None]
        self._kept = [p.weight for p in parameters if p.stored is not None]

    def scratch(self, purpose: str) -> Scratch:
        """Memory in the shape of the batch, with undefined content; another one for every ``purpose``."""
        if purpose not in self._scratch:
            first = self.weights[0]
            sizes = [weight.numel() for weight in self.weights]
            self._scratch[purpose] = self._pool.take(purpose, sizes, first.device, first.dtype)
        return self._scratch[purpose]

    def fetch(self) -> None:
        """Convert gradients; to be called before the rule."""
        if self._foreign:
            torch._foreach_copy_(self._converted, self._foreign)

    def store(self) -> None:
        """Round updated weights to where they are stored; to be called after the rule."""
        if self._stored:
            torch._foreach_copy_(self._stored, self._kept)


def cut(parameters: Sequence[Parameter], elementwise: bool, pool: ScratchPool) -> list[Batch]:
    """Batches of all elements of ``parameters``, which have one dtype, device and number of states.

    Where the rule is not ``elementwise`` every parameter stays in one piece.
    """
    batches: list[Batch] = []
    shared: list[Parameter] = []  # small pieces, until they fill a block
    filled = 0
    for parameter in parameters:
        block = block_size(parameter.weight.device)
        for piece in parameter.pieces(block if elementwise else max(1, parameter.weight.numel())):
            size = piece.weight.numel()
            if size >= block:
                batches.append(Batch([piece], pool))
                continue
            if filled + size > block:
                batches.append(Batch(shared, pool))
                shared, filled = [], 0
            shared.append(piece)
            filled += size
    if shared:
        batches.append(Batch(shared, pool))
    return batches
