"""What is done to each image of a record file: the default augmentation of MXNet's ImageRecordIter.

In this order: resize the shorter side; rotate, shear and scale in one affine map; add a border; cut out the part that
is wanted and resize it if necessary; jitter brightness, contrast and saturation; shift hue, lightness and saturation;
noise along ImageNet's colour components; mirror. What follows is in :mod:`~symbind.io.image_normalize`.

All chances are drawn from a generator that the caller gives, so that images may be worked on in any order and by any
thread and still come out the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
import torch

from ..base import MXNetError
from ..pixels import hls
from ..pixels.colors import IMAGENET_EIGENVALUES, IMAGENET_EIGENVECTORS, LUMA
from ..pixels.resample import AREA, CUBIC, LINEAR, NEAREST, resize

__all__ = ["INTER_METHODS", "ImageAugmentation", "as_bytes", "resized", "resized_short"]

# How to interpolate: those of symbind.pixels.resample, by size, at random.
INTER_METHODS = (0, 1, 2, 3, 4, 9, 10)

# How often a random part is tried before the middle is taken.
CROP_ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True)
class ImageAugmentation:
    """Settings by MXNet's names; calling the object augments one image.

    Attributes
    ----------
    data_shape : (channels, height, width) of the result
    resize : length of the shorter side; -1 keeps it.
    rand_crop : cut anywhere instead of the middle.
    random_resized_crop : cut a part with a share of the area between ``min_random_area`` and ``max_random_area`` and a
        width / height between ``min_aspect_ratio`` and ``max_aspect_ratio``.
    max_crop_size, min_crop_size : side of the square to cut, drawn between them; -1 cuts what ``data_shape`` says.
    rotate, max_rotate_angle : degrees; ``rotate`` if it is positive, otherwise drawn up to the other, both ways.
    max_shear_ratio, max_aspect_ratio, max_random_scale, min_random_scale : limits of the random affine map; without
        ``min_aspect_ratio`` the ratio is drawn around 1.
    max_img_size, min_img_size : limits of both sides after the affine map.
    pad, fill_value : width of the border on each side, and its colour.
    inter_method : 0 to 4 as in :mod:`symbind.pixels.resample`; 9 by size, 10 at random.
    brightness, contrast, saturation, pca_noise : strengths; see :mod:`symbind.image.augment`.
    random_h, random_s, random_l : the most that is added to hue, saturation and lightness or taken from them, in the
        units of :mod:`symbind.pixels.hls`.
    mirror, rand_mirror : exchange left and right, always or for half of the images.

    Colours beside red, green and blue, such as the alpha channel, are only moved.
    """

    data_shape: tuple[int, int, int]
    resize: int = -1
    rand_crop: bool = False
    random_resized_crop: bool = False
    max_crop_size: int = -1
    min_crop_size: int = -1
    rotate: int = -1
    max_rotate_angle: int = 0
    max_shear_ratio: float = 0.0
    max_aspect_ratio: float = 0.0
    min_aspect_ratio: float | None = None
    max_random_scale: float = 1.0
    min_random_scale: float = 1.0
    max_random_area: float = 1.0
    min_random_area: float = 1.0
    max_img_size: float = 1e10
    min_img_size: float = 0.0
    pad: int = 0
    fill_value: int = 255
    inter_method: int = LINEAR
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    pca_noise: float = 0.0
    random_h: int = 0
    random_s: int = 0
    random_l: int = 0
    mirror: bool = False
    rand_mirror: bool = False

    def __post_init__(self) -> None:
        if self.inter_method not in INTER_METHODS:
            raise MXNetError(f"inter_method must be 0 to 4, 9 or 10, got {self.inter_method}")
        if (self.max_crop_size < 0) != (self.min_crop_size < 0) or self.min_crop_size > self.max_crop_size:
            raise MXNetError(f"min_crop_size={self.min_crop_size} and max_crop_size={self.max_crop_size} do not fit")
        if self.random_resized_crop and self.max_crop_size > 0:
            raise MXNetError("random_resized_crop and max_crop_size exclude each other")
        if self.random_resized_crop and not 0 < (self.min_aspect_ratio or 1.0) <= (self.max_aspect_ratio or 1.0):
            raise MXNetError(
                f"min_aspect_ratio={self.min_aspect_ratio} and max_aspect_ratio={self.max_aspect_ratio} do not fit"
            )

    def __call__(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        """The image made of uint8 pixels; both (height, width, channels).

        Still uint8, except that noise makes it float32. MXNetError if the image is too small.
        """
        if self.resize > 0:
            image = resized_short(image, self.resize, self.inter_method, rng)
        if self._is_warped:
            image = self._warped(image, rng)
        if self.pad > 0:
            image = self._bordered(image)
        image = self._cut(image, rng)
        if self._is_jittered:
            colors = self._jittered(image[:, :, :3], rng)
            image = colors if image.shape[2] <= 3 else torch.cat([colors, image[:, :, 3:]], 2)
        if self.mirror or (self.rand_mirror and rng.random() < 0.5):
            image = image.flip(1)
        return image

    # ---- geometry ----------------------------------------------------------------------------------------------

    @cached_property
    def _is_warped(self) -> bool:
        stretched = self.max_aspect_ratio != 0 and not self.random_resized_crop
        return (
            stretched
            or self.rotate > 0
            or self.max_rotate_angle > 0
            or self.max_shear_ratio > 0
            or (self.max_random_scale, self.min_random_scale) != (1.0, 1.0)
            or (self.max_img_size, self.min_img_size) != (1e10, 0.0)
        )

    def _warped(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        """The image after an affine map that keeps its centre in the centre, sampled bilinearly."""
        height, width, _ = image.shape
        shear = rng.uniform(-self.max_shear_ratio, self.max_shear_ratio)
        angle = math.radians(self.rotate if self.rotate > 0 else rng.uniform(-1, 1) * self.max_rotate_angle)
        scale = rng.uniform(self.min_random_scale, self.max_random_scale)
        ratio = 1.0
        if not self.random_resized_crop:
            least = self.min_aspect_ratio
            bounds = (1 - self.max_aspect_ratio, 1 + self.max_aspect_ratio)
            ratio = rng.uniform(*bounds) if least is None else rng.uniform(least, self.max_aspect_ratio)
        along_y = 2 * scale / (1 + ratio)
        along_x = ratio * along_y
        cosine, sine = math.cos(angle), math.sin(angle)
        forward = np.array(
            [
                [along_y * cosine - shear * sine * along_x, along_y * sine + shear * cosine * along_x],
                [-sine * along_x, cosine * along_x],
            ]
        )
        new_width, new_height = (
            max(self.min_img_size, min(self.max_img_size, scale * side)) for side in (width, height)
        )
        shift = (np.array([new_width, new_height]) - forward @ [width, height]) / 2
        backward = np.linalg.inv(forward)
        y, x = np.mgrid[: int(new_height), : int(new_width)]
        source = np.tensordot(backward, np.stack([x, y]) - shift[:, None, None], 1)
        # OpenCV's places between pixels are thirty-seconds.
        source = np.round(source * 32) / 32
        # grid_sampler takes places from -1 to 1, here the centres of the outermost pixels.
        half = (np.array([width, height]) - 1) / 2
        grid = torch.from_numpy((source / half[:, None, None] - 1).transpose(1, 2, 0).astype(np.float32))
        # What lies outside is zero for the sampler, so the colour of the border is made zero meanwhile.
        planes = image.permute(2, 0, 1)[None].float() - self.fill_value
        method = 1 if self.inter_method == NEAREST else 0
        warped = torch.ops.aten.grid_sampler_2d(planes, grid[None], method, 0, True)[0] + self.fill_value
        return warped.round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0)

    def _bordered(self, image: torch.Tensor) -> torch.Tensor:
        height, width, channels = image.shape
        wide = image.new_full((height + 2 * self.pad, width + 2 * self.pad, channels), self.fill_value)
        wide[self.pad : self.pad + height, self.pad : self.pad + width] = image
        return wide

    def _cut(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        """The part of the image that is wanted, in the size that is wanted."""
        _, height, width = self.data_shape
        if self.random_resized_crop:
            part = self._random_part(image, rng)
        elif self.max_crop_size > 0:
            side = rng.randint(self.min_crop_size, self.max_crop_size)
            if side > min(image.shape[:2]):
                raise MXNetError(f"A crop of size {side} does not fit into an image of {tuple(image.shape[:2])}")
            part = self._placed(image, side, side, rng)
        else:
            # An image that is too small is enlarged to the height first, then to the width.
            if image.shape[0] < height:
                image = resized(image, height * image.shape[1] // image.shape[0], height, self.inter_method, rng)
            if image.shape[1] < width:
                image = resized(image, width, width * image.shape[0] // image.shape[1], self.inter_method, rng)
            part = self._placed(image, width, height, rng)
        if part.shape[:2] == (height, width):
            return part
        return resized(part.contiguous(), width, height, self.inter_method, rng)

    def _placed(self, image: torch.Tensor, width: int, height: int, rng: Random) -> torch.Tensor:
        """A part of that size, from anywhere or from the middle."""
        free_y, free_x = image.shape[0] - height, image.shape[1] - width
        y, x = (rng.randint(0, free_y), rng.randint(0, free_x)) if self.rand_crop else (free_y // 2, free_x // 2)
        return image[y : y + height, x : x + width]

    def _random_part(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        rows, columns, _ = image.shape
        least, most = self.min_aspect_ratio or 1.0, self.max_aspect_ratio or 1.0
        for _ in range(CROP_ATTEMPTS):
            area = rng.uniform(self.min_random_area, self.max_random_area) * rows * columns
            ratio = rng.uniform(least, most)
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if rng.random() < 0.5:
                width, height = height, width
            if 0 < width <= columns and 0 < height <= rows:
                y, x = rng.randint(0, rows - height), rng.randint(0, columns - width)
                return image[y : y + height, x : x + width]
        side = min(rows, columns)
        y, x = (rows - side) // 2, (columns - side) // 2
        return image[y : y + side, x : x + side]

    # ---- colour ------------------------------------------------------------------------------------------------

    @cached_property
    def _is_jittered(self) -> bool:
        return any((self.brightness, self.contrast, self.saturation, self.pca_noise, self._shifts))

    @property
    def _shifts(self) -> bool:
        return (self.random_h, self.random_s, self.random_l) != (0, 0, 0)

    def _jittered(self, image: torch.Tensor, rng: Random) -> torch.Tensor:
        def brightness(image: torch.Tensor) -> torch.Tensor:
            return image * (1 + rng.uniform(-self.brightness, self.brightness))

        def contrast(image: torch.Tensor) -> torch.Tensor:
            alpha = 1 + rng.uniform(-self.contrast, self.contrast)
            return image * alpha + (1 - alpha) * _luma(image).mean()

        def saturation(image: torch.Tensor) -> torch.Tensor:
            alpha = 1 + rng.uniform(-self.saturation, self.saturation)
            return image * alpha + (1 - alpha) * _luma(image)

        jitters = ((brightness, self.brightness), (contrast, self.contrast), (saturation, self.saturation))
        changes = [change for change, strength in jitters if strength]
        rng.shuffle(changes)
        for change in changes:
            image = change(image.float())
        if self._shifts and image.shape[2] == 3:
            limits = (self.random_h, self.random_l, self.random_s)
            image = hls.shifted(as_bytes(image), *(int(rng.uniform(-limit, limit)) for limit in limits))
        if self.pca_noise > 0 and image.shape[2] == 3:
            alpha = [rng.gauss(0, self.pca_noise) for _ in range(3)]
            noise = np.array(IMAGENET_EIGENVECTORS) @ (alpha * np.array(IMAGENET_EIGENVALUES))
            image = image + torch.tensor(noise, dtype=torch.float32)
        return image.clamp(0, 255)


def resized(image: torch.Tensor, width: int, height: int, method: int, rng: Random) -> torch.Tensor:
    """The image in another size by one of the methods of :mod:`symbind.pixels.resample`; 9 by size, 10 at random."""
    if method == 9:
        grows = width > image.shape[1] and height > image.shape[0]
        shrinks = width < image.shape[1] and height < image.shape[0]
        method = CUBIC if grows else AREA if shrinks else LINEAR
    elif method == 10:
        method = rng.randint(NEAREST, 4)
    return resize(image, width, height, method)


def resized_short(image: torch.Tensor, size: int, method: int, rng: Random) -> torch.Tensor:
    """The image with its shorter side ``size`` long."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    return resized(image, width * size // shorter, height * size // shorter, method, rng)


def as_bytes(image: torch.Tensor) -> torch.Tensor:
    """uint8, rounded and cut at 0 and 255."""
    return image if image.dtype == torch.uint8 else image.round().clamp(0, 255).to(torch.uint8)


def _luma(image: torch.Tensor) -> torch.Tensor:
    """The brightness of each pixel, shape (height, width, 1)."""
    if image.shape[2] == 1:
        return image
    return (image @ torch.tensor(LUMA))[:, :, None]
