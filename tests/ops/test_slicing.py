"""slice and its relatives, Crop, Pad, reverse: inference both ways, errors, values."""

import numpy as np
import pytest
import torch

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

X = np.arange(20.0).reshape(4, 5)
IMAGES = np.arange(84.0).reshape(1, 2, 6, 7)


@pytest.mark.parametrize(
    ("begin", "end", "step", "index"),
    [
        ((1,), (3,), (), np.s_[1:3]),
        ((1, None), (None, -1), (), np.s_[1:, :-1]),
        ((None, None), (None, None), (-1, 2), np.s_[::-1, ::2]),
        ((3, 4), (None, 0), (-2, -1), np.s_[3::-2, 4:0:-1]),
        ((-100,), (100,), (None,), np.s_[-100:100]),
        ((), (), (), np.s_[:]),
    ],
)
def test_slice_counts_like_python(begin, end, step, index):
    params = {"begin": begin, "end": end, "step": step}
    np.testing.assert_array_equal(call("slice", X, **params), X[index])
    assert infer("slice", [X.shape], **params)[1] == [X[index].shape]

    back = np.zeros_like(X)
    back[index] = X[index]
    np.testing.assert_array_equal(call("_backward_slice", X[index], X, **params), back)
    back = X.copy()
    back[index] = -1
    np.testing.assert_array_equal(call("_slice_assign_scalar", X, scalar=-1, **params), back)
    np.testing.assert_array_equal(call("_slice_assign", X, -np.ones_like(X[index]), **params), back)


def test_slice_of_unknown_dimensions():
    assert infer("slice", [(0, 4)], begin=(1, 1), end=(3, 3)) == ([(0, 4)], [(0, 2)])
    assert infer("slice", [(0, 0)], [(2, 4)], begin=(1,), end=(3,)) == ([(0, 4)], [(2, 4)])
    assert infer("slice", [None], [(2, 4)], begin=(1,), end=(3,)) == ([None], [(2, 4)])


@pytest.mark.parametrize(
    "params",
    [
        {"begin": (3,), "end": (2,)},
        {"begin": (7,), "end": (9,)},
        {"begin": (0,), "end": (1, 2)},
        {"begin": (0, 0, 0), "end": (1, 1, 1)},
        {"begin": (0,), "end": (2,), "step": (0,)},
        {"begin": (0,), "end": (2,), "step": (1, 1)},
    ],
)
def test_slices_that_cannot_be(params):
    with pytest.raises(MXNetError):
        infer("slice", [(4, 5)], **params)


def test_slice_axis():
    np.testing.assert_array_equal(call("slice_axis", X, axis=-1, begin=-3, end=None), X[:, -3:])
    assert infer("slice_axis", [(0, 4)], axis=0, begin=1, end=3) == ([(0, 4)], [(0, 4)])
    assert infer("slice_axis", [(4, 0)], [(2, 3)], axis=0, begin=0, end=2)[0] == [(4, 3)]
    for begin, end in [(1, 100), (3, 3), (4, 2), (-10, 3), (5, None)]:
        with pytest.raises(MXNetError, match=f"begin={begin}, end={end}"):
            infer("slice_axis", [(5, 4)], axis=0, begin=begin, end=end)
    with pytest.raises(MXNetError, match="axis 2"):
        infer("slice_axis", [(5, 4)], axis=2, begin=0, end=1)


def test_slice_like():
    like = np.zeros((2, 3))
    np.testing.assert_array_equal(call("slice_like", X, like), X[:2, :3])
    np.testing.assert_array_equal(call("slice_like", X, like, axes=(-1,)), X[:, :3])
    np.testing.assert_array_equal(call("_backward_slice_like", X[:2], X, like, axes=(0,))[2:], np.zeros((2, 5)))
    assert infer("slice_like", [(0, 5), (2, 3)])[1] == [(2, 3)]
    for shapes, axes in [([(4, 5), (2, 3, 1)], ()), ([(4, 5), (6, 3)], (0,)), ([(4, 5), (2, 3)], (2,)),
                         ([(4, 5, 6), (2, 3)], (2,))]:  # fmt: skip
        with pytest.raises(MXNetError):
            infer("slice_like", shapes, axes=axes)


