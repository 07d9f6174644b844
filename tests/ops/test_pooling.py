"""Pooling, against its definition written as a loop over windows."""

import math
from itertools import product

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.RandomState(0)
STATISTICS = {
    "max": lambda seen, padded, kernel: seen.max(initial=np.finfo(float).min),
    "sum": lambda seen, padded, kernel: seen.sum(),
    "avg": lambda seen, padded, kernel: seen.sum() / max(padded, 1),
    "avg without padding": lambda seen, padded, kernel: seen.sum() / max(seen.size, 1),
    "avg by kernel": lambda seen, padded, kernel: seen.sum() / kernel,
    "lp 2": lambda seen, padded, kernel: (seen**2).sum() ** 0.5,
    "lp 3": lambda seen, padded, kernel: np.cbrt((seen**3).sum()),
}


def pool(data, kind, kernel, stride=None, pad=None, convention="valid"):
    """The statistic of every window, and for each window the slice of ``data`` that it sees."""
    rank = len(kernel)
    stride, pad = stride or (1,) * rank, pad or (0,) * rank
    rounding = {"valid": math.floor, "full": math.ceil}
    counts = [
        math.ceil(n / s) if convention == "same" else rounding[convention]((n + 2 * p - k) / s) + 1
        for n, k, s, p in zip(data.shape[2:], kernel, stride, pad)
    ]
    output = np.zeros((*data.shape[:2], *counts))
    for place in product(*map(range, output.shape)):
        starts = [i * s - p for i, s, p in zip(place[2:], stride, pad)]
        seen = data[(*place[:2], *(slice(max(a, 0), max(a + k, 0)) for a, k in zip(starts, kernel)))]
        padded = math.prod(
            max(0, min(a + k, n + p) - a) for a, k, n, p in zip(starts, kernel, data.shape[2:], pad)
        )
        output[place] = STATISTICS[kind](seen, padded, math.prod(kernel))
    return output


WINDOWS = [
    ((1, 2, 5, 6), {"kernel": (2, 3)}),
    ((2, 1, 5, 6), {"kernel": (2, 2), "stride": (2, 2)}),
    ((1, 2, 5, 6), {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)}),
    ((1, 2, 5, 6), {"kernel": (2, 2), "stride": (2, 3), "convention": "full"}),
    ((1, 1, 7, 6), {"kernel": (3, 3), "stride": (3, 2), "pad": (2, 1), "convention": "full"}),
    ((1, 1, 5, 4), {"kernel": (2, 3), "pad": (2, 2)}),
    ((1, 1, 5, 7), {"kernel": (3, 2), "stride": (2, 3), "convention": "same"}),
    ((2, 2, 7), {"kernel": (3,), "stride": (2,), "pad": (1,)}),
    ((2, 2, 7), {"kernel": (2,), "stride": (4,), "pad": (1,), "convention": "full"}),
    ((1, 2, 3, 4, 5), {"kernel": (2, 2, 3), "stride": (1, 2, 2), "pad": (1, 0, 1)}),
    ((1, 1, 3, 4, 5), {"kernel": (2, 3, 2), "stride": (2, 2, 2), "convention": "full"}),
]
KINDS = {
    "max": {"pool_type": "max"},
    "sum": {"pool_type": "sum"},
    "avg": {"pool_type": "avg"},
    "avg without padding": {"pool_type": "avg", "count_include_pad": False},
    "lp 2": {"pool_type": "lp", "p_value": 2},
    "lp 3": {"pool_type": "lp", "p_value": 3},
}


def as_parameters(window):
    return {"pooling_convention" if key == "convention" else key: value for key, value in window.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "window"), WINDOWS, ids=str)
def test_statistics(kind, shape, window):
    data = RANDOM.randn(*shape)
    got = call("Pooling", data, **as_parameters(window), **KINDS[kind])
    np.testing.assert_allclose(got, pool(data, kind, **window))


@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
@pytest.mark.parametrize(
    ("shape", "window"),
    [*WINDOWS[:3], ((1, 2, 5, 7), {"kernel": (2, 2), "stride": (2, 2), "convention": "full"})],
    ids=str,
)
def test_the_first_release_divides_by_the_kernel(kind, shape, window):
    data = RANDOM.randn(*shape)
    got = call("Pooling_v1", data, **as_parameters(window), pool_type=kind)
    np.testing.assert_allclose(got, pool(data, "avg by kernel" if kind == "avg" else kind, **window))


