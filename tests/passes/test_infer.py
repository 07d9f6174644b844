"""Inference from incomplete shapes: sizes that are missing on one side are found on the other."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx
from symbind.symbol import Variable as var


def fully_connected():
    return mx.sym.FullyConnected(var("a", shape=(0, 10)), num_hidden=21, name="fc")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: var("a", shape=(0, 10)) + var("b", shape=(12, 0)), {"a": (12, 10), "b": (12, 10)}),
        (lambda: fully_connected() + var("c", shape=(5, 0)), {"a": (5, 10), "c": (5, 21)}),
        (
            lambda: mx.sym.SliceChannel(var("a", shape=(0, 15, 0)), num_outputs=3)[1] + var("c", shape=(3, 5, 2)),
            {"a": (3, 15, 2)},
        ),
        (
            lambda: mx.sym.Convolution(var("a", shape=(0, 10, 0, 0)), kernel=(3, 3), pad=(1, 1), num_filter=21)
            + var("c", shape=(5, 21, 32, 32)),
            {"a": (5, 10, 32, 32)},
        ),
        (
            lambda: mx.sym.Concat(var("a", shape=(0, 10)), var("b", shape=(0, 5)), dim=1) + var("d", shape=(2, 0)),
            {"a": (2, 10), "b": (2, 5), "d": (2, 15)},
        ),
        (lambda: mx.sym.elemwise_add(var("a", shape=(2, 3)), var("b")), {"a": (2, 3), "b": (2, 3)}),
    ],
    ids=["elementwise", "dense", "split", "convolution", "concat", "unknown rank"],
)
def test_sizes_go_backwards(build, expected):
    symbol = build()
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape()[0]))
    assert {name: shapes[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("build", "given", "output"),
    [
        (lambda: mx.sym.dot(var("x"), var("y")), {"x": (0, 3, 4), "y": (4, 5)}, (0, 3, 5)),
        (lambda: mx.sym.batch_dot(var("x"), var("y")), {"x": (0, 3, 4), "y": (0, 4, 5)}, (0, 3, 5)),
        (lambda: mx.sym.transpose(var("x"), axes=(0, 3, 2, 1)), {"x": (0, 3, 224, 224)}, (0, 224, 224, 3)),
        (lambda: mx.sym.pick(var("x"), var("y"), axis=1), {"x": (0, 3, 3), "y": (0, 3)}, (0, 3)),
        (lambda: mx.sym.Embedding(var("x"), input_dim=9, output_dim=4), {"x": (0, 5)}, (0, 5, 4)),
    ],
    ids=["dot", "batch_dot", "transpose", "pick", "Embedding"],
)
def test_the_batch_may_stay_unknown(build, given, output):
    assert build().infer_shape_partial(**given)[1] == [output]


def test_sizes_of_numpy_are_sizes():
    arguments, outputs, _ = fully_connected().infer_shape(a=(np.int64(4), np.prod([2, 5])))
    assert arguments[0] == (4, 10) and outputs == [(4, 21)]
    assert all(type(size) is int for shape in arguments for size in shape)
    assert fully_connected().simple_bind(mx.cpu(), a=(np.int32(4), 10)).outputs[0].shape == (4, 21)


def test_sizes_in_conflict():
    with pytest.raises(mx.MXNetError, match="fc"):
        fully_connected().infer_shape(a=(4, 10), fc_weight=(21, 9))
    with pytest.raises(TypeError, match="tuple of sizes"):
        fully_connected().infer_shape(a=(4, -10))
