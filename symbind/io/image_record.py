"""ImageRecordIter: images of a record file, decoded and augmented by several threads ahead of time."""

from __future__ import annotations

import logging
import os
import random
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import codec
from ..base import MXNetError
from ..dtype import as_torch
from ..ndarray import NDArray
from ..recordio import IRHeader, read_image_list, read_index, read_record, record_offsets, unpack
from .csv import warn_of_ignored
from .image_augment import ImageAugmentation
from .iterator import DataBatch, DataDesc, DataIter

__all__ = ["ImageRecordInt8Iter", "ImageRecordIter", "ImageRecordUInt8Iter"]

logger = logging.getLogger(__name__)


class _Sample(NamedTuple):
    """A record that waits to be decoded."""

    number: int  # within the file, in the order of reading it or its index
    record: bytes
    chance: str  # what the generator of its augmentation is seeded with


class ImageRecordIter(DataIter):
    """Batches of images (batch_size, channels, height, width) and labels from a record file. Keywords only.

    Parameters
    ----------
    path_imgrec : str
        The record file, such as the command ``im2rec`` makes.
    data_shape : (1 or 3, height, width)
    batch_size : int
    path_imgidx : str
        The index of the file, which saves reading through it once when the order is random or only a part is wanted.
    path_imglist : str
        A list file with labels that count instead of those in the records.
    label_width : int
        Labels of each image; 1 gives labels of shape ``(batch_size,)``.
    shuffle, seed : bool, int
        A new order for each epoch. All chances, those of the augmentation too, follow from ``seed`` alone, whatever
        the number of threads.
    num_parts, part_index : int
        Cut the data into ``num_parts`` parts and visit only one of them.
    round_batch : bool
        The last batch is always filled up, and says so in ``pad``. If ``round_batch`` is set, the next epoch starts
        after the samples that were borrowed so, else at the beginning.
    preprocess_threads, prefetch_buffer : int
        How many threads decode, and how many batches are made ready ahead.
    dtype : str
        Element type of the data.
    verbose : bool
        Log what is read.
    mean_r, mean_g, mean_b, std_r, std_g, std_b : float
        Mean and deviation of each channel.
    **augmentation
        The settings of :class:`~symbind.io.image_augment.ImageAugmentation`.

    Raises MXNetError for settings that contradict each other, a file that cannot be read, and from :meth:`next` for a
    record that is damaged, holds no image or another number of labels; the message names the record.
    """

    def __init__(
        self,
        *,
        path_imgrec: str | os.PathLike[str],
        data_shape: tuple[int, int, int],
        batch_size: int,
        path_imgidx: str | os.PathLike[str] = "",
        path_imglist: str | os.PathLike[str] = "",
        label_width: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        num_parts: int = 1,
        part_index: int = 0,
        round_batch: bool = True,
        preprocess_threads: int = 4,
        prefetch_buffer: int = 4,
        dtype: str | None = None,
        verbose: bool = True,
        mean_r: float = 0.0,
        mean_g: float = 0.0,
        mean_b: float = 0.0,
        std_r: float = 1.0,
        std_g: float = 1.0,
        std_b: float = 1.0,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **augmentation: Any,
    ) -> None:
        super().__init__(batch_size)
        settings = ImageAugmentation.__dataclass_fields__.keys() - {"data_shape", "mean", "std"}
        warn_of_ignored(self, {key: value for key, value in augmentation.items() if key not in settings})
        if min(batch_size, preprocess_threads, prefetch_buffer, label_width) < 1:
            raise MXNetError("batch_size, preprocess_threads, prefetch_buffer and label_width must be at least 1")
        if not 0 <= part_index < num_parts:
            raise MXNetError(f"part_index must lie in [0, num_parts), got {part_index} of {num_parts}")
        name = str(np.dtype(dtype or "float32"))
        chosen = {key: value for key, value in augmentation.items() if key in settings}
        if name != "uint8":
            chosen |= {"mean": (mean_r, mean_g, mean_b), "std": (std_r, std_g, std_b)}
        elif any((mean_r, mean_g, mean_b)) or (std_r, std_g, std_b, chosen.pop("scale", 1.0)) != (1.0,) * 4:
            warnings.warn("Pixels of type uint8 are not normalized: mean, std and scale have no effect", stacklevel=2)
        self._augment = ImageAugmentation(data_shape=tuple(data_shape), **chosen)  # type: ignore[arg-type]
        self.provide_data = [DataDesc(data_name, (batch_size, *data_shape), np.dtype(name).type)]
        label_shape = (batch_size,) if label_width == 1 else (batch_size, label_width)
        self.provide_label = [DataDesc(label_name, label_shape)]
        self._dtype = as_torch(name)
        self._label_width = label_width
        self._path = os.fspath(path_imgrec)
        self._seed = seed
        self._round_batch = round_batch
        self._labels = read_image_list(path_imglist) if os.fspath(path_imglist) else None
        self._records = _Records(self._path, os.fspath(path_imgidx), shuffle, seed, num_parts, part_index)
        self._pass = self._records.new_pass()
        self._epoch = 0
        self._taken = 0  # samples of this epoch that were given to the threads
        self._all_taken = False
        self._prefetch = prefetch_buffer
        self._promised: deque[Future[DataBatch]] = deque()
        self._threads = _start_threads(preprocess_threads)
        if verbose:
            logger.info("%s: %s, %d threads for decoding", type(self).__name__, self._path, preprocess_threads)
        self._read_ahead()

    # ---- epochs ------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin a new epoch; see ``round_batch`` for where. What was made ready of the old one is dropped."""
        at_the_end = self._all_taken and not self._promised
        for promise in self._promised:
            promise.cancel()
        self._promised.clear()
        if not (at_the_end and self._round_batch):
            self._pass = self._records.new_pass()
        self._epoch += 1
        self._taken = 0
        self._all_taken = False
        self._read_ahead()

    def next(self) -> DataBatch:
        if not self._promised:
            raise StopIteration
        # A batch that failed stays where it is, so that asking again fails again.
        batch = self._promised[0].result()
        self._promised.popleft()
        self._read_ahead()
        return batch

    def _read_ahead(self) -> None:
        """Keep the threads supplied; only the consumer's thread touches the file."""
        while len(self._promised) < self._prefetch and not self._all_taken:
            try:
                samples, pad = self._take()
            except (MXNetError, OSError) as error:
                # It is the consumer's turn when all batches before have been taken.
                failed: Future[DataBatch] = Future()
                failed.set_exception(error)
                self._promised.append(failed)
                self._all_taken = True
                return
            if samples:
                self._promised.append(self._threads.submit(self._batch, samples, pad))

    def _take(self) -> tuple[list[_Sample], int]:
        """The samples of the next batch, and how many of them only fill it up; none if the epoch is over."""
        samples: list[_Sample] = []
        pad = 0
        while len(samples) < self.batch_size:
            found = next(self._pass, None)
            if found is not None:
                chance = f"{self._seed} {self._epoch} {self._taken}"
                samples.append(_Sample(*found, chance))
                self._taken += 1
                pad += self._all_taken
                continue
            self._all_taken = True
            self._pass = self._records.new_pass()
            if not samples:
                break
        return samples, pad

    # ---- in the threads ----------------------------------------------------------------------------------------

    def _batch(self, samples: list[_Sample], pad: int) -> DataBatch:
        data = torch.empty(self.provide_data[0].shape, dtype=self._dtype)
        labels = np.empty((self.batch_size, self._label_width), np.float32)
        for i, sample in enumerate(samples):
            try:
                header, file = unpack(sample.record)
                labels[i] = self._label(header)
                pixels = codec.decode(file, codec.GRAY if data.shape[1] == 1 else codec.COLOR)
                # Its own generator, so that it does not matter which thread comes first.
                image = self._augment(pixels, random.Random(sample.chance))
            except MXNetError as error:
                raise MXNetError(f"Record {sample.number} of {self._path!r}: {error}") from error
            self._store(image, data[i])
        index = np.array([sample.number for sample in samples], np.uint64)
        label = NDArray(torch.from_numpy(labels.reshape(self.provide_label[0].shape)))
        return DataBatch([NDArray(data)], [label], pad, index)

    def _store(self, image: torch.Tensor, place: torch.Tensor) -> None:
        """Into the batch; what an integer type cannot hold becomes the nearest number that it can."""
        if not place.dtype.is_floating_point and image.dtype != place.dtype:
            limits = torch.iinfo(place.dtype)
            image = image.float().clamp(limits.min, limits.max)
        place.copy_(image)

    def _label(self, header: IRHeader) -> np.ndarray:
        if self._labels is not None:
            if header.id not in self._labels:
                raise MXNetError(f"the list has no image {header.id}")
            values = self._labels[header.id][0][: self._label_width]
        else:
            values = np.asarray(header.label, np.float32).reshape(-1)
        if values.size != self._label_width:
            raise MXNetError(f"{values.size} labels, expected label_width={self._label_width}")
        return values


