"""Image files, in memory and on disk: what is in them, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

import symbind as mx
from tests.golden.pictures import picture, png

PICTURE = picture()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(PICTURE))
    return path


def as_bytes(data: bytes) -> mx.nd.NDArray:
    return mx.nd.array(np.frombuffer(data, np.uint8), dtype="uint8")


def test_decode(file):
    for decoded in (
        mx.nd._internal._cvimdecode(as_bytes(file.read_bytes())),
        mx.nd._internal._cvimread(filename=str(file)),
    ):
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded.asnumpy(), PICTURE)


def test_order_of_colours_and_grey_values(file):
    read = mx.nd._internal._cvimread
    np.testing.assert_array_equal(read(filename=str(file), to_rgb=False).asnumpy(), PICTURE[:, :, ::-1])
    assert read(filename=str(file), flag=0).shape == (40, 60, 1)


def test_bytes_of_any_shape(file):
    data = as_bytes(file.read_bytes()).expand_dims(0)
    np.testing.assert_array_equal(mx.nd._internal._cvimdecode(data).asnumpy(), PICTURE)


def test_errors(file):
    decode, read = mx.nd._internal._cvimdecode, mx.nd._internal._cvimread
    with pytest.raises(mx.MXNetError, match="absent.png"):
        read(filename=str(file.with_name("absent.png")))
    with pytest.raises(mx.MXNetError, match="Invalid image file"):
        decode(as_bytes(b"no picture"))
    with pytest.raises(mx.MXNetError, match="uint8"):
        decode(mx.nd.zeros((4,)))
    with pytest.raises(mx.MXNetError, match="flag=3"):
        read(filename=str(file), flag=3)


def test_a_network_cannot_hold_one(file):
    with pytest.raises(mx.MXNetError, match="runs on arrays only"):
        mx.sym._internal._cvimread(filename=str(file)).simple_bind(mx.cpu())
