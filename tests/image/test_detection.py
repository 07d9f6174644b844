"""Images with boxes: boxes follow what is in the image, labels are checked, shapes can be changed."""

from __future__ import annotations

import random
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import symbind as mx
from symbind.image import ImageDetIter
from symbind.io.detection_augment import DetectionAugmentation
from symbind.pixels.boxes import boxes_of_label

HEIGHT, WIDTH = 60, 80
BOXES = np.float32([[1, 0.1, 0.2, 0.5, 0.6], [2, 0.6, 0.3, 0.9, 0.9]])


def painted() -> np.ndarray:
    """Black, with each box filled with a colour that says which one it is."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for number, *corners in BOXES.tolist():
        left, top, right, bottom = (round(share * size) for share, size in zip(corners, (WIDTH, HEIGHT) * 2))
        image[top:bottom, left:right] = 100 * number
    return image


def check(image: np.ndarray, boxes: np.ndarray, smallest: float = 1.0) -> None:
    """Each box holds its colour, but for the pixels at its border, and the colour is nowhere else.

    ``smallest`` is the share of a side that the smallest part has, which may have been enlarged again.
    """
    height, width = image.shape[:2]
    for number, *corners in boxes.tolist():
        left, top, right, bottom = np.multiply(corners, (width, height, width, height))
        found = np.argwhere(abs(image[:, :, 0].astype(int) - 100 * number) < 20)
        # Where an image has been enlarged, so have its pixels.
        tolerance = 1 + 1.5 * max(width / WIDTH, height / HEIGHT) / smallest
        np.testing.assert_allclose(found.min(0), (top, left), atol=tolerance)
        np.testing.assert_allclose(found.max(0) + 1, (bottom, right), atol=tolerance)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.image.DetHorizontalFlipAug(0.5),
        lambda: mx.image.DetRandomCropAug(0.5, (0.5, 2.0), (0.3, 0.9)),
        lambda: mx.image.DetRandomPadAug((0.8, 1.6), (1.2, 3.0)),
        lambda: mx.image.DetRandomSelectAug([mx.image.DetRandomPadAug(), mx.image.DetRandomCropAug()], 0.1),
    ],
)
def test_boxes_follow_the_image(make: Any) -> None:
    random.seed(0)
    augmenter, original = make(), mx.nd.array(painted(), dtype="uint8")
    sizes, boxes_before = set(), BOXES.copy()
    for _ in range(30):
        image, boxes = augmenter(original, boxes_before)
        assert 1 <= len(boxes) <= 2
        check(image.asnumpy(), boxes)
        sizes.add((*image.shape, *boxes.ravel().tolist()))
    assert len(sizes) > 1
    np.testing.assert_array_equal(boxes_before, BOXES)
    np.testing.assert_array_equal(original.asnumpy(), painted())


@pytest.mark.parametrize(
    "settings",
    [
        {"rand_mirror_prob": 0.5},
        {"rand_pad_prob": 1, "max_pad_scale": 3.0, "fill_value": 0},
        {"rand_crop_prob": 1, "min_crop_scales": 0.4, "min_crop_aspect_ratios": 0.5, "max_crop_aspect_ratios": 2.0},
        {"rand_crop_prob": 1, "min_crop_scales": (0.3, 0.6), "max_crop_scales": (0.8, 1.0), "num_crop_sampler": 2,
         "crop_emit_mode": "overlap"},
        {"rand_crop_prob": 0.8, "min_crop_scales": 0.5, "min_crop_overlaps": 0.1, "max_crop_overlaps": 0.9,
         "min_crop_sample_coverages": 0.1, "max_crop_sample_coverages": 0.99, "min_crop_object_coverages": 0.5,
         "max_crop_object_coverages": 0.999, "rand_mirror_prob": 0.5},
    ],
)  # fmt: skip
@pytest.mark.parametrize("resize_mode", ["force", "shrink", "fit"])
def test_boxes_of_records_follow_the_image(settings: dict, resize_mode: str) -> None:
    augment = DetectionAugmentation(data_shape=(3, 90, 100), resize_mode=resize_mode, inter_method=0, **settings)
    seen = set()
    for seed in range(30):
        image, boxes = augment(torch.from_numpy(painted()), BOXES, Random(seed))
        assert image.shape[0] <= 90 and image.shape[1] <= 100
        assert resize_mode != "force" or image.shape == (90, 100, 3)
        assert resize_mode != "fit" or image.shape[0] >= 89 or image.shape[1] >= 99
        check(image.numpy(), boxes, 0.3)
        seen.add(tuple(boxes.ravel().tolist()))
    assert len(seen) > 1


def test_crops_keep_their_limits() -> None:
    """A part shows more of each box than it was asked for, or nothing, and boxes of which little is left are gone."""
    random.seed(1)
    augmenter = mx.image.DetRandomCropAug(0.4, (0.5, 2.0), (0.1, 0.5), min_eject_coverage=0.7)
    original = mx.nd.array(painted(), dtype="uint8")
    whole = {number: (painted()[:, :, 0] == 100 * number).sum() for number in (1, 2)}
    for _ in range(50):
        image, boxes = augmenter(original, BOXES)
        rows, columns = image.shape[:2]
        if (rows, columns) == (HEIGHT, WIDTH):
            continue
        assert 0.1 - 1e-6 <= rows * columns / (HEIGHT * WIDTH) <= 0.5 + 1e-6
        assert 0.5 - 2 / rows <= columns / rows <= 2 + 2 / rows
        for number in (1, 2):
            share = (image.asnumpy()[:, :, 0] == 100 * number).sum() / whole[number]
            assert share == 0 or share > 0.35
            assert (number in boxes[:, 0]) == (share > 0.7) or abs(share - 0.7) < 0.08


def test_settings_that_cannot_be_kept() -> None:
    for make in (
        lambda: mx.image.DetRandomCropAug(area_range=(0.5, 0.1)),
        lambda: mx.image.DetRandomCropAug(aspect_ratio_range=(0.0, 1.0)),
        lambda: mx.image.DetRandomPadAug(area_range=(0.5, 1.0)),
        lambda: mx.image.DetRandomPadAug(aspect_ratio_range=(2.0, 1.0)),
    ):
        with pytest.warns(UserWarning, match="does nothing"):
            augmenter = make()
        image, boxes = augmenter(mx.nd.array(painted(), dtype="uint8"), BOXES)
        assert image.shape == (HEIGHT, WIDTH, 3) and boxes is BOXES
    with pytest.raises(TypeError, match="borrows an Augmenter"):
        mx.image.DetBorrowAug(mx.image.DetHorizontalFlipAug(1))
    with pytest.raises(ValueError, match="selects a DetAugmenter, not a CastAug"):
        mx.image.DetRandomSelectAug(mx.image.CastAug())
    with pytest.raises(ValueError, match="max_attempts has 2 settings, but another list has 3"):
        mx.image.CreateMultiRandCropAugmenter([0.1, 0.2, 0.3], max_attempts=[1, 2])
    for settings, message in (
        ({"min_crop_scales": (0.1, 0.2)}, "min_crop_scales has 2 values for num_crop_sampler=1"),
        ({"max_crop_scales": 2.0}, "at most 1, got 2.0"),
        ({"min_crop_overlaps": 0.5, "max_crop_overlaps": 0.4}, "do not fit"),
        ({"resize_mode": "x"}, "Invalid resize_mode 'x', valid values are"),
        ({"crop_emit_mode": "x"}, "Invalid crop_emit_mode"),
        ({"emit_overlap_thresh": -1.0}, "emit_overlap_thresh"),
    ):
        with pytest.raises(mx.MXNetError, match=message):
            DetectionAugmentation(data_shape=(3, 5, 5), **settings)


# ---- iterators -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        Image.fromarray(np.roll(painted(), i, 2)).save(tmp_path / f"{i}.png")
    return tmp_path


def label(*boxes: list[float]) -> list[float]:
    return [2, 5, *(number for box in boxes for number in box)]


def images(folder: Path, *labels: list[float], **settings: Any) -> ImageDetIter:
    listed = [[each, f"{i}.png"] for i, each in enumerate(labels)]
    return ImageDetIter(1, (3, 30, 40), imglist=listed, path_root=str(folder), **settings)


ONE, TWO = label([1, 0.1, 0.2, 0.5, 0.6]), label(*BOXES.tolist())


def test_labels_are_filled_up(folder: Path) -> None:
    iterator = images(folder, ONE, TWO)
    assert iterator.label_shape == (2, 5)
    assert iterator.provide_label == [("label", (1, 2, 5))]
    found = [batch.label[0].asnumpy() for batch in iterator]
    np.testing.assert_allclose(found[0], [[ONE[2:], [-1] * 5]], 1e-6)
    np.testing.assert_allclose(found[1], [BOXES])


def test_shapes_can_be_changed(folder: Path) -> None:
    small, large = images(folder, ONE), images(folder, ONE, TWO)
    assert large.sync_label_shape(small, verbose=True) is small
    assert small.label_shape == large.label_shape == (2, 5)
    assert small.next().label[0].shape == (1, 2, 5)
    small.reset()
    small.reshape((3, 20, 20), (4, 5))
    batch = small.next()
    assert (batch.data[0].shape, batch.label[0].shape) == ((1, 3, 20, 20), (1, 4, 5))
    assert small.provide_data == [("data", (1, 3, 20, 20))]
    with pytest.raises(ValueError, match="reduce label count from 4 to 3"):
        small.reshape(label_shape=(3, 5))
    with pytest.raises(ValueError, match="object width inconsistent: 5 vs 6"):
        small.reshape((3, 10, 10), (4, 6))
    assert small.data_shape == (3, 20, 20)
    with pytest.raises(TypeError, match="invalid iterator"):
        small.sync_label_shape(mx.io.NDArrayIter(np.zeros((2, 2))))  # type: ignore[arg-type]


def test_labels_are_checked(folder: Path) -> None:
    for bad, message in (
        ([1.0, 2.0], r"Label shape is invalid: \(2,\)"),
        ([2, 5, 1, 0.1, 0.1, 0.5, 0.5, 3], "inconsistent with annotation width 5"),
        ([2, 0, 1, 0.1, 0.1, 0.5, 0.5], "inconsistent with annotation width 0"),
        ([9, 5, 1, 0.1, 0.1, 0.5, 0.5], "a header of 9 numbers"),
        (label([1, 0.5, 0.5, 0.4, 0.6]), "no valid label"),
    ):
        with pytest.raises(mx.MXNetError, match=message):
            boxes_of_label(bad)
        with pytest.raises(RuntimeError, match=f"'1.png': .*{message}"):
            images(folder, ONE, bad)
    with pytest.raises(mx.MXNetError, match="6 numbers for each object, but 5 in the first image"):
        images(folder, ONE, [2, 6, 1, 0.1, 0.1, 0.5, 0.5, 3])
    with pytest.raises(TypeError, match="no_such_setting"):
        images(folder, ONE, no_such_setting=1)


def test_images_without_objects_are_skipped(folder: Path) -> None:
    class Losing(mx.image.DetAugmenter):
        def __call__(self, src: Any, label: np.ndarray) -> Any:
            return src, label if len(label) > 1 else label - 2

    augmenters = [Losing(), *mx.image.CreateDetAugmenter((3, 30, 40))]
    iterator = images(folder, ONE, TWO, ONE, aug_list=augmenters)
    assert [batch.label[0].shape for batch in iterator] == [(1, 2, 5)]


def test_drawing(folder: Path) -> None:
    iterator = images(folder, ONE, TWO, mean=True, std=True)
    red, plain = list(iterator.draw_next(color=(255, 0, 0), mean=True, std=True, thickness=1, id2labels={2: "cat"}))
    for image, boxes in ((red, [ONE[2:]]), (plain, BOXES.tolist())):
        assert (image.shape, image.dtype) == ((30, 40, 3), np.uint8)
        for _, left, top, right, _ in boxes:
            y, x = int(top * 30), slice(int(left * 40), int(right * 40))
            np.testing.assert_array_equal(image[y, x], np.broadcast_to([0, 0, 255], image[y, x].shape))
