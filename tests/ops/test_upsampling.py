"""Images made larger or smaller."""

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError

from .interpreter import call, infer

RANDOM = np.random.RandomState(0)
DATA = RANDOM.randn(2, 3, 2, 4)


def repeat(data, factor):
    return data.repeat(factor, 2).repeat(factor, 3)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_nearest(scale):
    got = call("UpSampling", DATA, scale=scale, sample_type="nearest", num_args=1)
    np.testing.assert_array_equal(got, repeat(DATA, scale))


def test_several_images_are_brought_to_one_size():
    large = RANDOM.randn(2, 3, 4, 8)
    params = {"scale": 4, "sample_type": "nearest", "num_args": 2}
    stacked = call("UpSampling", DATA, large, **params)
    np.testing.assert_array_equal(stacked, np.concatenate([repeat(DATA, 4), repeat(large, 2)], 1))
    added = call("UpSampling", DATA, large, **params, multi_input_mode="sum")
    np.testing.assert_allclose(added, repeat(DATA, 4) + repeat(large, 2))


def test_bilinear_is_a_deconvolution_of_each_channel():
    weight = RANDOM.randn(3, 1, 4, 4)
    got = call("UpSampling", DATA, weight, scale=2, sample_type="bilinear", num_filter=3, num_args=1)
    wanted = call(
        "Deconvolution", DATA, weight, kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=3, num_group=3
    )
    np.testing.assert_array_equal(got, wanted)


def test_names_of_inputs():
    def arguments(**params):
        return mx.sym.UpSampling(scale=2, name="u", **params).list_arguments()

    assert arguments(sample_type="nearest", num_args=2) == ["u_arg0", "u_arg1"]
    assert arguments(sample_type="bilinear", num_args=1, num_filter=3) == ["u_data", "u_weight"]
    symbol = mx.sym.UpSampling(mx.sym.var("data"), scale=2, sample_type="bilinear", num_filter=3, name="u")
    assert symbol.list_arguments() == ["data", "u_weight"]
    assert symbol.attr_dict()["u_weight"]["__init__"] == '["bilinear", {}]'


def test_inference_of_upsampling():
    params = {"scale": 2, "sample_type": "nearest", "num_args": 2}
    assert infer("UpSampling", [(1, 2, 3, 4), (0, 3, 6, 8)], **params)[1] == [(1, 5, 6, 8)]
    assert infer("UpSampling", [(1, 2, 0, 4), (0, 3, 6, 8)], **params)[1] == [(1, 5, 0, 8)]
    assert infer("UpSampling", [(1, 2, 3, 4), None], **params)[1] == [(1, 0, 6, 8)]
    bilinear = {"scale": 3, "sample_type": "bilinear", "num_filter": 2, "num_args": 1}
    assert infer("UpSampling", [(1, 2, 3, 4), None], **bilinear) == ([(1, 2, 3, 4), (2, 1, 5, 5)], [(1, 2, 9, 12)])


@pytest.mark.parametrize(
    ("shapes", "params", "message"),
    [
        ([(1, 1, 2, 2), (1, 1, 3, 3)], {}, "does not divide an output of 4 by 4"),
        ([(1, 1, 2), (1, 1, 2, 2)], {}, "should have 4 axes"),
        ([(1, 1, 2, 2), (1, 2, 2, 2)], {"multi_input_mode": "sum"}, "inconsistent"),
        ([(1, 1, 2, 2), (2, 1, 2, 2)], {}, "inconsistent"),
    ],
)
def test_impossible_images_are_refused(shapes, params, message):
    with pytest.raises(MXNetError, match=message):
        infer("UpSampling", shapes, scale=2, sample_type="nearest", num_args=2, **params)


def test_impossible_parameters_are_refused():
    data = mx.sym.var("data")
    with pytest.raises(MXNetError, match="must be at least 1"):
        mx.sym.UpSampling(data, scale=0, sample_type="nearest")
    with pytest.raises(MXNetError, match="needs num_filter"):
        mx.sym.UpSampling(data, scale=2, sample_type="bilinear")
    with pytest.raises(MXNetError, match="needs both scales"):
        mx.sym.contrib.BilinearResize2D(data, scale_height=2.0)
    with pytest.raises(MXNetError, match="needs both scales"):
        mx.sym.contrib.BilinearResize2D(data, mode="odd_scale")


# ---- resizing -----------------------------------------------------------------------------------


def interpolate(line, count, align):
    """Linear interpolation along the last axis."""
    size = line.shape[-1]
    if align:
        places = np.arange(count) * ((size - 1) / max(count - 1, 1))
    else:
        places = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0, size - 1)
    low = np.floor(places).astype(int)
    high, share = np.minimum(low + 1, size - 1), places - low
    return line[..., low] * (1 - share) + line[..., high] * share


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize(("height", "width"), [(4, 8), (5, 3), (1, 1), (2, 4)])
def test_resize(align, height, width):
    got = call("_contrib_BilinearResize2D", DATA, height=height, width=width, align_corners=align)
    rows = interpolate(DATA.swapaxes(2, 3), height, align).swapaxes(2, 3)
    np.testing.assert_allclose(got, interpolate(rows, width, align))


@pytest.mark.parametrize(
    ("params", "sizes", "told"),
    [
        ({}, (5, 6), (1, 1)),
        ({"height": 3, "width": 4}, (5, 6), (3, 4)),
        ({"scale_height": 0.5, "scale_width": 2.6}, (5, 7), (2, 18)),
        ({"mode": "odd_scale", "scale_height": 2.0, "scale_width": 1.5}, (5, 6), (9, 9)),
        ({"mode": "odd_scale", "scale_height": 2.0, "scale_width": 1.5}, (6, 5), (12, 7)),
        ({"mode": "odd_scale", "scale_height": 0.5, "scale_width": 0.5}, (8, 11), (4, 6)),
        ({"mode": "to_even_down"}, (5, 6), (4, 6)),
        ({"mode": "to_even_up"}, (5, 6), (6, 6)),
        ({"mode": "to_odd_down"}, (5, 6), (5, 5)),
        ({"mode": "to_odd_up"}, (5, 6), (5, 7)),
        ({"mode": "to_odd_up"}, (0, 6), (0, 7)),
    ],
)
def test_size_of_resized(params, sizes, told):
    assert infer("_contrib_BilinearResize2D", [(1, 1, *sizes)], **params)[1] == [(1, 1, *told)]


def test_resize_like():
    told = infer("_contrib_BilinearResize2D", [(1, 1, 5, 6), (2, 3, 7, 8)], mode="like")
    assert told[1] == [(1, 1, 7, 8)]
    got = call("_contrib_BilinearResize2D", DATA, np.zeros((1, 1, 3, 3)), mode="like")
    np.testing.assert_array_equal(got, call("_contrib_BilinearResize2D", DATA, height=3, width=3))


def test_nothing_left_is_refused():
    with pytest.raises(MXNetError, match="an axis of 1 into one of 0"):
        infer("_contrib_BilinearResize2D", [(1, 1, 1, 4)], mode="to_even_down")
