"""Augmenters: objects that make another image of an image, mostly at random.

Each is a function from an NDArray (height, width, 3) to one, whose settings :meth:`Augmenter.dumps` writes as text.
Colours are meant to be floating point: :class:`CastAug` comes before any augmenter that changes them. Nothing is
changed in place. Random choices come from Python's ``random``, except for :class:`LightingAug`, which draws from NumPy.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..ndarray import NDArray, array
from ..ndarray.functions import invoke
from ..pixels.colors import IMAGENET_EIGENVALUES, IMAGENET_EIGENVECTORS, IMAGENET_MEAN, IMAGENET_STD, LUMA
from .functions import (
    Size,
    center_crop,
    color_normalize,
    imresize,
    random_crop,
    random_size_crop,
    resize_short,
)

__all__ = [
    "Augmenter", "BrightnessJitterAug", "CastAug", "CenterCropAug", "ColorJitterAug", "ColorNormalizeAug",
    "ContrastJitterAug", "CreateAugmenter", "ForceResizeAug", "HorizontalFlipAug", "HueJitterAug", "LightingAug",
    "RandomCropAug", "RandomGrayAug", "RandomOrderAug", "RandomSizedCropAug", "ResizeAug", "SaturationJitterAug",
    "SequentialAug",
]  # fmt: skip

# How much red, green and blue contribute to the brightness for RandomGrayAug (about ITU-R BT.709).
GRAY = (0.21, 0.72, 0.07)
# From red, green, blue to the brightness and the two colour differences of American television, and back.
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
YIQ_TO_RGB = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])


class Described:
    """Keywords are the settings that :meth:`dumps` writes."""

    def __init__(self, **kwargs: Any) -> None:
        self._settings = {key: _plain(value) for key, value in kwargs.items()}

    def dumps(self) -> Any:
        """The name of the class and its settings, as JSON."""
        return json.dumps([type(self).__name__.lower(), self._settings])


class Augmenter(Described):
    """Base of all augmenters of an image alone."""

    def __call__(self, src: NDArray) -> NDArray:
        raise NotImplementedError(f"{type(self).__name__} must override __call__")


def _plain(value: Any) -> Any:
    if isinstance(value, NDArray):
        value = value.asnumpy()
    return value.tolist() if isinstance(value, np.ndarray) else value


# ---- several at once -----------------------------------------------------------------------------------------------


class SequentialAug(Augmenter):
    """The augmenters of a list, one after the other."""

    def __init__(self, ts: Sequence[Augmenter]) -> None:
        super().__init__()
        self.ts = list(ts)

    def dumps(self) -> Any:
        return [type(self).__name__.lower(), [t.dumps() for t in self.ts]]

    def __call__(self, src: NDArray) -> NDArray:
        for t in self.ts:
            src = t(src)
        return src


class RandomOrderAug(SequentialAug):
    """The augmenters of a list, in another order each time."""

    def __call__(self, src: NDArray) -> NDArray:
        random.shuffle(self.ts)
        return super().__call__(src)


# ---- geometry ------------------------------------------------------------------------------------------------------


class ResizeAug(Augmenter):
    """The shorter side becomes ``size`` long; see :func:`~symbind.image.resize_short`."""

    def __init__(self, size: int, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        return resize_short(src, self.size, self.interp)


class _SizedAug(Augmenter):
    """Anything that ends in a fixed ``size``, which is (width, height)."""

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp


class ForceResizeAug(_SizedAug):
    """The image becomes ``size``, whatever its proportions were."""

    def __call__(self, src: NDArray) -> NDArray:
        return imresize(src, *self.size, self.interp)


class RandomCropAug(_SizedAug):
    """A part of ``size`` from anywhere; see :func:`~symbind.image.random_crop`."""

    def __call__(self, src: NDArray) -> NDArray:
        return random_crop(src, self.size, self.interp)[0]


class CenterCropAug(_SizedAug):
    """The middle; see :func:`~symbind.image.center_crop`."""

    def __call__(self, src: NDArray) -> NDArray:
        return center_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """A part of any size and proportions, resized to ``size``; see :func:`~symbind.image.random_size_crop`."""

    def __init__(
        self, size: Size, area: float | tuple[float, float], ratio: tuple[float, float], interp: int = 2
    ) -> None:
        super().__init__(size=size, area=area, ratio=ratio, interp=interp)
        self.size, self.area, self.ratio, self.interp = size, area, ratio, interp

    def __call__(self, src: NDArray) -> NDArray:
        return random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]


class HorizontalFlipAug(Augmenter):
    """Left and right exchanged with probability ``p``."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray) -> NDArray:
        return NDArray(src.tensor.flip(1), src.context) if random.random() < self.p else src


