"""Anything that holds data, as an iterator: what ``fit``, ``score`` and ``predict`` accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import torch

from ..ndarray import NDArray
from .data_loader import DataLoaderIter, as_array, walk
from .iterator import DataBatch, DataIter
from .ndarray_iter import NDArrayIter, is_stored

__all__ = ["as_data_iter", "is_array"]

# Samples in a batch where nobody says how many.
BATCH_SIZE = 128


def as_data_iter(
    source: Any,
    data_names: Sequence[str] = ("data",),
    label_names: Sequence[str] = ("softmax_label",),
    batch_size: int | None = None,
    shuffle: bool = False,
) -> Any:
    """An iterator over ``source``, which may be

    * an iterator already: a :class:`DataIter` or anything with ``provide_data``, which is returned as it is;
    * an array (NumPy, NDArray, torch tensor, ``h5py.Dataset``), a tuple of arrays (the data, then the labels, which
      may be missing), or a dict from names to arrays;
    * a data frame: columns named as labels are the labels; columns named as data are the data or, if there are none,
      all others together are the only data;
    * any iterable of batches, such as a torch ``DataLoader``; see :class:`DataLoaderIter`;
    * any iterable of samples, such as a torch ``Dataset`` or one of the ``datasets`` library: tuples or dicts as for
      batches. What holds a plain number is a sample; what holds only arrays is a batch.

    Parameters
    ----------
    data_names, label_names : names of what the network wants.
    batch_size : samples in a batch, where batches are made here; by default 128, or all if there are less.
    shuffle : visit arrays in a new order in each epoch, and start an epoch with what did not fill a batch in the last
        one, as for training. Without it the last batch is padded.

    Raises TypeError for anything else, ValueError if names or numbers of arrays do not fit.
    """
    if isinstance(source, DataIter) or hasattr(source, "provide_data"):
        return source
    named = _named_arrays(source, list(data_names), list(label_names))
    if named is not None:
        data, label = named
        size = min(batch_size or BATCH_SIZE, len(next(iter(data.values()))))
        # As lists of pairs: a dict would be visited in the order of its names.
        handle = "roll_over" if shuffle else "pad"
        return NDArrayIter(list(data.items()), list(label.items()), size, shuffle, handle)
    walkable = hasattr(source, "__iter__") or (hasattr(source, "__getitem__") and hasattr(source, "__len__"))
    if not walkable or isinstance(source, (str, bytes)):
        raise TypeError(
            "Data must be of type DataIter, an array (NumPy, NDArray, torch), a data frame, or an iterable of batches "
            f"or samples, not {type(source).__name__}"
        )
    return DataLoaderIter(_Batches(source, batch_size or BATCH_SIZE), data_names, label_names)


# ---- arrays --------------------------------------------------------------------------------------------------------

Arrays = dict[str, Any]


def _named_arrays(source: Any, data_names: list[str], label_names: list[str]) -> tuple[Arrays, Arrays] | None:
    """Data and labels by name, if ``source`` is made of arrays that hold all samples."""
    if hasattr(source, "columns") and hasattr(source, "to_numpy"):
        source = _columns(source, data_names, label_names)
    elif is_array(source):
        source = (source,)
    if isinstance(source, Mapping):
        missing = [name for name in data_names if name not in source]
        if missing:
            raise ValueError(f"The data has no {missing}; it has {list(source)}")
        named = dict(source)
    elif isinstance(source, (tuple, list)) and source and all(map(is_array, source)):
        if len(source) not in (len(data_names), len(data_names) + len(label_names)):
            raise ValueError(
                f"Got {len(source)} arrays, expected {data_names + label_names} in this order, or without the labels"
            )
        named = dict(zip(data_names + label_names, source))
    else:
        return None
    data, label = (
        {name: named[name] if is_stored(named[name]) else as_array(named[name]).astype("float32") for name in names}
        for names in (data_names, [name for name in label_names if name in named])
    )
    for name, x in label.items():
        # A column of labels is as good as a row of them.
        if isinstance(x, NDArray) and x.ndim == 2 and x.shape[1] == 1:
            label[name] = x.reshape(-1)
    return data, label


def is_array(value: Any) -> bool:
    """Whether ``value`` holds numbers of many samples: an array, a tensor, a column or a frame of columns."""
    return isinstance(value, (np.ndarray, NDArray, torch.Tensor)) or hasattr(value, "to_numpy") or is_stored(value)


def _columns(frame: Any, data_names: list[str], label_names: list[str]) -> Arrays:
    columns = list(frame.columns)
    labels = [name for name in label_names if name in columns]
    named = [name for name in data_names if name in columns]
    if not named and len(data_names) == 1:
        others = [name for name in columns if name not in labels]
        data = {data_names[0]: frame[others].to_numpy()}
    else:
        data = {name: frame[name].to_numpy() for name in named}
    return {name: as_array(x) for name, x in {**data, **{name: frame[name].to_numpy() for name in labels}}.items()}


# ---- samples -------------------------------------------------------------------------------------------------------


class _Batches:
    """An iterable of batches made of one of samples, if that is what it is; as often as it can be walked."""

    def __init__(self, source: Any, batch_size: int) -> None:
        self._source = source
        self._batch_size = batch_size
        self._walked = False

    def __iter__(self) -> Iterator[Any]:
        items = walk(self._source, again=self._walked)
        self._walked = True
        first = next(items, None)
        if first is None:
            return items
        items = chain([first], items)
        return self._joined(items) if _is_sample(first) else items

    def _joined(self, samples: Iterator[Any]) -> Iterator[Any]:
        while some := list(islice(samples, self._batch_size)):
            if isinstance(some[0], Mapping):
                yield {name: _stacked([sample[name] for sample in some]) for name in some[0]}
            else:
                yield tuple(map(_stacked, zip(*some, strict=True)))


def _is_sample(item: Any) -> bool:
    if isinstance(item, DataBatch):
        return False
    parts = item.values() if isinstance(item, Mapping) else item if isinstance(item, (tuple, list)) else [item]
    return any((part.ndim if isinstance(part, NDArray) else np.ndim(part)) == 0 for part in parts)


def _stacked(values: Sequence[Any]) -> Any:
    if isinstance(values[0], (torch.Tensor, NDArray)):
        return torch.stack([as_array(value).tensor for value in values])
    return np.stack([np.asarray(value) for value in values])
