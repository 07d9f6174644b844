"""Recurrent layers over whole sequences: the operator's own calls, with oneDNN's products between them.

The library's recurrent primitives are no faster for an LSTM, know neither lengths nor projections nor clipping, take a
GRU's gates in another order, and want twice the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from ....ops.kernels import sequence
from ....ops.operator import Environment
from ....ops.recurrent_cells import torch_product
from ...engine import Implementation, Value
from ...torch_engine import TorchImplementation
from ..declarations import Arg
from ..implementation import Request, choose, implements
from ..library import Unsupported
from ..matmul import matmul
from ..memory import Memory, MemoryDesc
from ..primitive import Primitive, Sum


class _Products:
    """Products by oneDNN; the steps of a sequence share their primitives. Torch does what oneDNN has no kernel for.

    Without a ``scratchpad`` nothing can be run, but what it would take is known: ``scratchpad_bytes``, and ``flops``.
    """

    def __init__(self, scratchpad: torch.Tensor | None = None) -> None:
        self._scratchpad = scratchpad
        self._primitives: dict[object, Primitive | None] = {}
        self.scratchpad_bytes = 0
        self.flops = 0

    def __call__(
        self,
        left: torch.Tensor,
        right: torch.Tensor,
        out: torch.Tensor,
        *,
        accumulate: bool = False,
        bias: torch.Tensor | None = None,
    ) -> Callable[[], object]:
        primitive = self._primitive(left, right, out, accumulate, bias)
        if primitive is None:
            return torch_product(left, right, out, accumulate=accumulate, bias=bias)
        self.flops += primitive.flops
        self.scratchpad_bytes = max(self.scratchpad_bytes, primitive.scratchpad_bytes)
        if out.is_meta:
            return _nothing
        places: dict[int, int | Memory] = {
            Arg.SRC: left.data_ptr(), Arg.WEIGHTS: right.data_ptr(), Arg.DST: out.data_ptr()
        }  # fmt: skip
        if bias is not None:
            places[Arg.BIAS] = bias.data_ptr()
        if primitive.scratchpad:
            assert self._scratchpad is not None
            places[Arg.SCRATCHPAD] = self._scratchpad.data_ptr()
        call = primitive.bind(places)
        call.arrays = (left, right, out, bias)  # type: ignore[attr-defined]  # they must live as long as the call
        return call

    def _primitive(
        self, left: torch.Tensor, right: torch.Tensor, out: torch.Tensor, accumulate: bool, bias: torch.Tensor | None
    ) -> Primitive | None:
        key = (*((a.shape, a.stride()) for a in (left, right, out)), accumulate, bias is None)
        if key not in self._primitives:
            row = None if bias is None else MemoryDesc.plain((1, len(bias)), bias.dtype)
            ask = partial(matmul, *map(MemoryDesc.of, (left, right, out)), bias=row, post_ops=[Sum()] * accumulate)
            try:
                self._primitives[key] = None if 1 in out.shape else choose([ask])
            except Unsupported:
                self._primitives[key] = None
        return self._primitives[key]


def _nothing() -> None:
    """Stands for a call where there are no arrays to run on."""


class _Recurrence(TorchImplementation):
    name = "torch, onednn matmul"

    def __init__(self, request: Request) -> None:
        super().__init__(request.node)
        # The calls are made once without arrays, to see what they need.
        device = torch.device("meta")
        inputs, outputs = (
            [torch.empty(value.shape, dtype=value.dtype, device=device) for value in values]
            for values in (request.inputs, request.outputs)
        )
        products = _Products()
        env = Environment(True, device, torch.default_generator)
        request.node.op.calls(request.node.params, inputs, outputs, env, products)
        self.workspace, self.flops = products.scratchpad_bytes, products.flops

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], None]:
        op, params = self._node.op, self._node.params
        return sequence(op.calls(params, inputs, outputs, env, _Products(workspace)))


def _is_float32(value: Value) -> bool:
    return value.dtype == torch.float32


@implements("RNN", "_backward_RNN")
def recurrence(request: Request) -> Implementation | None:
    # Lengths may be whole numbers; what is multiplied must be float32.
    return _Recurrence(request) if _is_float32(request.inputs[0]) else None
