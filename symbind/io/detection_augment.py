"""What is done to each image with boxes of a record file: the default augmentation of MXNet's ImageDetRecordIter.

In this order: resize the shorter side; shift hue, lightness and saturation, and stretch the contrast; mirror; put the
image into a larger one; cut out a part; bring it to the size that is wanted. Boxes are those of
:mod:`symbind.pixels.boxes`.

All chances are drawn from a generator that the caller gives; see :mod:`~symbind.io.image_augment`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch

from ..base import MXNetError
from ..pixels import hls
from ..pixels.boxes import CORNERS, areas
from .image_augment import INTER_METHODS, as_bytes, resized, resized_short

__all__ = ["DetectionAugmentation"]

Part = tuple[float, float, float, float]

CROP_EMIT_MODES = ("center", "overlap")
RESIZE_MODES = ("force", "shrink", "fit")
# A larger image is made only if it is larger by more than this.
LEAST_PAD_SCALE = 1.05


class _Sampler(NamedTuple):
    """The limits of one way to cut: each range holds the least and the most."""

    scales: tuple[float, float]
    aspect_ratios: tuple[float, float]
    overlaps: tuple[float, float]
    sample_coverages: tuple[float, float]
    object_coverages: tuple[float, float]
    trials: int


@dataclass(frozen=True, kw_only=True)
class DetectionAugmentation:
    """Settings by MXNet's names; calling the object augments one image and its boxes.

    Attributes
    ----------
    data_shape : (channels, height, width) of the result
    resize : length of the shorter side before all else; -1 keeps it.
    rand_crop_prob : probability of cutting out a part.
    num_crop_sampler : so many ways to cut are tried in random order, each ``max_crop_trials`` times, until one
        succeeds. The following settings are one number for all of them, or a tuple of one for each.
    min_crop_scales, max_crop_scales : side of the part as a share of the image.
    min_crop_aspect_ratios, max_crop_aspect_ratios : its width / height.
    min_crop_overlaps, max_crop_overlaps : intersection over union of the part with a box. These and the following
        count only if each of the six excludes something, as in MXNet.
    min_crop_sample_coverages, max_crop_sample_coverages : the share of the part that a box covers.
    min_crop_object_coverages, max_crop_object_coverages : the share of a box that the part shows.
    crop_emit_mode : drop boxes whose ``'center'`` the part does not show, or (``'overlap'``) of which it shows no more
        than ``emit_overlap_thresh``. A part without boxes is no success.
    rand_pad_prob, max_pad_scale : probability of a larger image around this one, and its size in sizes of this one.
    max_random_hue, max_random_saturation, max_random_illumination, max_random_contrast : strengths, and
    random_hue_prob, random_saturation_prob, random_illumination_prob, random_contrast_prob : their probabilities.
    rand_mirror_prob : probability of exchanging left and right.
    fill_value : colour of what is around the image in a larger one.
    inter_method : 0 to 4 as in :mod:`symbind.pixels.resample`; 9 by size, 10 at random.
    resize_mode : ``'force'`` brings every image to the size that is wanted, ``'shrink'`` only makes it fit if it is
        larger, ``'fit'`` makes it as large as fits; these two keep proportions.

    MXNetError for settings out of their range.
    """

    data_shape: tuple[int, int, int]
    resize: int = -1
    rand_crop_prob: float = 0.0
    min_crop_scales: Any = 0.0
    max_crop_scales: Any = 1.0
    min_crop_aspect_ratios: Any = 1.0
    max_crop_aspect_ratios: Any = 1.0
    min_crop_overlaps: Any = 0.0
    max_crop_overlaps: Any = 1.0
    min_crop_sample_coverages: Any = 0.0
    max_crop_sample_coverages: Any = 1.0
    min_crop_object_coverages: Any = 0.0
    max_crop_object_coverages: Any = 1.0
    num_crop_sampler: int = 1
    crop_emit_mode: str = "center"
    emit_overlap_thresh: float = 0.3
    max_crop_trials: Any = 25
    rand_pad_prob: float = 0.0
    max_pad_scale: float = 1.0
    max_random_hue: int = 0
    random_hue_prob: float = 0.0
    max_random_saturation: int = 0
    random_saturation_prob: float = 0.0
    max_random_illumination: int = 0
    random_illumination_prob: float = 0.0
    max_random_contrast: float = 0.0
    random_contrast_prob: float = 0.0
    rand_mirror_prob: float = 0.0
    fill_value: int = 127
    inter_method: int = 1
    resize_mode: str = "force"

    def __post_init__(self) -> None:
        for name, values in (
            ("inter_method", INTER_METHODS), ("crop_emit_mode", CROP_EMIT_MODES), ("resize_mode", RESIZE_MODES),
        ):  # fmt: skip
            if getattr(self, name) not in values:
                raise MXNetError(f"Invalid {name} {getattr(self, name)!r}, valid values are: {values}")
        if self.emit_overlap_thresh < 0:
            raise MXNetError(f"emit_overlap_thresh must not be negative, got {self.emit_overlap_thresh}")
        object.__setattr__(self, "_samplers", self._read_samplers())

    def _read_samplers(self) -> list[_Sampler]:
        given = {
            field.name: _one_for_each(field.name, getattr(self, field.name), self.num_crop_sampler)
            for field in fields(self)
            if field.name.startswith(("min_crop_", "max_crop_"))
        }
        samplers = []
        for i in range(self.num_crop_sampler):
            limits = {
                what: (given[f"min_crop_{what}"][i], given[f"max_crop_{what}"][i])
                for what in ("scales", "aspect_ratios", "overlaps", "sample_coverages", "object_coverages")
            }
            for what, (least, most) in limits.items():
                if least > most or (what in ("scales", "aspect_ratios") and least < 0):
                    raise MXNetError(f"min_crop_{what}={least} and max_crop_{what}={most} do not fit")
            least, most = limits["scales"]
            if most > 1 or least == most:
                raise MXNetError(f"max_crop_scales must be above min_crop_scales={least} and at most 1, got {most}")
            samplers.append(_Sampler(trials=int(given["max_crop_trials"][i]), **limits))
        return samplers

    def __call__(self, image: torch.Tensor, boxes: np.ndarray, rng: Random) -> tuple[torch.Tensor, np.ndarray]:
        """The image made of uint8 pixels (height, width, channels), still uint8, and its boxes."""
        if self.resize > 0:
            image = resized_short(image, self.resize, self.inter_method, rng)
        if image.shape[2] == 3:
            image = self._recolored(image, rng)
        if rng.random() < self.rand_mirror_prob:
            image, boxes = image.flip(1), boxes.copy()
            boxes[:, 1], boxes[:, 3] = 1 - boxes[:, 3], 1 - boxes[:, 1]
        if rng.random() < self.rand_pad_prob:
            image, boxes = self._padded(image, boxes, rng)
        if rng.random() < self.rand_crop_prob:
            image, boxes = self._cropped(image, boxes, rng)
        return self._sized(image, rng), boxes

    def _recolored(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        def draw(most: float, probability: float) -> float:
            return rng.uniform(-most, most) if rng.random() < probability else 0

        hue = int(draw(self.max_random_hue, self.random_hue_prob))
        saturation = int(draw(self.max_random_saturation, self.random_saturation_prob))
        light = int(draw(self.max_random_illumination, self.random_illumination_prob))
        contrast = draw(self.max_random_contrast, self.random_contrast_prob)
        if hue or saturation or light:
            image = hls.shifted(image, hue, light, saturation)
        return as_bytes(image * (1 + contrast)) if contrast else image

    def _padded(self, image: torch.Tensor, boxes: np.ndarray, rng: Random) -> tuple[torch.Tensor, np.ndarray]:
        scale = rng.uniform(1, self.max_pad_scale)
        if scale < LEAST_PAD_SCALE:
            return image, boxes
        left, top = rng.uniform(0, scale - 1), rng.uniform(0, scale - 1)
        height, width, channels = image.shape
        x, y = int(left * width), int(top * height)
        right, bottom = int((scale - 1 - left) * width), int((scale - 1 - top) * height)
        wide = image.new_full((y + height + bottom, x + width + right, channels), self.fill_value)
        wide[y : y + height, x : x + width] = image
        return wide, _projected(boxes, (-left, -top, scale, scale))

    def _cropped(self, image: torch.Tensor, boxes: np.ndarray, rng: Random) -> tuple[torch.Tensor, np.ndarray]:
        samplers: list[_Sampler] = list(self._samplers)  # type: ignore[attr-defined]
        rng.shuffle(samplers)
        height, width = image.shape[:2]
        for sampler in samplers:
            for _ in range(sampler.trials):
                part = _drawn_part(sampler, width / height, rng)
                remaining = self._remaining(sampler, boxes, part)
                w, h = int(part[2] * width), int(part[3] * height)
                if remaining is not None and w > 0 and h > 0:
                    x, y = int(part[0] * width), int(part[1] * height)
                    return image[y : y + h, x : x + w].contiguous(), remaining
        return image, boxes

    def _remaining(self, sampler: _Sampler, boxes: np.ndarray, part: Part) -> np.ndarray | None:
        """The boxes that a part shows, in its coordinates; None if it is no success."""
        if not len(boxes):
            return boxes
        x, y, w, h = part
        corners = boxes[:, CORNERS]
        low, high = np.maximum(corners[:, :2], (x, y)), np.minimum(corners[:, 2:], (x + w, y + h))
        shared, whole = areas(np.hstack([low, high])), areas(corners)
        measures = (
            (shared / (whole + w * h - shared), sampler.overlaps),
            (shared / (w * h), sampler.sample_coverages),
            (shared / whole, sampler.object_coverages),
        )
        if all(least > 0 and most < 1 for _, (least, most) in measures):
            suits = np.all([(least <= values) & (values <= most) for values, (least, most) in measures], axis=0)
            if not suits.any():
                return None
        if self.crop_emit_mode == "center":
            centre = (corners[:, :2] + corners[:, 2:]) / 2
            kept = np.all((centre >= (x, y)) & (centre < (x + w, y + h)), axis=1)
        else:
            kept = shared / whole > self.emit_overlap_thresh
        return _projected(boxes[kept], part) if kept.any() else None

    def _sized(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        _, height, width = self.data_shape
        rows, columns = image.shape[:2]
        if self.resize_mode == "force":
            return resized(image, width, height, self.inter_method, rng)
        if self.resize_mode == "shrink" and rows <= height and columns <= width:
            return image
        share = min(height / rows, width / columns)
        # The products may end just below the side that limits them.
        width, height = (max(1, int(share * side + 1e-5)) for side in (columns, rows))
        return resized(image, width, height, self.inter_method, rng)


def _one_for_each(name: str, value: Any, count: int) -> list[float]:
    values = list(value) if isinstance(value, (tuple, list)) else [value]
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise MXNetError(f"{name} has {len(values)} values for num_crop_sampler={count}")
    return values


def _drawn_part(sampler: _Sampler, image_ratio: float, rng: Random) -> Part:
    """A random part (left, top, width, height) in shares of the image."""
    scale = max(rng.uniform(*sampler.scales), 1e-6)
    # Squares of what stretches the width and squeezes the height: neither may become larger than the image.
    least = max(sampler.aspect_ratios[0] / image_ratio, scale**2)
    most = min(sampler.aspect_ratios[1] / image_ratio, 1 / scale**2)
    stretch = math.sqrt(rng.uniform(least, most))
    width, height = min(1.0, scale * stretch), min(1.0, scale / stretch)
    return rng.uniform(0, 1 - width), rng.uniform(0, 1 - height), width, height


def _projected(boxes: np.ndarray, part: Part) -> np.ndarray:
    """The boxes in the coordinates of a part, or of a larger image, cut at its border."""
    x, y, w, h = part
    moved = boxes.copy()
    moved[:, CORNERS] = ((moved[:, CORNERS] - (x, y, x, y)) / (w, h, w, h)).clip(0, 1)
    return moved
