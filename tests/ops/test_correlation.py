"""Correlation against a loop over places and displacements; inference, errors."""

import numpy as np
import pytest

from symbind.base import MXNetError
from symbind.graph import registry

from .interpreter import call, check_gradient, infer

RANDOM = np.random.default_rng(17)


def correlated(a, b, kernel, most, stride1, stride2, pad, multiply):
    a, b = (np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad))) for image in (a, b))
    steps = [s * stride2 for s in range(-(most // stride2), most // stride2 + 1)]
    rooms = [n - 2 * most - kernel + 1 for n in a.shape[2:]]
    output = np.empty((len(a), len(steps) ** 2, *(-(-room // stride1) for room in rooms)))
    for n, d, i, j in np.ndindex(output.shape):
        y, x = i * stride1 + most, j * stride1 + most
        v, u = y + steps[d // len(steps)], x + steps[d % len(steps)]
        one, other = a[n, :, y : y + kernel, x : x + kernel], b[n, :, v : v + kernel, u : u + kernel]
        output[n, d, i, j] = (one * other if multiply else abs(one - other)).mean()
    return output


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1, 0), (3, 2, 1, 1, 2), (3, 3, 2, 2, 3), (1, 2, 3, 1, 1), (5, 0, 1, 1, 0), (1, 1, 1, 2, 1)]
)
def test_correlation(sizes, multiply):
    images = RANDOM.uniform(-1, 1, (2, 2, 3, 6, 7))
    names = ("kernel_size", "max_displacement", "stride1", "stride2", "pad_size")
    params = {**dict(zip(names, sizes)), "is_multiply": multiply}
    np.testing.assert_allclose(call("Correlation", *images, **params), correlated(*images, *sizes, multiply))
    assert infer("Correlation", [(2, 3, 6, 7), None], **params)[1] == [call("Correlation", *images, **params).shape]


def test_gradient_of_a_crowded_correlation():
    images = RANDOM.uniform(-1, 1, (2, 1, 2, 4, 4))
    for multiply in (True, False):
        params = {"kernel_size": 3, "max_displacement": 2, "stride1": 2, "pad_size": 2, "is_multiply": multiply}
        check_gradient("Correlation", *images, wrt=(0, 1), **params)


def test_inference_and_mistakes():
    assert infer("Correlation", [(0, 3, 6, 0), (2, 0, 0, 7)])[0] == [(2, 3, 6, 7)] * 2
    assert infer("Correlation", [None, (2, 3, 6, 0)])[1] == [(2, 9, 4, 0)]
    with pytest.raises(MXNetError, match="do not fit"):
        infer("Correlation", [(2, 3, 6, 7), None], max_displacement=3)
    for key, value in [("kernel_size", 2), ("stride1", 0), ("stride2", 0), ("pad_size", -1), ("max_displacement", -1)]:
        with pytest.raises(MXNetError, match=key):
            registry.find("Correlation").parse({key: str(value)})
