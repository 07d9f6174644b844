"""Convolution and its transpose, against their definitions written as loops."""

from itertools import product

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, check_gradient, infer

RANDOM = np.random.RandomState(0)


def convolve(data, weight, bias=None, stride=None, dilate=None, pad=None, groups=1):
    """Convolution, number by number."""
    rank = data.ndim - 2
    stride, dilate, pad = (value or (default,) * rank for value, default in ((stride, 1), (dilate, 1), (pad, 0)))
    data = np.pad(data, [(0, 0), (0, 0), *((p, p) for p in pad)])
    kernel = weight.shape[2:]
    sizes = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(data.shape[2:], kernel, dilate, stride)]
    filters, channels = weight.shape[:2]
    output = np.zeros((len(data), filters, *sizes))
    for f, place in product(range(filters), product(*map(range, sizes))):
        first = f // (filters // groups) * channels
        corner = [i * s for i, s in zip(place, stride)]
        window = tuple(slice(c, c + (k - 1) * d + 1, d) for c, k, d in zip(corner, kernel, dilate))
        seen = data[(slice(None), slice(first, first + channels), *window)]
        output[(slice(None), f, *place)] = (seen * weight[f]).reshape(len(data), -1).sum(1)
    return output if bias is None else output + bias.reshape(-1, *[1] * rank)


def deconvolve(data, weight, bias=None, stride=None, dilate=None, pad=None, adj=None, groups=1):
    """Transposed convolution: every number of the data stamps its multiple of the kernel onto the output."""
    rank = data.ndim - 2
    stride, dilate = (value or (1,) * rank for value in (stride, dilate))
    pad, adj = (value or (0,) * rank for value in (pad, adj))
    kernel = weight.shape[2:]
    sizes = [(n - 1) * s + (k - 1) * d + 1 + a for n, s, k, d, a in zip(data.shape[2:], stride, kernel, dilate, adj)]
    share = weight.shape[1]
    output = np.zeros((len(data), share * groups, *sizes))
    for c, place in product(range(data.shape[1]), product(*map(range, data.shape[2:]))):
        first = c // (data.shape[1] // groups) * share
        corner = [i * s for i, s in zip(place, stride)]
        window = tuple(slice(o, o + (k - 1) * d + 1, d) for o, k, d in zip(corner, kernel, dilate))
        value = data[(slice(None), c, *place)].reshape(-1, *[1] * (rank + 1))
        output[(slice(None), slice(first, first + share), *window)] += value * weight[c]
    output = output[(..., *(slice(p, n - p) for p, n in zip(pad, sizes)))]
    return output if bias is None else output + bias.reshape(-1, *[1] * rank)


CALLS = [
    ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    ((2, 3, 6, 5), (4, 3, 3, 2), {"stride": (2, 1), "pad": (1, 2)}),
    ((1, 2, 7, 7), (3, 2, 3, 3), {"dilate": (2, 3), "pad": (0, 1)}),
    ((1, 4, 5, 5), (6, 2, 3, 3), {"groups": 2}),
    ((1, 3, 4, 4), (3, 1, 2, 2), {"groups": 3, "stride": (2, 2)}),
    ((2, 2, 7), (3, 2, 3), {"stride": (2,), "pad": (1,)}),
    ((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), {"stride": (1, 2, 1), "pad": (0, 1, 0)}),
]


def as_parameters(window):
    renamed = {"groups": "num_group"}
    return {renamed.get(key, key): value for key, value in window.items()}


@pytest.mark.parametrize(("data", "weight", "window"), CALLS)
def test_convolution(data, weight, window):
    data, weight, bias = RANDOM.randn(*data), RANDOM.randn(*weight), RANDOM.randn(weight[0])
    params = {"kernel": weight.shape[2:], "num_filter": len(weight), **as_parameters(window)}
    biased = call("Convolution", data, weight, bias, **params)
    np.testing.assert_allclose(biased, convolve(data, weight, bias, **window))
    plain = call("Convolution_v1", data, weight, no_bias=True, **params)
    np.testing.assert_allclose(plain, convolve(data, weight, **window))


