"""The ``im2rec`` command: a folder of images becomes a list, and a list a record file.

    im2rec --list --recursive --test-ratio 0.2 data/animals images/    # data/animals_train.lst, data/animals_test.lst
    im2rec data/animals images/ --resize 256                           # a .rec and .idx file for each of these lists

The options are those of the script ``im2rec.py`` that came with MXNet.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from .base import MXNetError, atomic_write
from .pixels import codec
from .pixels.resample import resize
from .recordio import IRHeader, MXIndexedRecordIO, pack, read_image_list

__all__ = ["find_images", "main", "write_lists", "write_records"]

EXTENSIONS = (".jpeg", ".jpg", ".png")
# Pixels that are asked for: as they are, grey, coloured.
COLORS = (-1, 0, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, 1 if something could not be read or written."""
    options = _parser().parse_args(arguments)
    try:
        if options.list:
            write_lists(options)
            return 0
        lists = sorted(Path(options.prefix).parent.glob(f"{Path(options.prefix).name}*.lst"))
        if not lists:
            raise MXNetError(f"There is no list {options.prefix}*.lst; make one with --list")
        failed = sum(write_records(path, options) for path in lists)
    except (MXNetError, OSError) as error:
        print(f"im2rec: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="im2rec", description="Make lists and record files of images.")
    parser.add_argument("prefix", help="what the names of all files that are written begin with")
    parser.add_argument("root", help="folder of the images")
    lists = parser.add_argument_group("lists")
    lists.add_argument("--list", action="store_true", help="write lists instead of record files")
    lists.add_argument("--exts", nargs="+", default=EXTENSIONS, help="endings of the names of images")
    lists.add_argument("--chunks", type=int, default=1, help="cut the list into so many")
    lists.add_argument("--train-ratio", type=float, default=1.0, help="share of images for training")
    lists.add_argument("--test-ratio", type=float, default=0.0, help="share of images for tests")
    lists.add_argument("--recursive", action="store_true", help="look into folders; each is a class of its own")
    lists.add_argument("--no-shuffle", dest="shuffle", action="store_false", help="keep the order of names")
    records = parser.add_argument_group("record files")
    records.add_argument("--pass-through", action="store_true", help="store the files as they are")
    records.add_argument("--resize", type=int, default=0, help="length of the shorter side; 0 keeps it")
    records.add_argument("--center-crop", action="store_true", help="cut out the square in the middle")
    records.add_argument("--quality", type=int, default=95, help="of JPEG 1 to 100, of PNG 1 to 9")
    records.add_argument("--num-thread", type=int, default=1, help="how many images are worked on at once")
    records.add_argument("--color", type=int, choices=COLORS, default=1, help="1 colour, 0 grey, -1 as it is")
    records.add_argument("--encoding", choices=(".jpg", ".png"), default=".jpg")
    records.add_argument("--pack-label", action="store_true", help="store several labels of an image")
    return parser


# ---- lists ---------------------------------------------------------------------------------------------------------


def find_images(root: str, recursive: bool, extensions: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Name below ``root`` and class of each image, in the order of names.

    Without ``recursive`` each image of the folder itself is of class 0; with it, each folder that holds images is a
    class, numbered in the order of visiting.
    """
    endings = tuple(ending.lower() for ending in extensions)
    classes = 0
    for folder, below, names in os.walk(root, followlinks=True):
        below.sort()
        images = [name for name in sorted(names) if name.lower().endswith(endings)]
        for name in images:
            yield os.path.relpath(os.path.join(folder, name), root), classes
        classes += bool(images)
        if not recursive:
            return


def write_lists(options: argparse.Namespace) -> None:
    """Write ``<prefix>.lst``, or ``_train``, ``_val`` and ``_test`` lists if the ratios leave some for each."""
    images = list(enumerate(find_images(options.root, options.recursive, options.exts)))
    if not images:
        raise MXNetError(f"No images ({', '.join(options.exts)}) in {options.root!r}")
    if options.shuffle:
        # The same order each time, so that the same folder gives the same lists.
        random.Random(100).shuffle(images)
    size = -(-len(images) // options.chunks)
    for chunk in range(options.chunks):
        part = images[chunk * size : (chunk + 1) * size]
        suffix = f"_{chunk}" if options.chunks > 1 else ""
        tests = int(len(part) * options.test_ratio)
        train_end = tests + int(len(part) * options.train_ratio)
        if options.train_ratio == 1.0 and not tests:
            _write_list(f"{options.prefix}{suffix}.lst", part)
            continue
        if options.train_ratio == 1.0:
            train_end = len(part)
        for name, share in (("test", part[:tests]), ("train", part[tests:train_end]), ("val", part[train_end:])):
            if share:
                _write_list(f"{options.prefix}{suffix}_{name}.lst", share)


def _write_list(path: str, images: Sequence[tuple[int, tuple[str, int]]]) -> None:
    with atomic_write(path, "w") as file:
        file.writelines(f"{number}\t{label:f}\t{name}\n" for number, (name, label) in images)


# ---- record files --------------------------------------------------------------------------------------------------


def write_records(path: Path, options: argparse.Namespace) -> int:
    """Write the ``.rec`` and ``.idx`` file of a list; returns how many images were left out because of errors."""
    images = read_image_list(path)
    failed = 0
    with (
        MXIndexedRecordIO(path.with_suffix(".idx"), path.with_suffix(".rec"), "w") as file,
        ThreadPoolExecutor(options.num_thread) as threads,
    ):
        waiting: deque[tuple[int, str, Future[bytes]]] = deque()
        for number, (labels, name) in images.items():
            label = labels if options.pack_label and labels.size > 1 else float(labels[0])
            header = IRHeader(0, label, number, 0)
            waiting.append((number, name, threads.submit(_record, header, os.path.join(options.root, name), options)))
            if len(waiting) > 2 * options.num_thread:
                failed += _store(file, *waiting.popleft())
        while waiting:
            failed += _store(file, *waiting.popleft())
    print(f"{path.with_suffix('.rec')}: {len(images) - failed} images" + (f", {failed} left out" if failed else ""))
    return failed


def _store(file: MXIndexedRecordIO, number: int, name: str, record: Future[bytes]) -> bool:
    """Write what a thread has made; True if it could not make it."""
    try:
        file.write_idx(number, record.result())
    except (MXNetError, OSError) as error:
        print(f"im2rec: {name} is left out: {error}", file=sys.stderr)
        return True
    return False


def _record(header: IRHeader, path: str, options: argparse.Namespace) -> bytes:
    data = Path(path).read_bytes()
    if not options.pass_through:
        pixels = codec.decode(data, options.color)
        data = codec.encode(_shaped(pixels, options), options.encoding, options.quality)
    return pack(header, data)


def _shaped(pixels: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """The square in the middle and the size, as far as they are wanted."""
    height, width = pixels.shape[:2]
    if options.center_crop:
        side = min(height, width)
        y, x = (height - side) // 2, (width - side) // 2
        pixels, height, width = pixels[y : y + side, x : x + side], side, side
    if options.resize:
        shorter = min(height, width)
        image = torch.from_numpy(np.ascontiguousarray(pixels.reshape(height, width, -1)))
        pixels = resize(image, width * options.resize // shorter, height * options.resize // shorter).numpy()
    return pixels


if __name__ == "__main__":
    sys.exit(main())
