"""Images in another size, by OpenCV's five methods; torch does the arithmetic.

Pixel centres lie at half-integers. Output pixel i covers the input around x = (i + 1/2) * n_in / n_out - 1/2, and
beyond the border the border's pixel counts on. The methods, by OpenCV's number:

0 nearest: the input pixel floor(i * n_in / n_out); 1 linear: the two around x; 2 cubic: four, weighted by Keys' kernel
with a = -3/4; 3 area: the mean of what the pixel covers, and where an image grows, linear blending only along the
seams; 4 Lanczos: eight, weighted by sinc(t) sinc(t / 4). Only ``area`` looks at all pixels of an image that shrinks.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from ..base import MXNetError

__all__ = ["AREA", "CUBIC", "LANCZOS", "LINEAR", "NEAREST", "resize"]

NEAREST, LINEAR, CUBIC, AREA, LANCZOS = range(5)

LANCZOS_TAPS = 8


def resize(image: torch.Tensor, width: int, height: int, method: int = LINEAR) -> torch.Tensor:
    """``image`` of shape (height, width, channels), uint8 or floating point, in another size and the same type.

    Raises MXNetError if the method is unknown, or a size is not positive.
    """
    if method not in range(5):
        raise MXNetError(f"Unknown interpolation method {method}; expected 0 to 4")
    if width < 1 or height < 1:
        raise MXNetError(f"An image cannot be resized to width {width} and height {height}: both must be positive")
    if image.dim() != 3 or not image.numel():
        raise MXNetError(f"Expected an image of shape (height, width, channels), got {tuple(image.shape)}")
    if image.shape[:2] == (height, width):
        return image.clone()
    if method in (AREA, LANCZOS):
        return _separable(image, width, height, method)
    # As torch sees it, this is a batch of one in its "channels last" layout, for which it has its fastest kernels.
    batch, size = image.permute(2, 0, 1)[None], [height, width]
    if method == NEAREST:
        resized = torch.ops.aten.upsample_nearest2d(batch, size)
    elif method == LINEAR:
        resized = torch.ops.aten.upsample_bilinear2d(batch, size, False)
    else:
        # In floating point: torch's kernel for bytes takes a = -1/2.
        resized = _as_type(torch.ops.aten.upsample_bicubic2d(batch.float(), size, False), image.dtype)
    return resized[0].permute(1, 2, 0).contiguous()


def _separable(image: torch.Tensor, width: int, height: int, method: int) -> torch.Tensor:
    """One matrix product along each axis."""
    rows, columns, _ = image.shape
    shrinks = rows >= height and columns >= width
    planes = image.permute(2, 0, 1).float()
    planes = _weights(method, rows, height, shrinks) @ planes @ _weights(method, columns, width, shrinks).T
    return _as_type(planes, image.dtype).permute(1, 2, 0).contiguous()


def _as_type(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return (values.round_().clamp_(0, 255) if dtype == torch.uint8 else values).to(dtype)


@lru_cache(maxsize=256)
def _weights(method: int, size: int, wanted: int, shrinks: bool) -> torch.Tensor:
    """The matrix of shape (wanted, size) that resizes one axis; its rows sum to 1."""
    if method == LANCZOS:
        matrix = _lanczos(size, wanted)
    else:
        matrix = _covered(size, wanted) if shrinks else _seams(size, wanted)
    return torch.from_numpy((matrix / matrix.sum(1, keepdims=True)).astype(np.float32))


def _covered(size: int, wanted: int) -> np.ndarray:
    """How much of each input pixel an output pixel covers."""
    edges = np.arange(wanted + 1) * (size / wanted)
    pixels = np.arange(size)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return shared.clip(0)


def _seams(size: int, wanted: int) -> np.ndarray:
    """A growing image: output pixels within one input pixel copy it, those on a seam blend two."""
    first = np.floor(np.arange(wanted) * (size / wanted)).astype(int)
    fraction = np.arange(1, wanted + 1) - (first + 1) * (wanted / size)
    fraction = np.where(fraction <= 0, 0, fraction - np.floor(fraction))
    return _scatter(size, np.stack([first, first + 1], 1), np.stack([1 - fraction, fraction], 1))


def _lanczos(size: int, wanted: int) -> np.ndarray:
    centre = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    first = np.floor(centre).astype(int) - (LANCZOS_TAPS // 2 - 1)
    taps = first[:, None] + np.arange(LANCZOS_TAPS)
    distance = centre[:, None] - taps
    kernel = np.sinc(distance) * np.sinc(distance / (LANCZOS_TAPS // 2))
    return _scatter(size, taps, kernel / kernel.sum(1, keepdims=True))


def _scatter(size: int, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The matrix of some taps per row; those outside count for the border's pixel."""
    matrix = np.zeros((len(taps), size))
    np.add.at(matrix, (np.arange(len(taps))[:, None], taps.clip(0, size - 1)), weights)
    return matrix
