"""The last thing that happens to an image of a record file: its colours become numbers around zero."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from random import Random

import torch

from .. import ndarray as nd
from ..base import MXNetError
from ..ndarray import NDArray

__all__ = ["ImageNormalization", "load_mean_image", "save_mean_image"]

@dataclass(frozen=True, kw_only=True)
class ImageNormalization:
    """By channel ``((pixel - mean) * contrast + illumination) * scale / std``.

    Attributes
    ----------
    mean, std : for red, green, blue and alpha; the first one for grey images.
    mean_image : what is subtracted instead of ``mean``, shape (channels, height, width).
    scale : a factor
    max_random_contrast : contrast is drawn uniformly from 1 - this to 1 + this for each image.
    max_random_illumination : illumination is drawn uniformly from -this to this.
    """

    mean: tuple[float, ...] = (0.0,) * 4
    std: tuple[float, ...] = (1.0,) * 4
    scale: float = 1.0
    max_random_contrast: float = 0.0
    max_random_illumination: float = 0.0
    mean_image: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if not all(self.std):
            raise MXNetError(f"A deviation of zero cannot be divided by: std is {self.std}")

    def __call__(self, place: torch.Tensor, rng: Random) -> None:
        """Change the float32 pixels in ``place``, shape (channels, height, width)."""
        contrast, light = 1.0, 0.0
        if self.max_random_contrast:
            contrast += rng.uniform(-self.max_random_contrast, self.max_random_contrast)
        if self.max_random_illumination:
            light = rng.uniform(-self.max_random_illumination, self.max_random_illumination)
        channels = place.shape[0]
        if self.mean_image is not None:
            place.sub_(self.mean_image)
        elif any(self.mean):
            place.sub_(self._mean[:channels])
        if light:
            place.mul_(contrast).add_(light)
            contrast = 1.0
        if self._is_scaled or contrast != 1:
            place.mul_(self._factor[:channels] * contrast)

    @cached_property
    def _mean(self) -> torch.Tensor:
        return torch.tensor(self.mean).view(-1, 1, 1)

    @cached_property
    def _factor(self) -> torch.Tensor:
        return (self.scale / torch.tensor(self.std)).view(-1, 1, 1)

    @cached_property
    def _is_scaled(self) -> bool:
        return (self.scale, *self.std) != (1.0,) * (1 + len(self.std))


def load_mean_image(path: str | os.PathLike[str], shape: tuple[int, int, int]) -> torch.Tensor:
    """The only array of a ``.params`` file; MXNetError if there are others or its shape is not ``shape``."""
    loaded = nd.load(path)
    arrays = list(loaded.values()) if isinstance(loaded, dict) else loaded
    if len(arrays) != 1 or arrays[0].shape != shape:
        found = ", ".join(str(array.shape) for array in arrays) or "none"
        raise MXNetError(f"Mean image {os.fspath(path)!r} must hold one array of shape {shape}, found {found}")
    return arrays[0].tensor.float()


def save_mean_image(
    path: str | os.PathLike[str], shape: tuple[int, int, int], images: Iterable[torch.Tensor]
) -> torch.Tensor:
    """Write the mean of ``images`` of ``shape`` to a ``.params`` file, and return it."""
    total, count = torch.zeros(shape, dtype=torch.float64), 0
    for image in images:
        total += image
        count += 1
    mean = (total / count).float() if count else torch.full(shape, math.nan)
    nd.save(os.fspath(path), {"mean_img": NDArray(mean)})
    return mean
