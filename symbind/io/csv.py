"""CSVIter: comma-separated numbers as batches."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from ..base import MXNetError
from ..ndarray import array
from .file_iterator import MXDataIter, warn_of_ignored
from .rows import RoundIter

__all__ = ["CSVIter"]

DTYPES = ("float32", "int32", "int64")


class CSVIter(MXDataIter, RoundIter):
    """Iterates over the lines of a text file of comma-separated numbers. All parameters are given by keyword.

    Parameters
    ----------
    data_csv : str
        Path of the data: one sample a line, no heading.
    data_shape : tuple of int
        Shape of one sample; every line must hold that many numbers.
    batch_size : int
    label_csv : str
        Path of the labels, as many lines as ``data_csv`` or more; without it (``'NULL'``) all labels are 0.
    label_shape : tuple of int
        Shape of one label; ``(1,)`` gives labels of shape ``(batch_size,)``.
    round_batch : bool
        The last batch is always filled up from the beginning of the file and says so in ``batch.pad``. If
        ``round_batch`` is set, the next epoch starts after the samples that were borrowed so, else at the beginning.
    dtype : str
        ``'float32'``, ``'int32'`` or ``'int64'``.
    data_name, label_name : str

    Raises
    ------
    MXNetError
        If a file cannot be read, is empty, holds something else than numbers or lines of another length; it names the
        file and what was found in it.
    """

    def __init__(
        self,
        *,
        data_csv: str | os.PathLike[str],
        data_shape: int | tuple[int, ...],
        batch_size: int,
        label_csv: str | os.PathLike[str] = "NULL",
        label_shape: int | tuple[int, ...] = (1,),
        round_batch: bool = True,
        dtype: str | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **ignored: Any,
    ) -> None:
        warn_of_ignored(self, ignored)
        name = np.dtype(dtype or "float32").name
        if name not in DTYPES:
            raise MXNetError(f"CSVIter reads {', '.join(DTYPES)}, not {name}")
        data = read_csv(data_csv, data_shape, name)
        if os.fspath(label_csv) == "NULL":
            label = np.zeros(len(data), name)
        else:
            label = read_csv(label_csv, label_shape, name)
            if len(label) < len(data):
                raise MXNetError(
                    f"{os.fspath(label_csv)!r} holds {len(label)} labels, but {os.fspath(data_csv)!r} "
                    f"holds {len(data)} samples"
                )
            if label.shape[1:] == (1,):
                label = label[:, 0]
        sources = [(data_name, array(data, dtype=name))], [(label_name, array(label, dtype=name))]
        super().__init__(*sources, batch_size, round_batch)


def read_csv(path: str | os.PathLike[str], shape: int | tuple[int, ...], dtype: str) -> np.ndarray:
    """The numbers of a file as an array of shape ``(lines, *shape)``."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    try:
        with open(path, encoding="utf-8-sig") as file, warnings.catch_warnings():
            # An empty file is an error below, not a warning.
            warnings.simplefilter("ignore", UserWarning)
            table = np.loadtxt(file, dtype, comments=None, delimiter=",", ndmin=2)
    except OSError as error:
        raise MXNetError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}") from error
    except ValueError as error:
        raise MXNetError(f"{os.fspath(path)!r} is not a table of numbers: {error}") from error
    if table.size == 0:
        raise MXNetError(f"{os.fspath(path)!r} holds no numbers")
    if table.shape[1] != math.prod(shape):
        raise MXNetError(
            f"{os.fspath(path)!r} has {table.shape[1]} numbers a line, but shape {shape} needs {math.prod(shape)}"
        )
    return table.reshape(-1, *shape)
