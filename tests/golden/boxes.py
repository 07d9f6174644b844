"""What is done to images with boxes, as functions that run in both systems: each returns arrays, whatever ``mx`` is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .pictures import picture, png

__all__ = ["CASES", "DUMPS", "ITERATORS", "observe_batches", "write_boxes"]

BOXES = np.float32([[1, 0.1, 0.2, 0.5, 0.6, 7], [0, 0.4, 0.1, 0.9, 0.95, 8], [2, 0.3, 0.3, 0.7, 0.8, 9]])

# Raw labels: header, objects; the third has a longer header, the fourth an object of no area.
LABELS = [
    [2, 5, 0, 0.1, 0.2, 0.5, 0.6],
    [2, 5, 1, 0, 0.1, 0.4, 0.9, 2, 0.3, 0.3, 0.7, 0.8],
    [4, 5, 9, 9, 1, 0.1, 0.1, 0.9, 0.9],
    [2, 5, 3, 0.2, 0.2, 0.6, 0.5, 1, 0.5, 0.5, 0.4, 0.4],
    [2, 5, 1, 0.2, 0.2, 0.3, 0.4],
]


def _through(make: Callable[[Any], Any], times: int = 6) -> Callable[[Any], Any]:
    """The images and boxes that augmenters make of the same picture, one try after the other."""

    def case(mx: Any) -> Any:
        augmenters = make(mx)
        results = []
        for _ in range(times):
            image, boxes = mx.nd.array(picture(), dtype="uint8"), BOXES.copy()
            for augmenter in augmenters if isinstance(augmenters, list) else [augmenters]:
                image, boxes = augmenter(image, boxes)
            results.append([image, boxes])
        return results

    return case


CASES: dict[str, Callable[[Any], Any]] = {
    "flip": _through(lambda mx: mx.image.DetHorizontalFlipAug(0.5)),
    "borrow": _through(lambda mx: mx.image.DetBorrowAug(mx.image.ForceResizeAug((20, 25), 0)), 1),
    "crop": _through(lambda mx: mx.image.DetRandomCropAug()),
    "crop of all": _through(lambda mx: mx.image.DetRandomCropAug(0.9, (0.5, 2.0), (0.1, 0.9), 0.9)),
    "crop of one ratio": _through(lambda mx: mx.image.DetRandomCropAug(0.3, 1.0, (0.3, 0.6), 0.5)),
    "crop of the impossible": _through(lambda mx: mx.image.DetRandomCropAug(0.999, (1.0, 1.1), (0.01, 0.02)), 2),
    "crop of one size": _through(lambda mx: mx.image.DetRandomCropAug(0.1, (0.5, 2.0), 0.5)),
    "pad": _through(lambda mx: mx.image.DetRandomPadAug()),
    "pad of a colour": _through(lambda mx: mx.image.DetRandomPadAug((1.0, 1.5), (1.5, 2.5), 3, (1, 2, 3))),
    "pad too narrow": _through(lambda mx: mx.image.DetRandomPadAug(1.5, (1.0, 1.05), 3), 2),
    "select": _through(
        lambda mx: mx.image.DetRandomSelectAug(
            [mx.image.DetHorizontalFlipAug(1), mx.image.DetRandomPadAug((1.0, 1.5), (1.5, 2.5))], 0.3
        )
    ),
    "several crops": _through(
        lambda mx: mx.image.CreateMultiRandCropAugmenter(
            [0.1, 0.5, 0.9], (0.75, 1.33), [(0.1, 1.0), (0.2, 1.0), (0.3, 0.9)], 0.3, 50, 0.2
        )
    ),
    "all": _through(
        lambda mx: mx.image.CreateDetAugmenter(
            (3, 20, 24), resize=30, rand_crop=0.7, rand_pad=0.6, rand_gray=0.2, rand_mirror=True, mean=True, std=True,
            brightness=0.1, contrast=0.2, saturation=0.1, hue=0.2, pca_noise=0.1, inter_method=0,
            min_object_covered=[0.1, 0.5], area_range=(0.2, 3.0),
        )
    ),
    "none": _through(lambda mx: mx.image.CreateDetAugmenter((3, 20, 24)), 1),
}  # fmt: skip


def write_boxes(mx: Any, folder: Path) -> None:
    """``boxes.rec`` and ``boxes.idx``: five pictures with the labels above."""
    file = mx.recordio.MXIndexedRecordIO(str(folder / "boxes.idx"), str(folder / "boxes.rec"), "w")
    for i, label in enumerate(LABELS):
        data = png(picture(i, (24 + i, 32 - i, 3)))
        file.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, label, i, 0), data))
    file.close()


# Settings of ImageDetIter and, where a name begins with "record", of ImageDetRecordIter.
ITERATORS: dict[str, dict[str, Any]] = {
    "pad": {},
    "discard": {"last_batch_handle": "discard"},
    "roll_over": {"last_batch_handle": "roll_over"},
    "record": {},
    "record wider": {"label_pad_width": 20, "label_pad_value": 9.0},
    "record no rounding": {"round_batch": False},
    "record fit": {"resize_mode": "fit"},
    "record fit larger": {"resize_mode": "fit", "data_shape": (3, 40, 40), "mean_r": 10.0, "std_r": 2.0},
    "record shrink": {"resize_mode": "shrink"},
    "record shrink larger": {"resize_mode": "shrink", "data_shape": (3, 40, 40)},
    "record short": {"resize": 22, "data_shape": (3, 22, 22), "resize_mode": "shrink"},
    "record mirrored": {"rand_mirror_prob": 1.0},
    "record normalized": {"mean_r": 5.0, "mean_g": 6.0, "std_r": 2.0, "std_b": 4.0, "scale": 0.5},
    "record grey": {"data_shape": (1, 20, 24)},
}


def observe_batches(mx: Any, name: str) -> list[dict[str, Any]]:
    """The batches of two epochs; of all but the first one only what tells which samples they hold."""
    settings = {"data_shape": (3, 20, 24), "batch_size": 2, **ITERATORS[name]}
    with tempfile.TemporaryDirectory() as folder:
        write_boxes(mx, Path(folder))
        path = str(Path(folder) / "boxes.rec")
        if name.startswith("record"):
            iterator = mx.io.ImageDetRecordIter(path_imgrec=path, preprocess_threads=1, verbose=False, **settings)
        else:
            iterator = mx.image.ImageDetIter(path_imgrec=path, inter_method=1, **settings)
        described = [(d[0], list(d[1])) for d in (*iterator.provide_data, *iterator.provide_label)]
        batches: list[dict[str, Any]] = [{"described": described}]
        for epoch in range(2):
            for batch in iterator:
                record = {"label": batch.label[0].asnumpy(), "pad": batch.pad}
                if epoch == 0:
                    record["data"] = batch.data[0].asnumpy()
                batches.append(record)
            iterator.reset()
    return batches


def _dumped(make: Callable[[Any], Any]) -> Callable[[Any], str]:
    return lambda mx: json.dumps([augmenter.dumps() for augmenter in make(mx)])


DUMPS: dict[str, Callable[[Any], str]] = {
    "none": _dumped(lambda mx: mx.image.CreateDetAugmenter((3, 20, 24))),
    "all": _dumped(
        lambda mx: mx.image.CreateDetAugmenter(
            (3, 20, 24), resize=30, rand_crop=0.7, rand_pad=0.6, rand_gray=0.2, rand_mirror=True, std=True,
            brightness=0.1, hue=0.2, pca_noise=0.1, min_object_covered=[0.1, 0.5],
        )
    ),
}  # fmt: skip