def test_the_first_release_starts_no_window_beyond_the_data():
    shape = (1, 1, 8, 8)
    window = {"kernel": (1, 1), "stride": (3, 3), "pooling_convention": "full"}
    assert infer("Pooling", [shape], **window)[1][0] == (1, 1, 4, 4)
    assert infer("Pooling_v1", [shape], **window)[1][0] == (1, 1, 3, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_global(kind):
    data = RANDOM.randn(2, 3, 4, 5)
    got = call("Pooling", data, global_pool=True, kernel=(2, 2), pad=(1, 1), **KINDS[kind])
    np.testing.assert_allclose(got, pool(data, kind, kernel=(4, 5)))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_channel_last_is_that_of_channel_first(kind):
    """Values and gradients, through the public interface."""
    window = {"kernel": (3, 2), "stride": (2, 2), "pad": (1, 0), "pooling_convention": "full", **KINDS[kind]}
    data = RANDOM.uniform(0.5, 1.5, (2, 3, 5, 5))

    def run(array, **layout):
        executor = mx.sym.Pooling(mx.sym.var("data"), **window, **layout).simple_bind(
            data=array.shape, type_dict={"data": "float64"}
        )
        output = executor.forward(is_train=True, data=array)[0].asnumpy()
        head = np.moveaxis(np.arange(output.size).reshape(2, 3, 3, 3), 1, -1 if layout else 1)
        executor.backward(mx.nd.array(head, dtype="float64"))
        return output, executor.grad_dict["data"].asnumpy()

    first = run(data)
    last = run(np.moveaxis(data, 1, -1), layout="NHWC")
    for seen, wanted in zip(last, first):
        np.testing.assert_allclose(np.moveaxis(seen, -1, 1), wanted)


def test_a_maximum_in_the_padding_never_wins():
    data = -RANDOM.uniform(1, 2, (1, 1, 4, 4))
    assert (call("Pooling", data, kernel=(3, 3), pad=(1, 1)) < 0).all()
    assert (call("Pooling", data, kernel=(2, 2), pad=(1, 1), stride=(3, 3), pooling_convention="full") < 0).all()


@pytest.mark.parametrize(
    ("given", "output", "params", "told"),
    [
        ((2, 3, 5, 6), None, {"kernel": (2, 2), "pool_type": "avg"}, ([(2, 3, 5, 6)], [(2, 3, 4, 5)])),
        ((0, 3, 0, 6), None, {"kernel": (2, 2), "pool_type": "avg"}, ([(0, 3, 0, 6)], [(0, 3, 0, 5)])),
        ((0, 0, 5, 6), (2, 3, 0, 0), {"kernel": (2, 2), "pool_type": "avg"}, ([(2, 3, 5, 6)], [(2, 3, 4, 5)])),
        ((2, 5, 6, 3), None, {"kernel": (2, 2), "pool_type": "avg", "layout": "NHWC"},
         ([(2, 5, 6, 3)], [(2, 4, 5, 3)])),
        ((2, 3, 5), None, {"global_pool": True, "pool_type": "avg"}, ([(2, 3, 5)], [(2, 3, 1)])),
        (None, (2, 3, 4, 5), {"kernel": (2, 2), "pool_type": "avg"}, ([None], [(2, 3, 4, 5)])),
    ],
)  # fmt: skip
def test_inference(given, output, params, told):
    assert infer("Pooling", [given], [output], **params) == told


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "slides over 1, 2 or 3 axes"),
        ({"kernel": (2, 2), "stride": (1,)}, "stride"),
        ({"kernel": (2, 2), "pool_type": "lp"}, "p_value of 1, 2 or 3, not None"),
        ({"kernel": (2, 2), "pool_type": "lp", "p_value": 4}, "p_value of 1, 2 or 3, not 4"),
        ({"kernel": (2, 2), "pad": (1, 1), "pooling_convention": "same"}, "no choice of padding"),
        ({"kernel": (2, 2), "pool_type": "median"}, "Invalid Input: 'median'"),
        ({"kernel": (2,), "layout": "NHWC"}, "layout=NHWC of Pooling does not fit"),
    ],
)
def test_impossible_parameters_are_refused(params, message):
    with pytest.raises(MXNetError, match=message):
        mx.sym.Pooling(mx.sym.var("data"), **params)


def test_impossible_data_is_refused():
    with pytest.raises(MXNetError, match=r"kernel size \(7\) exceeds input \(5 padded to 5\)"):
        infer("Pooling", [(1, 1, 5, 8)], kernel=(7, 7))
    with pytest.raises(MXNetError, match="should have 4 axes"):
        infer("Pooling", [(1, 1, 5)], kernel=(2, 2))


@pytest.mark.parametrize(("output", "sizes"), [((), (1, 1)), (2, (2, 2)), ((2, 3), (2, 3)), ((5, 9), (5, 9))])
def test_adaptive_averages(output, sizes):
    data = RANDOM.randn(2, 2, 4, 5)
    got = call("_contrib_AdaptiveAvgPooling2D", data, output_size=output)
    assert got.shape == (2, 2, *sizes)
    for i, j in product(*map(range, sizes)):
        rows = slice(i * 4 // sizes[0], -(-(i + 1) * 4 // sizes[0]))
        columns = slice(j * 5 // sizes[1], -(-(j + 1) * 5 // sizes[1]))
        np.testing.assert_allclose(got[:, :, i, j], data[:, :, rows, columns].mean((2, 3)))


def test_impossible_adaptive_sizes_are_refused():
    with pytest.raises(MXNetError, match="must be one or two numbers"):
        mx.sym.contrib.AdaptiveAvgPooling2D(mx.sym.var("data"), output_size=(1, 2, 3))
    with pytest.raises(MXNetError, match="should have 4 axes"):
        infer("_contrib_AdaptiveAvgPooling2D", [(1, 2, 3)])


def test_a_window_of_zeros_gives_no_gradient():
    """There the root has no slope that could be told."""
    executor = mx.sym.Pooling(mx.sym.var("data"), kernel=(2,), pool_type="lp", p_value=2).simple_bind(data=(1, 1, 3))
    executor.forward(is_train=True, data=np.array([[[0, 0, 2.0]]]))
    executor.backward(mx.nd.ones((1, 1, 2)))
    np.testing.assert_array_equal(executor.grad_dict["data"].asnumpy(), [[[0, 0, 1]]])


def test_zeros_for_axes_that_are_not_there():
    data = np.arange(10.0).reshape(1, 1, 10)
    pooled = call("Pooling", data, kernel=2, stride=2, pad=(0, 0, 0), pool_type="max", pooling_convention="same")
    assert pooled[0, 0].tolist() == [1, 3, 5, 7, 9]
    with pytest.raises(MXNetError, match="must be 1 numbers"):
        infer("Pooling", [(1, 1, 10)], kernel=2, pad=(0, 1), pool_type="max")
