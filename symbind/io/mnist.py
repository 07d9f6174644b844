"""MNISTIter: image and label files in the IDX format of the MNIST data set."""

from __future__ import annotations

import gzip
import logging
import math
import os
import struct
import zlib
from typing import IO, Any

import numpy as np

from ..base import MXNetError
from ..ndarray import array
from .file_iterator import MXDataIter, warn_of_ignored
from .rows import RowIter

__all__ = ["MNISTIter", "read_idx"]

logger = logging.getLogger(__name__)

UNSIGNED_BYTES = 0x08
CHUNK = 1 << 20


class MNISTIter(MXDataIter, RowIter):
    """Iterates over grey images with labels. All parameters are given by keyword.

    Parameters
    ----------
    image, label : str
        Paths of the image and the label file, plain or compressed with gzip.
    batch_size : int
        The last samples are dropped if they do not fill a batch.
    shuffle : bool
        Put the samples into an order drawn once from ``seed``; all epochs visit them in that order.
    flat : bool
        Samples of shape ``(height * width,)`` instead of ``(1, height, width)``.
    seed : int
    silent : bool
        Do not log what was loaded.
    num_parts, part_index : int
        Cut the data into ``num_parts`` parts and visit only one of them.
    dtype : str
        ``'float32'``, ``'float64'`` or ``'float16'``.
    data_name, label_name : str

    Pixels are divided by 256, which gives numbers in [0, 1).

    Raises
    ------
    MXNetError
        If a file cannot be read or is no IDX file of the right kind, if its length does not agree with the sizes that
        it states, if there are not as many labels as images, or less than one batch of them.
    """

    def __init__(
        self,
        *,
        image: str | os.PathLike[str] = "./train-images-idx3-ubyte",
        label: str | os.PathLike[str] = "./train-labels-idx1-ubyte",
        batch_size: int = 128,
        shuffle: bool = True,
        flat: bool = False,
        seed: int = 0,
        silent: bool = False,
        num_parts: int = 1,
        part_index: int = 0,
        dtype: str | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **ignored: Any,
    ) -> None:
        warn_of_ignored(self, ignored)
        if not 0 <= part_index < num_parts:
            raise MXNetError(f"part_index must lie in [0, num_parts), got {part_index} of {num_parts}")
        name = np.dtype(dtype or "float32").name
        if not name.startswith("float"):
            raise MXNetError(f"MNISTIter divides pixels by 256, which leaves nothing of them as {name}")
        images, labels = read_idx(image, 3), read_idx(label, 1)
        if len(images) != len(labels):
            raise MXNetError(
                f"{os.fspath(image)!r} holds {len(images)} images, but {os.fspath(label)!r} {len(labels)} labels"
            )
        part = slice(len(images) * part_index // num_parts, len(images) * (part_index + 1) // num_parts)
        images, labels = images[part], labels[part]
        if len(images) < batch_size:
            raise MXNetError(f"{os.fspath(image)!r}: {len(images)} images do not fill a batch of {batch_size}")
        if shuffle:
            order = np.random.RandomState(seed).permutation(len(images))
            images, labels = images[order], labels[order]
        shape = (-1,) if flat else (1, *images.shape[1:])
        pixels = np.divide(images, 256, dtype=name).reshape(len(images), *shape)
        super().__init__(
            [(data_name, array(pixels, dtype=name))],
            [(label_name, array(labels.astype(np.float32)))],
            batch_size,
        )
        if not silent:
            logger.info(
                "MNISTIter: load %d images, shuffle=%d, shape=%s",
                self.num_data, shuffle, self.provide_data[0].shape,
            )  # fmt: skip
        self.reset()

    def reset(self) -> None:
        """Go back to the first sample."""
        self._begin_epoch(np.arange(self.num_data // self.batch_size * self.batch_size))

    def getpad(self) -> int:
        return 0


def read_idx(path: str | os.PathLike[str], rank: int) -> np.ndarray:
    """The array of unsigned bytes with ``rank`` axes that an IDX file holds.

    The format: two zero bytes, one that names the type, one with the number of axes; then, big-endian, the length of
    each axis as uint32, and the elements in row-major order (Y. LeCun et al., The MNIST database).
    """
    path = os.fspath(path)
    try:
        with _open_maybe_compressed(path) as file:
            header = _read(file, 4 + 4 * rank)
            magic, *shape = struct.unpack(f">{1 + rank}I", header.ljust(4 + 4 * rank, b"\0"))
            if magic != UNSIGNED_BYTES << 8 | rank:
                raise MXNetError(
                    f"{path!r} starts with {header[:4].hex() or 'nothing'}, but an IDX file of {rank}-dimensional "
                    f"bytes with {UNSIGNED_BYTES << 8 | rank:08x}"
                )
            size = math.prod(shape)
            # One byte more than needed, to notice a file that is too long.
            body = _read(file, size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MXNetError(f"Cannot read {path!r}: {error}") from error
    if len(header) < 4 + 4 * rank or len(body) != size:
        found = "more" if len(body) > size else len(header) + len(body)
        raise MXNetError(
            f"{path!r} states sizes {tuple(shape)} and should be {4 + 4 * rank + size} bytes long, but is {found}"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def _open_maybe_compressed(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else open(path, "rb")  # type: ignore[return-value]


def _read(file: IO[bytes], size: int) -> bytes:
    """Up to ``size`` bytes, without trusting that number: memory is taken as bytes arrive."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, CHUNK))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
