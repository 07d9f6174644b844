"""Augmenters for object detection: functions from an image and its boxes to another image and the boxes in it.

Boxes are arrays as :mod:`~symbind.pixels.boxes` describes them. As in :mod:`~symbind.image.augment` nothing is changed
in place, and random choices come from Python's ``random``.
"""

from __future__ import annotations

import logging
import math
import random
import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from ..base import _as_list
from ..ndarray import NDArray
from ..pixels.boxes import CORNERS, areas
from .augment import Augmenter, CreateAugmenter, Described, ForceResizeAug, ResizeAug
from .functions import copyMakeBorder, fixed_crop

__all__ = [
    "CreateDetAugmenter", "CreateMultiRandCropAugmenter", "DetAugmenter", "DetBorrowAug", "DetHorizontalFlipAug",
    "DetRandomCropAug", "DetRandomPadAug", "DetRandomSelectAug",
]  # fmt: skip

logger = logging.getLogger(__name__)

Range = tuple[float, float]
Labelled = tuple[NDArray, np.ndarray]

# Smaller parts of an image, in pixels, show nothing.
LEAST_PIXELS = 2
# A narrower border is not worth the copy.
LEAST_BORDER = 2


class DetAugmenter(Described):
    """Base of all augmenters of images with boxes."""

    def __call__(self, src: NDArray, label: np.ndarray) -> Labelled:
        raise NotImplementedError(f"{type(self).__name__} must override __call__")


class DetBorrowAug(DetAugmenter):
    """An augmenter of the image alone, which must not move what is in it. TypeError for anything else."""

    def __init__(self, augmenter: Augmenter) -> None:
        if not isinstance(augmenter, Augmenter):
            raise TypeError(f"DetBorrowAug borrows an Augmenter, not a {type(augmenter).__name__}")
        super().__init__()
        self.augmenter = augmenter

    def dumps(self) -> Any:
        return [type(self).__name__.lower(), self.augmenter.dumps()]

    def __call__(self, src: NDArray, label: np.ndarray) -> Labelled:
        return self.augmenter(src), label


class DetRandomSelectAug(DetAugmenter):
    """One augmenter of a list, drawn at random, or none with probability ``skip_prob``.

    ValueError if the list holds anything but detection augmenters.
    """

    def __init__(self, aug_list: DetAugmenter | Sequence[DetAugmenter], skip_prob: float = 0) -> None:
        super().__init__(skip_prob=skip_prob)
        given = list(_as_list(aug_list))
        for augmenter in given:
            if not isinstance(augmenter, DetAugmenter):
                raise ValueError(f"DetRandomSelectAug selects a DetAugmenter, not a {type(augmenter).__name__}")
        self.aug_list: list[DetAugmenter] = given
        self.skip_prob = skip_prob if given else 1

    def dumps(self) -> Any:
        return [type(self).__name__.lower(), [augmenter.dumps() for augmenter in self.aug_list]]

    def __call__(self, src: NDArray, label: np.ndarray) -> Labelled:
        if random.random() < self.skip_prob:
            return src, label
        random.shuffle(self.aug_list)
        return self.aug_list[0](src, label)


