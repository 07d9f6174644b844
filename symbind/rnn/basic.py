"""The three classic cells, on vectors: plain, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import symbol as sym
from ..graph.symbol import Symbol
from ..initializer import LSTMBias
from .cell import Activation, BaseRNNCell, RNNParams, apply_activation

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "gru_step", "lstm_step"]


def lstm_step(gates: Sequence[Symbol], state: Symbol, activation: Activation, name: str) -> tuple[Symbol, Symbol]:
    r"""``(h', c')``: :math:`c' = \sigma(f) c + \sigma(i) a(g)`, :math:`h' = \sigma(o) a(c')`; gates are i, f, g, o."""
    entering = sym.Activation(gates[0], act_type="sigmoid", name=f"{name}i")
    keeping = sym.Activation(gates[1], act_type="sigmoid", name=f"{name}f")
    candidate = apply_activation(gates[2], activation, name=f"{name}c")
    leaving = sym.Activation(gates[3], act_type="sigmoid", name=f"{name}o")
    next_state = sym.elemwise_add(keeping * state, entering * candidate, name=f"{name}state")
    return sym.elemwise_mul(leaving, apply_activation(next_state, activation), name=f"{name}out"), next_state


def gru_step(i2h: Sequence[Symbol], h2h: Sequence[Symbol], state: Symbol, activation: Activation, name: str) -> Symbol:
    r""":math:`h' = (1 - z) a(i_o + r h_o) + z h` with gates :math:`r, z = \sigma(i + h)`; parts are r, z, o."""
    reset = sym.Activation(i2h[0] + h2h[0], act_type="sigmoid", name=f"{name}_r_act")
    update = sym.Activation(i2h[1] + h2h[1], act_type="sigmoid", name=f"{name}_z_act")
    candidate = apply_activation(i2h[2] + reset * h2h[2], activation, name=f"{name}_h_act")
    return sym.elemwise_add((1.0 - update) * candidate, update * state, name=f"{name}out")


class _DenseCell(BaseRNNCell):
    """A cell with two dense layers, of the input (i2h) and of the hidden state (h2h), for all gates at once."""

    def __init__(self, num_hidden: int, prefix: str, params: RNNParams | None, i2h_bias_init: Any = None) -> None:
        super().__init__(prefix, params)
        self._num_hidden = num_hidden
        # An initializer that is not there leaves no trace in the graph.
        bias = {} if i2h_bias_init is None else {"init": i2h_bias_init}
        self._i2h = {"weight": self._params.get("i2h_weight"), "bias": self._params.get("i2h_bias", **bias)}
        self._h2h = {"weight": self._params.get("h2h_weight"), "bias": self._params.get("h2h_bias")}

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The hidden state, (batch, num_hidden)."""
        return [{"shape": (0, self._num_hidden), "__layout__": "NC"}]

    def _layers(self, inputs: Symbol, hidden: Symbol, name: str) -> tuple[Symbol, Symbol]:
        width = self._num_hidden * len(self._gate_names)
        return (
            sym.FullyConnected(data=inputs, **self._i2h, num_hidden=width, name=f"{name}i2h"),
            sym.FullyConnected(data=hidden, **self._h2h, num_hidden=width, name=f"{name}h2h"),
        )


class RNNCell(_DenseCell):
    """The plain cell: ``h' = activation(W x + b + R h + c)``, which is also the output. Elman, 1990.

    Parameters
    ----------
    num_hidden : size of the state.
    activation : name for the Activation operator, or a function of a symbol and a name.
    prefix, params : see :class:`BaseRNNCell`.
    """

    def __init__(
        self,
        num_hidden: int,
        activation: Activation = "tanh",
        prefix: str = "rnn_",
        params: RNNParams | None = None,
    ) -> None:
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("",)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        name = self._next_step()
        i2h, h2h = self._layers(inputs, states[0], name)
        output = apply_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class LSTMCell(_DenseCell):
    r"""Long short-term memory; see :func:`lstm_step` for the formula. Its states are h and c.

    The gates i, f, c, o lie in this order in the weights. Hochreiter and Schmidhuber, 1997.

    Parameters
    ----------
    num_hidden : size of each state.
    prefix, params : see :class:`BaseRNNCell`.
    forget_bias : what the bias of the forget gate is initialized to; an LSTM learns sooner if it remembers at first.
    """

    def __init__(
        self,
        num_hidden: int,
        prefix: str = "lstm_",
        params: RNNParams | None = None,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(num_hidden, prefix, params, LSTMBias(forget_bias=forget_bias))

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The hidden state and the cell state, both (batch, num_hidden)."""
        return [*super().state_info, *super().state_info]

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_i", "_f", "_c", "_o")

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        name = self._next_step()
        i2h, h2h = self._layers(inputs, states[0], name)
        gates = sym.SliceChannel(i2h + h2h, num_outputs=4, name=f"{name}slice")
        hidden, state = lstm_step(list(gates), states[1], "tanh", name)
        return hidden, [hidden, state]


class GRUCell(_DenseCell):
    """The gated recurrent unit; see :func:`gru_step` for the formula. Its state is h.

    The gates r, z, o lie in this order in the weights. The bias of the hidden state is inside the product with r, as
    in cuDNN. Cho et al., 2014.

    Parameters
    ----------
    num_hidden : size of the state.
    prefix, params : see :class:`BaseRNNCell`.
    """

    def __init__(self, num_hidden: int, prefix: str = "gru_", params: RNNParams | None = None) -> None:
        super().__init__(num_hidden, prefix, params)

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_r", "_z", "_o")

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        name = self._next_step()
        # The layers and slices of this cell have always had two underscores in their names.
        i2h, h2h = self._layers(inputs, states[0], f"{name}_")
        parts = sym.SliceChannel(i2h, num_outputs=3, name=f"{name}_i2h_slice")
        hidden_parts = sym.SliceChannel(h2h, num_outputs=3, name=f"{name}_h2h_slice")
        hidden = gru_step(list(parts), list(hidden_parts), states[0], "tanh", name)
        return hidden, [hidden]
