"""Deformable convolution: against a loop, and against Convolution where nothing is deformed."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, infer
from .test_sampling import read

RANDOM = np.random.default_rng(19)
OP = "_contrib_DeformableConvolution"


@pytest.mark.parametrize("groups", [1, 2])
def test_without_offsets_it_is_convolution(groups):
    data, weight, bias = (RANDOM.uniform(-1, 1, shape) for shape in ((2, 4, 6, 7), (4, 4 // groups, 3, 2), (4,)))
    params = {"kernel": (3, 2), "stride": (1, 2), "dilate": (2, 1), "pad": (2, 0), "num_filter": 4,
              "num_group": groups}  # fmt: skip
    expected = call("Convolution", data, weight, bias, **params)
    offset = np.zeros((2, 12, *expected.shape[2:]))
    np.testing.assert_allclose(call(OP, data, offset, weight, bias, **params), expected, atol=1e-12)


def test_every_point_moves_by_its_offset():
    data, weight = RANDOM.uniform(-1, 1, (1, 4, 5, 6)), RANDOM.uniform(-1, 1, (3, 4, 2, 2))
    offset = RANDOM.uniform(-1.5, 1.5, (1, 16, 4, 5))
    output = call(OP, data, offset, weight, kernel=(2, 2), num_filter=3, num_deformable_group=2, no_bias=True)
    for i, j in np.ndindex(4, 5):
        window = np.zeros((4, 2, 2))
        for c, k, l in np.ndindex(window.shape):
            down, across = offset[0, 8 * (c // 2) + 4 * k + 2 * l :][:2, i, j]
            y, x = i + k + down, j + l + across
            if 0 <= y < 5 and 0 <= x < 6:
                # Up to its outer edge, the last pixel goes on.
                window[c, k, l] = read(data[0, c], min(y, 4), min(x, 5))
        np.testing.assert_allclose(output[0, :, i, j], (weight * window).sum((1, 2, 3)), atol=1e-12)


def test_inference():
    params = {"kernel": (3, 3), "num_filter": 4, "num_deformable_group": 2}
    told = infer(OP, [(2, 6, 5, 7), None, None, None], **params)
    assert told == ([(2, 6, 5, 7), (2, 36, 3, 5), (4, 6, 3, 3), (4,)], [(2, 4, 3, 5)])
    assert infer(OP, [None, (2, 36, 3, 5), (0, 6, 0, 0), None], **params)[0][0] == (2, 6, 0, 0)
    assert infer(OP, [(2, 6, 5, 7), None, None], no_bias=True, **params)[1] == [(2, 4, 3, 5)]


def test_mistakes():
    with pytest.raises(MXNetError, match="no multiple of num_deformable_group=4"):
        infer(OP, [(2, 6, 5, 7), None, None, None], kernel=(3, 3), num_filter=4, num_deformable_group=4)
    with pytest.raises(MXNetError, match="exceeds"):
        infer(OP, [(2, 6, 2, 7), None, None, None], kernel=(3, 3), num_filter=4)
    with pytest.raises(MXNetError):
        infer(OP, [(2, 6, 5, 7), (2, 16, 3, 5), None, None], kernel=(3, 3), num_filter=4)
    for attrs, name in [
        ({"kernel": "(3,)"}, "kernel"),
        ({"num_group": "3"}, "num_group"),
        ({"stride": "(0, 1)"}, "stride"),
    ]:
        with pytest.raises(MXNetError, match=name):
            registry.find(OP).parse({"kernel": "(3, 3)", "num_filter": "4", **attrs})
