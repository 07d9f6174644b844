"""The arithmetic of recurrent cells: one direction of one layer over all time steps, forward and backward.

A cell turns views of fixed memory into a list of ready calls. What does not depend on the state before it is done for
all steps at once: the product of the inputs with their weights at the start of the forward pass, the derivatives of
all gates at the start of the backward pass, and the gradients of the weights at its end. What is left for the loop
over time is one product with the state and a few element-wise calls, all in place.

Names used throughout: T steps, N sequences in the batch, H numbers in the hidden state, R in the output of a step
(H, or the size of the projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import torch

from .operator import Kernel

__all__ = ["CELLS", "Cell", "LSTMCell", "Lengths", "Multiply", "Sizes", "Weights", "flat", "torch_product"]

aten = torch.ops.aten
Shape = tuple[int, ...]


class Multiply(Protocol):
    """Whoever multiplies matrices for the cells."""

    def __call__(
        self,
        left: torch.Tensor,
        right: torch.Tensor,
        out: torch.Tensor,
        *,
        accumulate: bool = False,
        bias: torch.Tensor | None = None,
    ) -> Kernel:
        """A call for ``out = left @ right``, plus what ``out`` held, or plus ``bias`` in every row."""


def torch_product(
    left: torch.Tensor,
    right: torch.Tensor,
    out: torch.Tensor,
    *,
    accumulate: bool = False,
    bias: torch.Tensor | None = None,
) -> Kernel:
    """:class:`Multiply` by torch."""
    if accumulate:
        return partial(out.addmm_, left, right)
    if bias is not None:
        return partial(torch.addmm, bias, left, right, out=out)
    return partial(torch.mm, left, right, out=out)


@dataclass(frozen=True)
class Sizes:
    """What the shapes of a cell's arrays are made of: T, N, H and R."""

    steps: int
    batch: int
    hidden: int
    output: int
    #: Sequences have lengths, or states are clipped: some gradients do not simply pass from step to step.
    guarded: bool = False

    @property
    def projects(self) -> bool:
        return self.output != self.hidden


class Weights(NamedTuple):
    """The parameters of one direction of one layer, or their gradients."""

    i2h: torch.Tensor  # (gates·H, input)
    h2h: torch.Tensor  # (gates·H, R)
    h2r: torch.Tensor | None  # (R, H), the projection
    i2h_bias: torch.Tensor  # (gates·H)
    h2h_bias: torch.Tensor  # (gates·H)


class Lengths:
    """Which steps belong to their sequence, as masks (T, N, 1) that :attr:`fill` computes from the lengths (N).

    Behind the end of a sequence the state stays as it is, and no gradient but that of the state passes.
    """

    def __init__(self, lengths: torch.Tensor, steps: int, dtype: torch.dtype) -> None:
        number = torch.arange(steps, device=lengths.device, dtype=lengths.dtype).view(-1, 1, 1)
        self.runs = torch.empty(steps, len(lengths), 1, dtype=torch.bool, device=lengths.device)
        self.over = torch.empty_like(self.runs)
        # The same as numbers, to multiply by.
        self.one_if_runs = torch.empty_like(self.runs, dtype=dtype)
        self.one_if_over = torch.empty_like(self.one_if_runs)
        self.fill: list[Kernel] = [
            partial(torch.lt, number, lengths.view(1, -1, 1), out=self.runs),
            partial(torch.logical_not, self.runs, out=self.over),
            partial(self.one_if_runs.copy_, self.runs),
            partial(self.one_if_over.copy_, self.over),
        ]


def flat(steps: torch.Tensor) -> torch.Tensor:
    """The rows of all steps as one matrix."""
    return steps.view(-1, steps.shape[-1])


@dataclass
class Track:
    """A state through time: what it was ``before`` and is ``after`` each step, as views (T, N, ·) of one memory.

    The memory (T + 1, N, ·) has room for the ``first`` state at the end where time begins, which is the other one for
    a reversed direction.
    """

    before: torch.Tensor
    after: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor

    @classmethod
    def of(cls, memory: torch.Tensor, reverse: bool) -> Track:
        if reverse:
            return cls(memory[1:], memory[:-1], memory[-1], memory[0])
        return cls(memory[:-1], memory[1:], memory[0], memory[-1])


