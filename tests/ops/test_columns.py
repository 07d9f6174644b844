"""Images as columns and back: a convolution is a product with the columns, and the two are each other's transpose."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.RandomState(0)
WINDOWS = [
    ((2, 3, 5), {"kernel": (2,)}),
    ((2, 3, 5, 4), {"kernel": (2, 3)}),
    ((1, 2, 6, 5), {"kernel": (3, 2), "stride": (2, 1), "pad": (1, 2), "dilate": (1, 2)}),
    ((1, 2, 3, 4, 3), {"kernel": (2, 2, 2), "stride": (1, 2, 1), "pad": (0, 1, 0)}),
]


@pytest.mark.parametrize(("shape", "window"), WINDOWS)
def test_a_convolution_is_a_product_with_the_columns(shape, window):
    data, weight = RANDOM.randn(*shape), RANDOM.randn(4, shape[1], *window["kernel"])
    columns = call("im2col", data, **window)
    wanted = call("Convolution", data, weight, num_filter=4, no_bias=True, **window)
    np.testing.assert_allclose((weight.reshape(4, -1) @ columns).reshape(wanted.shape), wanted)


@pytest.mark.parametrize(("shape", "window"), WINDOWS)
def test_col2im_is_the_transpose_of_im2col(shape, window):
    data = RANDOM.randn(*shape)
    columns = call("im2col", data, **window)
    weights = RANDOM.randn(*columns.shape)
    image = call("col2im", weights, output_size=shape[2:], **window)
    assert image.shape == shape
    np.testing.assert_allclose((columns * weights).sum(), (data * image).sum())


def test_inference():
    assert infer("im2col", [(1, 2, 4, 5)], kernel=(2, 2))[1] == [(1, 8, 12)]
    assert infer("im2col", [(1, 2, 0, 5)], kernel=(2, 2))[1] == [(1, 8, 0)]
    assert infer("col2im", [(1, 8, 0)], kernel=(2, 2), output_size=(4, 5)) == ([(1, 8, 12)], [(1, 2, 4, 5)])


def test_what_cannot_be_is_refused():
    with pytest.raises(MXNetError, match="reaches over 7 exceeds the image"):
        infer("im2col", [(1, 2, 4, 5)], kernel=(4, 2), dilate=(2, 1))
    with pytest.raises(MXNetError, match="should have 4 axes"):
        infer("im2col", [(1, 2, 4)], kernel=(2, 2))
    with pytest.raises(MXNetError, match="inconsistent"):
        infer("col2im", [(1, 8, 11)], kernel=(2, 2), output_size=(4, 5))
    with pytest.raises(MXNetError, match="7 rows of the columns are no multiple of the 4 points"):
        infer("col2im", [(1, 7, 12)], kernel=(2, 2), output_size=(4, 5))
    with pytest.raises(MXNetError, match="does not fit kernel"):
        mx.sym.col2im(mx.sym.var("data"), kernel=(2, 2), output_size=(4,))
