"""Fused against unfused against PyTorch: outputs, final states and gradients from the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import symbind as mx

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 5, 2
MODES = ("rnn_relu", "rnn_tanh", "lstm", "gru")


def fused_cell(mode: str, layers: int, both_ways: bool) -> Any:
    return mx.rnn.FusedRNNCell(HIDDEN, layers, mode, bidirectional=both_ways, get_next_state=True)


def run(symbol: Any, arrays: dict[str, np.ndarray]) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Outputs, and gradients of the sum of every output times its own numbers."""
    executor = symbol.simple_bind(mx.cpu(), data=(BATCH, STEPS, INPUTS))
    for name, array in executor.arg_dict.items():
        array[:] = arrays[name]
    outputs = [output.asnumpy() for output in executor.forward(is_train=True)]
    executor.backward([mx.nd.array(np.cos(np.arange(o.size)).reshape(o.shape)) for o in outputs])
    return outputs, {name: grad.asnumpy() for name, grad in executor.grad_dict.items()}


def random_arrays(symbol: Any) -> dict[str, np.ndarray]:
    random = np.random.RandomState(7)
    shapes, _, _ = symbol.infer_shape(data=(BATCH, STEPS, INPUTS))
    return {n: random.uniform(-0.8, 0.8, s).astype("float32") for n, s in zip(symbol.list_arguments(), shapes)}