def test_crop():
    np.testing.assert_array_equal(call("Crop", IMAGES, h_w=(3, 4), offset=(1, 2)), IMAGES[:, :, 1:4, 2:6])
    np.testing.assert_array_equal(call("Crop", IMAGES, h_w=(3, 4), center_crop=True), IMAGES[:, :, 1:4, 1:5])
    like = np.zeros((5, 1, 2, 2))
    np.testing.assert_array_equal(call("Crop", IMAGES, like, offset=(4, 0)), IMAGES[:, :, 4:, :2])
    back = call("_backward_Crop", IMAGES[:, :, 4:, :2], IMAGES, like, num_args=2, offset=(4, 0))
    assert back[:, :, :4].sum() == back[:, :, :, 2:].sum() == 0
    np.testing.assert_array_equal(back[:, :, 4:, :2], IMAGES[:, :, 4:, :2])
    assert infer("Crop", [(1, 2, 6, 7), None])[1] == [None]
    for shapes, params in [
        ([(1, 2, 6, 7)], {}),
        ([(1, 2, 6, 7)], {"h_w": (3, 4), "offset": (4, 0)}),
        ([(1, 2, 6, 7)], {"h_w": (7, 4), "center_crop": True}),
        ([(2, 6, 7)], {"h_w": (3, 4)}),
    ]:
        with pytest.raises(MXNetError):
            infer("Crop", shapes, **params)
    with pytest.raises(MXNetError, match="1 or 2 inputs"):
        registry.find("Crop").parse({"num_args": "3"})


@pytest.mark.parametrize(
    ("mode", "torch_mode"), [("constant", "constant"), ("edge", "replicate"), ("reflect", "reflect")]
)
@pytest.mark.parametrize("rank", [4, 5])
def test_pad(mode, torch_mode, rank):
    x = np.random.RandomState(0).normal(size=(1, 2, 4, 5, 3)[:rank])
    width = (0, 0, 0, 0, 2, 1, 0, 3, 1, 1)[: 2 * rank]
    value = 2.5 if mode == "constant" else 0
    padded = call("Pad", x, mode=mode, pad_width=width, constant_value=value)
    last_first = [n for i in range(rank - 1, 1, -1) for n in width[2 * i : 2 * i + 2]]
    expected = torch.nn.functional.pad(torch.tensor(x), last_first, torch_mode, value)
    np.testing.assert_array_equal(padded, expected.numpy())
    assert infer("Pad", [None], [padded.shape], mode=mode, pad_width=width)[0] == [x.shape]


def test_paddings_that_cannot_be():
    image = (1, 2, 3, 3)
    for shape, mode, width in [
        (image, "constant", (0, 0, 1, 0, 1, 2, 2, 1)),
        (image, "constant", (0, 0, 0, 0, -1, 2, 2, 1)),
        (image, "edge", (0, 0, 0, 0, 1, 2)),
        (image, "reflect", (0, 0, 0, 0, 3, 2, 2, 1)),
        ((1, 3), "constant", (0, 0, 0, 0)),
    ]:
        with pytest.raises(MXNetError):
            infer("Pad", [shape], mode=mode, pad_width=width)
    with pytest.raises(MXNetError, match="borders"):
        infer("Pad", [None], [(1, 1, 2, 2)], mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 0, 0))


def test_reverse():
    np.testing.assert_array_equal(call("reverse", X, axis=(0, 1)), X[::-1, ::-1])
    for axis in ((5,), (0, 0)):
        with pytest.raises(MXNetError, match="axis"):
            infer("reverse", [(2, 3)], axis=axis)