class Cell:
    """One direction of one layer. The arrays are views of memory that someone else planned.

    ``saved`` (of :meth:`saved_shapes`) passes from the forward pass to the backward pass; its first arrays are the
    memory of the tracks. ``states`` are the gradients of the final states, which :meth:`backward` turns into those of
    the initial ones.
    """

    gates: int

    def __init__(
        self,
        sizes: Sizes,
        weights: Weights,
        saved: Sequence[torch.Tensor],
        reverse: bool,
        lengths: Lengths | None,
        multiply: Multiply,
    ) -> None:
        self.sizes, self.weights, self.saved, self.lengths = sizes, weights, saved, lengths
        self.multiply = multiply
        self.hidden = Track.of(saved[0], reverse)
        self.order = range(sizes.steps)[::-1] if reverse else range(sizes.steps)

    @classmethod
    def saved_shapes(cls, s: Sizes) -> list[Shape]:
        raise NotImplementedError

    @classmethod
    def scratch_shapes(cls, s: Sizes) -> list[Shape]:
        """What the backward pass needs for itself. It leaves the gradient of the inputs' gates in the first array."""
        raise NotImplementedError

    @property
    def tracks(self) -> list[Track]:
        """The tracks of all states, in the order of the operator's inputs."""
        return [self.hidden]

    def forward(self, x: torch.Tensor) -> list[Kernel]:
        """Calls that fill ``saved`` from the inputs ``x`` (T, N, input) and the first states of the tracks."""
        raise NotImplementedError

    def backward(
        self,
        x: torch.Tensor,
        dy: torch.Tensor,
        states: Sequence[torch.Tensor],
        scratch: Sequence[torch.Tensor],
        d: Weights,
    ) -> list[Kernel]:
        """Calls that compute the gradients ``d`` and those of ``states`` from ``dy`` (T, N, R)."""
        raise NotImplementedError

    # ---- what cells have in common ---------------------------------------------------------------------------------

    def keep_ended(self, t: int) -> list[Kernel]:
        """Undo step ``t`` for the sequences that are over."""
        if self.lengths is None:
            return []
        runs = self.lengths.runs[t]
        return [
            partial(torch.where, runs, track.after[t], track.before[t], out=track.after[t]) for track in self.tracks
        ]

    def add_step_gradient(self, d_hidden: torch.Tensor, dy: torch.Tensor, t: int) -> Kernel:
        """Add the gradient of the output of step ``t`` to that of the state."""
        if self.lengths is None:
            return partial(d_hidden.add_, dy[t])
        return partial(d_hidden.addcmul_, dy[t], self.lengths.one_if_runs[t])

    def pass_back(self, d_hidden: torch.Tensor, d_gates: torch.Tensor, t: int) -> list[Kernel]:
        """The gradient of the state before step ``t``, through the gates or past them."""
        if self.lengths is None:
            return [self.multiply(d_gates, self.weights.h2h, d_hidden)]
        return [
            partial(d_hidden.mul_, self.lengths.one_if_over[t]),
            self.multiply(d_gates, self.weights.h2h, d_hidden, accumulate=True),
        ]

    def clear_ended(self, *arrays: torch.Tensor) -> list[Kernel]:
        """Zeros behind the ends of the sequences."""
        if self.lengths is None:
            return []
        return [partial(array.masked_fill_, self.lengths.over, 0) for array in arrays]

    def pass_ended(self, carry: torch.Tensor) -> list[Kernel]:
        """Let all of a state's gradient pass the steps behind the ends of the sequences."""
        return [] if self.lengths is None else [partial(carry.masked_fill_, self.lengths.over, 1)]

    def weight_gradients(self, d_gates: torch.Tensor, x: torch.Tensor, d: Weights) -> list[Kernel]:
        """Gradients of weights and biases where input and state enter the gates alike."""
        return [
            self.multiply(flat(d_gates).t(), flat(x), d.i2h),
            self.multiply(flat(d_gates).t(), flat(self.hidden.before), d.h2h),
            partial(torch.sum, flat(d_gates), 0, out=d.i2h_bias),
            partial(d.h2h_bias.copy_, d.i2h_bias),
        ]


