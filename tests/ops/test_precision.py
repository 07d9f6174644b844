"""Casts of automatic mixed precision: which types they move, their gradients, and that files leave them out."""

from __future__ import annotations

import json

import numpy as np
import pytest

import symbind as mx


@pytest.mark.parametrize(
    ("given", "asked", "result"),
    [
        ("float32", "float16", "float16"), ("float16", "float32", "float32"), ("float32", "float64", "float64"),
        ("float64", "float16", "float64"), ("int32", "float16", "int32"), ("uint8", "float32", "uint8"),
    ],
)  # fmt: skip
def test_amp_cast_moves_half_and_single_precision_only(given: str, asked: str, result: str) -> None:
    array = mx.nd.amp_cast(mx.nd.array([1, 2, 3], dtype=given), dtype=asked)
    assert array.dtype == np.dtype(result)
    np.testing.assert_array_equal(array.asnumpy(), [1, 2, 3])


@pytest.mark.parametrize(
    ("given", "narrow", "result"),
    [
        (["float16", "float32"], False, ["float32", "float32"]),
        (["float16", "float32"], True, ["float16", "float16"]),
        (["float16", "float16"], False, ["float16", "float16"]),
        (["float32", "float32"], True, ["float32", "float32"]),
        (["float16", "float64"], False, ["float16", "float64"]),
        (["float32", "int32", "float16"], True, ["float16", "int32", "float16"]),
    ],
)
def test_amp_multicast_finds_the_common_type(given: list[str], narrow: bool, result: list[str]) -> None:
    arrays = [mx.nd.array([i, 1.0], dtype=dtype) for i, dtype in enumerate(given)]
    outputs = mx.nd.amp_multicast(*arrays, num_outputs=len(arrays), cast_narrow=narrow)
    assert [array.dtype for array in outputs] == [np.dtype(dtype) for dtype in result]
    for array, output in zip(arrays, outputs, strict=True):
        np.testing.assert_array_equal(array.asnumpy(), output.asnumpy())


def test_gradients_come_back_in_the_type_of_the_input() -> None:
    both = mx.sym.amp_multicast(mx.sym.var("a"), mx.sym.var("b"), num_outputs=2)
    loss = mx.sym.make_loss(both[0] * both[1])
    executor = loss.simple_bind(mx.cpu(), type_dict={"a": "float16", "b": "float32"}, a=(2,), b=(2,))
    executor.arg_dict["a"][:], executor.arg_dict["b"][:] = 2, 3
    (output,) = executor.forward(is_train=True)
    executor.backward()
    assert output.dtype == np.float32 and output.asnumpy().tolist() == [6, 6]
    for name, dtype, value in (("a", np.float16, 3), ("b", np.float32, 2)):
        gradient = executor.grad_dict[name]
        assert gradient.dtype == dtype and gradient.asnumpy().tolist() == [value, value]


def test_shapes_are_those_of_each_input() -> None:
    both = mx.sym.amp_multicast(mx.sym.var("a"), mx.sym.var("b"), num_outputs=2)
    assert both.infer_shape(a=(2, 3), b=(4,)) == ([(2, 3), (4,)], [(2, 3), (4,)], [])


def operators(symbol, **options) -> list[str]:
    return [node["op"] for node in json.loads(symbol.tojson(**options))["nodes"] if node["op"] != "null"]


def test_saved_files_leave_casts_out_but_for_heads() -> None:
    x = mx.sym.var("x")
    chain = mx.sym.amp_cast(
        mx.sym.exp(mx.sym.amp_cast(mx.sym.amp_cast(x, dtype="float16"), dtype="float32")), dtype="float16"
    )
    assert operators(chain) == ["exp", "amp_cast"]
    assert operators(chain, remove_amp_cast=False) == ["amp_cast", "amp_cast", "exp", "amp_cast"]
    assert operators(mx.sym.relu(chain)) == ["exp", "relu"]
    pair = mx.sym.amp_multicast(chain, x, num_outputs=2)
    assert operators(pair[0] + pair[1]) == ["exp", "elemwise_add"]
    # What was saved is another graph; the symbol itself stays as it is.
    assert "amp_multicast" in operators(pair[0] + pair[1], remove_amp_cast=False)
