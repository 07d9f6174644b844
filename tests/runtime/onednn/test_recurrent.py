"""Recurrent layers against torch's own in float64: outputs, states and every gradient."""

from __future__ import annotations

import pytest
import torch

from symbind.runtime.onednn.declarations import Arg, Direction
from symbind.runtime.onednn.memory import MemoryDesc
from symbind.runtime.onednn.recurrent import Cell, Recurrent

from .harness import Run, any_like, assert_close

# The library's gate order in terms of torch's.
GATES = {Cell.RNN_TANH: [0], Cell.RNN_RELU: [0], Cell.LSTM: [0, 1, 2, 3], Cell.GRU: [1, 0, 2]}
WITH_CELL_STATE = [Cell.LSTM]


def to_library(cell: Cell, weights: torch.Tensor) -> torch.Tensor:
    """torch's (G H, I) as the library's (1, 1, I, G, H)."""
    gates = weights.unflatten(0, (cell.gates, -1))[GATES[cell]]
    return gates.permute(2, 0, 1)[None, None].contiguous()


def bias_to_library(cell: Cell, of_input: torch.Tensor, of_state: torch.Tensor) -> torch.Tensor:
    """torch's two biases as the library's (1, 1, G', H)."""
    first, second = (bias.unflatten(0, (cell.gates, -1))[GATES[cell]] for bias in (of_input, of_state))
    if cell is not Cell.GRU:
        return (first + second)[None, None]
    return torch.cat([first[:2] + second[:2], first[2:], second[2:]])[None, None]


@pytest.mark.parametrize("cell", Cell, ids=lambda cell: cell.name)
@pytest.mark.parametrize("steps, batch, inputs, hidden", [(5, 4, 16, 32), (3, 1, 5, 3), (1, 2, 8, 8)], ids=str)
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_one_layer_matches_torch(cell: Cell, steps, batch, inputs, hidden, reverse: bool) -> None:
    torch.manual_seed(29)
    function = {
        Cell.RNN_TANH: torch.rnn_tanh,
        Cell.RNN_RELU: torch.rnn_relu,
        Cell.LSTM: torch.lstm,
        Cell.GRU: torch.gru,
    }[cell]
    states = 2 if cell in WITH_CELL_STATE else 1
    src = torch.randn(steps, batch, inputs)
    initial = [torch.randn(1, batch, hidden) for _ in range(states)]
    w_input = torch.randn(cell.gates * hidden, inputs) / 4
    w_state = torch.randn(cell.gates * hidden, hidden) / 4
    b_input, b_state = torch.randn(2, cell.gates * hidden)
    exact = [tensor.double().requires_grad_() for tensor in (src, *initial, w_input, w_state, b_input, b_state)]
    sequence = exact[0].flip(0) if reverse else exact[0]
    state = exact[1 : 1 + states] if states == 2 else exact[1]
    dst, *last = function(sequence, state, exact[1 + states :], True, 1, 0.0, True, False, False)
    dst = dst.flip(0) if reverse else dst
    diff_dst, *diff_last = (torch.randn(tensor.shape) for tensor in (dst, *last))
    gradients = torch.autograd.grad([dst, *last], exact, [t.double() for t in (diff_dst, *diff_last)])
    diff_src, *diff_initial = gradients[: 1 + states]
    diff_w_input, diff_w_state = gradients[1 + states : 3 + states]

    given = {
        Arg.SRC_LAYER: src,
        Arg.SRC_ITER: initial[0][None],
        Arg.WEIGHTS_LAYER: to_library(cell, w_input),
        Arg.WEIGHTS_ITER: to_library(cell, w_state),
        Arg.BIAS: bias_to_library(cell, b_input, b_state),
    }
    heads = {Arg.DIFF_DST_LAYER: diff_dst, Arg.DIFF_DST_ITER: diff_last[0][None]}
    descs = {argument: MemoryDesc.of(tensor) for argument, tensor in given.items()}
    descs[Arg.DST_LAYER], descs[Arg.DST_ITER] = MemoryDesc.of(diff_dst), MemoryDesc.of(heads[Arg.DIFF_DST_ITER])
    if states == 2:
        given[Arg.SRC_ITER_C] = initial[1][None]
        heads[Arg.DIFF_DST_ITER_C] = diff_last[1][None]
        descs[Arg.SRC_ITER_C] = descs[Arg.DST_ITER_C] = MemoryDesc.of(given[Arg.SRC_ITER_C])
    descs[Arg.WEIGHTS_LAYER] = any_like(given[Arg.WEIGHTS_LAYER])
    descs[Arg.WEIGHTS_ITER] = any_like(given[Arg.WEIGHTS_ITER])

    layer = Recurrent(cell, Direction.RIGHT_TO_LEFT if reverse else Direction.LEFT_TO_RIGHT)
    forward = layer.forward(descs, training=True)
    run = Run(forward, given)
    assert_close(run[Arg.DST_LAYER], dst)
    assert_close(run[Arg.DST_ITER], last[0])
    if states == 2:
        assert_close(run[Arg.DST_ITER_C], last[1])
    assert not forward.is_reference

    pairs = [
        (Arg.DIFF_SRC_LAYER, Arg.SRC_LAYER),
        (Arg.DIFF_SRC_ITER, Arg.SRC_ITER),
        (Arg.DIFF_SRC_ITER_C, Arg.SRC_ITER_C),
        (Arg.DIFF_WEIGHTS_LAYER, Arg.WEIGHTS_LAYER),
        (Arg.DIFF_WEIGHTS_ITER, Arg.WEIGHTS_ITER),
        (Arg.DIFF_BIAS, Arg.BIAS),
        (Arg.DIFF_DST_LAYER, Arg.DST_LAYER),
        (Arg.DIFF_DST_ITER, Arg.DST_ITER),
        (Arg.DIFF_DST_ITER_C, Arg.DST_ITER_C),
    ]
    descs |= {gradient: descs[of] for gradient, of in pairs if of in descs}
    backward = layer.backward(forward, descs)
    results = (Arg.DST_LAYER, Arg.DST_ITER, Arg.DST_ITER_C)
    saved = {argument: run[argument] for argument in results if argument in forward.descs}
    saved[Arg.WORKSPACE] = run.memory[Arg.WORKSPACE]
    run = Run(backward, {**given, **saved, **heads})
    assert_close(run[Arg.DIFF_SRC_LAYER], diff_src)
    assert_close(run[Arg.DIFF_SRC_ITER], diff_initial[0])
    if states == 2:
        assert_close(run[Arg.DIFF_SRC_ITER_C], diff_initial[1])
    assert_close(run[Arg.DIFF_WEIGHTS_LAYER], to_library(cell, diff_w_input))
    assert_close(run[Arg.DIFF_WEIGHTS_ITER], to_library(cell, diff_w_state))
    exact_bias = [tensor.detach().requires_grad_() for tensor in (b_input, b_state)]
    # The library's bias is a function of torch's two: compare through it.
    through = torch.autograd.grad(bias_to_library(cell, *exact_bias), exact_bias, run[Arg.DIFF_BIAS])
    for actual, expected in zip(through, gradients[3 + states :]):
        assert_close(actual, expected)
    assert backward.flops == 2 * forward.flops
