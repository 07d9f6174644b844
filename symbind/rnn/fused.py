"""FusedRNNCell: layers of cells, in one or both directions, as one operator with one vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from .. import ndarray as nd
from .. import symbol as sym
from ..graph.symbol import Symbol
from ..initializer import FusedRNN
from ..ndarray import NDArray
from .basic import GRUCell, LSTMCell, RNNCell
from .cell import BaseRNNCell, RNNParams, Weights, joined, separate
from .stack import BidirectionalCell, DropoutCell, SequentialRNNCell

__all__ = ["FusedRNNCell"]

_GATES = {
    "rnn_relu": ("",),
    "rnn_tanh": ("",),
    "lstm": ("_i", "_f", "_c", "_o"),
    "gru": ("_r", "_z", "_o"),
}


class FusedRNNCell(BaseRNNCell):
    """Layers of cells in one operator, ``RNN``, which works on whole sequences and is fast.

    All parameters are one vector, ``<prefix>parameters``; :meth:`unpack_weights` gives them the names that the cells
    of :meth:`unfuse` pack.

    Parameters
    ----------
    num_hidden : size of each state.
    num_layers : number of layers, each on the outputs of the one below.
    mode : ``'rnn_relu'``, ``'rnn_tanh'``, ``'lstm'`` or ``'gru'``.
    bidirectional : whether each layer runs both ways; its outputs then have twice the size.
    dropout : probability of dropout between layers.
    get_next_state : whether unrolling gives the states after the last step; without, it gives none.
    forget_bias : what the biases of the forget gates of an LSTM are initialized to.
    prefix : default ``mode`` and an underscore.
    params : see :class:`BaseRNNCell`.
    """

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ) -> None:
        if mode not in _GATES:
            raise ValueError(f"mode of FusedRNNCell must be one of {list(_GATES)}, not {mode!r}")
        super().__init__(f"{mode}_" if prefix is None else prefix, params)
        self._num_hidden = num_hidden
        self._num_layers = num_layers
        self._mode = mode
        self._bidirectional = bidirectional
        self._dropout = dropout
        self._get_next_state = get_next_state
        self._directions = ("l", "r") if bidirectional else ("l",)
        initializer = FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter = self._params.get("parameters", init=initializer)

    @property
    def _can_step(self) -> bool:
        return False

    @property
    def _gate_names(self) -> Sequence[str]:
        return _GATES[self._mode]

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The hidden state, and for an LSTM the cell state: (layers · directions, batch, num_hidden)."""
        shape = (self._num_layers * len(self._directions), 0, self._num_hidden)
        return [{"shape": shape, "__layout__": "LNC"} for _ in range(2 if self._mode == "lstm" else 1)]

    def __call__(self, inputs: Symbol, states: Sequence[Any]) -> tuple[Symbol, list[Any]]:
        raise NotImplementedError("FusedRNNCell needs the whole sequence: call unroll, or unfuse() it first")

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: list[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, list[Any]]:
        """The operator on the sequence; its outputs are one symbol unless ``merge_outputs`` is False."""
        if layout not in ("NTC", "TNC"):
            raise ValueError(f"layout of FusedRNNCell must be NTC or TNC, not {layout!r}")
        batch_first = layout == "NTC"
        sequence = joined(inputs, length, layout)
        if batch_first:
            sequence = sym.swapaxes(sequence, dim1=0, dim2=1)
        rnn = sym.RNN(
            data=sequence,
            parameters=self._parameter,
            **dict(zip(("state", "state_cell"), self._states_to_unroll(begin_state))),
            state_size=self._num_hidden,
            num_layers=self._num_layers,
            bidirectional=self._bidirectional,
            p=self._dropout,
            state_outputs=self._get_next_state,
            mode=self._mode,
            name=f"{self._prefix}rnn",
            attr={"__layout__": "LNC"} if self._get_next_state else None,
        )
        outputs, *states = rnn
        if batch_first:
            outputs = sym.swapaxes(outputs, dim1=0, dim2=1)
        return (separate(outputs, length, layout) if merge_outputs is False else outputs), states

    def unfuse(self) -> SequentialRNNCell:
        """The same network of cells that can be unrolled step by step; see :meth:`unpack_weights`."""
        make: dict[str, Callable[[str], BaseRNNCell]] = {
            "rnn_relu": lambda prefix: RNNCell(self._num_hidden, activation="relu", prefix=prefix),
            "rnn_tanh": lambda prefix: RNNCell(self._num_hidden, activation="tanh", prefix=prefix),
            "lstm": lambda prefix: LSTMCell(self._num_hidden, prefix=prefix),
            "gru": lambda prefix: GRUCell(self._num_hidden, prefix=prefix),
        }
        stack = SequentialRNNCell()
        for layer in range(self._num_layers):
            cells = [make[self._mode](f"{self._prefix}{direction}{layer}_") for direction in self._directions]
            if self._bidirectional:
                stack.add(BidirectionalCell(cells[0], cells[1], output_prefix=f"{self._prefix}bi_l{layer}_"))
            else:
                stack.add(cells[0])
            if self._dropout > 0 and layer < self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f"{self._prefix}_dropout{layer}_"))
        return stack

    # ---- weights --------------------------------------------------------------------------------------------------

    def _blocks(self, num_input: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of each part of the vector in order: first all weights, then all biases."""
        hidden = self._num_hidden
        for kind, layer, direction, group, gate in product(
            ("weight", "bias"), range(self._num_layers), self._directions, ("i2h", "h2h"), self._gate_names
        ):
            width = hidden if group == "h2h" else hidden * len(self._directions) if layer else num_input
            shape = (hidden, width) if kind == "weight" else (hidden,)
            yield f"{self._prefix}{direction}{layer}_{group}{gate}_{kind}", shape

    def views(self, vector: NDArray) -> Weights:
        """The parts of a parameter vector by name, as views: what is written into them is written into ``vector``.

        ValueError if its length belongs to no input size.
        """
        # The length grows by the same amount with each input.
        shortest = sum(prod(shape) for _, shape in self._blocks(0))
        per_input = len(self._directions) * len(self._gate_names) * self._num_hidden
        num_input, rest = divmod(vector.size - shortest, per_input)
        if num_input < 1 or rest:
            raise ValueError(
                f"{self._prefix}parameters has {vector.size} elements; for this cell it is {shortest} and {per_input} "
                "more for each input"
            )
        parts, at = {}, 0
        for name, shape in self._blocks(num_input):
            parts[name] = vector[at : at + prod(shape)].reshape(shape)
            at += prod(shape)
        return parts

    def unpack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """``args`` with the parameter vector cut into ``<prefix>l0_i2h_i_weight`` …, one for each gate."""
        args = dict(args)
        parts = self.views(args.pop(f"{self._prefix}parameters"))
        return {**args, **{name: part.copy() for name, part in parts.items()}}

    def pack_weights(self, args: Mapping[str, NDArray]) -> Weights:
        """The inverse of :meth:`unpack_weights`."""
        args = dict(args)
        first = args[f"{self._prefix}l0_i2h{self._gate_names[0]}_weight"]
        parts = [args.pop(name) for name, _ in self._blocks(first.shape[1])]
        args[f"{self._prefix}parameters"] = nd.concatenate([part.reshape((-1,)) for part in parts])
        return args