class DetHorizontalFlipAug(DetAugmenter):
    """Left and right exchanged with probability ``p``."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray, label: np.ndarray) -> Labelled:
        if random.random() >= self.p:
            return src, label
        flipped = label.copy()
        flipped[:, 1], flipped[:, 3] = 1 - label[:, 3], 1 - label[:, 1]
        return NDArray(src.tensor.flip(1), src.context), flipped


# ---- other parts of the image, and parts of a larger one -----------------------------------------------------------


def _range(what: str, value: float | Range) -> Range:
    """A single number stands for a range that holds nothing else."""
    if not isinstance(value, Number):
        return value  # type: ignore[return-value]
    logger.info("Using fixed %s: %s", what, value)
    return value, value  # type: ignore[return-value]


class DetRandomCropAug(DetAugmenter):
    """A random part of the image that still shows enough of its objects; the image itself if none is found.

    Parameters
    ----------
    min_object_covered : float
        The part must show more than this share of each object of which it shows anything, and of one at least.
    aspect_ratio_range : (float, float) or float
        Limits of its width / height.
    area_range : (float, float) or float
        Limits of its share of the image.
    min_eject_coverage : float
        Objects of which no more than this share is shown are dropped; one must remain.
    max_attempts : int

    Limits that no part can keep give a warning, and an augmenter that does nothing. (W. Liu et al., SSD: single shot
    multibox detector, 2016, section 2.2.)
    """

    def __init__(
        self,
        min_object_covered: float = 0.1,
        aspect_ratio_range: float | Range = (0.75, 1.33),
        area_range: float | Range = (0.05, 1.0),
        min_eject_coverage: float = 0.3,
        max_attempts: int = 50,
    ) -> None:
        self.aspect_ratio_range = _range("aspect ratio", aspect_ratio_range)
        self.area_range = _range("area", area_range)
        super().__init__(
            min_object_covered=min_object_covered,
            aspect_ratio_range=self.aspect_ratio_range,
            area_range=self.area_range,
            min_eject_coverage=min_eject_coverage,
            max_attempts=max_attempts,
        )
        self.min_object_covered = min_object_covered
        self.min_eject_coverage = min_eject_coverage
        self.max_attempts = max_attempts
        possible_area = 0 < self.area_range[1] >= self.area_range[0]
        self.enabled = possible_area and _possible_ratio(self, self.aspect_ratio_range)
        if not possible_area:
            warnings.warn(f"DetRandomCropAug does nothing: area_range is {self.area_range}", stacklevel=2)

    def __call__(self, src: NDArray, label: np.ndarray) -> Labelled:
        height, width = src.shape[:2]
        for _ in range(self.max_attempts if self.enabled else 0):
            place = self._place(height, width)
            if place is None or not self._shows_enough(label, place, height, width):
                continue
            remaining = self._within(label, place, height, width)
            if len(remaining):
                return fixed_crop(src, *place), remaining
        return src, label

    def _place(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """A part (left, top, width, height) of the right proportions and size; None if that was a bad draw."""
        least, most = (share * height * width for share in self.area_range)
        ratio = random.uniform(*self.aspect_ratio_range)
        highest = round(math.sqrt(most / ratio))
        if round(highest * ratio) > width:
            highest = int((width + 0.4999999) / ratio)
        highest = min(highest, height)
        h = min(round(math.sqrt(least / ratio)), highest)
        if h < highest:
            h = random.randint(h, highest)
        # Rounding may have left the limits by one row.
        h += h * round(h * ratio) < least
        h -= h * round(h * ratio) > most
        w = round(h * ratio)
        if not (least <= h * w <= most and w <= width and h <= height):
            return None
        y = random.randint(0, height - h)
        return random.randint(0, width - w), y, w, h

    def _shows_enough(self, label: np.ndarray, place: tuple[int, int, int, int], height: int, width: int) -> bool:
        x, y, w, h = place
        if w * h < LEAST_PIXELS:
            return False
        corners = label[:, CORNERS]
        corners = corners[areas(corners) * width * height > LEAST_PIXELS]
        low = np.maximum(corners[:, :2], (x / width, y / height))
        high = np.minimum(corners[:, 2:], ((x + w) / width, (y + h) / height))
        shown = areas(np.hstack([low, high])) / areas(corners)
        shown = shown[shown > 0]
        return shown.size > 0 and shown.min() > self.min_object_covered

    def _within(self, label: np.ndarray, place: tuple[int, int, int, int], height: int, width: int) -> np.ndarray:
        """The boxes in the coordinates of the part, cut at its border, without those that are gone."""
        share = np.divide(place, (width, height, width, height))
        x, y, w, h = share.tolist()
        moved = label.copy()
        moved[:, CORNERS] = ((moved[:, CORNERS] - (x, y, x, y)) / (w, h, w, h)).clip(0, 1)
        shown = areas(moved[:, CORNERS]) * w * h / areas(label[:, CORNERS])
        return moved[(areas(moved[:, CORNERS]) > 0) & (shown > self.min_eject_coverage)]


class DetRandomPadAug(DetAugmenter):
    """The image anywhere within a larger one of a single colour; the image itself if the border were too narrow.

    Parameters
    ----------
    aspect_ratio_range : (float, float) or float
        Limits of width / height of the larger image.
    area_range : (float, float) or float
        Limits of its area, in areas of the image.
    max_attempts : int
    pad_val : float, or one for each channel

    Limits that no image can keep give a warning, and an augmenter that does nothing.
    """

    def __init__(
        self,
        aspect_ratio_range: float | Range = (0.75, 1.33),
        area_range: float | Range = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: float | Sequence[float] = (128, 128, 128),
    ) -> None:
        self.aspect_ratio_range = _range("aspect ratio", aspect_ratio_range)
        self.area_range = _range("area", area_range)
        super().__init__(
            aspect_ratio_range=self.aspect_ratio_range,
            area_range=self.area_range,
            max_attempts=max_attempts,
            pad_val=pad_val,
        )
        self.max_attempts = max_attempts
        self.pad_val = pad_val
        possible_area = 1 < self.area_range[1] >= self.area_range[0]
        self.enabled = possible_area and _possible_ratio(self, self.aspect_ratio_range)
        if not possible_area:
            warnings.warn(f"DetRandomPadAug does nothing: area_range is {self.area_range}", stacklevel=2)

    def __call__(self, src: NDArray, label: np.ndarray) -> Labelled:
        height, width = src.shape[:2]
        for _ in range(self.max_attempts if self.enabled else 0):
            w, h = self._size(height, width)
            if min(h - height, w - width) < LEAST_BORDER:
                continue
            y, x = random.randint(0, h - height), random.randint(0, w - width)
            moved = label.copy()
            moved[:, CORNERS] = (moved[:, CORNERS] * (width, height, width, height) + (x, y, x, y)) / (w, h, w, h)
            padded = copyMakeBorder(src, y, h - y - height, x, w - x - width, values=self.pad_val)
            return padded, moved
        return src, label

    def _size(self, height: int, width: int) -> tuple[int, int]:
        least, most = (share * height * width for share in self.area_range)
        ratio = random.uniform(*self.aspect_ratio_range)
        highest = round(math.sqrt(most / ratio))
        h = round(math.sqrt(least / ratio))
        if round(h * ratio) < width:
            h = int((width + 0.499999) / ratio)
        h = min(max(h, height), highest)
        if h < highest:
            h = random.randint(h, highest)
        return round(h * ratio), h


def _possible_ratio(augmenter: DetAugmenter, ratios: Range) -> bool:
    possible = 0 < ratios[0] <= ratios[1]
    if not possible:
        warnings.warn(f"{type(augmenter).__name__} does nothing: aspect_ratio_range is {ratios}", stacklevel=3)
    return possible


# ---- usual choices -------------------------------------------------------------------------------------------------


def CreateMultiRandCropAugmenter(
    min_object_covered: float | list[float] = 0.1,
    aspect_ratio_range: Range | list[Range] = (0.75, 1.33),
    area_range: Range | list[Range] = (0.05, 1.0),
    min_eject_coverage: float | list[float] = 0.3,
    max_attempts: int | list[int] = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """One of several :class:`DetRandomCropAug`, drawn at random, or none with probability ``skip_prob``.

    Each setting is one for all, or a list with one for each. ValueError if lists differ in length.
    """
    given = {
        "min_object_covered": min_object_covered,
        "aspect_ratio_range": aspect_ratio_range,
        "area_range": area_range,
        "min_eject_coverage": min_eject_coverage,
        "max_attempts": max_attempts,
    }
    lists: dict[str, list[Any]] = {k: v if isinstance(v, list) else [v] for k, v in given.items()}
    count = max(map(len, lists.values()))
    for name, values in lists.items():
        if len(values) not in (1, count):
            raise ValueError(f"{name} has {len(values)} settings, but another list has {count}")
    crops = [
        DetRandomCropAug(**{name: values[i % len(values)] for name, values in lists.items()}) for i in range(count)
    ]
    return DetRandomSelectAug(crops, skip_prob)


def CreateDetAugmenter(
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: float | list[float] = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 3.0),
    min_eject_coverage: float | list[float] = 0.3,
    max_attempts: Any = 50,
    pad_val: float | Sequence[float] = (127, 127, 127),
) -> list[DetAugmenter]:
    """The augmenters of the usual choices, in the usual order.

    Parameters
    ----------
    data_shape : (channels, height, width) of the result
    resize : length of the shorter side before anything else is done; 0 keeps it.
    rand_crop, rand_pad, rand_gray : probabilities of a random crop, a border, a grey image.
    rand_mirror : flip half of the images.
    mean, std, brightness, contrast, saturation, hue, pca_noise, inter_method : see
        :func:`~symbind.image.CreateAugmenter`.
    min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts : see
        :func:`CreateMultiRandCropAugmenter`; the upper limit of the area is that of the border, too.
    pad_val : colour of the border.
    """
    size = (data_shape[2], data_shape[1])
    augmenters: list[DetAugmenter] = []
    if resize > 0:
        augmenters.append(DetBorrowAug(ResizeAug(resize, inter_method)))
    if rand_crop > 0:
        augmenters.append(
            CreateMultiRandCropAugmenter(
                min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts, 1 - rand_crop
            )
        )
    if rand_mirror:
        augmenters.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        border = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        augmenters.append(DetRandomSelectAug([border], 1 - rand_pad))
    augmenters.append(DetBorrowAug(ForceResizeAug(size, inter_method)))
    # What is done to the colours is no different from images without boxes; the crop that comes first there is not
    # wanted here.
    _, *colors = CreateAugmenter(
        data_shape, mean=mean, std=std, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue,
        pca_noise=pca_noise, rand_gray=rand_gray,
    )  # fmt: skip
    return augmenters + [DetBorrowAug(augmenter) for augmenter in colors]
