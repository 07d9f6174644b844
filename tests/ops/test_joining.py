"""Concat, stack, SliceChannel, _split_v2, tile, repeat: inference both ways, errors, values."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError
from symbind.graph import registry
from symbind.graph.symbol import apply, var

from .interpreter import call, infer

X = np.arange(24.0).reshape(2, 3, 4)


def test_concat_infers_what_it_can():
    assert infer("Concat", [(2, 3), (2, 4)])[1] == [(2, 7)]
    assert infer("Concat", [(2, 3), None]) == ([(2, 3), (2, 0)], [(2, 0)])
    assert infer("Concat", [(2, 3), (0, 0)], [(2, 7)])[0] == [(2, 3), (2, 4)]
    assert infer("Concat", [(0, 3), (0, 4)], [(5, 0)]) == ([(5, 3), (5, 4)], [(5, 7)])
    assert infer("Concat", [None, None], [(2, 7)])[0] == [(2, 0), (2, 0)]
    assert infer("Concat", [None, None]) == ([None, None], [None])
    for inputs, output, dim in [
        ([(2, 3), (3, 4)], None, 1),
        ([(2, 3), (2, 3, 4)], None, 1),
        ([(2, 3), (2, 4)], [(2, 6)], 1),
        ([(2, 3), (2, 0)], [(2, 3)], 1),
        ([(2,), (2,)], None, 1),
        ([(2, 3), (2, 3)], None, -3),
    ]:
        with pytest.raises(MXNetError):
            infer("Concat", inputs, output, dim=dim)
    with pytest.raises(MXNetError, match="num_args"):
        registry.find("Concat").parse({"num_args": "0"})


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_concat_and_its_gradient(dim):
    parts = [X, 2 * X, X.take([0], dim)]
    whole = call("Concat", *parts, dim=dim)
    np.testing.assert_array_equal(whole, np.concatenate(parts, dim))
    for got, part in zip(call("_backward_Concat", whole, *parts, num_args=3, dim=dim), parts):
        np.testing.assert_array_equal(got, part)


def test_stack():
    assert infer("stack", [(2, 3), None], axis=-1) == ([(2, 3), (2, 3)], [(2, 3, 2)])
    assert infer("stack", [None, None], [(2, 4)], axis=0)[0] == [(4,), (4,)]
    np.testing.assert_array_equal(call("stack", X, -X, axis=1), np.stack([X, -X], 1))
    with pytest.raises(MXNetError):
        infer("stack", [(2, 3), (2, 4)])
    with pytest.raises(MXNetError):
        infer("stack", [None, None], [(3, 4)], axis=0)


def test_slice_channel():
    assert infer("SliceChannel", [(2, 6)], num_outputs=3)[1] == [(2, 2)] * 3
    assert infer("SliceChannel", [(2, 0)], num_outputs=3)[1] == [(2, 0)] * 3
    assert infer("SliceChannel", [None], [None, (2, 2), None], num_outputs=3) == ([(2, 6)], [(2, 2)] * 3)
    squeezed = {"num_outputs": 3, "squeeze_axis": True}
    assert infer("SliceChannel", [(2, 3)], **squeezed)[1] == [(2,)] * 3
    assert infer("SliceChannel", [None], [(2,), None, None], **squeezed)[0] == [(2, 3)]
    for got, expected in zip(call("SliceChannel", X, num_outputs=2, axis=-1), np.split(X, 2, -1)):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(call("SliceChannel", X, num_outputs=2, axis=0, squeeze_axis=True), X):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(MXNetError, match="num_outputs=4"):
        infer("SliceChannel", [(2, 6)], num_outputs=4)
    with pytest.raises(MXNetError, match="squeeze"):
        infer("SliceChannel", [(2, 6)], **squeezed)
    with pytest.raises(MXNetError, match="axis 5"):
        infer("SliceChannel", [(2, 6)], num_outputs=2, axis=5)


def test_outputs_of_slice_channel_are_numbered_even_alone():
    assert apply("SliceChannel", var("x"), num_outputs=1, name="s").list_outputs() == ["s_output0"]


def test_split_v2():
    assert infer("_split_v2", [(7, 2)], indices=(), sections=3, axis=0)[1] == [(3, 2), (2, 2), (2, 2)]
    assert infer("_split_v2", [(7, 2)], indices=(0, 1, 4), axis=0)[1] == [(1, 2), (3, 2), (3, 2)]
    assert infer("_split_v2", [None], [(1, 2), (2, 2)], indices=(0, 1), axis=0)[0] == [(3, 2)]
    for got, expected in zip(call("_split_v2", X, indices=(0, 1, 3), axis=2), np.split(X, [1, 3], 2)):
        np.testing.assert_array_equal(got, expected)
    for cut in ({"indices": (0, 4, 2)}, {"indices": (0, 2, 9)}, {"indices": (1, 4)}, {"indices": (0, 2, 2)},
                {"indices": (), "sections": 8}, {"indices": (), "sections": 3, "squeeze_axis": True}):  # fmt: skip
        with pytest.raises(MXNetError):
            infer("_split_v2", [(7, 2)], axis=0, **cut)
    with pytest.raises(MXNetError, match="sections"):
        registry.find("_split_v2").parse({"indices": "()"})


@pytest.mark.parametrize("reps", [(2,), (2, 1, 3), (1, 2, 1, 2), ()])
def test_tile(reps):
    np.testing.assert_array_equal(call("tile", X, reps=reps), np.tile(X, reps))
    assert infer("tile", [X.shape], reps=reps)[1] == [np.tile(X, reps).shape]


def test_tile_and_repeat_infer_their_input():
    assert infer("tile", [(0, 3)], [(4, 6)], reps=(2, 2)) == ([(2, 3)], [(4, 6)])
    assert infer("repeat", [(0, 3)], [(4, 3)], repeats=2, axis=0)[0] == [(2, 3)]
    assert infer("repeat", [(0, 3)], repeats=2) == ([(0, 3)], [(0,)])
    with pytest.raises(MXNetError, match="copies"):
        infer("tile", [(0, 3)], [(5, 6)], reps=(2, 2))
    for op, attrs in [("tile", {"reps": "(0,)"}), ("repeat", {"repeats": "0"}), ("repeat", {"repeats": "-1"})]:
        with pytest.raises(MXNetError, match="from 1"):
            registry.find(op).parse(attrs)
    with pytest.raises(MXNetError, match="axis 2"):
        infer("repeat", [(2, 3)], repeats=2, axis=2)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_repeat(axis):
    np.testing.assert_array_equal(call("repeat", X, repeats=3, axis=axis), np.repeat(X, 3, axis))


@pytest.mark.parametrize("join", ["Concat", "stack"])
@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_joined_along_rows_is_computed_in_its_place(join, axis):
    """Instructions that copy are there along columns only, where the parts of a row are not next to each other."""
    parts = [mx.sym.exp(mx.sym.var(name)) for name in "abc"]
    whole = mx.sym.Concat(*parts, dim=axis) if join == "Concat" else mx.sym.stack(*parts, axis=axis)
    ex = mx.sym.sin(whole).simple_bind(mx.cpu(), **dict.fromkeys("abc", (4, 16)))
    rng = np.random.RandomState(0)
    given = {name: rng.normal(size=(4, 16)).astype("f") for name in "abc"}
    found = ex.forward(**{name: mx.nd.array(value) for name, value in given.items()})[0].asnumpy()
    expected = np.sin((np.concatenate if join == "Concat" else np.stack)([np.exp(v) for v in given.values()], axis))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert any(row.operator == join for row in ex.plan_report().rows) == (axis == 1)
    ex.backward(mx.nd.ones(found.shape))
    for name, value in given.items():
        e = np.exp(value)
        np.testing.assert_allclose(ex.grad_dict[name].asnumpy(), e * np.cos(e), rtol=1e-4, atol=1e-5)
