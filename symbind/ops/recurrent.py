"""Recurrent networks of several layers, in one operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product as pairs

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import sequence
from .operator import ZERO, Environment, Kernel, MaybeShape, Operator, Sample, register
from .parameter import AtMost, Bool, Enum, Float, Int, Optional, Param, Params
from .recurrent_cells import CELLS, Cell, Lengths, LSTMCell, Multiply, Sizes, Weights, flat, torch_product
from .shapes import merge, product

__all__ = ["parameter_shapes"]

Shape = tuple[int, ...]


# ---- memory ------------------------------------------------------------------------------------------------------


def parameter_shapes(p: Params, inputs: int) -> tuple[list[list[Shape]], list[list[Shape]]]:
    """Shapes of the weights, and of the biases, for each direction of each layer in turn.

    The parameter vector holds all weights in this order, and then all biases: per direction i2h and h2h (and the
    projection h2r), per weight the gates in the order of the cell.
    """
    gates, hidden, output = CELLS[p.mode].gates * p.state_size, p.state_size, _output_size(p)
    weights: list[list[Shape]] = []
    for layer, _ in pairs(range(p.num_layers), range(_directions(p))):
        width = inputs if layer == 0 else _directions(p) * output
        projection = [(output, hidden)] if p.projection_size is not None else []
        weights.append([(gates, width), (gates, output), *projection])
    return weights, [[(gates,), (gates,)] for _ in weights]


def _directions(p: Params) -> int:
    return 2 if p.bidirectional else 1


def _output_size(p: Params) -> int:
    """Numbers that one direction puts out at each step."""
    return p.state_size if p.projection_size is None else p.projection_size


class _Memory:
    """Arrays cut one after another from a flat one; without it, only counted."""

    def __init__(self, whole: torch.Tensor | None = None) -> None:
        self.whole = whole
        self.used = 0

    def take(self, shapes: Sequence[Shape]) -> list[torch.Tensor]:
        arrays = []
        for shape in shapes:
            size = product(shape)
            if self.whole is not None:
                arrays.append(self.whole[self.used : self.used + size].view(shape))
            self.used += size
        return arrays


def _cut_weights(p: Params, vector: torch.Tensor, inputs: int) -> list[Weights]:
    """The parameters of each direction of each layer, as views of the vector."""
    memory = _Memory(vector)
    weights, biases = parameter_shapes(p, inputs)
    cut = [memory.take(shapes) for shapes in weights]
    return [Weights(w[0], w[1], w[2] if len(w) == 3 else None, *memory.take(shapes)) for w, shapes in zip(cut, biases)]


def _sizes(p: Params, steps: int, batch: int) -> Sizes:
    guarded = p.use_sequence_length or p.lstm_state_clip_min is not None
    return Sizes(steps, batch, p.state_size, _output_size(p), guarded)


def _reserve(p: Params, steps: int, batch: int, memory: _Memory) -> tuple[list[list[torch.Tensor]], list, list]:
    """What passes from forward to backward: what cells save; outputs of inner layers; their dropout masks."""
    inner = [(steps, batch, _directions(p) * _output_size(p))] * (p.num_layers - 1)
    shapes = CELLS[p.mode].saved_shapes(_sizes(p, steps, batch))
    saved = [memory.take(shapes) for _ in range(p.num_layers * _directions(p))]
    return saved, memory.take(inner), memory.take(inner if p.p > 0 else [])


def _scratch(p: Params, steps: int, batch: int, memory: _Memory) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What backward needs for itself: that of a cell; gradients of the outputs of inner layers, taking turns."""
    inner = [(steps, batch, _directions(p) * _output_size(p))] * min(p.num_layers - 1, 2)
    return memory.take(CELLS[p.mode].scratch_shapes(_sizes(p, steps, batch))), memory.take(inner)


# ---- the operators -----------------------------------------------------------------------------------------------


