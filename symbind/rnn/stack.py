"""Cells made of cells: one on top of the other, two in opposite directions, and dropout between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import symbol as sym
from ..graph.symbol import Symbol
from ..ndarray import NDArray
from .cell import BaseRNNCell, RNNParams, Weights, joined, reversed_steps, separate

__all__ = ["BidirectionalCell", "DropoutCell", "SequentialRNNCell"]


class _CompoundCell(BaseRNNCell):
    """A cell made of others, whose states and weights are theirs in order."""

    def __init__(self, cells: Sequence[BaseRNNCell], params: RNNParams | None) -> None:
        self._cells: list[BaseRNNCell] = []
        super().__init__("", params)
        self._params_given = params is not None
        for cell in cells:
            self._adopt(cell)

    def _adopt(self, cell: BaseRNNCell) -> None:
        """Add a cell, whose parameters are from now on among those of the compound."""
        if self._params_given and cell.params._params:
            raise AssertionError(
                f"Either specify params for {type(self).__name__} or child cells, not both: "
                f"{type(cell).__name__} has {sorted(cell.params._params)}"
            )
        self._cells.append(cell)
        self._params._params.update(cell.params._params)

    def reset(self) -> None:
        """Begin anew, for another graph."""
        super().reset()
        for cell in self._cells:
            cell.reset()

    @property
    def state_info(self) -> list[Any]:
        """The states of all cells."""
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, func: Callable[..., Symbol] = sym.zeros, **kwargs: Any) -> list[Any]:
        """The states of all cells, made by ``func``."""
        self._refuse_if_modified()
        return [state for cell in self._cells for state in cell.begin_state(func, **kwargs)]

    def unpack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """As each cell does."""
        for cell in self._cells:
            args = cell.unpack_weights(args)
        return dict(args)

    def pack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """As each cell does."""
        for cell in self._cells:
            args = cell.pack_weights(args)
        return dict(args)

    def _shares(self, states: Sequence[Any]) -> list[list[Any]]:
        """The states of each cell, from those of all."""
        shares, at = [], 0
        for cell in self._cells:
            count = len(cell.state_info)
            shares.append(list(states[at : at + count]))
            at += count
        return shares


class SequentialRNNCell(_CompoundCell):
    """Cells on top of each other, each fed with the outputs of the one before.

    Parameters
    ----------
    params : where to collect the parameters of the cells; they must then have none themselves.
    """

    def __init__(self, params: RNNParams | None = None) -> None:
        super().__init__((), params)

    def add(self, cell: BaseRNNCell) -> None:
        """Put ``cell`` on top. AssertionError if it has parameters and this stack was given ``params``."""
        self._adopt(cell)

    @property
    def _can_step(self) -> bool:
        return all(cell._can_step for cell in self._cells)

    def __call__(self, inputs: Symbol, states: Sequence[Any]) -> tuple[Symbol, list[Any]]:
        self._counter += 1
        next_states = []
        for cell, share in zip(self._cells, self._shares(states)):
            inputs, share = cell(inputs, share)
            next_states += share
        return inputs, next_states

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Each cell unrolled on the outputs of the one below, which are in whatever form that one makes them."""
        shares = self._shares(self._states_to_unroll(begin_state))
        sequence: Any = inputs
        states = []
        for cell, share in zip(self._cells, shares):
            merge = merge_outputs if cell is self._cells[-1] else None
            sequence, share = cell.unroll(length, sequence, share, layout, merge)
            states += share
        return sequence, states


class BidirectionalCell(_CompoundCell):
    """Two cells side by side, one forwards and one backwards in time; their outputs are joined.

    It works on whole sequences only. Schuster and Paliwal, 1997.

    Parameters
    ----------
    l_cell, r_cell : the cells that go forwards and backwards.
    params : where to collect the parameters of the cells; they must then have none themselves.
    output_prefix : what the names of the outputs begin with.
    """

    def __init__(
        self, l_cell: BaseRNNCell, r_cell: BaseRNNCell, params: RNNParams | None = None, output_prefix: str = "bi_"
    ) -> None:
        super().__init__((l_cell, r_cell), params)
        self._output_prefix = output_prefix

    @property
    def _can_step(self) -> bool:
        return False

    def __call__(self, inputs: Symbol, states: Sequence[Any]) -> tuple[Symbol, list[Any]]:
        raise NotImplementedError("BidirectionalCell needs the whole sequence: call unroll")

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Both cells unrolled and their outputs joined; the states are a list of those of each cell."""
        shares = self._shares(self._states_to_unroll(begin_state))
        steps = separate(inputs, length, layout)
        left, left_states = self._cells[0].unroll(length, steps, shares[0], layout, merge_outputs)
        right, right_states = self._cells[1].unroll(length, steps[::-1], shares[1], layout, merge_outputs)
        if merge_outputs is None:
            merge_outputs = isinstance(left, Symbol) and isinstance(right, Symbol)
            if not merge_outputs:
                left, right = separate(left, length, layout), separate(right, length, layout)
        right = reversed_steps(right, layout)
        if merge_outputs:
            outputs: Any = sym.Concat(left, right, dim=2, name=f"{self._output_prefix}out")
        else:
            outputs = [
                sym.Concat(forwards, backwards, dim=1, name=f"{self._output_prefix}t{i}")
                for i, (forwards, backwards) in enumerate(zip(left, right))
            ]
        return outputs, [left_states, right_states]


class DropoutCell(BaseRNNCell):
    """Dropout on the inputs, for a place between other cells; it has no state.

    Parameters
    ----------
    dropout : probability with which an element becomes 0 in training.
    prefix, params : see :class:`BaseRNNCell`.
    """

    def __init__(self, dropout: float, prefix: str = "dropout_", params: RNNParams | None = None) -> None:
        super().__init__(prefix, params)
        if not isinstance(dropout, (int, float)):
            raise TypeError(f"dropout must be a probability, not {dropout!r}")
        self.dropout = dropout

    @property
    def state_info(self) -> list[Any]:
        """No states."""
        return []

    def __call__(self, inputs: Symbol, states: Sequence[Any]) -> tuple[Symbol, list[Any]]:
        return (sym.Dropout(data=inputs, p=self.dropout) if self.dropout > 0 else inputs), list(states)

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """Dropout on the sequence as a whole if it is one symbol, or on each step."""
        self.reset()
        sequence: Any = inputs
        if merge_outputs is not None:
            sequence = joined(inputs, length, layout) if merge_outputs else separate(inputs, length, layout)
        if isinstance(sequence, Symbol):
            return self(sequence, [])
        return [self(step, [])[0] for step in sequence], []
