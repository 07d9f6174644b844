"""The protocol of data iterators: what a batch is, how it is described, how one is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ndarray import NDArray

__all__ = ["DataBatch", "DataDesc", "DataIter", "WholeBatchIter"]


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """Name, shape, type and layout of one array of every batch of an iterator.

    It is a tuple ``(name, shape)``, so that plain tuples may stand wherever a description is expected.

    Parameters
    ----------
    name : str
        Name of the variable that the array feeds.
    shape : tuple of int
        Shape of a whole batch.
    dtype : NumPy type or its name
    layout : str
        One letter for each axis; ``N`` is the axis along which samples are counted.
    """

    dtype: Any
    layout: str | None

    def __new__(cls, name: str, shape: Sequence[int], dtype: Any = np.float32, layout: str | None = "NCHW") -> DataDesc:
        self = super().__new__(cls, name, shape)  # type: ignore[arg-type]
        self.dtype = dtype
        self.layout = layout
        return self

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The axis along which samples are counted: 0 without a layout, -1 if the layout has no ``N``."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(
        shapes: Iterable[tuple[str, Sequence[int]]], types: Iterable[tuple[str, Any]] | None
    ) -> list[DataDesc]:
        """Descriptions made of ``(name, shape)`` pairs and, unless None, of ``(name, dtype)`` pairs."""
        if types is None:
            return [DataDesc(name, shape) for name, shape in shapes]
        dtype_of = dict(types)
        return [DataDesc(name, shape, dtype_of[name]) for name, shape in shapes]


class DataBatch:
    """The arrays of one step.

    Parameters
    ----------
    data : list of NDArray
        One array for each entry of ``provide_data``.
    label : list of NDArray, optional
    pad : int, optional
        How many samples only fill the batch up and should not be counted.
    index : numpy.ndarray, optional
        Numbers of the samples within the data set.
    bucket_key : optional
        Which bucket of a :class:`~symbind.module.BucketingModule` the batch is meant for.
    provide_data, provide_label : list of DataDesc, optional
        Descriptions of this batch, where they differ from batch to batch.
    """

    def __init__(
        self,
        data: Sequence[NDArray] | None,
        label: Sequence[NDArray] | None = None,
        pad: int | None = None,
        index: np.ndarray | None = None,
        bucket_key: Any = None,
        provide_data: list[DataDesc] | None = None,
        provide_label: list[DataDesc] | None = None,
    ) -> None:
        for what, arrays in (("data", data), ("label", label)):
            if arrays is not None and not isinstance(arrays, list | tuple):
                raise TypeError(f"{what} of a batch must be a list of NDArrays, got {type(arrays).__name__}")
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        data_shapes, label_shapes = (
            None if arrays is None else [array.shape for array in arrays] for arrays in (self.data, self.label)
        )
        return f"{type(self).__name__}: data shapes: {data_shapes} label shapes: {label_shapes}"


class DataIter:
    """Base of all iterators.

    A subclass offers ``provide_data`` and ``provide_label`` (lists of :class:`DataDesc` or of ``(name, shape)``) and
    either overrides :meth:`next`, or :meth:`iter_next` and the getters that it is made of.

    Parameters
    ----------
    batch_size : int
        Number of samples in a batch; 0 if it is not known yet.
    """

    provide_data: list[DataDesc]
    provide_label: list[DataDesc]

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> DataIter:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def reset(self) -> None:
        """Go back to the beginning of the data."""

    def next(self) -> DataBatch:
        """The next batch; StopIteration when the epoch is over."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), self.getindex())

    def iter_next(self) -> bool:
        """Move on to the next batch; False if there is none."""
        return False

    def getdata(self) -> list[NDArray] | None:
        """Data of the current batch."""
        return None

    def getlabel(self) -> list[NDArray] | None:
        """Labels of the current batch."""
        return None

    def getindex(self) -> np.ndarray | None:
        """Numbers of the samples of the current batch, if the iterator knows them."""
        return None

    def getpad(self) -> int | None:
        """How many samples of the current batch only fill it up."""
        return None

    def state_dict(self) -> dict[str, Any] | None:
        """Where the iterator stands, as plain values and arrays; None if it cannot tell."""
        return None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where ``state``, of an iterator over the same data, says."""
        raise NotImplementedError(f"{type(self).__name__} does not tell where it stands")


class WholeBatchIter(DataIter):
    """Base of iterators whose :meth:`iter_next` makes a whole batch, :attr:`current_batch`: the getters look into it.

    It is None before the first batch.
    """

    def __init__(self, batch_size: int = 0) -> None:
        super().__init__(batch_size)
        self.current_batch: DataBatch | None = None

    def next(self) -> DataBatch:
        # The batch goes through as it is: it may carry a bucket key and descriptions of its own.
        if not self.iter_next():
            raise StopIteration
        assert self.current_batch is not None
        return self.current_batch

    def getdata(self) -> Any:
        return None if self.current_batch is None else self.current_batch.data

    def getlabel(self) -> Any:
        return None if self.current_batch is None else self.current_batch.label

    def getindex(self) -> Any:
        return None if self.current_batch is None else self.current_batch.index

    def getpad(self) -> Any:
        return None if self.current_batch is None else self.current_batch.pad
