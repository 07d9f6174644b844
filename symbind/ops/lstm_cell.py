r"""The step of an LSTM between its matrix products, as one operator with a gradient of its own.

Programs make it of the many small nodes that an unrolled cell is described by: what would be twenty passes over small
arrays, with copies of the gates cut apart and joined again, becomes a few that read and write the gates where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.node import Entry
from ..graph.symbol import Symbol, apply
from .kernels import sequence
from .operator import Kernel, Operator, Sample, register
from .parameter import Bool, Param
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
        widths = self.input_widths, self.output_widths[: len(outputs)]
        return tuple([(rows, size * w, *rest) for w in side] for side in widths)


@register
class LSTMCell(CellStep):
    r"""One step of an LSTM from the sums that reach its gates and the cell before.

    .. math::

        i, f, o = \sigma(\cdot), \quad g = \tanh(\cdot) \quad \text{of gates} \qquad
        c' = f \cdot c + i \cdot g \qquad h = o \cdot \tanh c'

    ``gates`` is (N, 4 H, …) in the order i, f, g, o, ``cell`` (N, H, …): cells that convolve have images. Outputs are
    h and c', each like ``cell``, and the activated gates, though without ``exposure`` not g. With it comes what the
    gradient needs besides:

    .. math:: \frac{\partial h}{\partial c'} = o \, (1 - \tanh^2 c')

    Source: Hochreiter and Schmidhuber, *Long short-term memory*, 1997.
    """

    name = "_lstm_cell"
    inputs = ("gates", "cell")
    input_widths = (4, 1)
    output_widths = (1, 1, 4, 1)
    inplace = ((0, 2),)
    exposure = Param(Bool, True, "Whether a gradient will be asked for")
    samples = (
        Sample((2, 12), (2, 3)), Sample((2, 12), (2, 3), exposure=False), Sample((1, 4, 2, 3), (1, 1, 2, 3))
    )  # fmt: skip

    def num_outputs(self, p):
        return 4 if p.exposure else 3

    def num_visible_outputs(self, p):
        return 2

    def gradient(self, p, x, y, dy):
        if not p.exposure:
            node = apply(self.name, *x).entries[0].node
            y = [Symbol([Entry(node, i)]) for i in range(node.num_outputs)]
        return list(apply("_backward_lstm_cell", dy[0], dy[1], y[2], y[3], y[0], x[1]))

    def kernel(self, p, inputs, outputs, env):
        gates = inputs[0]
        hidden, new, activated, *_ = outputs
        proposed = gates.chunk(4, 1)[2]

        def activate() -> None:
            torch.tanh(proposed, out=hidden)
            torch.sigmoid(gates, out=activated)

        return step_forward(inputs, outputs, activate, partial(torch.tanh, new, out=hidden))


def step_forward(
    inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], activate: Kernel, squash: Kernel
) -> Kernel:
    """The step with its functions given as two calls.

    ``activate`` leaves :math:`\\sigma` of all four in ``outputs[2]``, which is easier than of three, and the candidate
    g in ``outputs[0]``, where ``squash`` then leaves tanh of what is in ``outputs[1]``.
    """
    cell = inputs[1]
    hidden, new, activated, *exposures = outputs
    i, f, g, o = activated.chunk(4, 1)
    return sequence([
        activate,
        *(partial(g.copy_, hidden) for _ in exposures),
        partial(torch.mul, f, cell, out=new),
        partial(torch.addcmul, new, i, hidden, out=new),
        squash,
        *(partial(aten.tanh_backward.grad_input, o, hidden, grad_input=exposure) for exposure in exposures),
        partial(hidden.mul_, o),
    ])  # fmt: skip


@register
class LSTMCellGradient(CellStep):
    """Gradient of :class:`LSTMCell` with respect to gates and cell, by the chain rule.

    Inputs are the gradients of h and c', the activated gates and the exposure that the step has left, its h, and the
    cell before it. The last output is working memory.
    """

    name = "_backward_lstm_cell"
    inputs = ("hidden_grad", "cell_grad", "activated", "exposure", "hidden", "cell")
    input_widths = (1, 1, 4, 1, 1, 1)
    output_widths = (4, 1, 4)
    inplace = ((1, 1), (2, 0))

    def num_outputs(self, p):
        return 3

    def num_visible_outputs(self, p):
        return 2

    def kernel(self, p, inputs, outputs, env):
        d_hidden, d_new, activated, exposure, hidden, cell = inputs
        d_gates, d_cell, memory = outputs
        gates, d_gates, terms = (array.unflatten(1, (4, -1)) for array in (activated, d_gates, memory))
        i_and_f, i_and_g = gates[:, :2], gates[:, ::2]
        (_, f, g, o), (_, _, d_g, d_o), (by_i, product, _, by_cell) = (a.unbind(1) for a in (gates, d_gates, terms))
        by_i_and_g, by_g_and_cell, d_i_and_f = terms[:, ::2], terms[:, 2:], d_gates[:, :2]
        d_cell_for_two = d_cell.unsqueeze(1)
        sigmoid_backward, tanh_backward = aten.sigmoid_backward.grad_input, aten.tanh_backward.grad_input

        # Two gates at a time, and the gradient of a gate may lie where the gate was.
        def run() -> None:
            torch.addcmul(d_new, d_hidden, exposure, out=d_cell)  # of c'; the gates take it before it becomes that of c
            torch.mul(d_cell_for_two, i_and_g, out=by_i_and_g)
            torch.mul(d_cell, cell, out=by_cell)
            d_cell.mul_(f)
            sigmoid_backward(by_g_and_cell, i_and_f, grad_input=d_i_and_f)
            tanh_backward(by_i, g, grad_input=d_g)
            # tanh c' is h / o.
            torch.mul(d_hidden, hidden, out=product)
            torch.addcmul(product, product, o, value=-1, out=d_o)

        return run
