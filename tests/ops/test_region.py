"""Pooled regions against loops over bins, and against torch where it has the same."""

import numpy as np
import pytest
import torch

from symbind.base import MXNetError
from symbind.ops.bags import Bags, add_at

from .interpreter import call, infer

RANDOM = np.random.default_rng(11)
DATA = RANDOM.uniform(-1, 1, (2, 4, 6, 7))
ROIS = np.array([[0, 0, 0, 12, 10], [1, 3, 2, 9, 7.2], [1, -4, 6, 5, 30], [0, 40, 40, 50, 50], [1, 5, 5, 4, 4]])


def whole(number):
    return int(np.copysign(np.floor(abs(number) + 0.5), number))


def bins(first, extent, count, size):
    edges = [(np.floor(i * extent / count) + first, np.ceil((i + 1) * extent / count) + first) for i in range(count)]
    return [slice(*np.clip(edge, 0, size).astype(int)) for edge in edges]


def test_largest_of_each_bin():
    pooled = call("ROIPooling", DATA, ROIS, pooled_size=(2, 3), spatial_scale=0.5)
    for roi, seen in zip(ROIS, pooled):
        left, top, right, bottom = (whole(c * 0.5) for c in roi[1:])
        for i, down in enumerate(bins(top, max(bottom - top + 1, 1), 2, 6)):
            for j, across in enumerate(bins(left, max(right - left + 1, 1), 3, 7)):
                pixels = DATA[int(roi[0]), :, down, across].reshape(4, -1)
                expected = pixels.max(1) if pixels.size else np.zeros(4)
                np.testing.assert_array_equal(seen[:, i, j], expected)
    assert (pooled[3] == 0).all()


def test_of_equal_numbers_the_first_gets_the_gradient():
    _, places = _all_outputs(np.ones((1, 1, 3, 3)), np.array([[0, 1, 1, 2, 2.0], [0, 7, 7, 8, 8]]))
    np.testing.assert_array_equal(places.reshape(-1), [4, -1])
    gradient = call("_backward_ROIPooling", np.full((2, 1, 1, 1), 5.0), np.ones((1, 1, 3, 3)), places)
    assert gradient[0, 0, 1, 1] == gradient.sum() == 5


def _all_outputs(data, rois):
    from symbind.graph import registry
    from symbind.ops.operator import Environment

    op = registry.find("ROIPooling")
    p = op.parse({"pooled_size": "(1, 1)", "spatial_scale": "1"})
    inputs = [torch.from_numpy(data), torch.from_numpy(rois)]
    outputs = [torch.empty(len(rois), 1, 1, 1, dtype=t) for t in (torch.float64, torch.int64)]
    op.kernel(p, inputs, outputs, Environment(True, torch.device("cpu"), torch.Generator()))()
    return [output.numpy() for output in outputs]


def interpolated(plane, y, x):
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    low, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    upper = plane[top, left] * (1 - u) + plane[top, right] * u
    lower = plane[low, left] * (1 - u) + plane[low, right] * u
    return upper * (1 - v) + lower * v


@pytest.mark.parametrize("ratio", [-1, 3])
@pytest.mark.parametrize("aligned", [False, True])
def test_points_of_each_bin(ratio, aligned):
    rois = ROIS[:4]
    pooled = call("_contrib_ROIAlign", DATA, rois, pooled_size=(2, 3), spatial_scale=0.6, sample_ratio=ratio,
                  aligned=aligned)  # fmt: skip
    for roi, seen in zip(rois, pooled):
        left, top, right, bottom = roi[1:] * 0.6 - (0.5 if aligned else 0)
        extents = [high - low if aligned else max(high - low, 1) for low, high in ((top, bottom), (left, right))]
        steps = [extent / count for extent, count in zip(extents, (2, 3))]
        counts = [ratio if ratio > 0 else int(np.ceil(step)) for step in steps]
        for c, i, j in np.ndindex(4, 2, 3):
            values = [
                interpolated(DATA[int(roi[0]), c], top + (i + (v + 0.5) / counts[0]) * steps[0],
                             left + (j + (u + 0.5) / counts[1]) * steps[1])
                for v in range(counts[0]) for u in range(counts[1])
            ]  # fmt: skip
            np.testing.assert_allclose(seen[c, i, j], np.mean(values), atol=1e-12)


def test_places_with_channels_of_their_own():
    rois = ROIS[:2]
    options = {"pooled_size": (2, 2), "spatial_scale": 0.5}
    separate = call("_contrib_ROIAlign", DATA, rois, position_sensitive=True, **options)
    together = call("_contrib_ROIAlign", DATA, rois, **options)
    assert separate.shape == (2, 1, 2, 2)
    for i, j in np.ndindex(2, 2):
        np.testing.assert_allclose(separate[:, 0, i, j], together[:, 2 * i + j, i, j])


@pytest.mark.parametrize("image", [-1, len(DATA), 1e6])
@pytest.mark.parametrize(
    ("operator", "options"),
    [
        ("ROIPooling", {"pooled_size": (2, 2)}),
        ("_contrib_ROIAlign", {"pooled_size": (2, 2)}),
        ("_contrib_PSROIPooling", {"pooled_size": 2, "output_dim": 1}),
    ],
)
def test_a_region_of_no_image_is_zero(operator, options, image):
    rois = np.array([[image, 0, 0, 4, 4], [1, 0, 0, 4, 4.0]])
    nothing, something = call(operator, DATA, rois, **options, spatial_scale=1.0)
    assert (nothing == 0).all()
    assert (something != 0).all()


