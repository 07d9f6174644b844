"""Sizes of resized images, and linear interpolation against a loop over pixels."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer

RANDOM = np.random.default_rng(29)


def linear(image, height, width):
    rows, columns, _ = image.shape
    output = np.empty((height, width, image.shape[2]))
    for i, j in np.ndindex(height, width):
        y = np.clip((i + 0.5) * rows / height - 0.5, 0, rows - 1)
        x = np.clip((j + 0.5) * columns / width - 0.5, 0, columns - 1)
        top, left = min(int(y), max(rows - 2, 0)), min(int(x), max(columns - 2, 0))
        square = image[top : top + 2, left : left + 2]
        output[i, j] = np.tensordot(np.outer([top + 1 - y, y - top], [left + 1 - x, x - left]), square, 2)
    return output


@pytest.mark.parametrize("size", [(7, 5), (3, 2), (4, 9)])
def test_linear(size):
    image = RANDOM.uniform(0, 255, (4, 6, 3))
    expected = linear(image, size[1], size[0])
    np.testing.assert_allclose(call("_image_resize", image, size=size), expected)
    np.testing.assert_allclose(call("_image_resize", np.stack([image, -image]), size=size), [expected, -expected])
    np.testing.assert_allclose(call("_cvimresize", image, w=size[0], h=size[1]), expected)


def test_bytes_are_rounded():
    pixels = RANDOM.integers(0, 256, (4, 6, 3), dtype="uint8")
    resized = call("_image_resize", pixels, size=(5, 3))
    assert resized.dtype == np.uint8
    np.testing.assert_allclose(resized, linear(pixels, 3, 5), atol=1)


def test_nearest_repeats():
    image = RANDOM.uniform(0, 1, (2, 3, 1))
    np.testing.assert_array_equal(call("_image_resize", image, size=(6, 4), interp=0), image.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"size": (5, 2)}, (2, 5, 3)),
        ({"size": 5}, (5, 5, 3)),
        ({"size": 6, "keep_ratio": True}, (6, 8, 3)),
        ({"size": (5, 2), "keep_ratio": True}, (2, 5, 3)),
    ],
)
def test_sizes(params, expected):
    assert infer("_image_resize", [(3, 4, 3)], **params)[1] == [expected]
    assert infer("_image_resize", [(2, 3, 4, 3)], **params)[1] == [(2, *expected)]


def test_the_shorter_side_may_be_either():
    assert infer("_image_resize", [(9, 6, 1)], size=4, keep_ratio=True)[1] == [(6, 4, 1)]
    assert infer("_image_resize", [(0, 6, 1)], size=4, keep_ratio=True)[1] == [(0, 0, 1)]


def test_mistakes():
    for name, attrs, complaint in [
        ("_image_resize", {}, "size"),
        ("_image_resize", {"size": "(3, 0)"}, "size"),
        ("_image_resize", {"size": "(1, 2, 3)"}, "size"),
        ("_image_resize", {"size": "3", "interp": "9"}, "interp=9"),
        ("_cvimresize", {"w": "0", "h": "1"}, "w=0"),
    ]:
        with pytest.raises(MXNetError, match=complaint):
            registry.find(name).parse(attrs)
    with pytest.raises(MXNetError, match="axes"):
        infer("_image_resize", [(3, 4)], size=3)
