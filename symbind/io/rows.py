"""Batches of rows picked by number out of arrays in memory: what the array, CSV and MNIST iterators share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..ndarray import NDArray, array
from ..ndarray.sparse import CSRNDArray
from .iterator import DataDesc, DataIter

__all__ = ["RoundIter", "RowIter", "take_rows"]


class RowIter(DataIter):
    """Iterator over named arrays that are in memory, or at least can be indexed like it.

    An epoch is a list of row numbers. The subclass makes that list in its ``reset()`` and hands it over to
    :meth:`_begin_epoch`; cutting it into batches and fetching their rows is done here.

    Parameters
    ----------
    data, label : list of (name, source)
        A source is an :class:`~symbind.ndarray.NDArray`, or anything with ``shape`` that accepts a list of increasing
        row numbers as an index and returns NumPy arrays (``h5py.Dataset`` for one).
    batch_size : int
    layout : str
        Its ``N`` says which axis of every source counts the rows.
    """

    def __init__(
        self,
        data: Sequence[tuple[str, Any]],
        label: Sequence[tuple[str, Any]],
        batch_size: int,
        layout: str = "NCHW",
    ) -> None:
        super().__init__(batch_size)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.data = list(data)
        self.label = list(label)
        self.layout = layout
        self._axis = DataDesc.get_batch_axis(layout)
        if self._axis < 0:
            raise ValueError(f"layout {layout!r} has no 'N': one axis must count the samples")
        for name, source in self.data + self.label:
            if len(source.shape) <= self._axis:
                raise ValueError(
                    f"Array {name!r} of shape {tuple(source.shape)} has no axis {self._axis}, "
                    f"along which layout {layout!r} counts the samples"
                )
        self.num_data = int(self.data[0][1].shape[self._axis])
        if self.num_data == 0:
            raise ValueError(f"Array {self.data[0][0]!r} of shape {self.data[0][1].shape} holds no samples")
        self.provide_data = [self._describe(name, source) for name, source in self.data]
        self.provide_label = [self._describe(name, source) for name, source in self.label]
        self._rows = np.empty(0, np.int64)
        self._position = 0

    def _describe(self, name: str, source: Any) -> DataDesc:
        shape = list(source.shape)
        shape[self._axis] = self.batch_size
        dtype = source.dtype if isinstance(source, NDArray) else np.float32
        return DataDesc(name, tuple(shape), dtype, self.layout)

    def _begin_epoch(self, rows: np.ndarray) -> None:
        """Visit ``rows`` next, in that order; their number must be a multiple of the batch size."""
        self._rows = rows
        self._position = -self.batch_size

    def iter_next(self) -> bool:
        # Never moves beyond the end, so that asking once more after the end changes nothing.
        self._position = min(self._position + self.batch_size, len(self._rows))
        return self._position < len(self._rows)

    def getindex(self) -> np.ndarray:
        """Row numbers of the current batch."""
        if not 0 <= self._position < len(self._rows):
            where = "before its first" if self._position < 0 else "past its last"
            raise MXNetError(f"{type(self).__name__} stands {where} batch; call next() or reset()")
        return self._rows[self._position : self._position + self.batch_size].astype(np.uint64)

    def state_dict(self) -> dict[str, Any]:
        """The order of the rows and the place in it."""
        return {"rows": self._rows, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at that place; ValueError if the rows are not those of these arrays."""
        rows = state["rows"]
        if len(rows) % self.batch_size or (len(rows) and rows.max() >= self.num_data):
            raise ValueError(
                f"An order of {len(rows)} rows up to {rows.max()} does not suit {type(self).__name__} of "
                f"{self.num_data} samples in batches of {self.batch_size}"
            )
        self._rows, self._position = rows, state["position"]

    def getdata(self) -> list[NDArray]:
        return self._take(self.data)

    def getlabel(self) -> list[NDArray]:
        return self._take(self.label)

    def _take(self, sources: Sequence[tuple[str, Any]]) -> list[NDArray]:
        rows = self.getindex().astype(np.int64)
        return [take_rows(source, rows, self._axis) for _, source in sources]


class RoundIter(RowIter):
    """Visits all rows in order; the last batch is filled up from the beginning and says so in ``pad``.

    If ``round_batch`` is set, the next epoch starts after the rows that were borrowed so, else at the beginning.
    """

    def __init__(
        self,
        data: Sequence[tuple[str, Any]],
        label: Sequence[tuple[str, Any]],
        batch_size: int,
        round_batch: bool,
    ) -> None:
        super().__init__(data, label, batch_size)
        self.round_batch = round_batch
        self._first = 0
        self.reset()

    def reset(self) -> None:
        """Begin a new epoch; see ``round_batch`` for where."""
        at_last_batch = 0 < len(self._rows) <= self._position + self.batch_size
        self._first = (self._first + len(self._rows)) % self.num_data if self.round_batch and at_last_batch else 0
        unread = self.num_data - self._first
        visited = math.ceil(unread / self.batch_size) * self.batch_size
        self._begin_epoch((self._first + np.arange(visited)) % self.num_data)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "first": self._first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._first = state["first"]

    def getpad(self) -> int:
        unread = self.num_data - self._first
        return max(0, self._position + self.batch_size - unread)


def take_rows(source: Any, rows: np.ndarray, axis: int = 0) -> NDArray:
    """``source[rows]`` along ``axis`` as an NDArray: a view if those rows lie side by side in memory, else a copy."""
    if isinstance(source, NDArray):
        if isinstance(source, CSRNDArray):
            return source.take(torch.from_numpy(rows).to(source.indices.tensor.device))
        tensor = source.tensor
        if (np.diff(rows) == 1).all():
            return NDArray(tensor.narrow(axis, int(rows[0]), len(rows)).contiguous(), source.context)
        return NDArray(tensor.index_select(axis, torch.from_numpy(rows).to(tensor.device)), source.context)
    # Files want each row once and in increasing order; the order asked for is restored afterwards.
    increasing, positions = np.unique(rows, return_inverse=True)
    taken = np.asarray(source[(slice(None),) * axis + (increasing,)], np.float32)
    return array(taken.take(positions, axis))