@pytest.mark.parametrize(("pooled", "group"), [(2, 0), (3, 2), (1, 2)])
def test_averages_by_place(pooled, group):
    groups = group or pooled
    data = RANDOM.uniform(-1, 1, (2, 2 * groups**2, 6, 7))
    options = {"spatial_scale": 0.6, "output_dim": 2, "pooled_size": pooled, "group_size": group}
    result = call("_contrib_PSROIPooling", data, ROIS, **options)
    for roi, seen in zip(ROIS, result):
        left, top, right, bottom = (0.6 * (whole(c) + (i > 1)) for i, c in enumerate(roi[1:]))
        for c, i, j in np.ndindex(2, pooled, pooled):
            window = []
            for k, low, high, size in ((i, top, bottom, 6), (j, left, right, 7)):
                step = max(high - low, 0.1) / pooled
                edge = np.floor(low + k * step), np.ceil(low + (k + 1) * step)
                window.append(slice(*np.clip(edge, 0, size).astype(int)))
            channel = (c * groups + i * groups // pooled) * groups + j * groups // pooled
            pixels = data[int(roi[0]), channel][tuple(window)]
            np.testing.assert_allclose(seen[c, i, j], pixels.mean() if pixels.size else 0, atol=1e-12)


def test_inference_and_mistakes():
    options = {"pooled_size": (2, 3), "spatial_scale": 1}
    assert infer("ROIPooling", [(2, 4, 6, 7), None], **options) == ([(2, 4, 6, 7), (0, 5)], [(0, 4, 2, 3)] * 2)
    assert infer("_contrib_ROIAlign", [None, (5, 5)], [(0, 4, 0, 0)], **options)[1] == [(5, 4, 2, 3)]
    told = infer("_contrib_PSROIPooling", [(2, 8, 6, 7), (5, 5)], spatial_scale=1, output_dim=2, pooled_size=2)
    assert told[1] == [(5, 2, 2, 2)]
    with pytest.raises(MXNetError):
        infer("ROIPooling", [(2, 4, 6, 7), (5, 4)], **options)
    with pytest.raises(MXNetError, match="8 channels"):
        infer("_contrib_PSROIPooling", [(2, 12, 6, 7), (5, 5)], spatial_scale=1, output_dim=2, pooled_size=2)
    with pytest.raises(MXNetError, match="no multiple of 6"):
        infer("_contrib_ROIAlign", [(2, 4, 6, 7), (5, 5)], position_sensitive=True, **options)
    with pytest.raises(MXNetError, match="height and a width"):
        infer("ROIPooling", [None, None], pooled_size=(2,), spatial_scale=1)


# ---- what they are made of ----------------------------------------------------------------------


def test_bags_are_a_matrix_and_its_transpose():
    sizes, count = np.array([2, 0, 3, 1]), 5
    rows, weights = RANDOM.integers(0, count, 6), RANDOM.uniform(-1, 1, 6)
    matrix = np.zeros((4, count))
    np.add.at(matrix, (np.repeat(np.arange(4), sizes), rows), weights)
    bags = Bags(*map(torch.from_numpy, (rows, np.cumsum(sizes) - sizes, weights)))
    array, heads = RANDOM.uniform(-1, 1, (count, 3)), RANDOM.uniform(-1, 1, (4, 3))
    np.testing.assert_allclose(bags.sums(torch.from_numpy(array)), matrix @ array)
    np.testing.assert_allclose(bags.transposed(count).sums(torch.from_numpy(heads)), matrix.T @ heads)


def test_add_at_adds_all_that_meet():
    target = torch.zeros(3)
    add_at(target, torch.tensor([2, 0, 2]), torch.tensor([1.0, 2, 3]))
    assert target.tolist() == [2, 0, 4]


@pytest.mark.parametrize("ratio", [-1, 2])
def test_rotated_regions(ratio):
    """Turned by nothing they are those of ROIAlign, and by a right angle those of the turned map."""
    square = RANDOM.uniform(-1, 1, (2, 3, 9, 9))
    middle = np.array([[0, 9, 8, 7, 10], [1, 4, 13, 12, 6], [0, 1, 1, 9, 30], [1, 60, 60, 3, 3], [5, 8, 8, 4, 4.0]])
    options = {"pooled_size": (2, 3), "spatial_scale": 0.5}

    def turned(data, angle):
        rois = np.column_stack((middle, np.full(len(middle), angle)))
        return call("_contrib_RROIAlign", data, rois, sampling_ratio=ratio, **options)

    def straight(data, x, y):
        half = middle[:, 3:] / 2
        rois = np.column_stack((middle[:, 0], x - half[:, 0], y - half[:, 1], x + half[:, 0], y + half[:, 1]))
        return call("_contrib_ROIAlign", data, rois, sample_ratio=ratio, **options)

    x, y = middle[:, 1], middle[:, 2]
    np.testing.assert_allclose(turned(square, 0), straight(square, x, y), atol=1e-12)
    clockwise = np.rot90(square, -1, (2, 3)).copy()
    np.testing.assert_allclose(turned(square, 90), straight(clockwise, 16 - y, x), atol=1e-12)
    assert not turned(square, 30)[4].any()


def test_rotated_regions_between_the_axes():
    """Recorded from MXNet 1.9.1."""
    data = np.arange(30.0).reshape(1, 1, 5, 6) ** 1.5
    pooled = call("_contrib_RROIAlign", data, np.array([[0, 3, 2, 4, 2, 30.0]]), pooled_size=(2, 2), spatial_scale=1.0)
    np.testing.assert_allclose(pooled[0, 0], [[54.7908, 32.6499], [89.9836, 63.0534]], rtol=1e-5)
    with pytest.raises(MXNetError):
        infer("_contrib_RROIAlign", [(1, 1, 5, 6), (3, 5)], pooled_size=(2, 2), spatial_scale=1.0)
