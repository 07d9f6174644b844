"""Image files to pixels and back. The work is OpenCV's or Pillow's, whichever is installed; OpenCV is preferred.

Pixels are NumPy arrays of shape (height, width, channels), or (height, width) for grey ones that were asked for as
they are, with the channels in the order red, green, blue, alpha. The orientation that a camera noted in the file is
ignored, as MXNet does.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np

from ..base import MXNetError

__all__ = ["AS_IT_IS", "COLOR", "GRAY", "decode", "encode"]

# What decode makes of a file; the numbers are OpenCV's.
AS_IT_IS, GRAY, COLOR = -1, 0, 1

# Pillow reads many more, some of which start other programs.
PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "JPEG2000")
# What those two understand by the quality of a file.
JPEG, PNG = (".jpg", ".jpeg"), (".png",)


def decode(data: bytes | bytearray | memoryview | np.ndarray, color: int = COLOR) -> np.ndarray:
    """The pixels of an image file that is in memory.

    ``GRAY`` gives shape (height, width, 1) and ``COLOR`` (height, width, 3), both uint8; ``AS_IT_IS`` whatever the
    file holds, with its alpha channel and 16 bits if it has them. Raises MXNetError if the data is empty, no image,
    damaged, or so large that it must be an attack.
    """
    buffer = np.frombuffer(data, np.uint8)
    if not buffer.size:
        raise MXNetError("Cannot decode an image: the buffer is empty")
    pixels = _backend().decode(buffer, color)
    return pixels[:, :, None] if color == GRAY else pixels


def encode(pixels: np.ndarray, extension: str = ".jpg", quality: int = 95) -> bytes:
    """The image file of ``pixels``; ``quality`` is 1 to 100 for JPEG, the compression level 0 to 9 for PNG.

    Raises MXNetError if the format is not known or cannot hold such pixels.
    """
    pixels = np.ascontiguousarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise MXNetError(f"Cannot encode an array of shape {pixels.shape} as an image: expected (height, width, 1|3|4)")
    extension = extension.lower()
    if extension in PNG:
        quality = min(quality, 9)
    return _backend().encode(pixels, extension, quality)


class _OpenCV:
    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2

    def decode(self, buffer: np.ndarray, color: int) -> np.ndarray:
        cv2 = self._cv2
        flag = {
            AS_IT_IS: cv2.IMREAD_UNCHANGED,
            GRAY: cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
            COLOR: cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
        }[color]
        try:
            pixels = cv2.imdecode(buffer, flag)
        except cv2.error as error:
            raise MXNetError(f"Decoding failed. Invalid image file: {error}") from None
        if pixels is None:
            raise MXNetError(f"Decoding failed. Invalid image file: it starts with {bytes(buffer[:8])!r}")
        return self._swapped(pixels)

    def encode(self, pixels: np.ndarray, extension: str, quality: int) -> bytes:
        cv2 = self._cv2
        settings = []
        if extension in JPEG:
            settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
        elif extension in PNG:
            settings = [cv2.IMWRITE_PNG_COMPRESSION, quality]
        try:
            done, data = cv2.imencode(extension, self._swapped(pixels), settings)
        except cv2.error as error:
            raise MXNetError(f"Cannot encode an image as {extension!r}: {error}") from None
        if not done:
            raise MXNetError(f"Cannot encode an image as {extension!r}")
        return data.tobytes()

    def _swapped(self, pixels: np.ndarray) -> np.ndarray:
        """Red and blue exchanged: OpenCV has blue first."""
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        if channels == 3:
            return self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB)
        return self._cv2.cvtColor(pixels, self._cv2.COLOR_BGRA2RGBA) if channels == 4 else pixels


class _Pillow:
    def __init__(self) -> None:
        from PIL import Image

        self._image = Image

    def decode(self, buffer: np.ndarray, color: int) -> np.ndarray:
        try:
            with self._image.open(io.BytesIO(buffer.data), formats=PILLOW_FORMATS) as image:
                return self._pixels(image, color)
        except (OSError, ValueError, SyntaxError, EOFError, self._image.DecompressionBombError) as error:
            raise MXNetError(f"Decoding failed. Invalid image file: {error}") from None

    def _pixels(self, image: Any, color: int) -> np.ndarray:
        if color == GRAY:
            image.draft("L", image.size)  # a JPEG file holds the grey values already
        if image.mode.startswith("I"):
            # 16 bits; Pillow would cut values above 255 instead of scaling them.
            wide = np.asarray(image).astype(np.uint16)
            if color == AS_IT_IS:
                return wide
            grey = (wide >> 8).astype(np.uint8)
            return grey if color == GRAY else np.repeat(grey[:, :, None], 3, 2)
        if color == AS_IT_IS:
            transparent = "A" in image.mode or "transparency" in image.info
            mode = image.mode if image.mode in ("L", "RGB", "RGBA") else "RGBA" if transparent else "RGB"
        else:
            mode = "L" if color == GRAY else "RGB"
        return np.array(image.convert(mode))

    def encode(self, pixels: np.ndarray, extension: str, quality: int) -> bytes:
        settings: dict[str, Any] = {}
        if extension in JPEG:
            settings = {"quality": quality}
        elif extension in PNG:
            settings = {"compress_level": quality}
        name = self._image.registered_extensions().get(extension)
        file = io.BytesIO()
        try:
            if name not in PILLOW_FORMATS:
                raise ValueError("the format is not known")
            self._image.fromarray(pixels).save(file, name, **settings)
        except (OSError, ValueError, TypeError) as error:
            raise MXNetError(f"Cannot encode an image as {extension!r}: {error}") from None
        return file.getvalue()


@lru_cache
def _backend() -> _OpenCV | _Pillow:
    for backend in (_OpenCV, _Pillow):
        try:
            return backend()
        except ImportError:
            continue
    raise MXNetError("Images need OpenCV or Pillow, and neither is installed: pip install 'symbind[image]'")
