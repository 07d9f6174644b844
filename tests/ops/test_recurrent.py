"""RNN: against torch's recurrent modules, and what those do not have."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.base import MXNetError

T, N, I, H = 5, 3, 4, 6
GATES = {"rnn_relu": 1, "rnn_tanh": 1, "gru": 3, "lstm": 4}
FINAL = ["net_state_output", "net_statecell_output"]


def network(mode, layers=1, **params):
    return mx.sym.RNN(
        mx.sym.var("data"), state_size=H, num_layers=layers, mode=mode, name="net", state_outputs=True, **params
    )


def bind(symbol, dtype="float64", seed=0, data=(T, N, I), **values):
    """An executor with random numbers everywhere but where ``values`` gives some."""
    executor = symbol.simple_bind(mx.cpu(), type_dict={"data": dtype}, data=data)
    random = np.random.default_rng(seed)
    for name, array in executor.arg_dict.items():
        array[:] = values.get(name, random.uniform(-0.6, 0.6, array.shape))
    return executor


def reference(mode, executor, layers=1, bidirectional=False, projection=0):
    """torch's module with the same parameters, laid out by hand."""
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(mode, torch.nn.RNN)
    extra = {"nonlinearity": mode[4:]} if mode.startswith("rnn") else {}
    if projection:
        extra["proj_size"] = projection
    module = kind(I, H, layers, bidirectional=bidirectional, dtype=torch.float64, **extra)
    ends = [f"l{layer}{end}" for layer in range(layers) for end in (["", "_reverse"] if bidirectional else [""])]
    weights = ["weight_ih", "weight_hh", *["weight_hr"] * bool(projection)]
    names = [f"{kind}_{end}" for end in ends for kind in weights]
    names += [f"{kind}_{end}" for end in ends for kind in ("bias_ih", "bias_hh")]
    vector, at = torch.from_numpy(executor.arg_dict["net_parameters"].asnumpy()), 0
    for name in names:
        parameter = getattr(module, name)
        parameter.data = vector[at : at + parameter.numel()].view(parameter.shape).clone()
        at += parameter.numel()
    assert at == len(vector)
    return module, names


def run_reference(mode, executor, lengths=None, **kwargs):
    """Outputs of torch's module, gradients for the head gradients returned too, by argument name."""
    module, names = reference(mode, executor, **kwargs)
    leaves = {
        name: torch.from_numpy(array.asnumpy()).requires_grad_()
        for name, array in executor.arg_dict.items()
        if name in ("data", "net_state", "net_state_cell")
    }
    states = (leaves["net_state"], leaves["net_state_cell"]) if mode == "lstm" else leaves["net_state"]
    data = leaves["data"]
    if lengths is not None:
        data = torch.nn.utils.rnn.pack_padded_sequence(data, lengths, enforce_sorted=False)
    output, final = module(data, states)
    if lengths is not None:
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=T)
    outputs = [output, *(final if mode == "lstm" else [final])]
    random = np.random.default_rng(5)
    heads = [torch.from_numpy(random.uniform(-1, 1, y.shape)) for y in outputs]
    torch.autograd.backward(outputs, heads)
    gradients = {name: leaf.grad for name, leaf in leaves.items()}
    gradients["net_parameters"] = torch.cat([getattr(module, name).grad.flatten() for name in names])
    return outputs, heads, gradients


def check(executor, expected, tolerance=1e-10):
    outputs, heads, gradients = expected
    for seen, wanted in zip(executor.forward(is_train=True), outputs, strict=True):
        np.testing.assert_allclose(seen.asnumpy(), wanted.detach(), atol=tolerance)
    executor.backward([mx.nd.array(head.numpy(), dtype=executor.outputs[0].dtype) for head in heads])
    for name, wanted in gradients.items():
        np.testing.assert_allclose(executor.grad_dict[name].asnumpy(), wanted, atol=tolerance, err_msg=name)