class _Records:
    """The records of a file, or of a part of it, in order or shuffled; as often as wanted."""

    def __init__(
        self, path: str, index_path: str, shuffle: bool, seed: int, num_parts: int, part_index: int
    ) -> None:
        self._path = path
        self._shuffle = shuffle
        self._seed = seed
        self._passes = 0
        self._offsets: list[int] | None = None
        self._first = 0
        try:
            self._size = os.path.getsize(path)
            if index_path:
                self._offsets = list(read_index(index_path, str).values())
            elif shuffle or num_parts > 1:
                self._offsets = record_offsets(path)
        except OSError as error:
            raise MXNetError(f"Cannot read {error.filename!r}: {error.strerror}") from error
        if self._offsets is not None:
            part_size = -(-len(self._offsets) // num_parts)
            self._first = part_index * part_size
            self._offsets = self._offsets[self._first : self._first + part_size]
        if not self._size or self._offsets == []:
            raise MXNetError(f"{path!r} holds no records" + (f" for part {part_index}" if num_parts > 1 else ""))

    def new_pass(self) -> Iterator[tuple[int, bytes]]:
        """Number and content of each record; each time a new order if it is random."""
        self._passes += 1
        return self._in_file_order() if self._offsets is None else self._by_offset(self._offsets, self._passes)

    def _in_file_order(self) -> Iterator[tuple[int, bytes]]:
        with open(self._path, "rb") as file:
            yield from enumerate(iter(lambda: read_record(file, self._size), None))

    def _by_offset(self, offsets: list[int], number: int) -> Iterator[tuple[int, bytes]]:
        order = np.arange(len(offsets))
        if self._shuffle:
            order = np.random.default_rng([self._seed % 2**64, number]).permutation(order)
        with open(self._path, "rb") as file:
            for position in order.tolist():
                if not 0 <= offsets[position] < self._size:
                    raise MXNetError(
                        f"The index places record {self._first + position} at byte {offsets[position]} of "
                        f"{self._path!r}, which has {self._size}"
                    )
                file.seek(offsets[position])
                record = read_record(file, self._size)
                assert record is not None  # the offset lies before the end
                yield self._first + position, record


def _start_threads(count: int) -> ThreadPoolExecutor:
    """Threads in each of which torch works alone: several images at once are better than several threads an image.

    torch keeps that number for each thread, but new threads take the one that was set last anywhere; therefore all
    threads are started now, and the number is set again for whoever comes later.
    """
    before = torch.get_num_threads()
    all_started = threading.Barrier(count)

    def start() -> None:
        torch.set_num_threads(1)
        all_started.wait()

    threads = ThreadPoolExecutor(count, "image records")
    for started in [threads.submit(start) for _ in range(count)]:
        started.result()
    torch.set_num_threads(before)
    return threads


class ImageRecordUInt8Iter(ImageRecordIter):
    """:class:`ImageRecordIter` of pixels as they are, in one byte each: no mean, deviation or scale is applied."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "uint8"})


class ImageRecordInt8Iter(ImageRecordIter):
    """:class:`ImageRecordIter` of int8; what lies outside of -128 to 127 becomes the nearer of the two."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "int8"})
