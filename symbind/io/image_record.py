"""ImageRecordIter: images of a record file, decoded and augmented by several threads ahead of time."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..dtype import as_torch
from ..ndarray import NDArray
from ..recordio import IRHeader, read_image_list, unpack
from .file_iterator import warn_of_ignored
from .image_augment import ImageAugmentation
from .image_normalize import ImageNormalization, load_mean_image, save_mean_image
from .image_samples import check_image_shape, decode_record, label_of, settings_of
from .iterator import DataBatch, DataDesc
from .record_batches import RecordBatches, Sample
from .record_source import RecordSource

__all__ = [
    "ImageRecordInt8Iter", "ImageRecordIter", "ImageRecordIter_v1", "ImageRecordUInt8Iter",
    "ImageRecordUInt8Iter_v1",
]  # fmt: skip

logger = logging.getLogger(__name__)


class ImageRecordIter(RecordBatches):
    """Batches of images (batch_size, channels, height, width) and labels from a record file. Keywords only.

    Parameters
    ----------
    path_imgrec : str
        The record file, such as the command ``im2rec`` makes.
    data_shape : (1, 3 or 4, height, width)
        Grey, red-green-blue, or that and alpha, which the files must then have.
    batch_size : int
    path_imgidx : str
        The index of the file, which saves reading through it once when the order is random or only a part is wanted.
    path_imglist : str
        A list file with labels that count instead of those in the records.
    label_width : int
        Labels of each image; 1 gives labels of shape ``(batch_size,)``.
    shuffle, seed, seed_aug : bool, int, int
        A new order for each epoch. All chances follow from ``seed``, or those of augmentation from ``seed_aug``,
        whatever the number of threads.
    shuffle_chunk_size, shuffle_chunk_seed : int
        Visit the file in chunks of so many megabytes; see :class:`~symbind.io.record_source.RecordSource`.
    num_parts, part_index : int
        Cut the data into ``num_parts`` parts and visit only one of them.
    round_batch : bool
        The last batch is always filled up, and says so in ``pad``. If ``round_batch`` is set, the next epoch starts
        after the samples that were borrowed so, else at the beginning.
    preprocess_threads, prefetch_buffer : int
        How many threads decode, and how many batches are made ready ahead.
    dtype : str
        Element type of the data; what an integer type cannot hold becomes the nearest number that it can.
    verbose : bool
        Log what is read.
    mean_r, mean_g, mean_b, mean_a, std_r, std_g, std_b, std_a : float
        Mean and deviation of each channel.
    mean_img : str
        A ``.params`` file with the mean image, which is then subtracted instead. If there is none, all images are
        read once, augmented but not normalized, and their mean is written there.
    scale, max_random_contrast, max_random_illumination : float
        See :class:`~symbind.io.image_normalize.ImageNormalization`.
    aug_seq : ``'aug_default'``
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
        seed_aug: int | None = None,
        shuffle_chunk_size: int = 0,
        shuffle_chunk_seed: int = 0,
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
        mean_a: float = 0.0,
        std_r: float = 1.0,
        std_g: float = 1.0,
        std_b: float = 1.0,
        std_a: float = 1.0,
        mean_img: str | os.PathLike[str] = "",
        scale: float = 1.0,
        max_random_contrast: float = 0.0,
        max_random_illumination: float = 0.0,
        aug_seq: str = "aug_default",
        data_name: str = "data",
        label_name: str = "softmax_label",
        **augmentation: Any,
    ) -> None:
        chosen, ignored = settings_of(ImageAugmentation, augmentation)
        warn_of_ignored(self, ignored)
        if aug_seq != "aug_default":
            raise MXNetError(f"The only augmenter of {type(self).__name__} is 'aug_default', not {aug_seq!r}")
        if label_width < 1:
            raise MXNetError(f"label_width must be at least 1, got {label_width}")
        shape = check_image_shape(tuple(data_shape))
        augment = ImageAugmentation(data_shape=shape, **chosen)
        source = RecordSource(
            os.fspath(path_imgrec), os.fspath(path_imgidx), shuffle, seed, num_parts, part_index,
            shuffle_chunk_size, shuffle_chunk_seed,
        )  # fmt: skip
        super().__init__(
            source, batch_size, seed if seed_aug is None else seed_aug, round_batch, preprocess_threads, prefetch_buffer
        )
        self._augment = augment
        self._dtype = as_torch(dtype or "float32")
        self._label_width = label_width
        self._labels = read_image_list(path_imglist) if os.fspath(path_imglist) else None
        self.provide_data = [DataDesc(data_name, (batch_size, *shape), np.dtype(dtype or "float32").type)]
        label_shape = (batch_size,) if label_width == 1 else (batch_size, label_width)
        self.provide_label = [DataDesc(label_name, label_shape)]
        if verbose:
            logger.info("%s: %s, %d threads for decoding", type(self).__name__, source.path, preprocess_threads)
        self._normalize: ImageNormalization | None = ImageNormalization(
            mean=(mean_r, mean_g, mean_b, mean_a),
            std=(std_r, std_g, std_b, std_a),
            scale=scale,
            max_random_contrast=max_random_contrast,
            max_random_illumination=max_random_illumination,
            mean_image=self._mean_image(mean_img, shape) if os.fspath(mean_img) else None,
        )
        if self._dtype == torch.uint8:
            if self._normalize != ImageNormalization():
                warnings.warn(
                    "Pixels of type uint8 are not normalized: mean, std, scale, contrast and illumination have no "
                    "effect",
                    stacklevel=2,
                )
            self._normalize = None
        self.reset()

    def _mean_image(self, path: str | os.PathLike[str], shape: tuple[int, int, int]) -> torch.Tensor:
        if os.path.exists(path):
            return load_mean_image(path, shape)
        logger.info("%s: making mean image %s", type(self).__name__, os.fspath(path))
        return save_mean_image(path, shape, self._all_images())

    def _all_images(self) -> Iterator[torch.Tensor]:
        """Each image of the data once, augmented, shape (channels, height, width)."""
        samples = (Sample(*found, f"{self._seed} mean {found[0]}") for found in self._source.new_pass())
        # As many at a time as a batch has, so that they need no more memory.
        while some := list(islice(samples, self.batch_size)):
            for image in self._threads.map(self._image, some):
                yield image.permute(2, 0, 1)

    # ---- in the threads ----------------------------------------------------------------------------------------

    def new_batch(self, samples: Sequence[Sample], pad: int) -> DataBatch:
        data = NDArray(torch.empty(self.provide_data[0].shape, dtype=self._dtype))
        label = NDArray(torch.empty(self.provide_label[0].shape))
        return DataBatch([data], [label], pad, np.array([sample.number for sample in samples], np.uint64))

    def fill(self, batch: DataBatch, row: int, sample: Sample) -> None:
        assert batch.data is not None and batch.label is not None
        header, file = unpack(sample.record)
        batch.label[0].tensor[row] = torch.from_numpy(self._label(header)).squeeze()
        rng = sample.random()
        image = self._augment(decode_record(file, self._augment.data_shape[0]), rng).permute(2, 0, 1)
        place = batch.data[0].tensor[row]
        if self._normalize is None:
            place.copy_(image.round() if image.is_floating_point() else image)
        elif place.dtype == torch.float32:
            self._normalize(place.copy_(image), rng)
        else:
            pixels = image.to(torch.float32, copy=True)
            self._normalize(pixels, rng)
            if not place.dtype.is_floating_point:
                limits = torch.iinfo(place.dtype)
                pixels.clamp_(limits.min, limits.max)
            place.copy_(pixels)

    def _image(self, sample: Sample) -> torch.Tensor:
        _, file = unpack(sample.record)
        return self._augment(decode_record(file, self._augment.data_shape[0]), sample.random())

    def _label(self, header: IRHeader) -> np.ndarray:
        values = label_of(header, self._labels)
        if self._labels is not None:
            values = values[: self._label_width]
        if values.size != self._label_width:
            raise MXNetError(f"{values.size} labels, expected label_width={self._label_width}")
        return values


class ImageRecordUInt8Iter(ImageRecordIter):
    """:class:`ImageRecordIter` of pixels as they are, in one byte each: no mean, deviation or scale is applied."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "uint8"})


class ImageRecordInt8Iter(ImageRecordIter):
    """:class:`ImageRecordIter` of int8; what lies outside of -128 to 127 becomes the nearer of the two."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "int8"})


# What the iterators were before they were written anew; MXNet keeps both, and they give the same batches.
ImageRecordIter_v1 = ImageRecordIter
ImageRecordUInt8Iter_v1 = ImageRecordUInt8Iter
