"""Mistakes, sharing of parameters, initialization and checkpoints of recurrent cells; vocabularies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx

DATA = mx.sym.Variable("data")


def test_cells_that_are_given_parameters_share_them() -> None:
    first = mx.rnn.RNNCell(3, prefix="first_")
    second = mx.rnn.RNNCell(3, prefix="second_", params=first.params)
    output, _ = second(first(DATA, first.begin_state())[0], second.begin_state())
    assert sorted(output.list_arguments()) == [
        "data", "first_h2h_bias", "first_h2h_weight", "first_i2h_bias", "first_i2h_weight",
    ]  # fmt: skip


def test_states_can_be_variables_or_constants() -> None:
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.LSTMCell(3))
    stack.add(mx.rnn.ResidualCell(mx.rnn.GRUCell(3)))
    variables = stack.begin_state(func=mx.sym.Variable)
    assert [state.name for state in variables] == ["lstm_begin_state_0", "lstm_begin_state_1", "gru_begin_state_0"]
    assert variables[0].attr("__layout__") == "NC"
    assert stack.state_shape == [(0, 3), (0, 3), (0, 3)]
    stack.reset()
    ones = stack.begin_state(func=mx.sym.ones, dtype="float64")
    assert [state.name for state in ones] == [state.name for state in variables]
    assert ones[0].infer_type()[1] == [np.float64]


@pytest.mark.parametrize(
    ("mistake", "error", "mentions"),
    [
        (lambda: mx.rnn.FusedRNNCell(2, mode="elman"), ValueError, "elman"),
        (lambda: mx.rnn.FusedRNNCell(2)(DATA, []), NotImplementedError, "unfuse"),
        (lambda: mx.rnn.FusedRNNCell(2).unroll(2, DATA, layout="CTN"), ValueError, "CTN"),
        (lambda: mx.rnn.ZoneoutCell(mx.rnn.FusedRNNCell(2), 0.1), ValueError, "FusedRNNCell"),
        (
            lambda: mx.rnn.BidirectionalCell(mx.rnn.RNNCell(1), mx.rnn.RNNCell(1))(DATA, []),
            NotImplementedError,
            "unroll",
        ),
        (lambda: mx.rnn.RNNCell(2).unroll(3, [DATA]), ValueError, "3 steps was given 1"),
        (lambda: mx.rnn.RNNCell(2).unroll(3, None), TypeError, "None"),
        (lambda: mx.rnn.RNNCell(2).unroll(3, DATA, layout="NC"), ValueError, "'NC'"),
        (lambda: mx.rnn.RNNCell(2).unroll(2, mx.sym.split(DATA, num_outputs=2)), ValueError, "2 outputs"),
        (lambda: mx.rnn.DropoutCell("half"), TypeError, "half"),
        (lambda: mx.rnn.ConvRNNCell((1, 2, 4, 4), 3, h2h_kernel=(2, 3)), ValueError, "h2h_kernel"),
        (lambda: mx.rnn.FusedRNNCell(2).views(mx.nd.zeros((57,))), ValueError, "57 elements"),
        (lambda: mx.rnn.RNNCell(2).unpack_weights({}), KeyError, "rnn_i2h_weight"),
        (lambda: mx.rnn.BucketSentenceIter([[1, 2]], 1, layout="NTC"), ValueError, "NTC"),
        (lambda: mx.rnn.BucketSentenceIter([[1, 2]], 2), ValueError, "no bucket"),
    ],
)
def test_mistakes(mistake: Any, error: type[Exception], mentions: str) -> None:
    with pytest.raises(error, match=re.escape(mentions)):
        mistake()


def test_a_modified_cell_gives_states_through_the_modifier_only() -> None:
    cell = mx.rnn.RNNCell(2)
    modifier = mx.rnn.ZoneoutCell(cell, 0.5)
    with pytest.raises(AssertionError, match="modifier"):
        cell.begin_state()
    assert [state.name for state in modifier.begin_state()] == ["rnn_begin_state_0"]
    assert modifier.params is cell.params


def test_parameters_are_given_to_a_stack_or_to_its_cells() -> None:
    stack = mx.rnn.SequentialRNNCell(params=mx.rnn.RNNParams("all_"))
    with pytest.raises(AssertionError, match="not both"):
        stack.add(mx.rnn.RNNCell(2))


@pytest.mark.parametrize("init", [None, mx.init.Constant(0.5), mx.init.Constant(0.5).dumps()])
@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_fused_parameters_are_initialized_weight_by_weight(mode: str, init: Any) -> None:
    cell = mx.rnn.FusedRNNCell(2, 2, mode, bidirectional=True, forget_bias=3.0)
    outputs, _ = cell.unroll(2, DATA)
    [size] = outputs.infer_shape(data=(1, 2, 3))[0][1]
    vector = mx.nd.full((size,), 9)
    initializer = mx.init.FusedRNN(init, 2, 2, mode, bidirectional=True, forget_bias=3.0)
    description = mx.init.InitDesc("parameters", {"__init__": initializer.dumps()}, mx.init.Constant(0.5))
    mx.init.Zero()(description, vector)
    for name, part in cell.unpack_weights({f"{mode}_parameters": vector}).items():
        expected = 0.5 if name.endswith("weight") else 3.0 if name.endswith("_f_bias") else 0.0
        assert np.all(part.asnumpy() == expected), name


def test_fused_parameters_are_initialized_in_a_module() -> None:
    outputs, _ = mx.rnn.FusedRNNCell(2, forget_bias=4.0).unroll(2, DATA)
    module = mx.mod.Module(outputs, label_names=None)
    module.bind([("data", (1, 2, 3))])
    module.init_params(mx.init.Constant(0.25))
    biases = module.get_params()[0]["lstm_parameters"].asnumpy()[-16:].reshape(2, 4, 2)
    assert np.all(biases[:, 1] == 4.0)
    assert np.all(biases[:, [0, 2, 3]] == 0.0)


def test_a_fused_checkpoint_is_loaded_by_unfused_cells(tmp_path: Path) -> None:
    fused = mx.rnn.FusedRNNCell(2, 2, "gru", prefix="g_")
    outputs, _ = fused.unroll(2, DATA)
    [size] = outputs.infer_shape(data=(1, 2, 3))[0][1]
    vector = mx.nd.random.uniform(shape=(size,))
    prefix = str(tmp_path / "net")
    save = mx.rnn.do_rnn_checkpoint(fused, prefix, period=2)
    save(0, outputs, {"g_parameters": vector}, {})
    assert not list(tmp_path.iterdir())
    save(1, outputs, {"g_parameters": vector}, {})

    symbol, arg_params, aux_params = mx.rnn.load_rnn_checkpoint([fused], prefix, 2)
    assert symbol.tojson() == outputs.tojson()
    assert aux_params == {}
    np.testing.assert_array_equal(arg_params["g_parameters"].asnumpy(), vector.asnumpy())
    _, arg_params, _ = mx.rnn.load_rnn_checkpoint(fused.unfuse(), prefix, 2)
    assert sorted(arg_params) == sorted(
        f"g_l{layer}_{group}_{kind}" for layer in (0, 1) for group in ("i2h", "h2h") for kind in ("weight", "bias")
    )


def test_rnn_unroll_makes_inputs() -> None:
    with pytest.warns(DeprecationWarning, match="unroll"):
        outputs, _ = mx.rnn.rnn_unroll(mx.rnn.RNNCell(2), 2, input_prefix="q_")
    assert {"q_t0_data", "q_t1_data"} < set(mx.sym.Group(outputs).list_arguments())


def test_a_vocabulary_is_made() -> None:
    encoded, vocab = mx.rnn.encode_sentences([["a", "b", "c"], ["b", "d"]], invalid_label=2)
    assert encoded == [[0, 1, 3], [1, 4]]
    assert vocab == {"\n": 2, "a": 0, "b": 1, "c": 3, "d": 4}
    assert mx.rnn.encode_sentences(["ab", "ba"], start_label=1, invalid_label=0)[0] == [[1, 2], [2, 1]]


def test_a_vocabulary_is_used() -> None:
    vocab = {"a": 3, "b": 0}
    assert mx.rnn.encode_sentences([["a", "b"]], vocab=vocab) == ([[3, 0]], {"a": 3, "b": 0})
    with pytest.raises(AssertionError, match="Unknown token z"):
        mx.rnn.encode_sentences([["a", "z"]], vocab=vocab)
    encoded, grown = mx.rnn.encode_sentences([["z", "a", "y"]], vocab=vocab, unknown_token="?")
    assert (encoded, grown) == ([[1, 3, 1]], {"a": 3, "b": 0, "?": 1})


def test_sentences_that_fit_no_bucket_are_left_out() -> None:
    with pytest.warns(UserWarning, match="discarded 1 "):
        iterator = mx.rnn.BucketSentenceIter([[1, 2], [1, 2, 3], [1]], 1, buckets=[2])
    assert sorted(batch.data[0].asnumpy().tolist() for batch in iterator) == [[[1, -1]], [[1, 2]]]