# ---- colour --------------------------------------------------------------------------------------------------------


class CastAug(Augmenter):
    """The image in another element type."""

    def __init__(self, typ: str = "float32") -> None:
        super().__init__(type=typ)
        self.typ = typ

    def __call__(self, src: NDArray) -> NDArray:
        return src.astype(self.typ)


class BrightnessJitterAug(Augmenter):
    """``src * a``, where a is drawn uniformly from 1 - brightness to 1 + brightness."""

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def __call__(self, src: NDArray) -> NDArray:
        return src * (1.0 + random.uniform(-self.brightness, self.brightness))


class ContrastJitterAug(Augmenter):
    """``src * a + (1 - a) * m``, where m is the mean brightness of the image; a as in BrightnessJitterAug."""

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast=contrast)
        self.contrast = contrast

    def __call__(self, src: NDArray) -> NDArray:
        alpha = 1.0 + random.uniform(-self.contrast, self.contrast)
        return src * alpha + _brightness(src).tensor.mean().item() * (1.0 - alpha)


class SaturationJitterAug(Augmenter):
    """``src * a + (1 - a) * b``, where b is the brightness of the pixel; a as in BrightnessJitterAug."""

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation=saturation)
        self.saturation = saturation

    def __call__(self, src: NDArray) -> NDArray:
        alpha = 1.0 + random.uniform(-self.saturation, self.saturation)
        return src * alpha + _brightness(src) * (1.0 - alpha)


class HueJitterAug(Augmenter):
    """Colours turned around the grey axis by an angle of a * pi, a drawn uniformly from -hue to hue.

    The axis and the angle are those of the YIQ colour space.
    """

    def __init__(self, hue: float) -> None:
        super().__init__(hue=hue)
        self.hue = hue

    def __call__(self, src: NDArray) -> NDArray:
        angle = random.uniform(-self.hue, self.hue) * math.pi
        cosine, sine = math.cos(angle), math.sin(angle)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
        return _mixed(src, YIQ_TO_RGB @ turn @ RGB_TO_YIQ)


class ColorJitterAug(RandomOrderAug):
    """Brightness, contrast and saturation jitter in random order; those with 0 are left out."""

    def __init__(self, brightness: float, contrast: float, saturation: float) -> None:
        kinds = (
            (BrightnessJitterAug, brightness),
            (ContrastJitterAug, contrast),
            (SaturationJitterAug, saturation),
        )
        super().__init__([kind(strength) for kind, strength in kinds if strength > 0])


class LightingAug(Augmenter):
    """``src + V (a * w)``: noise along the principal components V of colours, with variances w.

    The three numbers a are drawn from a normal distribution of deviation ``alphastd``. (A. Krizhevsky et al.,
    ImageNet classification with deep convolutional neural networks, 2012, section 4.1.)
    """

    def __init__(self, alphastd: float, eigval: np.ndarray, eigvec: np.ndarray) -> None:
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd, self.eigval, self.eigvec = alphastd, eigval, eigvec

    def __call__(self, src: NDArray) -> NDArray:
        alpha = np.random.normal(0, self.alphastd, size=(3,))
        return src + array(np.asarray(self.eigvec) @ (alpha * np.asarray(self.eigval)), src.context)