@pytest.mark.parametrize(
    ("data", "weight", "window"),
    [
        ((2, 3, 3, 2), (3, 4, 3, 2), {}),
        ((1, 2, 3, 3), (2, 2, 3, 3), {"stride": (2, 3), "pad": (1, 1), "adj": (1, 2)}),
        ((1, 2, 3, 3), (2, 3, 2, 2), {"dilate": (2, 1)}),
        ((1, 4, 2, 3), (4, 2, 2, 2), {"groups": 2, "stride": (2, 2)}),
        ((2, 2, 4), (2, 3, 3), {"stride": (2,), "pad": (1,), "adj": (1,)}),
        ((1, 1, 2, 2, 2), (1, 2, 2, 2, 2), {"stride": (2, 1, 2)}),
    ],
)
def test_deconvolution(data, weight, window):
    data, weight = RANDOM.randn(*data), RANDOM.randn(*weight)
    filters = weight.shape[1] * window.get("groups", 1)
    params = {"kernel": weight.shape[2:], "num_filter": filters, **as_parameters(window)}
    np.testing.assert_allclose(call("Deconvolution", data, weight, **params), deconvolve(data, weight, **window))
    bias = RANDOM.randn(filters)
    biased = call("Deconvolution", data, weight, bias, no_bias=False, **params)
    np.testing.assert_allclose(biased, deconvolve(data, weight, bias, **window))


@pytest.mark.parametrize("target", [(5, 6), (7, 7), (6, 5)])
def test_target_shape_cuts_both_ends_alike(target):
    data, weight = RANDOM.randn(1, 2, 3, 3), RANDOM.randn(2, 1, 3, 3)
    window = {"kernel": (3, 3), "num_filter": 1, "stride": (2, 2)}
    got = call("Deconvolution", data, weight, target_shape=target, pad=(9, 9), adj=(9, 9), **window)
    full = deconvolve(data, weight, stride=(2, 2))
    starts = [(7 - n + 1) // 2 for n in target]
    assert got.shape == (1, 1, *target)
    np.testing.assert_allclose(got, full[:, :, starts[0] : starts[0] + target[0], starts[1] : starts[1] + target[1]])


@pytest.mark.parametrize("operator", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize(("rank", "layout"), [(2, "NHWC"), (3, "NDHWC")])
def test_channel_last(operator, rank, layout):
    data, weight = RANDOM.randn(2, 3, *[4] * rank), RANDOM.randn(3, 3, *[2] * rank)
    params = {"kernel": (2,) * rank, "num_filter": 3, "stride": (2,) * rank, "no_bias": True}
    first = call(operator, data, weight, **params)
    last = call(operator, np.moveaxis(data, 1, -1), np.moveaxis(weight, 1, -1), layout=layout, **params)
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), first)


CONVOLUTION = {"kernel": (3, 2), "num_filter": 4}


@pytest.mark.parametrize(
    ("given", "output", "params", "told"),
    [
        ([(2, 3, 5, 6), None, None], None, {}, ([(2, 3, 5, 6), (4, 3, 3, 2), (4,)], [(2, 4, 3, 5)])),
        ([(0, 3, 0, 6), None, None], None, {}, ([(0, 3, 0, 6), (4, 3, 3, 2), (4,)], [(0, 4, 0, 5)])),
        ([(0, 3, 0, 0), None, None], (2, 4, 3, 5), {}, ([(2, 3, 5, 6), (4, 3, 3, 2), (4,)], [(2, 4, 3, 5)])),
        # How many rows a larger stride skips, the output does not tell.
        ([(2, 3, 0, 6), None, None], (2, 4, 3, 5), {"stride": (2, 1)},
         ([(2, 3, 0, 6), (4, 3, 3, 2), (4,)], [(2, 4, 3, 5)])),
        ([(2, 5, 6, 4), None, None], None, {"num_group": 2, "layout": "NHWC"},
         ([(2, 5, 6, 4), (4, 3, 2, 2), (4,)], [(2, 3, 5, 4)])),
        ([None, (4, 3, 3, 2), None], None, {}, ([None, (4, 3, 3, 2), None], [None])),
    ],
)  # fmt: skip
def test_inference(given, output, params, told):
    assert infer("Convolution", given, [output], **CONVOLUTION, **params) == told