class _Recurrent(Operator):
    """The parameters, and what follows from them, that RNN and its gradient share."""

    mode_dependent = True
    random = True

    state_size = Param(Int, doc="Size of the hidden state.")
    num_layers = Param(AtMost(1000), doc="Number of layers, each on the outputs of the one before.")
    bidirectional = Param(Bool, False, "Run each layer over time both ways; the outputs stand side by side.")
    mode = Param(Enum("gru", "lstm", "rnn_relu", "rnn_tanh"), doc="Kind of the cells.")
    p = Param(Float, 0.0, "Probability of dropout on the outputs of each layer but the last, while training.")
    state_outputs = Param(Bool, False, "Show the final states as outputs.")
    projection_size = Param(Optional(Int), None, "Size to which LSTM outputs are projected.")
    lstm_state_clip_min = Param(Optional(Float), None, "Least value of an LSTM cell state.")
    lstm_state_clip_max = Param(Optional(Float), None, "Greatest value of an LSTM cell state.")
    lstm_state_clip_nan = Param(Bool, False, "Clip cell states that are not numbers to the least value.")
    use_sequence_length = Param(Bool, False, "Take the lengths of the sequences from the input sequence_length.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        for key in ("state_size", "num_layers", "projection_size"):
            value = getattr(p, key)
            if value is not None and value <= 0:
                raise MXNetError(f"{key} of RNN must be positive, not {value}")
        if not 0 <= p.p <= 1:
            raise MXNetError(f"value {p.p} for Parameter p of RNN exceed bound [0,1]")
        if p.projection_size is not None and p.mode != "lstm":
            raise MXNetError(f"projection_size of RNN is for mode lstm only, not {p.mode}")
        if (p.lstm_state_clip_min is None) != (p.lstm_state_clip_max is None):
            raise MXNetError("RNN takes lstm_state_clip_min and lstm_state_clip_max together or not at all")
        return p

    @staticmethod
    def state_names(p: Params) -> list[str]:
        return ["state", "state_cell"] if p.mode == "lstm" else ["state"]

    def shapes(
        self,
        p: Params,
        data: MaybeShape,
        states: Sequence[MaybeShape],
        lengths: Sequence[MaybeShape],
        output: MaybeShape,
    ) -> tuple[Shape, Shape, list[Shape], Shape]:
        """Shapes of data, parameters, states and output, as far as they tell each other."""
        for name, shape in (("data", data), ("output", output)):
            if shape is not None and len(shape) != 3:
                raise MXNetError(f"{name} of RNN must be of rank 3, (steps, batch, size), not {shape}")
        directions, width = _directions(p), _output_size(p)
        steps, batch = merge(data[:2] if data else (0, 0), output[:2] if output else None)
        for shape in states:
            (batch,) = merge((batch,), shape[1:2] if shape and len(shape) == 3 else None)
        for shape in lengths:
            (batch,) = merge((batch,), shape)
        inputs = data[2] if data else 0
        parameters = 0
        if inputs:
            parameters = sum(product(s) for part in parameter_shapes(p, inputs) for shapes in part for s in shapes)
        sizes = (width, p.state_size)
        return (
            (steps, batch, inputs),
            (parameters,),
            [(p.num_layers * directions, batch, size) for size, _ in zip(sizes, states)],
            (steps, batch, directions * width),
        )

    def kernel(self, p, inputs, outputs, env):
        return sequence(self.calls(p, inputs, outputs, env, torch_product))

    def calls(
        self,
        p: Params,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        env: Environment,
        multiply: Multiply,
    ) -> list[Kernel]:
        """What the kernel consists of, with somebody's product of matrices."""
        raise NotImplementedError

    @staticmethod
    def reserve_shape(p: Params, steps: int, batch: int) -> Shape:
        memory = _Memory()
        _reserve(p, steps, batch, memory)
        return (memory.used if steps and batch else 0,)

    @staticmethod
    def cells(
        p: Params,
        data: torch.Tensor,
        weights: Sequence[Weights],
        saved: Sequence[Sequence[torch.Tensor]],
        lengths: Lengths | None,
        multiply: Multiply,
    ) -> Iterator[tuple[int, int, Cell]]:
        """The cell of each (layer, direction), in order."""
        sizes = _sizes(p, *data.shape[:2])
        for k, (layer, direction) in enumerate(pairs(range(p.num_layers), range(_directions(p)))):
            given = (sizes, weights[k], saved[k], direction == 1, lengths, multiply)
            if p.mode == "lstm" and p.lstm_state_clip_min is not None:
                clip = (p.lstm_state_clip_min, p.lstm_state_clip_max)
                yield layer, direction, LSTMCell(*given, clip=clip, clip_nan=p.lstm_state_clip_nan)
            else:
                yield layer, direction, CELLS[p.mode](*given)


def _part(array: torch.Tensor, direction: int, directions: int) -> torch.Tensor:
    """The columns of one direction."""
    return array.chunk(directions, 2)[direction]


@register
class RNN(_Recurrent):
    r"""A recurrent network over sequences.

    Each of ``num_layers`` layers runs a cell over time, :math:`h_t = cell(x_t, h_{t-1})`:

    * ``rnn_relu``, ``rnn_tanh``: :math:`h_t = f(W x_t + b_W + R h_{t-1} + b_R)`
    * ``lstm``, with a cell state :math:`c_t`:
      :math:`i, f, o = \sigma(·)`, :math:`g = \tanh(·)`, :math:`c_t = f c_{t-1} + i g`, :math:`h_t = o \tanh c_t`,
      gates in the order i, f, g, o; with ``projection_size``, :math:`h_t = P\,(o \tanh c_t)`
    * ``gru``: :math:`r, z = \sigma(·)`, :math:`n = \tanh(W_n x_t + b_{Wn} + r\,(R_n h_{t-1} + b_{Rn}))`,
      :math:`h_t = (1 - z) n + z h_{t-1}`, gates in the order r, z, n

    Shapes, for T steps of N sequences, H = ``state_size``, L layers in D directions, and R = ``projection_size`` or H:
    ``data`` (T, N, input size); ``state`` (L·D, N, R); ``state_cell`` (L·D, N, H), only for ``lstm``; outputs
    ``output`` (T, N, D·R) and, with ``state_outputs``, the final ``state_output`` and ``statecell_output`` like the
    initial ones. ``parameters`` is one vector of all weights, layer by layer and direction by direction (i2h, h2h and
    the projection), and then all biases in the same order (i2h, h2h).

    With ``use_sequence_length`` the lengths (N) of the sequences come as the input ``sequence_length``: outputs behind
    the end are 0, the final states are those at the end, and the backward direction begins there. What ``data`` holds
    behind the end must be finite, but plays no part.

    Raises MXNetError for shapes that do not fit, sizes that are not positive, and projections of other modes than lstm.

    Source: see the cells in :mod:`symbind.ops.recurrent_cells`; the arrangement is that of cuDNN.
    """

    name = "RNN"
    inputs = ("data", "parameters", "state", "state_cell", "sequence_length")
    samples = (
        Sample((3, 2, 2), (12,), (1, 2, 2), state_size=2, num_layers=1, mode="rnn_tanh"),
        Sample((3, 2, 1), (52,), (4, 2, 2), state_size=2, num_layers=2, bidirectional=True, mode="rnn_relu"),
        Sample((3, 2, 2), (48,), (1, 2, 2), (1, 2, 2), state_size=2, num_layers=1, mode="lstm", state_outputs=True),
        Sample(
            (3, 2, 1), (72,), (4, 2, 1), (4, 2, 1), (2,), values={4: [1, 3]}, integer=(4,),
            state_size=1, num_layers=2, bidirectional=True, mode="lstm", state_outputs=True, use_sequence_length=True,
        ),
        Sample(
            (3, 2, 2), (42,), (1, 2, 1), (1, 2, 2), (2,), values={4: [2, 3]}, integer=(4,), state_outputs=True,
            state_size=2, num_layers=1, mode="lstm", projection_size=1, use_sequence_length=True,
        ),
        Sample(
            (3, 2, 2), (48,), (1, 2, 2), (1, 2, 2), state_size=2, num_layers=1, mode="lstm", state_outputs=True,
            lstm_state_clip_min=-0.2, lstm_state_clip_max=0.1,
        ),
        Sample((3, 2, 1), (24,), (2, 2, 1), state_size=1, num_layers=2, mode="gru", state_outputs=True, p=0.5),
        Sample(
            (3, 2, 1), (24,), (2, 2, 1), (2,), values={3: [1, 3]}, integer=(3,), state_outputs=True,
            state_size=1, num_layers=1, bidirectional=True, mode="gru", use_sequence_length=True,
        ),
        Sample(
            (3, 2, 1), (8,), (2, 2, 1), (2,), values={3: [1, 2]}, integer=(3,), state_outputs=True,
            state_size=1, num_layers=1, bidirectional=True, mode="rnn_tanh", use_sequence_length=True,
        ),
    )  # fmt: skip

    def input_names(self, p):
        return ["data", "parameters", *self.state_names(p), *["sequence_length"] * p.use_sequence_length]

    def output_names(self, p):
        states = ["state_output", "statecell_output"] if p.mode == "lstm" else ["state_output"]
        return ["output", *(states if p.state_outputs else ()), "reserve"]

    def num_outputs(self, p):
        return len(self.output_names(p))

    def num_visible_outputs(self, p):
        return self.num_outputs(p) - 1

    def num_recorded_outputs(self, p):
        return self.num_visible_outputs(p)

    def infer_shape(self, p, inputs, outputs):
        count = len(self.state_names(p))
        given = [merge(i, o) for i, o in zip(inputs[2 : 2 + count], outputs[1:-1])] or inputs[2 : 2 + count]
        data, parameters, states, output = self.shapes(p, inputs[0], given, inputs[2 + count :], outputs[0])
        lengths = [(data[1],)] * p.use_sequence_length
        shown = states if p.state_outputs else []
        return [data, parameters, *states, *lengths], [output, *shown, self.reserve_shape(p, *data[:2])]

    def infer_dtype(self, p, inputs, outputs):
        count = 2 + len(self.state_names(p))
        dtype = next((t for t in (*inputs[:count], *outputs) if t is not None), None)
        # Lengths that nobody described are numbers like the data.
        return [dtype] * count + [length or dtype for length in inputs[count:]], [dtype] * len(outputs)

    def gradient(self, p, x, y, dy):
        result = apply("_backward_RNN", *dy[:-1], *x, y[-1], **vars(p))
        return [*result, *[ZERO] * p.use_sequence_length]

    def calls(self, p, inputs, outputs, env, multiply):
        data, parameters, *rest = inputs
        steps, batch, size = data.shape
        output, reserve = outputs[0], outputs[-1]
        states = rest[: len(self.state_names(p))]
        lengths = Lengths(rest[-1], steps, data.dtype) if p.use_sequence_length else None
        saved, inner, masks = _reserve(p, steps, batch, _Memory(reserve))
        weights = _cut_weights(p, parameters, size)
        layers = [data, *inner, output]
        calls: list[Kernel] = [] if lengths is None else [*lengths.fill]
        for k, (layer, direction, cell) in enumerate(self.cells(p, data, weights, saved, lengths, multiply)):
            calls += [partial(track.first.copy_, state[k]) for track, state in zip(cell.tracks, states)]
            calls += cell.forward(layers[layer])
            calls += [partial(final[k].copy_, track.last) for track, final in zip(cell.tracks, outputs[1:-1])]
            part = _part(layers[layer + 1], direction, _directions(p))
            calls.append(partial(part.copy_, cell.hidden.after))
            if direction == _directions(p) - 1:
                calls += self.finish_layer(p, layers[layer + 1], masks[layer : layer + 1], lengths, env)
        return calls

    @staticmethod
    def finish_layer(
        p: Params, output: torch.Tensor, masks: Sequence[torch.Tensor], lengths: Lengths | None, env: Environment
    ) -> list[Kernel]:
        """Zeros behind the ends of the sequences, and dropout where there is a mask for it."""
        calls: list[Kernel] = []
        if lengths is not None:
            calls.append(partial(output.masked_fill_, lengths.over, 0))
        if masks and env.is_train:
            calls += dropout(p.p, output, masks[0], env.generator)
        return calls


def dropout(p: float, output: torch.Tensor, mask: torch.Tensor, generator: torch.Generator) -> list[Kernel]:
    """Calls that draw ``mask`` (0 with probability ``p``, else 1 / (1 - p)) and multiply ``output`` by it."""
    keep = 1 - p
    return [
        partial(mask.uniform_, generator=generator),
        partial(mask.lt_, keep),
        partial(mask.mul_, 1 / keep if keep else 0.0),
        partial(output.mul_, mask),
    ]


@register
class RNNGradient(_Recurrent):
    """Gradient of RNN with respect to data, parameters and initial states."""

    name = "_backward_RNN"
    samples = (Sample((3, 2, 2), (3, 2, 2), (12,), (1, 2, 2), (16,), state_size=2, num_layers=1, mode="rnn_tanh"),)

    def input_names(self, p):
        states = self.state_names(p)
        heads = ["head_grad", *([f"{name}_head_grad" for name in states] if p.state_outputs else [])]
        return [*heads, "data", "parameters", *states, *["sequence_length"] * p.use_sequence_length, "reserve"]

    def unread_inputs(self, p):
        names = list(self.input_names(p))
        return [names.index(name) for name in self.state_names(p)]

    def num_outputs(self, p):
        return 3 + len(self.state_names(p))

    def num_visible_outputs(self, p):
        return self.num_outputs(p) - 1

    def output_names(self, p):
        return ["data_grad", "parameters_grad", *(f"{name}_grad" for name in self.state_names(p)), "scratch"]

    def infer_shape(self, p, inputs, outputs):
        names, count = list(self.input_names(p)), len(self.state_names(p))
        at, heads = names.index("data"), names.index("data") - 1
        seen = [merge(i, o) for i, o in zip(inputs[at + 2 : at + 2 + count], outputs[2:])]
        lengths = inputs[at + 2 + count : -1]
        data, parameters, states, head = self.shapes(p, merge(inputs[at], outputs[0]), seen, lengths, inputs[0])
        memory = _Memory()
        _scratch(p, data[0], data[1], memory)
        scratch = (memory.used if 0 not in data else 0,)
        reserve = self.reserve_shape(p, *data[:2])
        known = [head, *states[:heads], data, parameters, *states, *[(data[1],)] * len(lengths), reserve]
        return known, [data, parameters, *states, scratch]

    def infer_dtype(self, p, inputs, outputs):
        names = list(self.input_names(p))
        typed = [t for t, name in zip(inputs, names) if name != "sequence_length"]
        dtype = next((t for t in (*typed, *outputs) if t is not None), None)
        return [(t or dtype) if name == "sequence_length" else dtype for t, name in zip(inputs, names)], [dtype] * len(
            outputs
        )

    def calls(self, p, inputs, outputs, env, multiply):
        names = list(self.input_names(p))
        given = dict(zip(names, inputs))
        data, head = given["data"], given["head_grad"]
        steps, batch, size = data.shape
        d_data, d_parameters, *d_states, scratch = outputs
        directions = _directions(p)
        lengths = Lengths(given["sequence_length"], steps, data.dtype) if p.use_sequence_length else None
        saved, inner, masks = _reserve(p, steps, batch, _Memory(given["reserve"]))
        cell_scratch, turns = _scratch(p, steps, batch, _Memory(scratch))
        weights = _cut_weights(p, given["parameters"], size)
        d_weights = _cut_weights(p, d_parameters, size)
        layers = [data, *inner]
        d_layers = [d_data, *(turns[i % 2] for i in range(len(inner))), head]
        heads = [given[f"{name}_head_grad"] for name in self.state_names(p)] if p.state_outputs else []

        calls: list[Kernel] = [] if lengths is None else [*lengths.fill]
        calls += [partial(d.copy_, h) for d, h in zip(d_states, heads)] or [d.zero_ for d in d_states]
        listed = list(self.cells(p, data, weights, saved, lengths, multiply))
        for k, (layer, direction, cell) in reversed(list(enumerate(listed))):
            dy, dx = d_layers[layer + 1], d_layers[layer]
            if layer < p.num_layers - 1 and masks and env.is_train and direction == directions - 1:
                calls.append(partial(dy.mul_, masks[layer]))
            calls += cell.backward(
                layers[layer],
                _part(dy, direction, directions),
                [d[k] for d in d_states],
                cell_scratch,
                d_weights[k],
            )
            d_gates, i2h = flat(cell_scratch[0]), weights[k].i2h
            first = direction == directions - 1
            calls.append(multiply(d_gates, i2h, flat(dx), accumulate=not first))
        return calls
