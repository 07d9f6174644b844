"""Images per second of ImageRecordIter and ImageIter against torch's DataLoader doing the same work.

All read JPEG images from the same record file, resize the shorter side, cut at random, mirror at random, normalize, and
put float32 batches together, with the same number of workers (threads here, processes there; ImageIter decodes with as
many threads as there are processors, and PrefetchingIter lets it work ahead). Decoding is done by the same library.
The loaders take turns, an epoch each, so that a machine whose speed drifts is unfair to none; each is judged by its
best epoch. Run from the root of the repository::

    python -m benchmarks.loading [--images 512] [--workers 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

import symbind as mx
from symbind.pixels import codec
from symbind.pixels.resample import resize
from symbind.recordio import IRHeader, MXIndexedRecordIO, pack_img, unpack

BATCH, SHORTER, SIDE = 32, 256, 224
MEAN, STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)


class Records(Dataset):
    """The record file for torch: one decoded and augmented image by number."""

    def __init__(self, path: Path) -> None:
        # Opened once; each worker goes on with a handle of its own.
        self.file = MXIndexedRecordIO(path.with_suffix(".idx"), path, "r")

    def __len__(self) -> int:
        return len(self.file.keys)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, float]:
        header, data = unpack(self.file.read_idx(number))
        image = torch.from_numpy(codec.decode(data))
        height, width = image.shape[:2]
        shorter = min(height, width)
        image = resize(image, width * SHORTER // shorter, height * SHORTER // shorter)
        y, x = random.randint(0, image.shape[0] - SIDE), random.randint(0, image.shape[1] - SIDE)
        image = image[y : y + SIDE, x : x + SIDE].permute(2, 0, 1)
        if random.random() < 0.5:
            image = image.flip(2)
        image = (image - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        return image, float(header.label)


def write_images(path: Path, count: int) -> None:
    """Pictures of 500 x 375 pixels with about the detail of photographs."""
    rng = np.random.default_rng(0)
    with MXIndexedRecordIO(path.with_suffix(".idx"), path, "w") as file:
        for i in range(count):
            rough = torch.from_numpy(rng.integers(0, 256, (24, 32, 3), np.uint8))
            image = resize(rough, 500, 375, 2).numpy() ^ rng.integers(0, 16, (375, 500, 3), np.uint8)
            file.write_idx(i, pack_img(IRHeader(0, float(i % 10), i, 0), image, 90))


def contenders(path: Path, workers: int) -> dict[str, Callable[[], Iterable]]:
    """For each loader what begins an epoch."""
    statistics = {f"{what}_{color}": value for what, values in (("mean", MEAN), ("std", STD))
                  for color, value in zip("rgb", values)}  # fmt: skip
    records = mx.io.ImageRecordIter(
        path_imgrec=path, path_imgidx=path.with_suffix(".idx"), data_shape=(3, SIDE, SIDE), batch_size=BATCH,
        shuffle=True, resize=SHORTER, rand_crop=True, rand_mirror=True, preprocess_threads=workers, **statistics,
    )  # fmt: skip
    images = mx.image.ImageIter(
        BATCH, (3, SIDE, SIDE), path_imgrec=str(path), path_imgidx=str(path.with_suffix(".idx")), shuffle=True,
        resize=SHORTER, rand_crop=True, rand_mirror=True, mean=np.array(MEAN), std=np.array(STD), inter_method=1,
    )  # fmt: skip
    ahead = mx.io.PrefetchingIter(images)
    loader = DataLoader(Records(path), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def beginning(iterator: mx.io.DataIter) -> Callable[[], Iterable]:
        def begin() -> Iterable:
            iterator.reset()
            return iterator

        return begin

    return {"ImageRecordIter": beginning(records), "ImageIter": beginning(ahead), "torch DataLoader": lambda: loader}


def main() -> None:
    parser = argparse.ArgumentParser(description="Images per second of loaders, side by side.")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.rec"
        write_images(path, options.images)
        epochs = contenders(path, options.workers)
        seconds: dict[str, list[float]] = {name: [] for name in epochs}
        # The first round also starts the workers.
        for _ in range(1 + options.rounds):
            for name, begin in epochs.items():
                start = time.perf_counter()
                for _ in begin():
                    pass
                seconds[name].append(time.perf_counter() - start)
    best = {name: min(taken[1:]) for name, taken in seconds.items()}
    for name, taken in best.items():
        ratio = best["torch DataLoader"] / taken
        print(f"{name:18}{options.images / taken:8.0f} images/s, {ratio:5.2f} of torch's")


if __name__ == "__main__":
    main()