class ColorNormalizeAug(Augmenter):
    """``(src - mean) / std``; either may be None."""

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__(mean=mean, std=std)
        self.mean, self.std = (x if x is None or isinstance(x, NDArray) else array(x) for x in (mean, std))

    def __call__(self, src: NDArray) -> NDArray:
        return color_normalize(src, self.mean, self.std)


class RandomGrayAug(Augmenter):
    """With probability ``p`` all three colours become the brightness."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray) -> NDArray:
        return _mixed(src, np.array([GRAY] * 3)) if random.random() < self.p else src


def _brightness(src: NDArray) -> NDArray:
    """The brightness of each pixel, shape (height, width, 1)."""
    return _mixed(src, np.array([LUMA]))


def _mixed(src: NDArray, matrix: np.ndarray) -> NDArray:
    """Each pixel's colours multiplied by ``matrix``."""
    return invoke("dot", src, array(matrix.T, src.context))


# ---- a usual choice ------------------------------------------------------------------------------------------------


def CreateAugmenter(
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """The augmenters of the usual choices, in the usual order.

    Parameters
    ----------
    data_shape : (channels, height, width) of the result
    resize : length of the shorter side before anything is cut out; 0 keeps it.
    rand_crop : cut anywhere instead of the middle.
    rand_resize : cut parts of any size and proportions; only with ``rand_crop``.
    rand_mirror : flip half of the images.
    mean, std : of the three colours; True for ImageNet's.
    brightness, contrast, saturation, hue : the strengths of jitters.
    pca_noise : deviation of :class:`LightingAug` with ImageNet's components.
    rand_gray : probability of :class:`RandomGrayAug`.
    inter_method : how to interpolate; see :func:`~symbind.image.functions.interpolation`.

    ValueError for settings that contradict each other.
    """
    if len(data_shape) != 3:
        raise ValueError(f"data_shape must be (channels, height, width), got {data_shape}")
    if rand_resize and not rand_crop:
        raise ValueError("rand_resize needs rand_crop: what is cut from the middle has one size only")
    size = (data_shape[2], data_shape[1])
    augmenters: list[Augmenter] = [ResizeAug(resize, inter_method)] if resize > 0 else []
    if rand_resize:
        augmenters.append(RandomSizedCropAug(size, 0.08, (3.0 / 4.0, 4.0 / 3.0), inter_method))
    elif rand_crop:
        augmenters.append(RandomCropAug(size, inter_method))
    else:
        augmenters.append(CenterCropAug(size, inter_method))
    if rand_mirror:
        augmenters.append(HorizontalFlipAug(0.5))
    augmenters.append(CastAug())
    if brightness or contrast or saturation:
        augmenters.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        augmenters.append(HueJitterAug(hue))
    if pca_noise > 0:
        eigenvalues, eigenvectors = np.array(IMAGENET_EIGENVALUES), np.array(IMAGENET_EIGENVECTORS)
        augmenters.append(LightingAug(pca_noise, eigenvalues, eigenvectors))
    if rand_gray > 0:
        augmenters.append(RandomGrayAug(rand_gray))
    mean, std = _statistics("mean", mean, IMAGENET_MEAN), _statistics("std", std, IMAGENET_STD)
    if mean is not None or std is not None:
        augmenters.append(ColorNormalizeAug(mean, std))
    return augmenters


def _statistics(what: str, given: Any, imagenet: tuple[float, ...]) -> NDArray | None:
    if given is None or given is False:
        return None
    values = imagenet if given is True else given.asnumpy() if isinstance(given, NDArray) else given
    numbers = np.asarray(values, np.float32)
    if numbers.shape not in ((1,), (3,)):
        raise ValueError(f"{what} must hold one number or three, got {given!r}")
    return NDArray(torch.from_numpy(numbers.copy()))
