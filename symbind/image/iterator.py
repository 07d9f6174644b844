"""ImageIter: images from files, a list or a record file, augmented one after the other and put into batches."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch

from ..base import MXNetError
from ..io.iterator import DataBatch, DataDesc, DataIter
from ..ndarray import NDArray
from ..recordio import MXIndexedRecordIO, MXRecordIO, read_image_list, unpack
from .augment import Augmenter, CreateAugmenter
from .functions import imdecode

__all__ = ["ImageIter"]

LABEL_TYPES = ("int32", "float32", "int64", "float64")
LAST_BATCH_HANDLES = ("pad", "discard", "roll_over")


# A label, and the image as it stands in the batch.
Sample = tuple[np.ndarray, torch.Tensor]


class LabelledFile(NamedTuple):
    """An image that waits to be decoded; ``name`` is for messages."""

    label: Any
    data: bytes
    name: str


class ImageIter(DataIter):
    """Batches of images of shape (batch_size, channels, height, width), and their labels.

    The images of a batch are decoded by as many threads as there are processors, and augmented one after the other;
    :class:`~symbind.io.PrefetchingIter` makes batches ready while others are being used.

    The images come from a record file, from image files that a list names, or from image files that ``imglist``
    names; if there are a record file and a list, the list gives the labels. What a subclass may want to change has
    methods of its own: :meth:`next_sample`, :meth:`read_image`, :meth:`imdecode`, :meth:`augmentation_transform`,
    :meth:`postprocess_data`.

    Parameters
    ----------
    batch_size : int
    data_shape : (3, height, width)
    label_width : int
        Labels of each image; 1 gives labels of shape ``(batch_size,)``.
    path_imgrec, path_imgidx : str
        A record file and its index. Without index it can only be read in order.
    path_imglist : str
        A list file; see :func:`~symbind.recordio.read_image_list`.
    path_root : str
        The folder that names in lists start from.
    shuffle : bool
        A new order for each epoch, drawn from Python's ``random``.
    num_parts, part_index : int
        Cut the data into ``num_parts`` parts and visit only one of them.
    aug_list : list of Augmenter
        What is done to each image; by default what :func:`CreateAugmenter` makes of all further keywords.
    imglist : list of (label..., path) or of (labels, path)
    last_batch_handle : ``'pad'`` (with images from the beginning), ``'discard'``, or ``'roll_over`` into the next epoch
    dtype : type that labels are read as, ``'int32'``, ``'int64'``, ``'float32'`` or ``'float64'``; batches are float32

    Raises ValueError for settings that contradict each other. An image that cannot be read or decoded is an error of
    :meth:`next` that names it.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        label_width: int = 1,
        path_imgrec: str | None = None,
        path_imglist: str | None = None,
        path_root: str | None = None,
        path_imgidx: str | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: Sequence[Augmenter] | None = None,
        imglist: Sequence[Sequence[Any]] | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: str = "float32",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(batch_size)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not (path_imgrec or path_imglist or imglist is not None):
            raise ValueError("ImageIter needs images: path_imgrec, path_imglist or imglist")
        if last_batch_handle not in LAST_BATCH_HANDLES:
            raise ValueError(f"last_batch_handle must be one of {LAST_BATCH_HANDLES}, got {last_batch_handle!r}")
        if dtype not in LABEL_TYPES:
            raise ValueError(f"dtype of labels must be one of {LABEL_TYPES}, got {dtype!r}")
        if not 0 <= part_index < num_parts:
            raise ValueError(f"part_index must lie in [0, num_parts), got {part_index} of {num_parts}")
        self.check_data_shape(data_shape)
        self.data_shape = tuple(data_shape)
        self.label_width = label_width
        self.path_root = path_root or ""
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.dtype = dtype
        self.provide_data = [DataDesc(data_name, (batch_size, *self.data_shape))]
        label_shape = (batch_size,) if label_width == 1 else (batch_size, label_width)
        self.provide_label = [DataDesc(label_name, label_shape)]
        self.auglist = CreateAugmenter(data_shape, **kwargs) if aug_list is None else list(aug_list)

        self.imglist: dict[Any, tuple[np.ndarray, str]] | None = None
        if path_imglist:
            self.imglist = read_image_list(path_imglist)
        elif imglist is not None:
            self.imglist = {
                str(i): (np.array(labels, np.float32).reshape(-1), name) for i, (*labels, name) in enumerate(imglist, 1)
            }
        self.imgrec: MXRecordIO | None = None
        self.seq: list[Any] | None = None if self.imglist is None else list(self.imglist)
        if path_imgrec and path_imgidx:
            self.imgrec = MXIndexedRecordIO(path_imgidx, path_imgrec, "r")
            self.seq = self.seq or self.imgrec.keys
        elif path_imgrec:
            if self.imglist is not None or shuffle or num_parts > 1:
                raise ValueError(
                    f"Lists, shuffle and num_parts need to find the records of {path_imgrec!r}: give path_imgidx"
                )
            self.imgrec = MXRecordIO(path_imgrec, "r")
        if self.seq is not None:
            size = len(self.seq) // num_parts
            self.seq = self.seq[part_index * size : (part_index + 1) * size] if num_parts > 1 else list(self.seq)
        self.cur = 0
        self._decoders = ThreadPoolExecutor(os.cpu_count() or 1, "image decoding")
        self._carried: list[Sample] = []
        self._ended = False
        self.hard_reset()

    def check_data_shape(self, data_shape: Sequence[int]) -> None:
        """ValueError unless ``data_shape`` is (3, height, width)."""
        if len(data_shape) != 3 or data_shape[0] != 3:
            raise ValueError(f"data_shape must be (3, height, width), got {tuple(data_shape)}")

    # ---- epochs ------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin a new epoch; samples that are rolled over come first."""
        if self.last_batch_handle != "roll_over":
            self._carried = []
        self._rewind()

    def hard_reset(self) -> None:
        """Begin a new epoch, and forget samples that should have been rolled over."""
        self._carried = []
        self._rewind()

    def _rewind(self) -> None:
        if self.shuffle and self.seq is not None:
            random.shuffle(self.seq)
        if self.imgrec is not None:
            self.imgrec.reset()
        self.cur = 0
        self._ended = False

    def next(self) -> DataBatch:
        samples, self._carried = self._carried, []
        carried = len(samples)
        samples += self._samples(self.batch_size - carried)
        pad = self.batch_size - len(samples)
        if pad and (not samples or self.last_batch_handle != "pad"):
            self._carried = samples if self.last_batch_handle == "roll_over" else []
            raise StopIteration
        if pad:
            samples += self._from_the_beginning(pad)
        data = torch.stack([image for _, image in samples])
        labels = np.stack([label for label, _ in samples]).reshape(self.provide_label[0][1])
        # For MXNet all but the samples that are left from the epoch before are padding.
        pad = self.batch_size - carried if carried else pad
        return DataBatch([NDArray(data)], [NDArray(torch.from_numpy(labels))], pad)

    def _samples(self, count: int) -> list[Sample]:
        """The next finished samples, fewer than ``count`` only if the epoch ends."""
        samples: list[Sample] = []
        while len(samples) < count and (files := list(islice(iter(self._read, None), count - len(samples)))):
            # Decoding is most of the work. It draws nothing at random, so that its order does not matter.
            images = [self._decoders.submit(self.imdecode, file.data) for file in files]
            for file, image in zip(files, images):
                try:
                    sample = self._finished(file.label, image.result())
                except MXNetError as error:
                    raise MXNetError(f"{file.name}: {error}") from error
                if sample is not None:
                    samples.append(sample)
        return samples

    def _read(self) -> LabelledFile | None:
        """The next file; None at the end of the epoch, also if asked again."""
        if self._ended:
            return None
        try:
            label, data = self.next_sample()
        except StopIteration:
            self._ended = True
            return None
        return LabelledFile(label, data, self._last_name())

    def _finished(self, label: Any, image: NDArray) -> Sample | None:
        """A label and a decoded image as they stand in the batch; None leaves them out."""
        values = np.asarray(label).astype(self.dtype).astype(np.float32).reshape(-1)
        if values.size != self.label_width:
            raise MXNetError(f"{values.size} labels, expected label_width={self.label_width}")
        return values, self._in_batch(self.augmentation_transform(image))

    def _in_batch(self, image: NDArray) -> torch.Tensor:
        image = self.postprocess_data(image)
        if image.shape != self.data_shape:
            raise MXNetError(f"shape {image.shape} after augmentation, expected {self.data_shape}")
        return image.tensor.float()

    def _from_the_beginning(self, count: int) -> list[Sample]:
        """Samples that fill the last batch up; the epoch remains at its end."""
        samples: list[Sample] = []
        while len(samples) < count:
            self._rewind()
            samples += self._samples(count - len(samples))
        self._ended = True
        return samples

    def _last_name(self) -> str:
        """What the sample that was read last is called in messages."""
        if self.imgrec is None:
            assert self.imglist is not None and self.seq is not None
            return repr(self.imglist[self.seq[self.cur - 1]][1])
        return f"Record {self.cur - 1 if self.seq is None else self.seq[self.cur - 1]} of {self.imgrec.uri!r}"

    # ---- one image, to be overridden ---------------------------------------------------------------------------

    def next_sample(self) -> tuple[Any, bytes]:
        """The label and the file of the next image; StopIteration when the epoch is over."""
        if self.seq is None:
            assert self.imgrec is not None
            record = self.imgrec.read()
            if record is None:
                raise StopIteration
            self.cur += 1
            header, data = unpack(record)
            return header.label, data
        if self.cur >= len(self.seq):
            raise StopIteration
        key = self.seq[self.cur]
        self.cur += 1
        if isinstance(self.imgrec, MXIndexedRecordIO):
            header, data = unpack(self.imgrec.read_idx(key))
            return header.label if self.imglist is None else self.imglist[key][0], data
        assert self.imglist is not None
        label, name = self.imglist[key]
        return label, self.read_image(name)

    def read_image(self, fname: str) -> bytes:
        """The content of an image file; ``path_root`` is put before the name."""
        path = os.path.join(self.path_root, fname)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise MXNetError(f"Cannot read image {path!r}: {error.strerror or error}") from error

    def imdecode(self, s: bytes) -> NDArray:
        """The image in a file's content."""
        return imdecode(s)

    def check_valid_image(self, data: Sequence[NDArray]) -> None:
        """RuntimeError unless the first of ``data`` has axes; for a ``next`` of one's own that skips what has none."""
        if not data[0].shape:
            raise RuntimeError("Data shape is wrong")

    def augmentation_transform(self, data: NDArray) -> NDArray:
        """The image after all augmenters."""
        for augmenter in self.auglist:
            data = augmenter(data)
        return data

    def postprocess_data(self, datum: NDArray) -> NDArray:
        """The image as it stands in the batch: channels first."""
        return NDArray(datum.tensor.permute(2, 0, 1).contiguous(), datum.context)
