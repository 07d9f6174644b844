"""Images per second of ImageRecordIter against torch's DataLoader doing the same work.

Both read JPEG images from the same record file, resize the shorter side, cut at random, mirror at random, normalize,
and put float32 batches together, with the same number of workers (threads here, processes there). Decoding is done by
the same library. Run from the root of the repository::

    python -m benchmarks.images [--images 512] [--workers 2]
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
from symbind import codec
from symbind.image.resample import resize
from symbind.recordio import IRHeader, MXIndexedRecordIO, pack_img, unpack

BATCH, SHORTER, SIDE = 32, 256, 224
MEAN, STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)
EPOCHS = 3


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


def images_per_second(count: int, epoch: Callable[[], Iterable]) -> float:
    """The best of some epochs; the first one also starts the workers."""
    rates = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        for _ in epoch():
            pass
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description="Images per second of two loaders.")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.rec"
        write_images(path, options.images)
        iterator = mx.io.ImageRecordIter(
            path_imgrec=path, path_imgidx=path.with_suffix(".idx"), data_shape=(3, SIDE, SIDE), batch_size=BATCH,
            shuffle=True, resize=SHORTER, rand_crop=True, rand_mirror=True, preprocess_threads=options.workers,
            mean_r=MEAN[0], mean_g=MEAN[1], mean_b=MEAN[2], std_r=STD[0], std_g=STD[1], std_b=STD[2],
        )  # fmt: skip
        loader = DataLoader(
            Records(path), BATCH, shuffle=True, num_workers=options.workers, persistent_workers=options.workers > 0
        )

        def ours() -> mx.io.ImageRecordIter:
            iterator.reset()
            return iterator

        here = images_per_second(options.images, ours)
        there = images_per_second(options.images, lambda: loader)
    print(f"ImageRecordIter   {here:8.0f} images/s")
    print(f"torch DataLoader  {there:8.0f} images/s")
    print(f"ratio             {here / there:8.2f}")


if __name__ == "__main__":
    main()