def unpacked(cell: Any, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, with what belongs to a fused cell packed as its unfused cells have it."""
    weights = cell.unpack_weights({name: mx.nd.array(array) for name, array in arrays.items()})
    return {name: array.asnumpy() for name, array in cell.unfuse().pack_weights(weights).items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("layers", "both_ways"), [(1, False), (2, True)])
def test_fused_equals_unfused(mode: str, layers: int, both_ways: bool) -> None:
    cell = fused_cell(mode, layers, both_ways)
    outputs, states = cell.unroll(STEPS, mx.sym.Variable("data"))
    stack_outputs, stack_states = cell.unfuse().unroll(STEPS, mx.sym.Variable("data"), merge_outputs=True)
    fused = mx.sym.Group([outputs, *states])
    arrays = random_arrays(fused)
    values, gradients = run(fused, arrays)

    # Unfused states come cell by cell, hidden and cell state of each; fused ones are stacked kind by kind.
    flat = [s for state in stack_states for s in (state if isinstance(state, list) else [state])]
    kinds = len(states)
    stacked = [mx.sym.stack(*flat[i::kinds], axis=0) for i in range(kinds)]
    expected, expected_gradients = run(mx.sym.Group([stack_outputs, *stacked]), unpacked(cell, arrays))

    for value, other in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)
    for name, other in unpacked(cell, gradients).items():
        np.testing.assert_allclose(expected_gradients[name], other, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("both_ways", [False, True])
def test_fused_equals_torch(mode: str, both_ways: bool) -> None:
    cell = fused_cell(mode, 2, both_ways)
    outputs, states = cell.unroll(STEPS, mx.sym.Variable("data"))
    symbol = mx.sym.Group([outputs, *states])
    arrays = random_arrays(symbol)
    values, gradients = run(symbol, arrays)

    settings = {"num_layers": 2, "batch_first": True, "bidirectional": both_ways}
    if mode.startswith("rnn"):
        network: Any = torch.nn.RNN(INPUTS, HIDDEN, nonlinearity=mode.removeprefix("rnn_"), **settings)
    else:
        network = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[mode](INPUTS, HIDDEN, **settings)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(unpacked(cell, arrays)[_our_name(mode, name)]))
    data = torch.from_numpy(arrays["data"]).requires_grad_()
    sequence, final = network(data)
    expected = [sequence, *(final if isinstance(final, tuple) else [final])]
    sum((o * torch.cos(torch.arange(o.numel(), dtype=o.dtype)).view(o.shape)).sum() for o in expected).backward()

    for value, other in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, other.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients["data"], data.grad.numpy(), rtol=1e-5, atol=1e-5)
    ours = unpacked(cell, gradients)
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(
            ours[_our_name(mode, name)], parameter.grad.numpy(), rtol=1e-5, atol=1e-5, err_msg=name
        )


def _our_name(mode: str, name: str) -> str:
    """``weight_ih_l1_reverse`` is ``gru_r1_i2h_weight`` here."""
    kind, group, layer, *reverse = name.split("_")
    return f"{mode}_{'r' if reverse else 'l'}{layer[1]}_{'i2h' if group == 'ih' else 'h2h'}_{kind}"


def test_a_step_at_a_time_equals_the_whole_sequence() -> None:
    """A fused network that is trained on sequences can be run step by step, its states carried along."""
    cell = fused_cell("lstm", 2, False)
    whole, states = cell.unroll(STEPS, mx.sym.Variable("data"))
    arrays = random_arrays(whole)
    expected = whole.bind(mx.cpu(), {n: mx.nd.array(a) for n, a in arrays.items()}).forward()[0].asnumpy()

    begin = cell.begin_state(func=mx.sym.Variable)
    output, states = cell.unroll(1, mx.sym.Variable("data"), begin_state=begin)
    names = [state.name for state in begin]
    step = mx.sym.Group([output, *states]).simple_bind(mx.cpu(), grad_req="null", data=(BATCH, 1, INPUTS))
    step.copy_params_from({"lstm_parameters": mx.nd.array(arrays["lstm_parameters"])})
    carried = {name: step.arg_dict[name] for name in names}
    for t in range(STEPS):
        result, *final = step.forward(data=arrays["data"][:, t : t + 1], **carried)
        np.testing.assert_allclose(result.asnumpy()[:, 0], expected[:, t], rtol=1e-5, atol=1e-6)
        carried = {name: state.copy() for name, state in zip(names, final)}


def test_the_batch_size_of_initial_states_is_inferred() -> None:
    outputs, states = mx.rnn.LSTMCell(HIDDEN).unroll(2, mx.sym.Variable("data"), merge_outputs=True)
    internals = outputs.get_internals()
    names, shapes = internals.list_outputs(), internals.infer_shape(data=(7, 2, INPUTS))[1]
    assert dict(zip(names, shapes))["lstm_begin_state_0_output"] == (7, HIDDEN)
    assert mx.sym.Group(states).infer_shape(data=(7, 2, INPUTS))[1] == [(7, HIDDEN), (7, HIDDEN)]


def test_residual_and_zoneout_outside_training() -> None:
    data = mx.sym.Variable("data")
    plain, _ = mx.rnn.GRUCell(INPUTS).unroll(STEPS, data, merge_outputs=True)
    cell = mx.rnn.ResidualCell(mx.rnn.ZoneoutCell(mx.rnn.GRUCell(INPUTS), 0.5, 0.5))
    modified, _ = cell.unroll(STEPS, data, merge_outputs=True)
    arrays = {name: mx.nd.array(array) for name, array in random_arrays(plain).items()}
    expected = plain.eval(**arrays)[0].asnumpy() + arrays["data"].asnumpy()
    np.testing.assert_allclose(modified.eval(**arrays)[0].asnumpy(), expected, rtol=1e-6)


def test_zoneout_in_training_keeps_some_outputs_of_the_step_before() -> None:
    cell = mx.rnn.ZoneoutCell(mx.rnn.RNNCell(50), zoneout_outputs=0.4)
    outputs, _ = cell.unroll(2, mx.sym.Variable("data"), merge_outputs=True)
    executor = outputs.simple_bind(mx.cpu(), data=(20, 2, 3))
    for array in executor.arg_dict.values():
        array[:] = mx.nd.random.uniform(0.5, 1, shape=array.shape)
    mx.random.seed(3)
    first, second = executor.forward(is_train=True)[0].asnumpy().swapaxes(0, 1)
    assert 0.3 < np.mean(first == 0) < 0.5
    assert 0.3 < np.mean(second == first) < 0.5


@pytest.mark.parametrize("kind", ["ConvRNNCell", "ConvLSTMCell", "ConvGRUCell"])
def test_a_convolution_of_one_pixel_is_a_dense_cell(kind: str) -> None:
    """On 1x1 images only the middle of a kernel matters, so that the cell is the one of vectors."""
    conv = getattr(mx.rnn, kind)((BATCH, INPUTS, 1, 1), HIDDEN, activation="tanh", prefix="c_")
    dense = getattr(mx.rnn, kind.removeprefix("Conv"))(HIDDEN, prefix="c_")
    images, _ = conv.unroll(STEPS, mx.sym.reshape(mx.sym.Variable("data"), (0, 0, 0, 1, 1)), merge_outputs=True)
    vectors, _ = dense.unroll(STEPS, mx.sym.Variable("data"), merge_outputs=True)
    arrays = random_arrays(images)
    middle = {name: array[:, :, 1, 1] if array.ndim == 4 else array for name, array in arrays.items()}
    result = images.eval(**{name: mx.nd.array(array) for name, array in arrays.items()})[0].asnumpy()
    expected = vectors.eval(**{name: mx.nd.array(array) for name, array in middle.items()})[0].asnumpy()
    np.testing.assert_allclose(result[..., 0, 0], expected, rtol=1e-5, atol=1e-6)
