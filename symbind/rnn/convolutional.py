"""Recurrent cells on images: convolutions take the place of the dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import symbol as sym
from ..graph.symbol import Symbol
from .basic import gru_step, lstm_step
from .cell import Activation, BaseRNNCell, RNNParams, apply_activation

__all__ = ["BaseConvRNNCell", "ConvGRUCell", "ConvLSTMCell", "ConvRNNCell"]

Size = tuple[int, int]


def _leaky(inputs: Symbol, **kwargs: Any) -> Symbol:
    return sym.LeakyReLU(inputs, act_type="leaky", slope=0.2, **kwargs)


class BaseConvRNNCell(BaseRNNCell):
    """A cell with two convolutions, of the input (i2h) and of the hidden state (h2h), for all gates at once.

    Parameters
    ----------
    input_shape : shape of the input of a step, the batch included; its batch size plays no part.
    num_hidden : channels of each state.
    h2h_kernel, h2h_dilate : the convolution of the hidden state, padded so that its size stays; the kernel must be odd.
    i2h_kernel, i2h_stride, i2h_pad, i2h_dilate : the convolution of the input, which decides the size of the states.
    i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer : names or instances.
    activation : of the candidate; name for the Activation operator, or a function of a symbol and a name.
    prefix : default the name of the class, such as ``'ConvRNN_'``.
    params : see :class:`BaseRNNCell`.
    conv_layout : the axes of inputs and states.
    """

    _default_prefix = ""

    def __init__(
        self,
        input_shape: Sequence[int],
        num_hidden: int,
        h2h_kernel: Size = (3, 3),
        h2h_dilate: Size = (1, 1),
        i2h_kernel: Size = (3, 3),
        i2h_stride: Size = (1, 1),
        i2h_pad: Size = (1, 1),
        i2h_dilate: Size = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Activation = _leaky,
        prefix: str | None = None,
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ) -> None:
        super().__init__(self._default_prefix if prefix is None else prefix, params)
        if any(size % 2 == 0 for size in h2h_kernel):
            raise ValueError(f"h2h_kernel must be odd, so that the size of the states stays; got {h2h_kernel}")
        self._num_hidden = num_hidden
        self._activation = activation
        self._conv_layout = conv_layout
        self._input_shape = tuple(input_shape)
        self._i2h = {
            "weight": self._params.get("i2h_weight", init=i2h_weight_initializer),
            "bias": self._params.get("i2h_bias", init=i2h_bias_initializer),
            "kernel": i2h_kernel,
            "stride": i2h_stride,
            "pad": i2h_pad,
            "dilate": i2h_dilate,
        }
        self._h2h = {
            "weight": self._params.get("h2h_weight", init=h2h_weight_initializer),
            "bias": self._params.get("h2h_bias", init=h2h_bias_initializer),
            "kernel": h2h_kernel,
            "stride": (1, 1),
            "pad": tuple(dilate * (size - 1) // 2 for dilate, size in zip(h2h_dilate, h2h_kernel)),
            "dilate": h2h_dilate,
        }
        self._state_shape = self._infer_state_shape()

    def _infer_state_shape(self) -> tuple[int, ...]:
        probe = sym.Convolution(
            sym.Variable("input"),
            num_filter=self._num_hidden,
            layout=self._conv_layout,
            name="probe",
            **{key: self._i2h[key] for key in ("kernel", "stride", "pad", "dilate")},
        )
        shape = probe.infer_shape(input=self._input_shape)[1][0]
        batch = self._conv_layout.index("N")
        return (*shape[:batch], 0, *shape[batch + 1 :])

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The hidden state: ``num_hidden`` channels of the size that the convolution of the input has."""
        return [{"shape": self._state_shape, "__layout__": self._conv_layout}]

    def _layers(self, inputs: Symbol, hidden: Symbol, name: str) -> tuple[Symbol, Symbol]:
        shared = {"num_filter": self._num_hidden * len(self._gate_names), "layout": self._conv_layout}
        return (
            sym.Convolution(data=inputs, name=f"{name}i2h", **self._i2h, **shared),
            sym.Convolution(data=hidden, name=f"{name}h2h", **self._h2h, **shared),
        )


class ConvRNNCell(BaseConvRNNCell):
    """The plain cell on images: ``h' = activation(W ∗ x + b + R ∗ h + c)``. Parameters as :class:`BaseConvRNNCell`."""

    _default_prefix = "ConvRNN_"

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("",)

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        name = self._next_step()
        i2h, h2h = self._layers(inputs, states[0], name)
        output = apply_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class ConvLSTMCell(BaseConvRNNCell):
    """Long short-term memory on images. Parameters as :class:`BaseConvRNNCell`.

    Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting", 2015.
    """

    _default_prefix = "ConvLSTM_"

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The hidden state and the cell state, of the same shape."""
        return [*super().state_info, *super().state_info]

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_i", "_f", "_c", "_o")

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        name = self._next_step()
        i2h, h2h = self._layers(inputs, states[0], name)
        channels = self._conv_layout.index("C")
        gates = sym.SliceChannel(i2h + h2h, num_outputs=4, axis=channels, name=f"{name}slice")
        hidden, state = lstm_step(list(gates), states[1], self._activation, name)
        return hidden, [hidden, state]


class ConvGRUCell(BaseConvRNNCell):
    """The gated recurrent unit on images. Parameters as :class:`BaseConvRNNCell`.

    Ballas et al., "Delving Deeper into Convolutional Networks for Learning Video Representations", 2016.
    """

    _default_prefix = "ConvGRU_"

    @property
    def _gate_names(self) -> tuple[str, ...]:
        return ("_r", "_z", "_o")

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        name = self._next_step()
        i2h, h2h = self._layers(inputs, states[0], name)
        # Axis 1 is the default, and goes without saying in saved graphs.
        channels = self._conv_layout.index("C")
        axis = {} if channels == 1 else {"axis": channels}
        parts = sym.SliceChannel(i2h, num_outputs=3, name=f"{name}_i2h_slice", **axis)
        hidden_parts = sym.SliceChannel(h2h, num_outputs=3, name=f"{name}_h2h_slice", **axis)
        hidden = gru_step(list(parts), list(hidden_parts), states[0], self._activation, name)
        return hidden, [hidden]
