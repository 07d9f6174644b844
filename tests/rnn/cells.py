"""Recurrent cells in the user's words, each unrolled the same way by MXNet and by this package. Imports neither."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["BUCKETED", "CELLS", "PACKED", "UNROLLINGS", "batches_of", "unrolled_json", "weights_of"]

Cell = Any


def _stack(mx: Any, *cells: Cell) -> Cell:
    stack = mx.rnn.SequentialRNNCell()
    for cell in cells:
        stack.add(cell)
    return stack


def _shared(mx: Any) -> Cell:
    first = mx.rnn.LSTMCell(2, prefix="shared_")
    return _stack(mx, first, mx.rnn.LSTMCell(2, prefix="second_", params=first.params))


def _bidirectional(mx: Any) -> Cell:
    return mx.rnn.BidirectionalCell(mx.rnn.LSTMCell(2, prefix="l_"), mx.rnn.GRUCell(3, prefix="r_"))


# Every kind of cell, over inputs of two steps.
CELLS: dict[str, Callable[[Any], Cell]] = {
    "rnn": lambda mx: mx.rnn.RNNCell(2),
    "rnn relu": lambda mx: mx.rnn.RNNCell(2, activation="relu", prefix="r_"),
    "rnn callable": lambda mx: mx.rnn.RNNCell(2, activation=mx.sym.sin),
    "lstm": lambda mx: mx.rnn.LSTMCell(2),
    "lstm forget": lambda mx: mx.rnn.LSTMCell(2, prefix="f_", forget_bias=2.0),
    "gru": lambda mx: mx.rnn.GRUCell(2),
    "fused lstm": lambda mx: mx.rnn.FusedRNNCell(2),
    "fused lstm states": lambda mx: mx.rnn.FusedRNNCell(2, 2, get_next_state=True, forget_bias=0.5),
    "fused gru": lambda mx: mx.rnn.FusedRNNCell(2, 2, "gru", bidirectional=True, dropout=0.5, get_next_state=True),
    "fused rnn": lambda mx: mx.rnn.FusedRNNCell(2, 1, "rnn_tanh", prefix="vanilla_", get_next_state=True),
    "unfused lstm": lambda mx: mx.rnn.FusedRNNCell(2, 2, dropout=0.25).unfuse(),
    "unfused gru": lambda mx: mx.rnn.FusedRNNCell(2, 2, "gru", bidirectional=True, dropout=0.5).unfuse(),
    "unfused rnn": lambda mx: mx.rnn.FusedRNNCell(2, 1, "rnn_relu").unfuse(),
    "unfused tanh": lambda mx: mx.rnn.FusedRNNCell(2, 2, "rnn_tanh", prefix="t_").unfuse(),
    "unfused forget": lambda mx: mx.rnn.FusedRNNCell(2, forget_bias=0.5).unfuse(),
    "stack": lambda mx: _stack(mx, mx.rnn.LSTMCell(2, prefix="a_"), mx.rnn.GRUCell(2, prefix="b_")),
    "stack with dropout": lambda mx: _stack(mx, mx.rnn.RNNCell(2), mx.rnn.DropoutCell(0.5), mx.rnn.GRUCell(2)),
    "stack of fused": lambda mx: _stack(mx, mx.rnn.FusedRNNCell(2, prefix="a_"), mx.rnn.RNNCell(2, prefix="b_")),
    "stack of nothing dropped": lambda mx: _stack(mx, mx.rnn.DropoutCell(0.0), mx.rnn.RNNCell(2)),
    "shared": _shared,
    "bidirectional": _bidirectional,
    "stacked bidirectional": lambda mx: _stack(mx, _bidirectional(mx), mx.rnn.RNNCell(2)),
    "bidirectional named": lambda mx: mx.rnn.BidirectionalCell(
        mx.rnn.RNNCell(2, prefix="l_"), mx.rnn.RNNCell(2, prefix="r_"), output_prefix="both_"
    ),
    "bidirectional fused": lambda mx: mx.rnn.BidirectionalCell(
        mx.rnn.FusedRNNCell(2, prefix="l_"), mx.rnn.FusedRNNCell(2, prefix="r_")
    ),
    "dropout": lambda mx: mx.rnn.DropoutCell(0.5),
    "zoneout": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.LSTMCell(2), 0.3, 0.2),
    "zoneout of outputs": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.RNNCell(2), zoneout_outputs=0.3),
    "zoneout of states": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.GRUCell(2), zoneout_states=0.3),
    "zoneout of nothing": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.GRUCell(2)),
    "stack of zoneouts": lambda mx: _stack(
        mx,
        mx.rnn.ZoneoutCell(mx.rnn.RNNCell(2, prefix="a_"), 0.0, 0.3),
        mx.rnn.ZoneoutCell(mx.rnn.RNNCell(2, prefix="b_"), 0.3, 0.0),
    ),
    "residual": lambda mx: mx.rnn.ResidualCell(mx.rnn.GRUCell(3)),
    "residual of fused": lambda mx: mx.rnn.ResidualCell(mx.rnn.FusedRNNCell(3)),
    "residual of bidirectional": lambda mx: mx.rnn.ResidualCell(
        mx.rnn.BidirectionalCell(mx.rnn.GRUCell(1, prefix="l_"), mx.rnn.GRUCell(2, prefix="r_"))
    ),
    "residual of zoneout": lambda mx: mx.rnn.ResidualCell(mx.rnn.ZoneoutCell(mx.rnn.RNNCell(3), 0.3)),
    "conv rnn": lambda mx: mx.rnn.ConvRNNCell((2, 2, 5, 5), 3, (3, 3), (1, 1), (3, 3), (1, 1), (1, 1)),
    "conv lstm": lambda mx: mx.rnn.ConvLSTMCell(
        (2, 2, 6, 5), 3, h2h_kernel=(3, 5), h2h_dilate=(2, 1), i2h_stride=(2, 1), activation="tanh", prefix="cl_"
    ),
    "conv gru": lambda mx: mx.rnn.ConvGRUCell((2, 2, 5, 5), 3, i2h_weight_initializer=mx.init.One()),
}  # fmt: skip

# Ways to unroll, as keywords; ``inputs`` and ``states`` are for :func:`unrolled_json`.
UNROLLINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "merged": {"merge_outputs": True},
    "apart": {"merge_outputs": False},
    "time first": {"layout": "TNC", "merge_outputs": True},
    "time first apart": {"layout": "TNC", "merge_outputs": False},
    "time first default": {"layout": "TNC"},
    "list": {"inputs": "list"},
    "list merged": {"inputs": "list", "merge_outputs": True},
    "list time first": {"inputs": "list", "merge_outputs": True, "layout": "TNC"},
    "own states": {"states": True, "merge_outputs": True},
}  # fmt: skip

# Cells whose weights are packed and unpacked.
PACKED = [
    "rnn", "lstm", "gru", "fused lstm states", "fused gru", "fused rnn", "unfused lstm", "unfused gru", "stack",
    "stack of fused", "bidirectional", "zoneout", "residual", "conv rnn", "conv lstm", "conv gru",
]  # fmt: skip


def unrolled_json(mx: Any, name: str, inputs: str = "one", states: bool = False, **options: Any) -> str:
    """The graph of the outputs and final states of a cell, as JSON text."""
    with mx.name.NameManager():
        cell = CELLS[name](mx)
        given = mx.sym.Variable("data") if inputs == "one" else [mx.sym.Variable(f"x{i}") for i in range(2)]
        begin = cell.begin_state() if states else None
        outputs, final = cell.unroll(2, inputs=given, begin_state=begin, **options)
    return f"{_structure(outputs)} {_structure(final)}\n{mx.sym.Group([*_flat(outputs), *_flat(final)]).tojson()}"


def _flat(symbols: Any) -> list[Any]:
    return [part for item in symbols for part in _flat(item)] if isinstance(symbols, (list, tuple)) else [symbols]


def _structure(symbols: Any) -> str:
    """How symbols are nested in lists, such as ``[[*], [*, *]]``."""
    return f"[{', '.join(map(_structure, symbols))}]" if isinstance(symbols, (list, tuple)) else "*"


def weights_of(mx: Any, name: str) -> dict[str, Any]:
    """Names and values of the unpacked weights of a cell, and the packed ones again."""
    with mx.name.NameManager():
        cell = CELLS[name](mx)
        outputs, _ = cell.unroll(2, inputs=mx.sym.Variable("data"), merge_outputs=True)
    shape = (2, 2, *cell._input_shape[1:]) if name.startswith("conv") else (2, 2, 3)
    arguments = outputs.list_arguments()
    shapes, _, _ = outputs.infer_shape(data=shape)
    values = {
        key: mx.nd.array(np.arange(np.prod(shape), dtype="float32").reshape(shape))
        for key, shape in zip(arguments, shapes)
        if key != "data"
    }
    unpacked = cell.unpack_weights({**values, "other": mx.nd.ones((2,))})
    packed = cell.pack_weights(unpacked)
    return {
        "unpacked": {key: array.asnumpy() for key, array in unpacked.items()},
        "packed": {key: array.asnumpy() for key, array in packed.items()},
    }


# Keywords of BucketSentenceIter.
BUCKETED: dict[str, dict[str, Any]] = {
    "default": {"batch_size": 2},
    "given buckets": {"batch_size": 2, "buckets": [4, 2], "invalid_label": 0},
    "time first": {"batch_size": 1, "buckets": [3, 5], "layout": "TN", "dtype": "int32", "data_name": "words"},
}  # fmt: skip


def batches_of(mx: Any, name: str) -> list[dict[str, Any]]:
    """Two epochs of batches of sentences."""
    random.seed(1)
    np.random.seed(2)
    numbers = iter(range(1, 100))
    sentences = [[next(numbers) for _ in range(length)] for length in (3, 2, 3, 2, 5, 1, 2, 3, 4, 3, 2)]
    iterator = mx.rnn.BucketSentenceIter(sentences, **BUCKETED[name])
    batches = [_batch(iterator.default_bucket_key, iterator.provide_data, iterator.provide_label)]
    for _ in range(2):
        for batch in iterator:
            arrays = {"data": batch.data[0].asnumpy(), "label": batch.label[0].asnumpy(), "pad": batch.pad}
            batches.append({**_batch(batch.bucket_key, batch.provide_data, batch.provide_label), **arrays})
        iterator.reset()
    return batches


def _batch(key: int, *described: Any) -> dict[str, Any]:
    return {"key": key, "described": [[d.name, list(d.shape), d.layout] for [d] in described]}
