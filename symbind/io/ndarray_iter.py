"""NDArrayIter: arrays in memory as batches."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ndarray import NDArray, array
from ..ndarray.sparse import CSRNDArray, csr_matrix
from .iterator import DataBatch
from .rows import RowIter

__all__ = ["NDArrayIter", "is_stored", "named_arrays"]

LAST_BATCH_HANDLES = ("pad", "discard", "roll_over")


class NDArrayIter(RowIter):
    """Iterates over arrays.

    Parameters
    ----------
    data : array, list of arrays, dict from names to arrays or list of such pairs
        An array is an NDArray, anything that ``numpy.asarray`` makes an array of, a matrix of ``scipy.sparse``, or an
        ``h5py.Dataset``. NDArrays keep their type and are not copied; h5py data is read batch by batch; all else is
        copied to float32 at once. Batches of csr arrays are csr arrays; nothing is borrowed to fill the last one, so
        ``last_batch_handle`` must be ``'discard'``.
        Several arrays in a list are named ``_0_data``, ``_1_data`` …; those of a dict are visited sorted by name,
        those of pairs as they come.
    label : the same, optional
        Without it the batches carry an empty list of labels.
    batch_size : int
    shuffle : bool
        Draw a new order from ``numpy.random`` now and at each reset.
    last_batch_handle : str
        What becomes of the last samples when they do not fill a batch: ``'pad'`` fills it up from the beginning of
        the epoch and says so in ``batch.pad``, ``'discard'`` drops them, ``'roll_over'`` starts the next epoch with
        them.
    data_name, label_name : str
        Name of the only array, or what the names of those in a list end with.
    layout : str
        One letter for each axis; ``N`` is the axis that counts the samples.

    A batch of consecutive samples is a *view* of ``data``, not a copy: whoever writes into it changes the data set.

    Raises
    ------
    TypeError
        If something cannot be made an array.
    NotImplementedError
        If data are sparse, and the last batch is not to be discarded.
    ValueError
        If there are no data, an array has fewer samples than the first one, or another argument makes no sense.
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str = "NCHW",
    ) -> None:
        if last_batch_handle not in LAST_BATCH_HANDLES:
            raise ValueError(
                f"last_batch_handle must be one of {', '.join(LAST_BATCH_HANDLES)}, got {last_batch_handle!r}"
            )
        named_data = named_arrays(data, data_name)
        if not named_data:
            raise ValueError(f"data must hold at least one array, got {data!r}")
        super().__init__(named_data, named_arrays(label, label_name), batch_size, layout)
        self._check_lengths()
        sparse = any(isinstance(source, CSRNDArray) for _, source in self.data + self.label)
        if sparse and last_batch_handle != "discard":
            raise NotImplementedError("NDArrayIter only supports CSRNDArray with last_batch_handle set to 'discard'")
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.idx = np.arange(self.num_data)
        self._order = self.idx.copy()
        self._leftover = self._carried = self._order[:0]
        self.reset()
        if not len(self._rows):  # by a reset of a subclass's own, which only moves the cursor
            self._plan_epoch()

    def _check_lengths(self) -> None:
        first = self.data[0][0]
        for name, source in self.data + self.label:
            length = source.shape[self._axis]
            seen = f"Array {name!r} of shape {tuple(source.shape)} has {length} samples"
            if length < self.num_data:
                raise ValueError(f"{seen}, but {self.num_data} are expected, as {first!r} has")
            if length > self.num_data:
                warnings.warn(f"{seen}; only {self.num_data} are used, as {first!r} has no more", stacklevel=3)

    @property
    def data_list(self) -> list[Any]:
        """The arrays, those of labels last. What is written into them comes with later batches."""
        return [source for _, source in self.data + self.label]

    @property
    def num_source(self) -> int:
        """Number of arrays, labels included."""
        return len(self.data_list)

    @property
    def cursor(self) -> int:
        """Where the current batch starts, counted from the first sample that was not rolled over.

        A subclass may set it: the next batch starts ``batch_size`` behind it.
        """
        return self._position - len(self._carried)

    @cursor.setter
    def cursor(self, position: int) -> None:
        self._position = position + len(self._carried)

    def reset(self) -> None:
        """Begin a new epoch: with what the last one rolled over, if it was walked to its end."""
        ended = self._position == len(self._rows)
        self._carried = self._leftover if ended else self._leftover[:0]
        self._plan_epoch()

    def hard_reset(self) -> None:
        """Begin a new epoch and forget what the last one rolled over."""
        self._carried = self._leftover[:0]
        self._plan_epoch()

    def _plan_epoch(self) -> None:
        if self.shuffle:
            # Each epoch shuffles the order of the one before by a shuffle of the last shuffle. That is what MXNet
            # does, and seeded runs visit the samples in the same order as they did there.
            np.random.shuffle(self.idx)
            self._order = self._order[self.idx]
        rows = np.concatenate([self._carried, self._order])
        if self.last_batch_handle == "pad":
            rows = np.resize(rows, math.ceil(len(rows) / self.batch_size) * self.batch_size)
        whole = len(rows) // self.batch_size * self.batch_size
        self._leftover = rows[whole:] if self.last_batch_handle == "roll_over" else rows[:0]
        self._begin_epoch(rows[:whole])

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "idx": self.idx,
            "order": self._order,
            "carried": self._carried,
            "leftover": self._leftover,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.idx, self._order = state["idx"], state["order"]
        self._carried, self._leftover = state["carried"], state["leftover"]

    def next(self) -> DataBatch:
        # Without the row numbers, which MXNet's batches do not carry either.
        if not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), None)

    def getpad(self) -> int:
        """Samples at the end of the last batch that were borrowed from the beginning ('pad'), or samples at the
        beginning of the first batch that are left from the epoch before ('roll_over')."""
        if self.last_batch_handle == "pad":
            return max(0, self.cursor + self.batch_size - self.num_data)
        return max(0, -self.cursor)


def named_arrays(arrays: Any, default_name: str) -> list[tuple[str, Any]]:
    """The forms in which ``data`` and ``label`` may be given, as a list of names and sources of rows."""
    if arrays is None:
        return []
    if isinstance(arrays, str | bytes):
        raise TypeError(f"{default_name} must be an array, a list of arrays or a dict of arrays, got {arrays!r}")
    if isinstance(arrays, Mapping):
        named = sorted(arrays.items())
    elif not isinstance(arrays, list | tuple):
        named = [(default_name, arrays)]
    elif arrays and all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in arrays):
        named = list(arrays)
    elif len(arrays) == 1:
        named = [(default_name, arrays[0])]
    else:
        named = [(f"_{i}_{default_name}", value) for i, value in enumerate(arrays)]
    return [(name, _as_source(name, value)) for name, value in named]


def is_stored(value: Any) -> bool:
    """Whether ``value`` is an ``h5py.Dataset``, of which only the rows that are wanted are read."""
    # One can only exist if someone has imported h5py.
    h5py = sys.modules.get("h5py")
    return h5py is not None and isinstance(value, h5py.Dataset)


def _as_source(name: str, value: Any) -> Any:
    if isinstance(value, NDArray) or is_stored(value):
        return value
    if hasattr(value, "tocsr"):  # a matrix of scipy.sparse
        return csr_matrix(value)
    try:
        return array(np.array(value, np.float32))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name!r} must be an NDArray, a numeric array or an h5py.Dataset, got {type(value).__name__}: {error}"
        ) from error