# ---- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("mode", GATES)
def test_it_is_torchs_module(mode, layers, bidirectional):
    executor = bind(network(mode, layers, bidirectional=bidirectional))
    check(executor, run_reference(mode, executor, layers=layers, bidirectional=bidirectional))
    # Nothing of one run is left for the next.
    check(executor, run_reference(mode, executor, layers=layers, bidirectional=bidirectional))


@pytest.mark.parametrize("mode", GATES)
def test_single_precision(mode):
    double, single = (bind(network(mode, 2), dtype) for dtype in ("float64", "float32"))
    check(single, run_reference(mode, double, layers=2), 1e-5)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("mode", GATES)
def test_lengths(mode, layers):
    symbol = network(mode, layers, bidirectional=True, use_sequence_length=True)
    lengths = [2, 5, 1]
    executor = bind(symbol, net_sequence_length=lengths)
    check(executor, run_reference(mode, executor, lengths, layers=layers, bidirectional=True))
    # What is behind the ends plays no part.
    before = [y.asnumpy() for y in executor.outputs]
    for n, length in enumerate(lengths):
        executor.arg_dict["data"][length:, n] = 7.0
    for seen, wanted in zip(executor.forward(is_train=True), before):
        np.testing.assert_array_equal(seen.asnumpy(), wanted)


def test_projection():
    executor = bind(network("lstm", 2, bidirectional=True, projection_size=2))
    check(executor, run_reference("lstm", executor, layers=2, bidirectional=True, projection=2))


def test_clipped_cell_states():
    wide = bind(network("lstm", lstm_state_clip_min=-9, lstm_state_clip_max=9))
    check(wide, run_reference("lstm", wide))
    narrow = bind(network("lstm", lstm_state_clip_min=-0.05, lstm_state_clip_max=0.1))
    cells = narrow.forward()[2].asnumpy()
    assert cells.min() == -0.05
    assert cells.max() == 0.1


def test_clipping_stops_what_is_not_a_number_if_asked():
    clip = {"lstm_state_clip_min": -0.5, "lstm_state_clip_max": 0.5}
    start = np.full((1, N, H), np.nan)
    passed = bind(network("lstm", **clip), net_state_cell=start).forward()
    stopped = bind(network("lstm", lstm_state_clip_nan=True, **clip), net_state_cell=start).forward()
    assert np.isnan(passed[2].asnumpy()).all()
    assert np.isfinite(stopped[2].asnumpy()).all()


def test_dropout_is_between_layers_and_for_training_only():
    plain, dropping = (bind(network("gru", 2, p=p)) for p in (0.0, 0.5))
    expected = [y.asnumpy() for y in plain.forward()]
    for seen, wanted in zip(dropping.forward(is_train=False), expected):
        np.testing.assert_array_equal(seen.asnumpy(), wanted)
    first, second = ([y.asnumpy() for y in dropping.forward(is_train=True)] for _ in range(2))
    assert (first[0] != second[0]).any()
    # The state of the first layer comes before any dropout.
    np.testing.assert_array_equal(first[1][0], expected[1][0])
    assert (first[1][1] != expected[1][1]).all()


def test_all_is_dropped():
    executor = bind(network("gru", 2, p=1.0))
    silent = bind(network("gru", 2))
    executor.forward(is_train=True)
    size = (I + H + 2) * 3 * H
    silent.arg_dict["net_parameters"][size - 2 * 3 * H : size - 2 * 3 * H + 3 * H * H] = 0.0  # i2h of the second layer
    silent.forward(is_train=True)
    np.testing.assert_allclose(executor.outputs[0].asnumpy(), silent.outputs[0].asnumpy())


def test_of_arrays():
    executor = bind(network("lstm"))
    expected = executor.forward()
    seen = mx.nd.RNN(
        *(executor.arg_dict[n] for n in executor.arg_dict), state_size=H, num_layers=1, mode="lstm", state_outputs=True
    )
    for a, b in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


# ---- declaration ---------------------------------------------------------------------------------------------------


