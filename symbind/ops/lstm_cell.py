r"""The step of an LSTM between its matrix products, as one operator with a gradient of its own.

Programs make it of the many small nodes that an unrolled cell is described by: what would be twenty passes over small
arrays, with copies of the gates cut apart and joined again, becomes a few that read and write the gates where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Kernel, Operator, Sample, register
from .shapes import merge

__all__ = ["CellStep", "step_forward"]

aten = torch.ops.aten


class CellStep(Operator):
    """Shapes of a step and its gradient: all like the cell, those of the gates several times as long in axis 1."""

    #: How many times as long as the cell each input and output is in axis 1.
    input_widths: tuple[int, ...]
    output_widths: tuple[int, ...]

    def infer_shape(self, p, inputs, outputs):
        cell = None
        for shape, width in zip((*inputs, *outputs), (*self.input_widths, *self.output_widths)):
            if shape is None:
                continue
            if len(shape) < 2 or shape[1] % width:
                raise MXNetError(f"{self.name} takes {width} times the cell's size in axis 1, not the shape {shape}")
            cell = merge(cell, (shape[0], shape[1] // width, *shape[2:]))
        if cell is None:
            return inputs, outputs
        rows, size, *rest = cell
        return [(rows, size * w, *rest) for w in self.input_widths], [
            (rows, size * w, *rest) for w in self.output_widths
        ]


@register
class LSTMCell(CellStep):
    r"""One step of an LSTM from the sums that reach its gates and the cell before.

    .. math::

        i, f, o = \sigma(\cdot), \quad g = \tanh(\cdot) \quad \text{of gates} \qquad
        c' = f \cdot c + i \cdot g \qquad h = o \cdot \tanh c'

    ``gates`` is (N, 4 H, …) in the order i, f, g, o, ``cell`` (N, H, …): cells that convolve have images. Outputs are
    h and c', each like ``cell``, and for the gradient the activated gates and :math:`\tanh c'`.

    Source: Hochreiter and Schmidhuber, *Long short-term memory*, 1997.
    """

    name = "_lstm_cell"
    inputs = ("gates", "cell")
    input_widths = (4, 1)
    output_widths = (1, 1, 4, 1)
    inplace = ((0, 2),)
    samples = (Sample((2, 12), (2, 3)), Sample((1, 4, 2, 3), (1, 1, 2, 3)))

    def num_outputs(self, p):
        return 4

    def num_visible_outputs(self, p):
        return 2

    def gradient(self, p, x, y, dy):
        return list(apply("_backward_lstm_cell", dy[0], dy[1], y[2], y[3], x[1]))

    def kernel(self, p, inputs, outputs, env):
        candidate = outputs[2].chunk(4, 1)[2]
        squashed = outputs[3]
        return step_forward(
            inputs, outputs, lambda: torch.tanh(squashed, out=candidate), lambda: torch.tanh(outputs[1], out=squashed)
        )


def step_forward(
    inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], squash_candidate: Kernel, squash_cell: Kernel
) -> Kernel:
    """The step with tanh given as two calls: of what ``outputs[3]`` holds into the candidate, and of c' into it."""
    gates, cell = inputs
    hidden, new, activated, squashed = outputs
    size = cell.shape[1]
    i, f, g, o = activated.chunk(4, 1)
    candidate = gates.chunk(4, 1)[2]
    in_and_forget, out_of = gates[:, : 2 * size], gates[:, 3 * size :]
    both = activated[:, : 2 * size]

    def run() -> None:
        squashed.copy_(candidate)
        torch.sigmoid(in_and_forget, out=both)
        torch.sigmoid(out_of, out=o)
        squash_candidate()
        torch.mul(f, cell, out=new)
        torch.addcmul(new, i, g, out=new)
        squash_cell()
        torch.mul(o, squashed, out=hidden)

    return run


@register
class LSTMCellGradient(CellStep):
    """Gradient of :class:`LSTMCell` with respect to gates and cell, by the chain rule.

    Inputs are the gradients of h and c', the activated gates and :math:`\\tanh c'` that the step has left, and the cell
    before it.
    """

    name = "_backward_lstm_cell"
    inputs = ("hidden_grad", "cell_grad", "activated", "squashed", "cell")
    input_widths = (1, 1, 4, 1, 1)
    output_widths = (4, 1)
    inplace = ((1, 1),)

    def num_outputs(self, p):
        return 2

    def kernel(self, p, inputs, outputs, env):
        d_hidden, d_new, activated, squashed, cell = inputs
        d_gates, d_cell = outputs
        size = cell.shape[1]
        i, f, g, o = activated.chunk(4, 1)
        d_i, d_f, d_g, d_o = d_gates.chunk(4, 1)
        both, d_both = activated[:, : 2 * size], d_gates[:, : 2 * size]
        sigmoid_backward, tanh_backward = aten.sigmoid_backward.grad_input, aten.tanh_backward.grad_input

        def run() -> None:
            torch.mul(d_hidden, o, out=d_o)
            tanh_backward(d_o, squashed, grad_input=d_o)
            torch.add(d_new, d_o, out=d_cell)  # now of c'; the gates take their parts before it becomes that of c
            torch.mul(d_hidden, squashed, out=d_o)
            sigmoid_backward(d_o, o, grad_input=d_o)
            torch.mul(d_cell, g, out=d_i)
            torch.mul(d_cell, cell, out=d_f)
            sigmoid_backward(d_both, both, grad_input=d_both)
            torch.mul(d_cell, i, out=d_g)
            tanh_backward(d_g, g, grad_input=d_g)
            d_cell.mul_(f)

        return run
