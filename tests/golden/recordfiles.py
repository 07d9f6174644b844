"""Record files as MXNet writes them, and what is in them.

The functions run in both systems: MXNet's run makes the files that are kept beside this module, ours must make the
same bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from .pictures import write_image_records

__all__ = ["FOLDER", "ITERATORS", "LABELS", "PAYLOADS", "observe_iterator", "write_records"]

FOLDER = Path(__file__).parent / "recordfiles"

MAGIC = struct.pack("<I", 0xCED7230A)

# Every length modulo four, and the magic number at the beginning, the end, twice, and where it does not count.
PAYLOADS = [
    b"",
    b"a",
    b"ab",
    b"abc",
    b"abcd",
    MAGIC,
    MAGIC + MAGIC,
    b"abcd" + MAGIC + b"efg",
    b"abc" + MAGIC + b"efgh",
    b"abcdefgh" + MAGIC,
    b"abcd" + MAGIC[:3],
    MAGIC + b"ab" + MAGIC + b"cd" + MAGIC,
]

LABELS = [3.0, [1.0, 2.0, 3.0], np.float32([[4, 5]]), 7]


def write_records(mx: Any, folder: Path) -> None:
    """``plain.rec`` with the payloads; ``indexed.*`` with packed labels; ``images.*`` with pictures."""
    plain = mx.recordio.MXRecordIO(str(folder / "plain.rec"), "w")
    for payload in PAYLOADS:
        plain.write(payload)
    plain.close()
    indexed = mx.recordio.MXIndexedRecordIO(str(folder / "indexed.idx"), str(folder / "indexed.rec"), "w")
    for i, label in enumerate(LABELS):
        indexed.write_idx(10 * i, mx.recordio.pack(mx.recordio.IRHeader(5, label, i, 2 * i), b"image %d" % i))
    indexed.close()
    write_image_records(mx, folder)


# Settings of ImageRecordIter that leave nothing to chance.
ITERATORS: dict[str, dict[str, Any]] = {
    "plain": {},
    "index": {"path_imgidx": "images.idx"},
    "list": {"path_imglist": "images.lst", "label_width": 2},
    "part": {"num_parts": 2, "part_index": 1, "path_imgidx": "images.idx"},
    "larger batch": {"batch_size": 10},
    "normalized": {"mean_r": 10.0, "mean_g": 20.0, "mean_b": 30.0, "std_r": 2.0, "std_g": 3.0, "scale": 0.5},
    "mirrored": {"mirror": True},
    "grey": {"data_shape": (1, 16, 18)},
    "resized": {"resize": 20},
    "resized by size": {"resize": 20, "inter_method": 9},
    "enlarged": {"data_shape": (3, 40, 40)},
    "wide": {"data_shape": (3, 16, 50)},
    "tall": {"data_shape": (3, 50, 16)},
    "bordered": {"data_shape": (3, 40, 40), "pad": 10, "fill_value": 9},
    "square": {"max_crop_size": 12, "min_crop_size": 12},
    "rotated": {"rotate": 30},
    "scaled": {"min_random_scale": 0.8, "max_random_scale": 0.8, "fill_value": 0},
    "limited": {"max_img_size": 20},
    "stretched": {"min_aspect_ratio": 1.5, "max_aspect_ratio": 1.5},
    "uint8": {"kind": "ImageRecordUInt8Iter"},
    "int8": {"kind": "ImageRecordInt8Iter", "mean_r": 50.0},
}


def observe_iterator(mx: Any, name: str) -> list[dict[str, Any]]:
    """The batches of two epochs; of all but the first one only what tells which samples they hold."""
    settings = {"data_shape": (3, 16, 18), "batch_size": 3, "preprocess_threads": 1, "verbose": False}
    settings |= ITERATORS[name]
    for key in ("path_imgidx", "path_imglist"):
        if key in settings:
            settings[key] = str(FOLDER / settings[key])
    kind = settings.pop("kind", "ImageRecordIter")
    iterator = getattr(mx.io, kind)(path_imgrec=str(FOLDER / "images.rec"), **settings)
    batches = []
    for _ in range(2):
        for batch in iterator:
            record = {"label": batch.label[0].asnumpy(), "pad": batch.pad}
            if not batches:
                record["data"] = batch.data[0].asnumpy()
            batches.append(record)
        iterator.reset()
    return batches
