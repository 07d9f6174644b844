"""Public data, fetched once and kept in files.

Where there is no network, put the files where the function looks for them: what is there already is used.
"""

from __future__ import annotations

import bz2
import gzip
import logging
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from ..base import MXNetError, atomic_write
from ..io import MNISTIter
from ..io.mnist import read_idx

__all__ = [
    "download", "get_bz2_data", "get_cifar10", "get_mnist", "get_mnist_iterator", "get_mnist_ubyte", "get_zip_data",
]  # fmt: skip

logger = logging.getLogger(__name__)

# MXNet's own server is gone; this copy of Y. LeCun's files is the one that PyTorch keeps.
MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_FILES = (
    "train-labels-idx1-ubyte", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
)  # fmt: skip


def download(
    url: str, fname: str | None = None, dirname: str | None = None, overwrite: bool = False, retries: int = 5
) -> str:
    """Fetch ``url`` into a file, unless it is there already, and return the file's name.

    Parameters
    ----------
    fname : the file's name; the last part of ``url`` if None.
    dirname : the folder to put it into, made if it is missing; that of ``fname`` if None.
    overwrite : fetch it even if the file is there.
    retries : how often to try again.

    Raises MXNetError if it cannot be fetched; an incomplete file is never left behind.
    """
    if retries < 0:
        raise ValueError(f"retries must not be negative, got {retries}")
    path = Path(dirname or "", fname or urlsplit(url).path.rpartition("/")[2])
    if path.exists() and not overwrite:
        logger.info("%s exists, skipping download", path)
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for remaining in range(retries, -1, -1):
        try:
            with urllib.request.urlopen(url, timeout=30) as source, atomic_write(path) as target:
                shutil.copyfileobj(source, target)
            break
        except (OSError, ValueError) as error:
            # A server that answers with a refusal will give the same answer again.
            if not remaining or isinstance(error, (urllib.error.HTTPError, ValueError)):
                raise MXNetError(
                    f"Cannot download {url}: {error}. Without a network, put the file at {path.absolute()}"
                ) from error
            logger.info("downloading %s failed (%s), %d attempts left", url, error, remaining)
    logger.info("downloaded %s into %s successfully", url, path)
    return str(path)


def get_mnist() -> dict[str, np.ndarray]:
    """The handwritten digits of MNIST, from the four ``.gz`` files in the current folder, which are fetched if missing.

    Returns ``train_data`` (60000, 1, 28, 28) and ``test_data`` (10000, 1, 28, 28), float32 in [0, 1], and
    ``train_label`` and ``test_label``, int8.
    """
    files = [download(f"{MNIST_URL}{name}.gz") for name in MNIST_FILES]
    train_label, train_data, test_label, test_data = (read_idx(f, rank) for f, rank in zip(files, (1, 3, 1, 3)))

    def scaled(pixels: np.ndarray) -> np.ndarray:
        return pixels[:, None].astype(np.float32) / 255

    return {
        "train_data": scaled(train_data),
        "train_label": train_label.astype(np.int8),
        "test_data": scaled(test_data),
        "test_label": test_label.astype(np.int8),
    }


def get_mnist_ubyte() -> None:
    """Put the four files of MNIST, unpacked, into the folder ``data``, if they are not there."""
    for name in MNIST_FILES:
        path = Path("data", name)
        if not path.exists():
            packed = download(f"{MNIST_URL}{name}.gz", dirname="data")
            with gzip.open(packed) as source, atomic_write(path) as target:
                shutil.copyfileobj(source, target)


def get_mnist_iterator(
    batch_size: int, input_shape: Sequence[int], num_parts: int = 1, part_index: int = 0
) -> tuple[MNISTIter, MNISTIter]:
    """Iterators over MNIST's training and test samples, flat unless ``input_shape`` has three dimensions."""
    get_mnist_ubyte()
    train, test = (
        MNISTIter(
            image=f"data/{part}-images-idx3-ubyte", label=f"data/{part}-labels-idx1-ubyte", batch_size=batch_size,
            shuffle=part == "train", flat=len(input_shape) != 3, num_parts=num_parts, part_index=part_index,
        )
        for part in ("train", "t10k")
    )  # fmt: skip
    return train, test


def get_cifar10() -> None:
    """See that CIFAR-10 is in ``data/cifar``, as the record files that MXNet's server once had.

    MXNetError if it is not: nobody offers these files any more.
    """
    wanted = [Path("data", "cifar", name) for name in ("train.rec", "test.rec", "train.lst", "test.lst")]
    missing = [str(path) for path in wanted if not path.exists()]
    if missing:
        raise MXNetError(
            f"{', '.join(missing)} cannot be downloaded any more. Fetch CIFAR-10 elsewhere, and make them from its "
            "images with `im2rec`"
        )


def get_zip_data(data_dir: str, url: str, data_origin_name: str) -> None:
    """Fetch the zip archive ``data_origin_name`` into ``data_dir`` and unpack it there, unless it is there."""
    archive = Path(data_dir, data_origin_name)
    if not archive.exists():
        download(url, data_origin_name, data_dir)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(data_dir)


def get_bz2_data(data_dir: str, data_name: str, url: str, data_origin_name: str) -> None:
    """Fetch ``data_origin_name`` into ``data_dir`` and unpack it as ``data_name``, unless that is there."""
    path = Path(data_dir, data_name)
    if not path.exists():
        packed = download(url, data_origin_name, data_dir)
        with bz2.open(packed) as source, atomic_write(path) as target:
            shutil.copyfileobj(source, target)
        os.remove(packed)