class PlainCell(Cell):
    r""":math:`h_t = f(W x_t + b_W + R h_{t-1} + b_R)`; source: Elman, *Finding structure in time*, 1990."""

    gates = 1
    activate: str

    @classmethod
    def saved_shapes(cls, s):
        return [(s.steps + 1, s.batch, s.hidden)]

    @classmethod
    def scratch_shapes(cls, s):
        return [(s.steps, s.batch, s.hidden)]

    def derivative(self, out: torch.Tensor) -> list[Kernel]:
        """Fill ``out`` with the derivative of the activation at every step."""
        raise NotImplementedError

    def forward(self, x):
        w, h = self.weights, self.hidden
        bias = torch.empty_like(w.i2h_bias)
        calls: list[Kernel] = [
            partial(torch.add, w.i2h_bias, w.h2h_bias, out=bias),
            self.multiply(flat(x), w.i2h.t(), flat(h.after), bias=bias),
        ]
        for t in self.order:
            new = h.after[t]
            calls += [self.multiply(h.before[t], w.h2h.t(), new, accumulate=True), getattr(new, self.activate)]
            calls += self.keep_ended(t)
        return calls

    def backward(self, x, dy, states, scratch, d):
        (d_hidden,), (d_gates,) = states, scratch
        calls = [*self.derivative(d_gates), *self.clear_ended(d_gates)]
        for t in reversed(self.order):
            calls += [self.add_step_gradient(d_hidden, dy, t), partial(d_gates[t].mul_, d_hidden)]
            calls += self.pass_back(d_hidden, d_gates[t], t)
        return calls + self.weight_gradients(d_gates, x, d)


class ReluCell(PlainCell):
    activate = "relu_"

    def derivative(self, out):
        return [partial(torch.gt, self.hidden.after, 0, out=out)]


class TanhCell(PlainCell):
    activate = "tanh_"

    def derivative(self, out):
        h = self.hidden.after
        return [partial(torch.mul, h, h, out=out), out.neg_, partial(out.add_, 1)]


