"""Recurrent layers over whole sequences: vanilla RNN, LSTM and GRU, forward and backward.

Shapes, with T steps, batch N, L layers, D directions, G gates, I inputs and H hidden units::

    SRC_LAYER (T, N, I)               DST_LAYER (T, N, H), or 2 H where two directions are concatenated
    SRC_ITER, SRC_ITER_C (L, D, N, H) DST_ITER, DST_ITER_C (L, D, N, H)
    WEIGHTS_LAYER (L, D, I, G, H)     WEIGHTS_ITER (L, D, H, G, H)     BIAS (L, D, G', H)

Gates of the LSTM are in the order input, forget, candidate, output. The GRU is the variant that resets after the
product with the recurrent weights (cuDNN's and MXNet's); its gates are in the order update, reset, candidate, and its
bias has a fourth: the candidate's recurrent one.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from .declarations import Algorithm, Arg, Direction, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import Primitive, describe

__all__ = ["Cell", "Recurrent"]


class Cell(enum.Enum):
    """The cell: its name in the library, its gates, and its activation where there is a choice."""

    RNN_RELU = ("vanilla_rnn", 1, Algorithm.RELU)
    RNN_TANH = ("vanilla_rnn", 1, Algorithm.TANH)
    LSTM = ("lstm", 4, None)
    GRU = ("lbr_gru", 3, None)

    def __init__(self, family: str, gates: int, activation: Algorithm | None) -> None:
        self.family = family
        self.gates = gates
        self.activation = activation


_DATA_INPUTS = (Arg.SRC_LAYER, Arg.SRC_ITER, Arg.SRC_ITER_C)
_WEIGHTS = (Arg.WEIGHTS_LAYER, Arg.WEIGHTS_ITER)
_DATA_OUTPUTS = (Arg.DST_LAYER, Arg.DST_ITER, Arg.DST_ITER_C)
_GRADIENTS_OUT = (
    Arg.DIFF_SRC_LAYER,
    Arg.DIFF_SRC_ITER,
    Arg.DIFF_SRC_ITER_C,
    Arg.DIFF_WEIGHTS_LAYER,
    Arg.DIFF_WEIGHTS_ITER,
    Arg.DIFF_BIAS,
)
_GRADIENTS_IN = (Arg.DIFF_DST_LAYER, Arg.DIFF_DST_ITER, Arg.DIFF_DST_ITER_C)
_FORWARD = (*_DATA_INPUTS, *_WEIGHTS, Arg.BIAS, *_DATA_OUTPUTS)
# The library adds to the gradients of weights and bias unless told to overwrite them.
_NO_FLAGS, _OVERWRITE = 0, 1


@dataclass(frozen=True)
class Recurrent:
    """A stack of recurrent layers of one size. Descriptors are given by argument; absent ones are not taken.

    Without SRC_ITER the initial state is zero; without DST_ITER the last state is not given out.
    """

    cell: Cell
    direction: Direction = Direction.LEFT_TO_RIGHT

    def forward(self, descs: Mapping[int, MemoryDesc], *, training: bool) -> Primitive:
        """Data, weights and bias -> DST_LAYER, DST_ITER, DST_ITER_C, and in training WORKSPACE."""
        kind = PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE
        return describe(
            f"{self.cell.family}_forward",
            cpu_engine(),
            kind,
            *self._choices(),
            *self._ordered(descs, _FORWARD),
            _NO_FLAGS,
            *self._slopes(),
            inputs=(*_DATA_INPUTS, *_WEIGHTS, Arg.BIAS),
            outputs=(*_DATA_OUTPUTS, Arg.WORKSPACE),
            flops=self._flops(descs),
        )

    def backward(self, forward: Primitive, descs: Mapping[int, MemoryDesc], *, accumulate: bool = False) -> Primitive:
        """What forward took and gave, WORKSPACE and DIFF_DST_* -> DIFF_SRC_*, DIFF_WEIGHTS_*, DIFF_BIAS.

        ``descs`` has the descriptors of the forward arguments and of their gradients. With ``accumulate`` the
        gradients of weights and bias are added to what is there.
        """
        return describe(
            f"{self.cell.family}_backward",
            cpu_engine(),
            PropagationKind.BACKWARD,
            *self._choices(),
            *self._ordered(descs, _FORWARD),
            *self._ordered(descs, (*_GRADIENTS_OUT, *_GRADIENTS_IN)),
            _NO_FLAGS if accumulate else _OVERWRITE,
            *self._slopes(),
            forward,
            inputs=(*_FORWARD, Arg.WORKSPACE, *_GRADIENTS_IN),
            outputs=_GRADIENTS_OUT,
            flops=2 * self._flops(descs),
        )

    def _choices(self) -> tuple[int, ...]:
        return (self.direction,) if self.cell.activation is None else (self.cell.activation, self.direction)

    def _slopes(self) -> tuple[float, ...]:
        return () if self.cell.activation is None else (0.0, 0.0)

    def _ordered(self, descs: Mapping[int, MemoryDesc], arguments: tuple[Arg, ...]) -> list[MemoryDesc | None]:
        """The descriptors in the order of the C function, which for the LSTM has cell states and two more weights."""
        ordered: list[MemoryDesc | None] = []
        for argument in arguments:
            of_cell_state = argument in (Arg.SRC_ITER_C, Arg.DST_ITER_C, Arg.DIFF_SRC_ITER_C, Arg.DIFF_DST_ITER_C)
            if of_cell_state and self.cell is not Cell.LSTM:
                continue
            ordered.append(descs.get(argument))
            if argument in (Arg.WEIGHTS_ITER, Arg.DIFF_WEIGHTS_ITER) and self.cell is Cell.LSTM:
                ordered += [None, None]  # peephole and projection
        return ordered

    @staticmethod
    def _flops(descs: Mapping[int, MemoryDesc]) -> int:
        steps, batch, _ = descs[Arg.SRC_LAYER].shape
        return 2 * steps * batch * sum(math.prod(descs[argument].shape) for argument in _WEIGHTS)
