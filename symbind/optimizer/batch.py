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
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Batch", "Parameter", "ScratchPool", "cut"]

# Elements per thread: with the four or five arrays of a rule in float32 this fills most of a 2 MiB L2 cache,
# and it is several times the size from which torch shares an operation among threads.
_BLOCK_PER_THREAD = 1 << 17
# A GPU gains nothing from locality; there a batch only bounds the scratch memory.
_BLOCK_ON_GPU = 1 << 24


def block_size(device: torch.device) -> int:
    """The number of elements of a batch on ``device``."""
    return _BLOCK_PER_THREAD * torch.get_num_threads() if device.type == "cpu" else _BLOCK_ON_GPU


class ScratchPool:
    """Memory that rules may overwrite, by purpose, device and dtype; every batch uses the same."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    def views(self, purpose: str, like: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """Disjoint contiguous tensors with the shapes of ``like``."""
        sizes = [tensor.numel() for tensor in like]
        device = like[0].device
        key = (purpose, device, dtype)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < sum(sizes):
            # Pages of an untouched buffer cost nothing, so that asking for a whole block is no waste.
            buffer = torch.empty(max(sum(sizes), block_size(device)), dtype=dtype, device=device)
            self._buffers[key] = buffer
        pieces = buffer[: sum(sizes)].split(sizes)
        return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like)]


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
        arrays = (self.weight, self.grad, self.stored, *self.states)
        flat = [array if array is None else array.view(-1) for array in arrays]
        for start in range(0, self.weight.numel(), size):
            weight, grad, stored, *states = (a if a is None else a[start : start + size] for a in flat)
            yield Parameter(weight, grad, tuple(states), stored)


@dataclass(slots=True)
class Batch:
    """Pieces of parameters that are updated together: parallel lists, ``states`` one list per state array.

    All are of one dtype and on one device. The gradients are not to be written to.
    """

    weights: list[Tensor]
    grads: list[Tensor]
    states: list[list[Tensor]]
    _pool: ScratchPool
    # (to, from): gradients of another dtype, copied before the rule, and weights stored in another one, after it
    _converted: tuple[list[Tensor], list[Tensor]]
    _stored: tuple[list[Tensor], list[Tensor]]
    _scratch: dict[str, list[Tensor]] = field(default_factory=dict)

    @classmethod
    def of(cls, parameters: Sequence[Parameter], pool: ScratchPool) -> Batch:
        """The batch of ``parameters``, whose weights all have one dtype."""
        dtype = parameters[0].weight.dtype
        foreign = [parameter.grad for parameter in parameters if parameter.grad.dtype is not dtype]
        converted = pool.views("converted", foreign, dtype) if foreign else []
        conversions = iter(converted)
        grads = [p.grad if p.grad.dtype is dtype else next(conversions) for p in parameters]
        kept = [parameter for parameter in parameters if parameter.stored is not None]
        return cls(
            weights=[parameter.weight for parameter in parameters],
            grads=grads,
            states=[list(arrays) for arrays in zip(*(parameter.states for parameter in parameters))],
            _pool=pool,
            _converted=(converted, foreign),
            _stored=([parameter.stored for parameter in kept], [parameter.weight for parameter in kept]),
        )

    def scratch(self, purpose: str) -> list[Tensor]:
        """Memory shaped like the weights, with undefined content; another one for every ``purpose``."""
        if purpose not in self._scratch:
            self._scratch[purpose] = self._pool.views(purpose, self.weights, self.weights[0].dtype)
        return self._scratch[purpose]

    def fetch(self) -> None:
        """Convert gradients; to be called before the rule."""
        if self._converted[0]:
            torch._foreach_copy_(*self._converted)

    def store(self) -> None:
        """Round updated weights to where they are stored; to be called after the rule."""
        if self._stored[0]:
            torch._foreach_copy_(*self._stored)


def cut(parameters: Sequence[Parameter], elementwise: bool, pool: ScratchPool) -> list[Batch]:
    """Batches of all elements of ``parameters``, which have one dtype, device and number of states.

    Where the rule is not ``elementwise`` every parameter stays whole, in its shape.
    """
    batches: list[Batch] = []
    shared: list[Parameter] = []  # small pieces, until they fill a block
    filled = 0
    for parameter in parameters:
        block = block_size(parameter.weight.device)
        for piece in parameter.pieces(block) if elementwise else [parameter]:
            size = piece.weight.numel()
            if size == 0:
                continue
            if size >= block:
                batches.append(Batch.of([piece], pool))
                continue
            if filled + size > block:
                batches.append(Batch.of(shared, pool))
                shared, filled = [], 0
            shared.append(piece)
            filled += size
    if shared:
        batches.append(Batch.of(shared, pool))
    return batches
