"""Reading images, and their geometry: resizing, cropping, rotating, borders.

An image is an NDArray of shape (height, width, channels), as decoded uint8 with the colours red, green, blue. Sizes
are (width, height), and places (x, y) from the upper left corner. Random choices are drawn from Python's ``random``.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..ndarray import NDArray, array
from ..ndarray.functions import invoke
from ..pixels import codec
from ..pixels.resample import AREA, CUBIC, LINEAR, NEAREST, resize

__all__ = [
    "center_crop", "color_normalize", "copyMakeBorder", "fixed_crop", "imdecode", "imread", "imresize", "imrotate",
    "interpolation", "random_crop", "random_rotate", "random_size_crop", "resize_short", "scale_down",
]  # fmt: skip

Size = tuple[int, int]
Place = tuple[int, int, int, int]

# What cv::copyMakeBorder calls its kinds of borders, by number, as NumPy calls them.
BORDERS = ("constant", "edge", "symmetric", "wrap", "reflect")
# How often a random crop is tried before the centre is taken.
CROP_ATTEMPTS = 10


# ---- reading -------------------------------------------------------------------------------------------------------


def imread(filename: str | os.PathLike[str], flag: int = 1, to_rgb: bool = True) -> NDArray:
    """The image in a file; see :func:`imdecode`. MXNetError names the file that cannot be read or is no image."""
    try:
        with open(filename, "rb") as file:
            data = file.read()
    except OSError as error:
        raise MXNetError(f"Cannot read image {os.fspath(filename)!r}: {error.strerror or error}") from error
    try:
        return imdecode(data, flag, to_rgb)
    except MXNetError as error:
        raise MXNetError(f"{os.fspath(filename)!r}: {error}") from error


def imdecode(
    buf: bytes | bytearray | memoryview | np.ndarray | NDArray, flag: int = 1, to_rgb: bool = True
) -> NDArray:
    """The image whose file is in memory: (height, width, 3) for ``flag`` 1, grey (height, width, 1) for 0.

    Without ``to_rgb`` the colours are blue, green, red. MXNetError if there is no image in ``buf``; ValueError if it
    is text or ``flag`` is something else.
    """
    if isinstance(buf, NDArray):
        buf = buf.asnumpy()
    if not isinstance(buf, (bytes, bytearray, memoryview, np.ndarray)):
        raise ValueError(f"buf must be bytes or an array of uint8, not {type(buf).__name__}")
    if flag not in (codec.GRAY, codec.COLOR):
        raise ValueError(f"flag must be 0 (grey) or 1 (colour), got {flag}")
    pixels = codec.decode(buf, flag)
    if flag == codec.COLOR and not to_rgb:
        pixels = np.ascontiguousarray(pixels[:, :, ::-1])
    return NDArray(torch.from_numpy(pixels))


# ---- sizes ---------------------------------------------------------------------------------------------------------


def interpolation(method: int, old: Size | None = None, new: Size | None = None) -> int:
    """One of the methods 0 to 4 of :mod:`~symbind.pixels.resample`.

    9 chooses by the sizes before and after: area to shrink, cubic to enlarge, linear otherwise (and cubic if the sizes
    are not given); 10 chooses at random. ValueError for other numbers.
    """
    if method == 9:
        if old is None or new is None:
            return CUBIC
        if new[0] > old[0] and new[1] > old[1]:
            return CUBIC
        return AREA if new[0] < old[0] and new[1] < old[1] else LINEAR
    if method == 10:
        return random.randint(NEAREST, 4)
    if method not in range(5):
        raise ValueError(f"Unknown interp method {method}; expected 0 to 4, 9 or 10")
    return method


def imresize(src: NDArray, w: int, h: int, interp: int = 1) -> NDArray:
    """``src`` in the size ``(w, h)``; ``interp`` as for :func:`interpolation`."""
    height, width = src.shape[:2]
    return NDArray(resize(src.tensor, w, h, interpolation(interp, (width, height), (w, h))), src.context)


def resize_short(src: NDArray, size: int, interp: int = 2) -> NDArray:
    """``src`` with its shorter side ``size`` long and the same proportions."""
    height, width = src.shape[:2]
    if height > width:
        return imresize(src, size, size * height // width, interp)
    return imresize(src, size * width // height, size, interp)


def scale_down(src_size: Size, size: Size) -> Size:
    """The largest size of the proportions of ``size``, but no larger than it, that fits into ``src_size``."""
    (width, height), (w, h) = src_size, size
    if height < h:
        w, h = float(w * height) / h, height  # type: ignore[assignment]
    if width < w:
        w, h = width, float(h * width) / w  # type: ignore[assignment]
    return int(w), int(h)


# ---- crops ---------------------------------------------------------------------------------------------------------


def fixed_crop(
    src: NDArray, x0: int, y0: int, w: int, h: int, size: Size | None = None, interp: int = 2
) -> NDArray:
    """The part of ``src`` with corner ``(x0, y0)`` and size ``(w, h)``, resized to ``size`` if that is given.

    What lies beyond the right and lower border is missing from the result. MXNetError if nothing is left.
    """
    height, width = src.shape[:2]
    if not (0 <= x0 < width and 0 <= y0 < height and w > 0 and h > 0):
        raise MXNetError(f"The crop at ({x0}, {y0}) of size ({w}, {h}) lies outside an image of size {(width, height)}")
    part = NDArray(src.tensor[y0 : y0 + h, x0 : x0 + w].contiguous(), src.context)
    return part if size is None or (w, h) == tuple(size) else imresize(part, *size, interp)


def _crop(src: NDArray, place: Place, size: Size, interp: int) -> tuple[NDArray, Place]:
    return fixed_crop(src, *place, size, interp), place


def random_crop(src: NDArray, size: Size, interp: int = 2) -> tuple[NDArray, Place]:
    """A part of ``size`` anywhere in ``src``; a smaller part of its proportions, enlarged, if ``src`` is too small.

    Returns the image and where it was, ``(x0, y0, width, height)``.
    """
    height, width = src.shape[:2]
    w, h = scale_down((width, height), size)
    x0, y0 = random.randint(0, width - w), random.randint(0, height - h)
    return _crop(src, (x0, y0, w, h), size, interp)


def center_crop(src: NDArray, size: Size, interp: int = 2) -> tuple[NDArray, Place]:
    """As :func:`random_crop`, but from the middle."""
    height, width = src.shape[:2]
    w, h = scale_down((width, height), size)
    return _crop(src, ((width - w) // 2, (height - h) // 2, w, h), size, interp)


def random_size_crop(
    src: NDArray,
    size: Size,
    area: float | tuple[float, float],
    ratio: tuple[float, float],
    interp: int = 2,
) -> tuple[NDArray, Place]:
    """A part with a random share ``area`` of all pixels and a random width / height in ``ratio``, resized to ``size``.

    A single number for ``area`` is the least share. The logarithm of the ratio is what is drawn uniformly. If no such
    part has been found in ten attempts it is :func:`center_crop`. (C. Szegedy et al., Going deeper with convolutions,
    2014, section 6.)
    """
    height, width = src.shape[:2]
    shares = (area, 1.0) if isinstance(area, (int, float)) else area
    for _ in range(CROP_ATTEMPTS):
        target = random.uniform(*shares) * height * width
        proportion = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(target * proportion)), round(math.sqrt(target / proportion))
        if 0 < w <= width and 0 < h <= height:
            x0, y0 = random.randint(0, width - w), random.randint(0, height - h)
            return _crop(src, (x0, y0, w, h), size, interp)
    return center_crop(src, size, interp)


def copyMakeBorder(
    src: NDArray, top: int, bot: int, left: int, right: int, type: int = 0, value: float = 0.0, values: Any = ()
) -> NDArray:
    """``src`` with a border of so many pixels.

    ``type`` 0 fills it with ``value``, or with ``values`` by channel; 1 repeats the outermost pixels (aaa|abcd|ddd),
    2 mirrors with them (cba|abcd|dcb), 3 wraps around (bcd|abcd|abc), 4 mirrors without them (dcb|abcd|cba).
    """
    if type not in range(len(BORDERS)):
        raise MXNetError(f"Unknown type {type} of border; expected 0 to {len(BORDERS) - 1}")
    pixels, width = src.asnumpy(), ((top, bot), (left, right), (0, 0))
    padded = np.pad(pixels, width, BORDERS[type])  # type: ignore[call-overload]
    if type == 0:
        inside = np.zeros(padded.shape[:2], bool)
        inside[top : top + src.shape[0], left : left + src.shape[1]] = True
        padded[~inside] = np.asarray(values if np.size(values) else value).astype(padded.dtype)
    return array(padded, src.context, src.dtype)


# ---- colour and rotation -------------------------------------------------------------------------------------------


def color_normalize(src: NDArray, mean: NDArray | float | None, std: NDArray | float | None = None) -> NDArray:
    """``(src - mean) / std``; either may be None."""
    if mean is not None:
        src = _by_channel(torch.sub, src, mean)
    return src if std is None else _by_channel(torch.div, src, std)


def _by_channel(operation: Callable[..., torch.Tensor], src: NDArray, other: NDArray | float) -> NDArray:
    """``operation`` on pixels and one number for each channel, or whatever else broadcasts."""
    if not isinstance(other, NDArray) or src.ndim != 3 or other.shape != src.shape[2:] or src.dtype is not other.dtype:
        return src - other if operation is torch.sub else src / other
    # A whole row at a time: loops over three channels are too short to be fast.
    height, width, channels = src.shape
    rows = operation(src.tensor.view(height, width * channels), other.tensor.repeat(width))
    return NDArray(rows.view(src.shape), src.context)


def imrotate(
    src: NDArray, rotation_degrees: float | NDArray, zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """``src`` turned around its centre by bilinear sampling; zeros where nothing was.

    Parameters
    ----------
    src : one image (channels, height, width) or several (count, channels, height, width), float32.
    rotation_degrees : one angle, or one for each image.
    zoom_in : enlarge so that no corner is empty.
    zoom_out : shrink so that the whole image remains visible.

    Raises TypeError for other types, ValueError if both zooms are asked for or the counts differ.
    """
    if zoom_in and zoom_out:
        raise ValueError("`zoom_in` and `zoom_out` cannot be both True")
    if src.dtype is not np.float32:
        raise TypeError(f"Only float32 images can be rotated, got {src.dtype.__name__}")
    if src.ndim == 3:
        if isinstance(rotation_degrees, NDArray):
            raise TypeError("The angle of a single image must be a number")
        return imrotate(src[None], rotation_degrees, zoom_in, zoom_out)[0]
    if src.ndim != 4:
        raise ValueError(f"Expected images of shape (count, channels, height, width), got {src.shape}")
    count, _, height, width = src.shape
    angles = rotation_degrees.asnumpy() if isinstance(rotation_degrees, NDArray) else [rotation_degrees] * count
    if len(angles) != count:
        raise ValueError(f"{len(angles)} angles for {count} images")
    grids = np.stack([_rotated_grid(math.radians(angle), height, width, zoom_in, zoom_out) for angle in angles])
    return invoke("BilinearSampler", src, array(grids, src.context))


def _rotated_grid(angle: float, height: int, width: int, zoom_in: bool, zoom_out: bool) -> np.ndarray:
    """Where each pixel comes from, as BilinearSampler wants it: x and y from -1 to 1."""
    y_scale, x_scale = (height - 1) / 2, (width - 1) / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - y_scale, x - x_scale
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = np.stack([(x * cosine - y * sine) / x_scale, (x * sine + y * cosine) / y_scale])
    # How far the corners of the turned image reach, in units of the upright one.
    reach_x = (width * abs(cosine) + height * abs(sine)) / width
    reach_y = (width * abs(sine) + height * abs(cosine)) / height
    if zoom_in:
        turned /= max(reach_x, reach_y)
    elif zoom_out:
        turned *= max(reach_x, reach_y)
    return turned


def random_rotate(
    src: NDArray, angle_limits: tuple[float, float], zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """:func:`imrotate` by an angle that NumPy draws from ``angle_limits``; several images get one each."""
    if src.ndim == 3:
        return imrotate(src, np.random.uniform(*angle_limits), zoom_in, zoom_out)
    return imrotate(src, array(np.random.uniform(*angle_limits, size=len(src))), zoom_in, zoom_out)
