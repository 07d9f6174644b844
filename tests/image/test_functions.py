"""Reading and cropping images: errors, and what the comparison with MXNet does not show."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import symbind as mx
from symbind.image.functions import interpolation


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def image(height: int = 8, width: int = 6) -> mx.nd.NDArray:
    return mx.nd.array(np.arange(height * width * 3).reshape(height, width, 3) % 251, dtype="uint8")


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)])
def test_any_buffer_is_decoded(container: type) -> None:
    data = jpeg(np.full((4, 5, 3), 128, np.uint8))
    assert mx.image.imdecode(container(data)).shape == (4, 5, 3)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(mx.MXNetError, match="empty"):
        mx.image.imdecode(b"")
    with pytest.raises(mx.MXNetError, match="Decoding failed"):
        mx.image.imdecode(b"abcd")
    data = jpeg(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    with pytest.raises(mx.MXNetError, match="Decoding failed"):
        mx.image.imdecode(data[:40])
    with pytest.raises(ValueError, match="not str"):
        mx.image.imdecode("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="flag must be"):
        mx.image.imdecode(data, flag=-1)
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(mx.MXNetError, match=r"text\.jpg.*Decoding failed"):
        mx.image.imread(tmp_path / "text.jpg")
    with pytest.raises(mx.MXNetError, match=r"none\.jpg.*No such file"):
        mx.image.imread(tmp_path / "none.jpg")


def test_the_orientation_of_the_camera_is_ignored() -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x112] = 6
    Image.fromarray(np.zeros((4, 7, 3), np.uint8)).save(file, "JPEG", exif=exif)
    assert mx.image.imdecode(file.getvalue()).shape == (4, 7, 3)


def test_errors_of_geometry() -> None:
    with pytest.raises(mx.MXNetError, match="must be positive"):
        mx.image.imresize(image(), 0, 3)
    with pytest.raises(ValueError, match="interp method 7"):
        mx.image.imresize(image(), 3, 3, interp=7)
    with pytest.raises(mx.MXNetError, match="height, width, channels"):
        mx.image.imresize(image()[:, :, 0], 3, 3)
    with pytest.raises(mx.MXNetError, match="outside an image of size"):
        mx.image.fixed_crop(image(), -5, 0, 3, 3)
    with pytest.raises(mx.MXNetError, match="type 9 of border"):
        mx.image.copyMakeBorder(image(), 1, 1, 1, 1, type=9)
    with pytest.raises(TypeError, match="float32"):
        mx.image.imrotate(image(), 10)
    turned = image().astype("float32")
    with pytest.raises(ValueError, match="both"):
        mx.image.imrotate(turned, 10, True, True)
    with pytest.raises(ValueError, match="2 angles for 1 images"):
        mx.image.imrotate(turned[None], mx.nd.array([1, 2]))


def test_interpolation_follows_the_sizes() -> None:
    assert [interpolation(9, (10, 10), new) for new in ((20, 20), (5, 5), (20, 5))] == [2, 3, 1]
    random.seed(0)
    assert {interpolation(10) for _ in range(100)} == set(range(5))


def test_each_image_of_a_batch_has_its_angle() -> None:
    images = mx.nd.array(np.random.default_rng(0).random((2, 3, 5, 7)))
    turned = mx.image.imrotate(images, mx.nd.array([0, 180])).asnumpy()
    np.testing.assert_allclose(turned[0], images.asnumpy()[0], atol=1e-5)
    np.testing.assert_allclose(turned[1], images.asnumpy()[1, :, ::-1, ::-1], atol=1e-5)


@pytest.mark.parametrize("method", range(5))
def test_resizing_keeps_what_is_flat(method: int) -> None:
    flat = mx.nd.full((9, 7, 3), 200, dtype="uint8")
    for size in ((3, 4), (20, 30), (20, 4)):
        assert (mx.image.imresize(flat, *size, interp=method).asnumpy() == 200).all()
