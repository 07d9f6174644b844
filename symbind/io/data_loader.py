"""DataLoaderIter: whatever yields batches, such as torch's DataLoader, as an iterator of ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..dtype import as_torch
from ..ndarray import NDArray
from .iterator import DataBatch, DataDesc, WholeBatchIter

__all__ = ["DataLoaderIter", "as_array", "walk"]


class DataLoaderIter(WholeBatchIter):
    """Batches of any iterable.

    Parameters
    ----------
    loader : iterable
        Each pass over it is an epoch; ``torch.utils.data.DataLoader`` for one. What it yields is a :class:`DataBatch`,
        a mapping from names to arrays, a sequence of the data followed by the labels (which may be missing), or a
        single array. Arrays are NDArrays, torch tensors, or anything that ``numpy.asarray`` makes an array of.
    data_name, label_name : str or sequence of str
        Names of the data and of the labels.
    dtype : str, optional
        Type that all arrays are brought to; None keeps what they have.

    Shapes are those of the first batch, which is read at once and comes first all the same. A batch with fewer samples
    is filled up with the first ones of all and says so in ``pad``; one with more of them, or of another shape, is
    handed on with a description of its own. An object that can be walked only once, such as a generator, gives one
    epoch.

    Raises ValueError if the loader is empty or a batch has not the names or the number of arrays that are expected,
    TypeError for what is no array, and MXNetError for a second epoch where there is none.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        data_name: str | Sequence[str] = "data",
        label_name: str | Sequence[str] = "softmax_label",
        dtype: str | None = "float32",
    ) -> None:
        super().__init__()
        self._loader = loader
        self._data_names = [data_name] if isinstance(data_name, str) else list(data_name)
        self._label_names = [label_name] if isinstance(label_name, str) else list(label_name)
        self._dtype = None if dtype is None else as_torch(dtype)
        items = walk(loader)
        first = next(items, None)
        if first is None:
            raise ValueError(f"The {type(loader).__name__} is empty: its first batch tells the shapes")
        self._items: Iterator[Any] | None = chain([first], items)
        self._untouched = True
        data, label = self._arrays(first)
        self.provide_data = _descriptions(self._data_names, data)
        self.provide_label = _descriptions(self._label_names, label)
        self.batch_size = self.provide_data[0].shape[0]
        # Copies: what fills up a short batch must not depend on what the loader does with its arrays.
        self._first = [x.clone() for x in data], [x.clone() for x in label]

    def reset(self) -> None:
        # Begun only when it is asked for: a loader may start processes.
        if not self._untouched:
            self._items = None

    def iter_next(self) -> bool:
        if self._items is None:
            self._items = walk(self._loader, again=True)
        self._untouched = False
        item = next(self._items, None)
        self.current_batch = None if item is None else self._made(item)
        return self.current_batch is not None

    # ---- one batch ---------------------------------------------------------------------------------------------

    def _made(self, item: Any) -> DataBatch:
        if isinstance(item, DataBatch):
            return item
        data, label = self._arrays(item)
        similar = all(x.shape[1:] == first.shape[1:] for x, first in zip(data + label, chain(*self._first)))
        pad = max(0, self.batch_size - data[0].shape[0]) if similar else 0
        if pad:
            data, label = (
                [torch.cat([x, more[:pad]]) for x, more in zip(part, first)]
                for part, first in zip((data, label), self._first)
            )
        batch = DataBatch([NDArray(x) for x in data], [NDArray(x) for x in label], pad)
        if any(x.shape != desc.shape for x, desc in zip(data + label, self.provide_data + self.provide_label)):
            batch.provide_data = _descriptions(self._data_names, data)
            batch.provide_label = _descriptions(self._label_names, label)
        return batch

    def _arrays(self, item: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Data and labels of what the loader has yielded."""
        if isinstance(item, DataBatch):
            return [self._tensor(x) for x in item.data or ()], [self._tensor(x) for x in item.label or ()]
        wanted = self._data_names + self._label_names
        if isinstance(item, Mapping):
            missing = [name for name in self._data_names if name not in item]
            if missing:
                raise ValueError(f"The batch has no {missing}; it has {list(item)}")
            data = [item[name] for name in self._data_names]
            label = [item[name] for name in self._label_names if name in item]
        else:
            given = list(item) if isinstance(item, (tuple, list)) else [item]
            # Pairs of lists are how loaders group several data and several labels.
            given = [x for part in given for x in (part if _is_group(part) else [part])]
            if len(given) not in (len(self._data_names), len(wanted)):
                raise ValueError(f"The batch has {len(given)} arrays, expected {wanted} or without the labels")
            data, label = given[: len(self._data_names)], given[len(self._data_names) :]
        return [self._tensor(x) for x in data], [self._tensor(x) for x in label]

    def _tensor(self, value: Any) -> torch.Tensor:
        tensor = as_array(value).tensor
        if tensor.dim() == 0:
            raise ValueError("The batch holds a single number where an array with an axis of samples is expected")
        return (tensor if self._dtype is None else tensor.to(self._dtype)).contiguous()


def walk(source: Any, again: bool = False) -> Iterator[Any]:
    """Begin an epoch; MXNetError if it is not the first one and ``source`` has no other."""
    if not hasattr(source, "__iter__"):
        # Torch's data sets: numbered samples, and not all of them say where they end.
        return map(source.__getitem__, range(len(source)))
    items = iter(source)
    if again and items is source:
        raise MXNetError(
            f"A {type(source).__name__} can be walked only once; give a list, a DataLoader, or another iterable that "
            "starts again"
        )
    return items


def as_array(value: Any) -> NDArray:
    """An NDArray of an NDArray, a torch tensor, or anything NumPy takes, without a copy if that can be.

    TypeError for all else.
    """
    if isinstance(value, NDArray):
        return value
    if isinstance(value, torch.Tensor):
        return NDArray(value.detach().contiguous())
    try:
        array = np.asarray(value)
        usable = array.flags.writeable and array.flags.c_contiguous
        return NDArray(torch.from_numpy(array if usable else array.copy()))
    except (TypeError, ValueError) as error:
        raise TypeError(f"Expected an array of numbers, got {type(value).__name__}: {error}") from error


def _is_group(part: Any) -> bool:
    return isinstance(part, (tuple, list)) and len(part) > 0 and all(hasattr(x, "shape") for x in part)


def _descriptions(names: Sequence[str], arrays: Sequence[torch.Tensor]) -> list[DataDesc]:
    return [DataDesc(name, tuple(x.shape), NDArray(x).dtype) for name, x in zip(names, arrays)]
