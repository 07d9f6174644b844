"""LibSVMIter: samples of which most numbers are zero, from a text file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..ndarray.sparse import CSRNDArray
from .file_iterator import MXDataIter, warn_of_ignored
from .rows import RoundIter

__all__ = ["LibSVMIter", "read_libsvm"]


class LibSVMIter(MXDataIter, RoundIter):
    """Iterates over the lines of a text file of indices and values. All parameters are given by keyword.

    Batches are csr arrays; labels from a file of their own, too. An executor makes them dense.

    Parameters
    ----------
    data_libsvm : str
        Path of the data: one sample a line; see :func:`read_libsvm`.
    data_shape : tuple of int
        How many numbers a sample has; indices count from 0.
    batch_size : int
    label_libsvm : str
        Path of a file of the same format with the labels, as many lines as ``data_libsvm`` or more; without it
        (``'NULL'``) the label is the number that stands first in each line of the data.
    label_shape : tuple of int
        How many numbers a label has, if ``label_libsvm`` is given.
    num_parts, part_index : int
        Cut the data into ``num_parts`` parts and visit only one of them.
    round_batch : bool
        See :class:`~symbind.io.CSVIter`.
    data_name, label_name : str

    Raises
    ------
    MXNetError
        If a file cannot be read, is empty, or has an index that is too large; it names the file and the line.
    """

    def __init__(
        self,
        *,
        data_libsvm: str | os.PathLike[str],
        data_shape: int | tuple[int, ...],
        batch_size: int,
        label_libsvm: str | os.PathLike[str] = "NULL",
        label_shape: int | tuple[int, ...] = (1,),
        num_parts: int = 1,
        part_index: int = 0,
        round_batch: bool = True,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **ignored: Any,
    ) -> None:
        warn_of_ignored(self, ignored)
        if not 0 <= part_index < num_parts:
            raise MXNetError(f"part_index must lie in [0, num_parts), got {part_index} of {num_parts}")
        heads, data = read_libsvm(data_libsvm, _width(data_shape, "data_shape"))
        labels: CSRNDArray | np.ndarray = heads
        if os.fspath(label_libsvm) != "NULL":
            _, labels = read_libsvm(label_libsvm, _width(label_shape, "label_shape"))
            if len(labels) < len(data):
                raise MXNetError(
                    f"{os.fspath(label_libsvm)!r} holds {len(labels)} labels, but {os.fspath(data_libsvm)!r} "
                    f"holds {len(data)} samples"
                )
        part = slice(len(data) * part_index // num_parts, len(data) * (part_index + 1) // num_parts)
        if part.start == part.stop:
            raise MXNetError(f"{os.fspath(data_libsvm)!r} holds no samples for part {part_index} of {num_parts}")
        super().__init__([(data_name, data[part])], [(label_name, labels[part])], batch_size, round_batch)


def read_libsvm(path: str | os.PathLike[str], width: int) -> tuple[np.ndarray, CSRNDArray]:
    """The first numbers of all lines, and the rows of ``width`` numbers that follow them.

    A line reads ``label index:value index:value ...``; ``qid:...`` and what follows ``#`` is skipped, and so are empty
    lines. (C.-C. Chang, C.-J. Lin: LIBSVM, with indices that count from 0.)
    """
    heads: list[float] = []
    values: list[float] = []
    columns: list[int] = []
    bounds = [0]
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                words = line.partition("#")[0].split()
                if not words:
                    continue
                try:
                    heads.append(float(words[0]))
                    for word in words[1:]:
                        index, _, value = word.partition(":")
                        if index != "qid":
                            columns.append(int(index))
                            values.append(float(value))
                except ValueError:
                    raise MXNetError(
                        f"{os.fspath(path)!r}, line {number}: expected 'label index:value ...', found {line[:80]!r}"
                    ) from None
                for column in columns[bounds[-1] :]:
                    if not 0 <= column < width:
                        raise MXNetError(
                            f"{os.fspath(path)!r}, line {number}: index {column} is outside of [0, {width})"
                        )
                bounds.append(len(columns))
    except OSError as error:
        raise MXNetError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}") from error
    if not heads:
        raise MXNetError(f"{os.fspath(path)!r} holds no samples")
    rows = CSRNDArray(
        torch.tensor(values, dtype=torch.float32), torch.tensor(columns, dtype=torch.int64), torch.tensor(bounds),
        (len(heads), width),
    )  # fmt: skip
    return np.array(heads, np.float32), rows


def _width(shape: int | Sequence[int], name: str) -> int:
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if len(sizes) != 1 or sizes[0] < 1:
        raise MXNetError(f"{name} must be one positive number, got {shape}")
    return sizes[0]