def test_inference_of_deconvolution():
    params = {"kernel": (3, 3), "num_filter": 4, "stride": (2, 2)}
    assert infer("Deconvolution", [(2, 3, 5, 6), None], **params) == ([(2, 3, 5, 6), (3, 4, 3, 3)], [(2, 4, 11, 13)])
    assert infer("Deconvolution", [(2, 3, 0, 6), None], **params)[1] == [(2, 4, 0, 13)]
    target = infer("Deconvolution", [(2, 3, 5, 6), None], **params, target_shape=(10, 12))
    assert target[1] == [(2, 4, 10, 12)]


@pytest.mark.parametrize(
    ("data", "params", "message"),
    [
        ((2, 3, 2, 6), {}, "reaches over 3 exceeds the input: 2 padded by 0"),
        ((2, 3, 4), {}, "should have 4 axes"),
        ((2, 3, 5, 5), {"num_group": 2}, "3 channels of the data are no multiple of num_group=2"),
    ],
)
def test_impossible_data_is_refused(data, params, message):
    with pytest.raises(MXNetError, match=message):
        infer("Convolution", [data, None, None], **CONVOLUTION, **params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"stride": (2,)}, r"stride=\(2,\) of Convolution must be 2 numbers"),
        ({"stride": (0, 1)}, "of at least 1"),
        ({"pad": (-1, 0)}, "of at least 0"),
        ({"kernel": (2, 2, 2, 2)}, "slides over 1, 2 or 3 axes"),
        ({"kernel": ()}, "slides over 1, 2 or 3 axes"),
        ({"kernel": (0, 2)}, "sizes of at least 1"),
        ({"layout": "NCW"}, "layout=NCW of Convolution does not fit"),
        ({"num_filter": 0}, "num_filter of Convolution must be at least 1"),
        ({"num_group": 0}, "num_group of Convolution must be at least 1"),
        ({"num_group": 3}, "num_filter=4 of Convolution is no multiple of num_group=3"),
    ],
)
def test_impossible_parameters_are_refused(params, message):
    with pytest.raises(MXNetError, match=message):
        mx.sym.Convolution(mx.sym.var("data"), **{**CONVOLUTION, **params})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"adj": (2, 0)}, "must be less than stride"),
        ({"target_shape": (12, 5)}, "larger than what"),
        ({"pad": (6, 0)}, "leaves nothing"),
    ],
)
def test_impossible_deconvolutions_are_refused(params, message):
    with pytest.raises(MXNetError, match=message):
        infer("Deconvolution", [(1, 1, 5, 5), None], kernel=(3, 3), num_filter=1, **{"stride": (2, 2), **params})


@pytest.mark.parametrize("operator", ["Convolution", "Deconvolution"])
def test_gradient_of_the_gradient(operator):
    params = {"kernel": (2, 2), "num_filter": 2, "stride": (2, 1), "no_bias": True}
    data, weight = RANDOM.randn(1, 2, 4, 3), RANDOM.randn(2, 2, 2, 2)
    head = RANDOM.randn(*call(operator, data, weight, **params).shape)
    check_gradient(f"_backward_{operator}_data", head, weight, data, wrt=(0, 1), **params)
    check_gradient(f"_backward_{operator}_weight", head, data, wrt=(0, 1), **params)
