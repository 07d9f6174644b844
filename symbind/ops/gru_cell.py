r"""The step of a GRU between its matrix products, as one operator with a gradient of its own; see :mod:`.lstm_cell`."""

from __future__ import annotations

import torch

from ..graph.symbol import apply
from .lstm_cell import CellStep
from .operator import Sample, register

__all__: list[str] = []

aten = torch.ops.aten


@register
class GRUCell(CellStep):
    r"""One step of a gated recurrent unit from the products with the input and with the state before.

    .. math::

        r, z = \sigma(x_{r,z} + s_{r,z}) \qquad n = \tanh(x_n + r \cdot s_n) \qquad h' = (1 - z) \cdot n + z \cdot h

    ``input_gates`` x and ``state_gates`` s are (N, 3 H, …) in the order r, z, n, ``hidden`` (N, H, …). Outputs are h',
    like ``hidden``, and for the gradient r, z and n.

    Source: Cho et al., *Learning phrase representations using RNN encoder-decoder*, 2014, in cuDNN's variant.
    """

    name = "_gru_cell"
    inputs = ("input_gates", "state_gates", "hidden")
    input_widths = (3, 3, 1)
    output_widths = (1, 3)
    inplace = ((0, 1),)
    samples = (Sample((2, 9), (2, 9), (2, 3)), Sample((1, 3, 2, 3), (1, 3, 2, 3), (1, 1, 2, 3)))

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def gradient(self, p, x, y, dy):
        return list(apply("_backward_gru_cell", dy[0], y[1], x[1], x[2]))

    def kernel(self, p, inputs, outputs, env):
        from_input, from_state, hidden = inputs
        new, gates = outputs
        split = 2 * hidden.shape[1]
        both, candidate = gates[:, :split], gates[:, split:]
        r, z = both.chunk(2, 1)
        input_both, input_candidate = from_input[:, :split], from_input[:, split:]
        state_both, state_candidate = from_state[:, :split], from_state[:, split:]

        def run() -> None:
            torch.add(input_both, state_both, out=both)
            both.sigmoid_()
            torch.addcmul(input_candidate, r, state_candidate, out=candidate)
            candidate.tanh_()
            torch.lerp(candidate, hidden, z, out=new)

        return run


@register
class GRUCellGradient(CellStep):
    """Gradient of :class:`GRUCell` with respect to its inputs, by the chain rule.

    Inputs are the gradient of h', the activated gates that the step has left, the product with the state, and the
    state.
    """

    name = "_backward_gru_cell"
    inputs = ("head_grad", "gates", "state_gates", "hidden")
    input_widths = (1, 3, 3, 1)
    output_widths = (3, 3, 1)

    def num_outputs(self, p):
        return 3

    def kernel(self, p, inputs, outputs, env):
        head, gates, from_state, hidden = inputs
        d_input, d_state, d_hidden = outputs
        r, z, n = gates.chunk(3, 1)
        d_r, d_z, d_n = d_input.chunk(3, 1)
        split = 2 * hidden.shape[1]
        d_both, state_d_both, state_d_n = d_input[:, :split], d_state[:, :split], d_state[:, split:]
        state_n = from_state[:, split:]
        sigmoid_backward, tanh_backward = aten.sigmoid_backward.grad_input, aten.tanh_backward.grad_input

        def run() -> None:
            torch.mul(head, z, out=d_hidden)
            torch.sub(head, d_hidden, out=d_n)
            tanh_backward(d_n, n, grad_input=d_n)
            torch.mul(d_n, state_n, out=d_r)
            sigmoid_backward(d_r, r, grad_input=d_r)
            torch.sub(hidden, n, out=d_z)
            d_z.mul_(head)
            sigmoid_backward(d_z, z, grad_input=d_z)
            state_d_both.copy_(d_both)
            torch.mul(d_n, r, out=state_d_n)

        return run
