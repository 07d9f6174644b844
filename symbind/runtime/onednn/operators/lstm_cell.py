"""The step of an LSTM: torch's passes, and oneDNN's sigmoid and tanh, which are faster and run on all threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ....ops.lstm_cell import step_forward
from ....ops.operator import Environment
from ...engine import Implementation, Value
from ...torch_engine import TorchImplementation
from ..declarations import Algorithm, Arg
from ..elementwise import Elementwise
from ..implementation import Request, choose, implements
from ..memory import Memory, MemoryDesc
from ..primitive import Primitive


class _Step(TorchImplementation):
    name = "torch, onednn eltwise"

    def __init__(self, request: Request) -> None:
        super().__init__(request.node)
        gates, cell = request.inputs
        self._sigmoid, self._tanh = _function(Algorithm.LOGISTIC, gates), _function(Algorithm.TANH, cell)
        self.workspace = max(self._sigmoid.scratchpad_bytes, self._tanh.scratchpad_bytes)

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], None]:
        gates = inputs[0]
        hidden, new, activated, *_ = outputs

        def bound(function: Primitive, source: torch.Tensor, target: torch.Tensor) -> Callable[[], None]:
            places: dict[int, int | Memory] = {Arg.SRC: source.data_ptr(), Arg.DST: target.data_ptr()}
            if function.scratchpad:
                assert workspace is not None
                places[Arg.SCRATCHPAD] = workspace.data_ptr()
            return function.bind(places)

        proposed = gates.chunk(4, 1)[2]
        squash_candidate, squash_cell = bound(self._tanh, hidden, hidden), bound(self._tanh, new, hidden)
        open_gates = bound(self._sigmoid, gates, activated)

        def activate() -> None:
            hidden.copy_(proposed)
            squash_candidate()
            # Of all four, the candidate's too: the library knows arrays without gaps only.
            open_gates()

        return step_forward(inputs, outputs, activate, squash_cell)


def _function(algorithm: Algorithm, value: Value) -> Primitive:
    desc = MemoryDesc.plain(value.shape, value.dtype)
    return choose([lambda: Elementwise(algorithm).forward(desc, desc, training=False)])


@implements("_lstm_cell")
def forward(request: Request) -> Implementation:
    return _Step(request)