class LSTMCell(Cell):
    r"""Long short-term memory.

    .. math::

        i, f, o = \sigma(\cdot), \quad g = \tanh(\cdot) \quad\text{of}\quad W x_t + b_W + R h_{t-1} + b_R

        c_t = f \cdot c_{t-1} + i \cdot g, \qquad h_t = P\,(o \cdot \tanh c_t)

    with the gates in the order i, f, g, o, and without :math:`P` if there is no projection.

    Source: Hochreiter and Schmidhuber, *Long short-term memory*, 1997; Sak et al., *Long short-term memory recurrent
    neural network architectures for large scale acoustic modeling*, 2014, for the projection.
    """

    gates = 4

    def __init__(self, *args, clip: tuple[float, float] | None = None, clip_nan: bool = False) -> None:
        super().__init__(*args)
        self.clip, self.clip_nan = clip, clip_nan
        self.cell = Track.of(self.saved[1], reverse=self.order.step < 0)

    @classmethod
    def saved_shapes(cls, s):
        shapes = [(s.steps + 1, s.batch, s.output), (s.steps + 1, s.batch, s.hidden), (s.steps, s.batch, 4 * s.hidden)]
        return [*shapes, (s.steps, s.batch, s.hidden)] if s.projects else shapes

    @classmethod
    def scratch_shapes(cls, s):
        state = (s.steps, s.batch, s.hidden)
        shapes: list[Shape] = [(s.steps, s.batch, 4 * s.hidden), state]
        shapes += [(s.steps, s.batch, s.output), (s.batch, s.hidden)] if s.projects else []
        return [*shapes, state] if s.guarded else shapes

    @property
    def tracks(self):
        return [self.hidden, self.cell]

    def forward(self, x):
        w, h, c, gates = self.weights, self.hidden, self.cell, self.saved[2]
        exposed = self.saved[3] if self.sizes.projects else h.after
        bias = torch.empty_like(w.i2h_bias)
        calls: list[Kernel] = [
            partial(torch.add, w.i2h_bias, w.h2h_bias, out=bias),
            self.multiply(flat(x), w.i2h.t(), flat(gates), bias=bias),
        ]
        for t in self.order:
            i, f, g, o = gates[t].chunk(4, 1)
            new = c.after[t]
            calls += [
                self.multiply(h.before[t], w.h2h.t(), gates[t], accumulate=True),
                gates[t][:, : 2 * self.sizes.hidden].sigmoid_,
                g.tanh_,
                o.sigmoid_,
                partial(torch.mul, f, c.before[t], out=new),
                partial(new.addcmul_, i, g),
                *self.clipping(new),
                partial(torch.tanh, new, out=exposed[t]),
                partial(exposed[t].mul_, o),
            ]
            if w.h2r is not None:
                calls.append(self.multiply(exposed[t], w.h2r.t(), h.after[t]))
            calls += self.keep_ended(t)
        return calls

    def clipping(self, cell: torch.Tensor) -> list[Kernel]:
        if self.clip is None:
            return []
        low, high = self.clip
        if not self.clip_nan:
            return [partial(cell.clamp_, low, high)]
        # Of a number and a NaN these take the number.
        return [
            partial(torch.fmax, cell, torch.full_like(cell[:1, :1], low), out=cell),
            partial(torch.fmin, cell, torch.full_like(cell[:1, :1], high), out=cell),
        ]

    def backward(self, x, dy, states, scratch, d):
        w, c, gates = self.weights, self.cell, self.saved[2]
        i, f, g, o = gates.chunk(4, 2)
        d_hidden, d_cell = states
        # At first the derivatives by which the gradients of the states are multiplied when their step comes.
        d_gates, to_cell = scratch[:2]
        d_i, d_f, d_g, d_o = d_gates.chunk(4, 2)
        calls: list[Kernel] = [
            partial(aten.sigmoid_backward.grad_input, g, i, grad_input=d_i),
            partial(aten.sigmoid_backward.grad_input, c.before, f, grad_input=d_f),
            partial(aten.tanh_backward.grad_input, i, g, grad_input=d_g),
            partial(torch.tanh, c.after, out=to_cell),
            partial(aten.sigmoid_backward.grad_input, to_cell, o, grad_input=d_o),
            partial(aten.tanh_backward.grad_input, o, to_cell, grad_input=to_cell),
        ]
        calls += self.clear_ended(d_gates, to_cell)
        through_cell = d_gates[..., : 3 * self.sizes.hidden].unflatten(2, (3, -1))
        carry = f
        if self.sizes.guarded:
            carry = scratch[-1]
            calls += [partial(carry.copy_, f), *self.block_clipped(through_cell, carry), *self.pass_ended(carry)]
        for t in reversed(self.order):
            calls.append(self.add_step_gradient(d_hidden, dy, t))
            d_exposed = d_hidden
            if w.h2r is not None:
                d_projected, d_exposed = scratch[2:4]
                calls += [partial(d_projected[t].copy_, d_hidden), self.multiply(d_hidden, w.h2r, d_exposed)]
            calls += [
                partial(d_cell.addcmul_, d_exposed, to_cell[t]),
                partial(through_cell[t].mul_, d_cell.unsqueeze(1)),
                partial(d_o[t].mul_, d_exposed),
                partial(d_cell.mul_, carry[t]),
                *self.pass_back(d_hidden, d_gates[t], t),
            ]
        if d.h2r is not None:
            d_projected = scratch[2]
            calls += self.clear_ended(d_projected)
            calls.append(self.multiply(flat(d_projected).t(), flat(self.saved[3]), d.h2r))
        return calls + self.weight_gradients(d_gates, x, d)

    def block_clipped(self, through_cell: torch.Tensor, carry: torch.Tensor) -> list[Kernel]:
        """No gradient passes a cell state that was clipped."""
        if self.clip is None:
            return []
        (low, high), cell = self.clip, self.cell.after

        def block() -> None:
            clipped = (cell <= low) | (cell >= high)
            through_cell.masked_fill_(clipped.unsqueeze(2), 0)
            carry.masked_fill_(clipped, 0)

        return [block]