def test_names_and_what_files_count():
    hidden = mx.sym.RNN(mx.sym.var("data"), state_size=H, num_layers=1, mode="lstm", name="net")
    assert hidden.list_arguments() == ["data", "net_parameters", "net_state", "net_state_cell"]
    assert hidden.list_outputs() == ["net_output"]
    assert json.loads(hidden.tojson())["node_row_ptr"] == [0, 1, 2, 3, 4, 5]
    shown = network("lstm", use_sequence_length=True)
    assert shown.list_arguments()[-1] == "net_sequence_length"
    assert shown.list_outputs() == ["net_output", *FINAL]
    assert json.loads(shown.tojson())["node_row_ptr"] == [0, 1, 2, 3, 4, 5, 8]
    assert network("gru").list_outputs() == ["net_output", FINAL[0]]


@pytest.mark.parametrize(
    ("mode", "params", "size"),
    [
        ("rnn_relu", {}, 27),
        ("rnn_tanh", {"num_layers": 2, "bidirectional": True}, 120),
        ("lstm", {"num_layers": 2, "bidirectional": True}, 480),
        ("lstm", {"projection_size": 2}, 102),
        ("gru", {"num_layers": 2}, 153),
    ],
)
def test_size_of_the_parameters(mode, params, size):
    symbol = mx.sym.RNN(mx.sym.var("data"), state_size=3, mode=mode, name="net", **{"num_layers": 1, **params})
    shapes, _, _ = symbol.infer_shape(data=(5, 2, 4))
    assert shapes[1] == (size,)


def test_inference_from_states_and_outputs():
    symbol = network("lstm", 2)
    arguments, outputs, _ = symbol.infer_shape_partial(data=(0, 0, 4), net_state=(2, 3, 6))
    assert arguments == [(0, 3, 4), (4 * 6 * (4 + 6 + 2) + 4 * 6 * (6 + 6 + 2),), (2, 3, 6), (2, 3, 6)]
    assert outputs == [(0, 3, 6), (2, 3, 6), (2, 3, 6)]
    states = [mx.sym.zeros(shape=(1, 0, H)) for _ in range(2)]
    started = mx.sym.RNN(
        mx.sym.var("data"), mx.sym.var("vector"), *states, state_size=H, num_layers=1, mode="lstm", name="net"
    )
    assert started.infer_shape(data=(T, N, I))[1] == [(T, N, H)]
    assert started.simple_bind(mx.cpu(), data=(T, N, I)).forward()[0].shape == (T, N, H)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mode": "lstm", "state_size": 3}, "num_layers"),
        ({"mode": "rnn", "state_size": 3, "num_layers": 1}, "Invalid Input: 'rnn' for mode"),
        ({"mode": "gru", "state_size": 0, "num_layers": 1}, "state_size of RNN must be positive, not 0"),
        ({"mode": "gru", "state_size": 1, "num_layers": -1}, "num_layers of RNN must be positive, not -1"),
        ({"mode": "gru", "state_size": 3, "num_layers": 1, "p": 1.5}, "value 1.5 for Parameter p"),
        ({"mode": "gru", "state_size": 3, "num_layers": 1, "projection_size": 2}, "for mode lstm only, not gru"),
        ({"mode": "lstm", "state_size": 3, "num_layers": 1, "lstm_state_clip_min": 0}, "together or not at all"),
    ],
)
def test_parameters_that_cannot_be(params, message):
    with pytest.raises(MXNetError, match=message):
        mx.sym.RNN(mx.sym.var("data"), **params)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"data": (5, 2)}, "data of RNN must be of rank 3"),
        ({"data": (5, 2, 4), "net_state": (1, 2, 4)}, "inferred shape"),
        ({"data": (5, 2, 4), "net_state": (1, 3, 6)}, "inconsistent"),
        ({"data": (5, 2, 4), "net_parameters": (100,)}, "inconsistent"),
    ],
)
def test_shapes_that_cannot_be(shapes, message):
    with pytest.raises(MXNetError, match=message) as raised:
        network("lstm").infer_shape(**shapes)
    assert "net" in str(raised.value)
