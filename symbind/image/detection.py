"""ImageDetIter: images with the boxes of the objects in them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..base import MXNetError
from ..io.iterator import DataDesc
from ..ndarray import NDArray
from ..pixels.boxes import CORNERS, boxes_of_label
from ..pixels.colors import IMAGENET_MEAN, IMAGENET_STD
from .detection_augment import CreateDetAugmenter, DetAugmenter, Labelled
from .iterator import ImageIter, Sample

__all__ = ["ImageDetIter"]

logger = logging.getLogger(__name__)

# What fills the rows of a label up when an image has fewer objects than another.
NO_OBJECT = -1.0


class ImageDetIter(ImageIter):
    """Batches of images (batch_size, channels, height, width) and boxes (batch_size, objects, numbers of each).

    ``objects`` is the largest number of objects of an image, for which all labels are read once at the beginning;
    rows of -1 fill the others up. An image in which augmentation has left no object is skipped. Parameters are those
    of :class:`~symbind.image.ImageIter`, but augmenters change boxes, too: by default they are what
    :func:`~symbind.image.CreateDetAugmenter` makes of all further keywords.

    MXNetError if a label is not as :mod:`symbind.pixels.boxes` describes it, or objects have more numbers in one image
    than in another.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        path_imgrec: str | None = None,
        path_imglist: str | None = None,
        path_root: str | None = None,
        path_imgidx: str | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: Sequence[DetAugmenter] | None = None,
        imglist: Sequence[Sequence[Any]] | None = None,
        data_name: str = "data",
        label_name: str = "label",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            batch_size,
            data_shape,
            path_imgrec=path_imgrec,
            path_imglist=path_imglist,
            path_root=path_root,
            path_imgidx=path_imgidx,
            shuffle=shuffle,
            part_index=part_index,
            num_parts=num_parts,
            aug_list=[],
            imglist=imglist,
            data_name=data_name,
            label_name=label_name,
            last_batch_handle=last_batch_handle,
        )
        self._augmentation = kwargs if aug_list is None else None
        self.auglist: list[Any] = CreateDetAugmenter(data_shape, **kwargs) if aug_list is None else list(aug_list)
        self.label_shape = self._largest_label()
        self.provide_label = [DataDesc(label_name, (batch_size, *self.label_shape))]

    def _largest_label(self) -> tuple[int, int]:
        self.reset()
        most, width = 0, 0
        while (file := self._read()) is not None:
            try:
                boxes = boxes_of_label(file.label)
                width = width or boxes.shape[1]
                if boxes.shape[1] != width:
                    raise MXNetError(f"{boxes.shape[1]} numbers for each object, but {width} in the first image")
            except MXNetError as error:
                raise MXNetError(f"{file.name}: {error}") from None
            most = max(most, len(boxes))
        self.reset()
        if not most:
            raise MXNetError("ImageDetIter has no images")
        return most, width

    # ---- samples -----------------------------------------------------------------------------------------------

    def _finished(self, label: Any, image: NDArray) -> Sample | None:
        image, boxes = self.augmentation_transform(image, boxes_of_label(label))
        if not self._is_valid(boxes):
            logger.debug("An image is skipped: augmentation has left no object in it")
            return None
        return self._filled_up(boxes), self._in_batch(image)

    def _is_valid(self, boxes: np.ndarray) -> bool:
        if boxes.ndim != 2 or boxes.shape[1] < 5:
            raise MXNetError(f"Label with shape (1+, 5+) required, {boxes.shape} received.")
        left, top, right, bottom = boxes[:, CORNERS].T
        return bool(((boxes[:, 0] >= 0) & (right > left) & (bottom > top)).any())

    def _filled_up(self, boxes: np.ndarray) -> np.ndarray:
        count, width = self.label_shape
        if len(boxes) > count or boxes.shape[1] != width:
            raise MXNetError(f"labels of shape {boxes.shape} after augmentation, expected {self.label_shape}")
        label = np.full((count, width), NO_OBJECT, np.float32)
        label[: len(boxes)] = boxes
        return label

    def augmentation_transform(self, data: NDArray, label: np.ndarray) -> Labelled:  # type: ignore[override]
        """The image and its boxes after all augmenters."""
        for augmenter in self.auglist:
            data, label = augmenter(data, label)
        return data, label

    # ---- shapes ------------------------------------------------------------------------------------------------

    def reshape(
        self, data_shape: tuple[int, int, int] | None = None, label_shape: tuple[int, int] | None = None
    ) -> None:
        """Go on with images of another shape, or more rows for objects; see :meth:`check_label_shape`.

        Augmenters that were made here are made again for the new shape; those that were given must already make it.
        """
        if data_shape is not None:
            self.check_data_shape(data_shape)
        if label_shape is not None:
            self.check_label_shape(label_shape)
        if data_shape is not None:
            self.data_shape = tuple(data_shape)
            self.provide_data = [DataDesc(self.provide_data[0].name, (self.batch_size, *data_shape))]
            if self._augmentation is not None:
                self.auglist = CreateDetAugmenter(data_shape, **self._augmentation)
        if label_shape is not None:
            self.label_shape = label_shape
            self.provide_label = [DataDesc(self.provide_label[0].name, (self.batch_size, *label_shape))]

    def check_label_shape(self, label_shape: Sequence[int]) -> None:
        """ValueError unless ``label_shape`` has as many rows as now or more, and the numbers of each object."""
        if len(label_shape) != 2:
            raise ValueError(f"label_shape should have length 2, got {label_shape}")
        count, width = self.label_shape
        if label_shape[0] < count:
            raise ValueError(f"Attempts to reduce label count from {count} to {label_shape[0]}, not allowed.")
        if label_shape[1] != width:
            raise ValueError(f"label_shape object width inconsistent: {width} vs {label_shape[1]}.")

    def sync_label_shape(self, it: ImageDetIter, verbose: bool = False) -> ImageDetIter:
        """Give this iterator and ``it`` the larger of their numbers of objects; returns ``it``.

        TypeError if ``it`` is none of its kind, ValueError if objects have another number of numbers there.
        """
        if not isinstance(it, ImageDetIter):
            raise TypeError(f"Synchronize with invalid iterator: expected an ImageDetIter, got {type(it).__name__}")
        if it.label_shape[1] != self.label_shape[1]:
            raise ValueError(f"object width mismatch: {self.label_shape[1]} here and {it.label_shape[1]} there")
        shape = max(self.label_shape, it.label_shape)
        changed = self.label_shape != it.label_shape
        self.reshape(label_shape=shape)
        it.reshape(label_shape=shape)
        if verbose and changed:
            logger.info("Resized label_shape to (%d, %d).", *shape)
        return it

    # ---- to look at --------------------------------------------------------------------------------------------

    def draw_next(
        self,
        color: tuple[int, int, int] | None = None,
        thickness: int = 2,
        mean: Any = None,
        std: Any = None,
        clip: bool = True,
        waitKey: int | None = None,
        window_name: str = "draw_next",
        id2labels: Mapping[int, str] | None = None,
    ) -> Iterator[np.ndarray]:
        """Each image of the rest of the epoch with its boxes drawn into it, uint8, channels blue, green, red.

        Parameters
        ----------
        color : red, green, blue of the boxes; by default another one for each box.
        thickness : width of the lines in pixels
        mean, std : what normalization has taken from the image, to be given back; True for ImageNet's.
        clip : cut colours at 0 and 255 instead of letting them wrap around.
        waitKey : show the images in an OpenCV window, each for so many milliseconds, 0 until a key is pressed.
        window_name : title of that window
        id2labels : names of classes, written beside the boxes.

        Drawing needs Pillow, the window OpenCV.
        """
        mean, std = (np.array(usual) if x is True else x for x, usual in ((mean, IMAGENET_MEAN), (std, IMAGENET_STD)))
        while (file := self._read()) is not None:
            image, boxes = self.augmentation_transform(self.imdecode(file.data), boxes_of_label(file.label))
            pixels = image.asnumpy().astype(np.float32)
            pixels = pixels * (1 if std is None else std) + (0 if mean is None else mean)
            if clip:
                pixels = pixels.clip(0, 255)
            drawn = _with_boxes(pixels.astype(np.uint8), boxes, color, thickness, id2labels or {})
            if waitKey is not None:
                import cv2

                cv2.imshow(window_name, drawn)
                cv2.waitKey(waitKey)
            yield drawn


def _with_boxes(
    pixels: np.ndarray,
    boxes: np.ndarray,
    color: tuple[int, int, int] | None,
    thickness: int,
    names: Mapping[int, str],
) -> np.ndarray:
    from PIL import Image, ImageDraw

    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    height, width = pixels.shape[:2]
    for number, *corners in boxes[:, : CORNERS.stop].tolist():
        left, top, right, bottom = (int(share * size) for share, size in zip(corners, (width, height) * 2))
        if left < 0:
            continue
        ink = color or tuple(np.random.randint(0, 256, 3).tolist())
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=tuple(ink), width=thickness)
        if int(number) in names:
            draw.text((left + 5, top + 5), names[int(number)], fill=(255, 255, 255))
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