class GRUCell(Cell):
    r"""Gated recurrent unit.

    .. math::

        r, z = \sigma(\cdot) \quad\text{of}\quad W x_t + b_W + R h_{t-1} + b_R, \qquad
        n = \tanh\bigl(W_n x_t + b_{Wn} + r \cdot (R_n h_{t-1} + b_{Rn})\bigr)

        h_t = (1 - z) \cdot n + z \cdot h_{t-1}

    with the gates in the order r, z, n.

    Source: Cho et al., *Learning phrase representations using RNN encoder-decoder*, 2014, in cuDNN's variant.
    """

    gates = 3

    @classmethod
    def saved_shapes(cls, s):
        state = (s.steps, s.batch, s.hidden)
        return [(s.steps + 1, s.batch, s.hidden), (s.steps, s.batch, 3 * s.hidden), state]

    @classmethod
    def scratch_shapes(cls, s):
        state = (s.steps, s.batch, s.hidden)
        shapes = [(s.steps, s.batch, 3 * s.hidden), state]
        return [*shapes, state] if s.guarded else shapes

    def halves(self, w: Weights) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Recurrent weights and biases of the gates r, z and of n."""
        split = 2 * self.sizes.hidden
        return w.h2h[:split], w.h2h[split:], w.h2h_bias[:split], w.h2h_bias[split:]

    def forward(self, x):
        w, h, (_, gates, recurrent) = self.weights, self.hidden, self.saved
        gate_weights, new_weights, gate_bias, new_bias = self.halves(w)
        bias = torch.empty_like(w.i2h_bias)
        rz, n = gates.split((2 * self.sizes.hidden, self.sizes.hidden), 2)
        r, z = rz.chunk(2, 2)
        calls: list[Kernel] = [
            partial(bias.copy_, w.i2h_bias),
            partial(bias[: len(gate_bias)].add_, gate_bias),
            self.multiply(flat(x), w.i2h.t(), flat(gates), bias=bias),
        ]
        for t in self.order:
            calls += [
                self.multiply(h.before[t], gate_weights.t(), rz[t], accumulate=True),
                self.multiply(h.before[t], new_weights.t(), recurrent[t], bias=new_bias),
                rz[t].sigmoid_,
                partial(n[t].addcmul_, r[t], recurrent[t]),
                n[t].tanh_,
                partial(torch.lerp, n[t], h.before[t], z[t], out=h.after[t]),
                *self.keep_ended(t),
            ]
        return calls

    def backward(self, x, dy, states, scratch, d):
        h, (_, gates, recurrent) = self.hidden, self.saved
        gate_weights, new_weights, *_ = self.halves(self.weights)
        r, z, n = gates.chunk(3, 2)
        (d_hidden,) = states
        # As for LSTM, the derivatives at first, and then the gradients.
        d_gates, d_recurrent = scratch[:2]
        d_rz, d_n = d_gates.split((2 * self.sizes.hidden, self.sizes.hidden), 2)
        d_r, d_z = d_rz.chunk(2, 2)
        calls: list[Kernel] = [
            partial(torch.neg, z, out=d_n),
            partial(d_n.add_, 1),
            partial(aten.tanh_backward.grad_input, d_n, n, grad_input=d_n),
            partial(torch.mul, d_n, recurrent, out=d_r),
            partial(aten.sigmoid_backward.grad_input, d_r, r, grad_input=d_r),
            partial(torch.sub, h.before, n, out=d_z),
            partial(aten.sigmoid_backward.grad_input, d_z, z, grad_input=d_z),
            partial(torch.mul, d_n, r, out=d_recurrent),
        ]
        calls += self.clear_ended(d_gates, d_recurrent)
        carry = z
        if self.sizes.guarded:
            carry = scratch[-1]
            calls += [partial(carry.copy_, z), *self.pass_ended(carry)]
        for t in reversed(self.order):
            calls += [
                self.add_step_gradient(d_hidden, dy, t),
                partial(d_gates[t].unflatten(1, (3, -1)).mul_, d_hidden.unsqueeze(1)),
                partial(d_recurrent[t].mul_, d_hidden),
                partial(d_hidden.mul_, carry[t]),
                self.multiply(d_rz[t], gate_weights, d_hidden, accumulate=True),
                self.multiply(d_recurrent[t], new_weights, d_hidden, accumulate=True),
            ]
        d_gate_weights, d_new_weights, d_gate_bias, d_new_bias = self.halves(d)
        return [
            *calls,
            self.multiply(flat(d_gates).t(), flat(x), d.i2h),
            partial(torch.sum, flat(d_gates), 0, out=d.i2h_bias),
            self.multiply(flat(d_rz).t(), flat(h.before), d_gate_weights),
            self.multiply(flat(d_recurrent).t(), flat(h.before), d_new_weights),
            partial(d_gate_bias.copy_, d.i2h_bias[: len(d_gate_bias)]),
            partial(torch.sum, flat(d_recurrent), 0, out=d_new_bias),
        ]


CELLS: dict[str, type[Cell]] = {"rnn_relu": ReluCell, "rnn_tanh": TanhCell, "lstm": LSTMCell, "gru": GRUCell}
