"""Cells that change what another cell does: zoneout and residual connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .. import symbol as sym
from ..graph.symbol import Symbol
from ..ndarray import NDArray
from .cell import BaseRNNCell, RNNParams, Weights, joined, separate

__all__ = ["ModifierCell", "ResidualCell", "ZoneoutCell"]


class ModifierCell(BaseRNNCell):
    """A cell around ``base_cell``, whose parameters and states are its own.

    From now on ``base_cell`` gives states only through the modifier.
    """

    def __init__(self, base_cell: BaseRNNCell) -> None:
        self.base_cell = base_cell
        super().__init__()
        base_cell._modified = True

    def reset(self) -> None:
        """Begin anew, for another graph."""
        super().reset()
        self.base_cell.reset()

    @contextmanager
    def _unmodified(self) -> Iterator[BaseRNNCell]:
        """The base cell, for as long as the block lasts free to be used directly."""
        self.base_cell._modified = False
        try:
            yield self.base_cell
        finally:
            self.base_cell._modified = True

    @property
    def _can_step(self) -> bool:
        return self.base_cell._can_step

    @property
    def params(self) -> RNNParams:
        """The parameters of the base cell."""
        return self.base_cell.params

    @property
    def state_info(self) -> list[Any]:
        """The states of the base cell."""
        return self.base_cell.state_info

    def begin_state(
        self, func: Callable[..., Symbol] = sym.zeros, init_sym: Callable[..., Symbol] | None = None, **kwargs: Any
    ) -> list[Any]:
        """States of the base cell, made by ``func``, which modifiers also know as ``init_sym``."""
        self._refuse_if_modified()
        with self._unmodified() as cell:
            return cell.begin_state(init_sym or func, **kwargs)

    def unpack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """As the base cell does."""
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """As the base cell does."""
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Training with zoneout: each element of the outputs, and of the states, stays with some probability what it was.

    Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations", 2017.

    Parameters
    ----------
    base_cell : a cell that can be called for one step; ValueError otherwise.
    zoneout_outputs, zoneout_states : the probabilities. Outputs are 0 before the first step.
    """

    def __init__(self, base_cell: BaseRNNCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0) -> None:
        if not base_cell._can_step:
            raise ValueError(
                f"ZoneoutCell works step by step, which {type(base_cell).__name__} does not; unfuse it, or put "
                "ZoneoutCell around the cells that it is made of"
            )
        super().__init__(base_cell)
        self.zoneout_outputs = zoneout_outputs
        self.zoneout_states = zoneout_states

    def reset(self) -> None:
        """Begin anew, for another graph."""
        super().reset()
        self.prev_output: Symbol | None = None

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        output, next_states = self.base_cell(inputs, states)
        before = self.prev_output if self.prev_output is not None else sym.zeros((0, 0))
        if self.zoneout_outputs:
            output = _mixed(output, before, self.zoneout_outputs)
        if self.zoneout_states:
            next_states = [_mixed(new, old, self.zoneout_states) for new, old in zip(next_states, states)]
        self.prev_output = output
        return output, next_states


def _mixed(new: Symbol, old: Symbol, probability: float) -> Symbol:
    """``new``, but with ``probability`` ``old``; outside training ``new`` throughout."""
    return sym.where(sym.Dropout(sym.ones_like(new), p=probability), new, old)


class ResidualCell(ModifierCell):
    """Adds the input of each step to its output, which must be of the same shape.

    Wu et al., "Google's Neural Machine Translation System", 2016.
    """

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        output, states = self.base_cell(inputs, states)
        return _sum(output, inputs), states

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """The base cell unrolled, with the inputs added in the form in which it gives its outputs."""
        self.reset()
        with self._unmodified() as cell:
            outputs, states = cell.unroll(length, inputs, begin_state, layout, merge_outputs)
        if isinstance(outputs, Symbol):
            return _sum(outputs, joined(inputs, length, layout)), states
        return [_sum(*pair) for pair in zip(outputs, separate(inputs, length, layout))], states


def _sum(output: Symbol, inputs: Symbol) -> Symbol:
    return sym.elemwise_add(output, inputs, name=f"{output.name}_plus_residual")
