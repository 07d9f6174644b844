"""ImageDetRecordIter: images of a record file and the boxes of the objects in them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..ndarray import NDArray
from ..pixels.boxes import boxes_of_label
from ..recordio import IRHeader, read_image_list, unpack
from .detection_augment import DetectionAugmentation
from .file_iterator import warn_of_ignored
from .image_normalize import ImageNormalization, load_mean_image
from .image_samples import check_image_shape, decode_record, label_of, settings_of
from .iterator import DataBatch, DataDesc
from .record_batches import RecordBatches, Sample
from .record_source import RecordSource

__all__ = ["ImageDetRecordIter"]

logger = logging.getLogger(__name__)

# Channels, height, width of the image and the length of its label stand before each label.
LABEL_HEADER = 4


class ImageDetRecordIter(RecordBatches):
    """Batches of images (batch_size, channels, height, width) and labels from a record file. Keywords only.

    A label is a row of 4 + ``label_pad_width`` numbers: channels, height and width of the image (which fills the
    upper left corner of its place if it is smaller), the count n of the numbers that follow and mean something, and n
    numbers as :mod:`symbind.pixels.boxes` describes them.

    Parameters
    ----------
    path_imgrec, path_imglist, data_shape, batch_size, shuffle, seed, shuffle_chunk_size, shuffle_chunk_seed, num_parts,
    part_index, round_batch, preprocess_threads, prefetch_buffer, verbose : as for :class:`~symbind.io.ImageRecordIter`
    label_width : int
        How many numbers the label of each record has; -1 if they differ.
    label_pad_width : int
        Places for the numbers of a label; by default as many as the longest label needs. It is an error if that needs
        more, for which all records are read once.
    label_pad_value : float
        What stands in places that a label does not need.
    mean_r, mean_g, mean_b, mean_a, std_r, std_g, std_b, std_a, scale : float
        By channel ``(pixel - mean) * scale / std``; a deviation of 0 is as good as 1.
    mean_img : str
        A ``.params`` file with the mean image, which is then subtracted instead.
    aug_seq : ``'det_aug_default'``
    **augmentation
        The settings of :class:`~symbind.io.detection_augment.DetectionAugmentation`.

    Raises MXNetError for settings that contradict each other, a file that cannot be read, a label that is not as it
    should be, and from :meth:`next` for a record that is damaged or holds no image; the message names the record.
    """

    def __init__(
        self,
        *,
        path_imgrec: str | os.PathLike[str],
        data_shape: tuple[int, int, int],
        batch_size: int,
        path_imglist: str | os.PathLike[str] = "",
        label_width: int = -1,
        label_pad_width: int = 0,
        label_pad_value: float = -1.0,
        shuffle: bool = False,
        seed: int = 0,
        shuffle_chunk_size: int = 0,
        shuffle_chunk_seed: int = 0,
        num_parts: int = 1,
        part_index: int = 0,
        round_batch: bool = True,
        preprocess_threads: int = 4,
        prefetch_buffer: int = 4,
        verbose: bool = True,
        mean_r: float = 0.0,
        mean_g: float = 0.0,
        mean_b: float = 0.0,
        mean_a: float = 0.0,
        std_r: float = 0.0,
        std_g: float = 0.0,
        std_b: float = 0.0,
        std_a: float = 0.0,
        mean_img: str | os.PathLike[str] = "",
        scale: float = 1.0,
        aug_seq: str = "det_aug_default",
        data_name: str = "data",
        label_name: str = "softmax_label",
        **augmentation: Any,
    ) -> None:
        chosen, ignored = settings_of(DetectionAugmentation, augmentation)
        warn_of_ignored(self, ignored)
        if aug_seq != "det_aug_default":
            raise MXNetError(f"The only augmenter of {type(self).__name__} is 'det_aug_default', not {aug_seq!r}")
        shape = check_image_shape(tuple(data_shape))
        augment = DetectionAugmentation(data_shape=shape, **chosen)
        normalize = ImageNormalization(
            mean=(mean_r, mean_g, mean_b, mean_a),
            std=(std_r or 1.0, std_g or 1.0, std_b or 1.0, std_a or 1.0),
            scale=scale,
            mean_image=load_mean_image(mean_img, shape) if os.fspath(mean_img) else None,
        )
        source = RecordSource(
            os.fspath(path_imgrec), "", shuffle, seed, num_parts, part_index, shuffle_chunk_size, shuffle_chunk_seed
        )
        super().__init__(source, batch_size, seed, round_batch, preprocess_threads, prefetch_buffer)
        self._augment, self._normalize = augment, normalize
        self._label_width, self._label_pad_value = label_width, label_pad_value
        self._labels = read_image_list(path_imglist) if os.fspath(path_imglist) else None
        longest = max(self._label_lengths())
        if 0 < label_pad_width < longest:
            raise MXNetError(f"label_pad_width: {label_pad_width} smaller than estimated width: {longest}")
        self._label_pad_width = max(label_pad_width, longest)
        self.provide_data = [DataDesc(data_name, (batch_size, *shape))]
        self.provide_label = [DataDesc(label_name, (batch_size, LABEL_HEADER + self._label_pad_width))]
        if verbose:
            logger.info(
                "%s: %s, %d threads for decoding, label padding width: %d",
                type(self).__name__, source.path, preprocess_threads, self._label_pad_width,
            )  # fmt: skip
        self.reset()

    def _label_lengths(self) -> Iterator[int]:
        if self._labels is not None:
            yield from (labels.size for labels, _ in self._labels.values())
            return
        for number, record in self._source.new_pass():
            try:
                yield self._label(unpack(record)[0]).size
            except MXNetError as error:
                raise MXNetError(f"Record {number} of {self._source.path!r}: {error}") from error

    # ---- in the threads ----------------------------------------------------------------------------------------

    def new_batch(self, samples: Sequence[Sample], pad: int) -> DataBatch:
        data = NDArray(torch.zeros(self.provide_data[0].shape))
        label = NDArray(torch.full(self.provide_label[0].shape, self._label_pad_value))
        return DataBatch([data], [label], pad, np.array([sample.number for sample in samples], np.uint64))

    def fill(self, batch: DataBatch, row: int, sample: Sample) -> None:
        assert batch.data is not None and batch.label is not None
        header, file = unpack(sample.record)
        raw = self._label(header)
        boxes = boxes_of_label(raw)
        rng = sample.random()
        image, boxes = self._augment(decode_record(file, self._augment.data_shape[0]), boxes, rng)
        height, width, channels = image.shape
        place = batch.data[0].tensor[row]
        place[:, :height, :width] = image.permute(2, 0, 1)
        self._normalize(place, rng)
        label = np.concatenate([raw[: int(raw[0])], boxes.ravel()])
        values = np.concatenate([[channels, height, width, label.size], label]).astype(np.float32)
        batch.label[0].tensor[row, : values.size] = torch.from_numpy(values)

    def _label(self, header: IRHeader) -> np.ndarray:
        values = label_of(header, self._labels)
        if self._label_width > 0 and values.size != self._label_width:
            raise MXNetError(f"{values.size}-dimensional label but label_width is set to {self._label_width}")
        return values
