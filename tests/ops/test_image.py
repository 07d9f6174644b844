"""Operators on images against NumPy; the chance of a random flip; errors."""

import numpy as np
import pytest
import torch

from symbind.base import MXNetError
from symbind.graph import registry
from symbind.ops.operator import Environment

from .interpreter import call, check_gradient, infer

RANDOM = np.random.default_rng(23)
PIXELS = RANDOM.integers(0, 256, (3, 4, 2), dtype="uint8")


@pytest.mark.parametrize("pixels", [PIXELS, np.stack([PIXELS, 255 - PIXELS]), PIXELS.astype(float)])
def test_to_tensor(pixels):
    tensor = call("_image_to_tensor", pixels)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor, np.moveaxis(pixels / 255, -1, -3), rtol=1e-6)


def test_gradient_of_to_tensor_finds_the_way_back():
    head = RANDOM.uniform(-1, 1, (2, 3, 4)).astype("float32")
    back = call("_backward_image_to_tensor", head, PIXELS.astype("float64"))
    np.testing.assert_allclose(back, head.transpose(1, 2, 0) / 255, rtol=1e-6)


def test_normalize():
    planes = RANDOM.uniform(-1, 1, (2, 3, 4, 5))
    column = np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    expected = (planes - column) / (2 * column)
    np.testing.assert_allclose(call("_image_normalize", planes, mean=(0.1, 0.2, 0.3), std=(0.2, 0.4, 0.6)), expected)
    np.testing.assert_allclose(call("_image_normalize", planes[0], mean=(0.5,), std=(2,)), (planes[0] - 0.5) / 2)
    np.testing.assert_array_equal(call("_image_normalize", planes), planes)
    for shape, options, complaint in [
        ((3, 2, 2), {"mean": (1, 2)}, r"mean=\(1.0, 2.0\)"),
        ((1, 2, 2), {"std": (1, 2, 3)}, "std"),
        ((2, 2, 2), {}, "1 or 3 channels"),
        ((2, 2), {}, "axes"),
    ]:
        with pytest.raises(MXNetError, match=complaint):
            infer("_image_normalize", [shape], **options)


def test_crop():
    part = {"x": 1, "y": 2, "width": 3, "height": 1}
    np.testing.assert_array_equal(call("_image_crop", PIXELS, **part), PIXELS[2:3, 1:4])
    np.testing.assert_array_equal(call("_image_crop", PIXELS[None], **part), PIXELS[None, 2:3, 1:4])
    assert infer("_image_crop", [(0, 0, 2)], **part)[1] == [(1, 3, 2)]
    for shape, complaint in [((3, 3, 2), "width 3"), ((2, 4, 2), "height 2"), ((3, 4), "axes")]:
        with pytest.raises(MXNetError, match=complaint):
            infer("_image_crop", [shape], **part)
    with pytest.raises(MXNetError, match="no part"):
        registry.find("_image_crop").parse({"x": "-1", "y": "0", "width": "1", "height": "1"})


@pytest.mark.parametrize(("side", "axis"), [("left_right", 1), ("top_bottom", 0)])
def test_flips(side, axis):
    np.testing.assert_array_equal(call(f"_image_flip_{side}", PIXELS), np.flip(PIXELS, axis))
    with pytest.raises(MXNetError, match="3 axes"):
        infer(f"_image_flip_{side}", [(2, 3, 4, 1)])

    op = registry.find(f"_image_random_flip_{side}")
    output, coin = torch.empty(3, 4, 2, dtype=torch.uint8), torch.empty(1, dtype=torch.int64)
    env = Environment(True, torch.device("cpu"), torch.Generator().manual_seed(4))
    run = op.kernel(op.parse({}), [torch.from_numpy(PIXELS)], [output, coin], env)
    flipped = 0
    for _ in range(200):
        run()
        np.testing.assert_array_equal(output, np.flip(PIXELS, axis) if coin.item() else PIXELS)
        flipped += coin.item()
    assert 60 < flipped < 140


@pytest.mark.parametrize("coin", [0, 1])
def test_gradient_follows_the_coin(coin):
    check_gradient("_flip_left_right_if", RANDOM.uniform(-1, 1, (2, 3, 2)), np.array([coin]))
    image = RANDOM.uniform(-1, 1, (2, 3, 2))
    expected = image[:, ::-1] if coin else image
    np.testing.assert_array_equal(call("_flip_left_right_if", image, np.array([coin])), expected)


@pytest.mark.parametrize(("kind", "mode"), [(1, "edge"), (2, "symmetric"), (3, "wrap"), (4, "reflect")])
@pytest.mark.parametrize("size", [(3, 4), (1, 2)])
def test_frame(kind, mode, size):
    image = PIXELS[: size[0], : size[1]]
    widths = ((5, 2), (1, 6), (0, 0))
    framed = call("_cvcopyMakeBorder", image, top=5, bot=2, left=1, right=6, type=kind)
    np.testing.assert_array_equal(framed, np.pad(image, widths, mode))


def test_constant_frame():
    sides = {"top": 1, "bot": 0, "left": 2, "right": 1}
    framed = call("_cvcopyMakeBorder", PIXELS, value=7, **sides)
    np.testing.assert_array_equal(framed, np.pad(PIXELS, ((1, 0), (2, 1), (0, 0)), constant_values=7))
    framed = call("_cvcopyMakeBorder", PIXELS, values=(1, 2, 3), **sides)
    np.testing.assert_array_equal(framed[0], [[1, 2]] * 7)
    np.testing.assert_array_equal(framed[1:, 2:-1], PIXELS)
    assert infer("_cvcopyMakeBorder", [(0, 4, 2)], **sides)[1] == [(0, 7, 2)]
    for name, text in [("type", "5"), ("top", "-1")]:
        with pytest.raises(MXNetError, match=name):
            registry.find("_cvcopyMakeBorder").parse({**{k: str(v) for k, v in sides.items()}, name: text})
