"""ImageIter: which images come in which batch, from which source, and errors that name the image."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import symbind as mx
from symbind.image import ImageIter
from symbind.recordio import IRHeader, MXIndexedRecordIO, pack, pack_img

COUNT = 5


def pixels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (10, 12, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``COUNT`` images, in a record file with one label and as files with two in a list."""
    lines = []
    with MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "w") as file:
        for i in range(COUNT):
            file.write_idx(i, pack_img(IRHeader(0, float(i), i, 0), pixels(i)[:, :, ::-1], 9, ".png"))
            Image.fromarray(pixels(i)).save(tmp_path / f"{i}.png")
            lines.append(f"{i}\t{i}\t{10 * i}\t{i}.png\n")
    (tmp_path / "a.lst").write_text("".join(lines))
    return tmp_path


def epoch(iterator: ImageIter) -> list[tuple[list, int]]:
    result = []
    for batch in iterator:
        labels = batch.label[0].asnumpy()
        for image, label in zip(batch.data[0].asnumpy(), labels.reshape(len(labels), -1)):
            np.testing.assert_array_equal(image, pixels(int(label[0]))[1:9, 1:11].transpose(2, 0, 1))
        result.append((labels.tolist(), batch.pad))
    return result


def rec(folder: Path, index: bool = False, **settings: Any) -> ImageIter:
    index_path = str(folder / "a.idx") if index else None
    return ImageIter(2, (3, 8, 10), path_imgrec=str(folder / "a.rec"), path_imgidx=index_path, **settings)


@pytest.mark.parametrize("index", [False, True])
def test_last_batches(folder: Path, index: bool) -> None:
    whole = [([0, 1], 0), ([2, 3], 0)]
    for handle, first, second in (
        ("pad", [*whole, ([4, 0], 1)], [*whole, ([4, 0], 1)]),
        ("discard", whole, whole),
        ("roll_over", whole, [([4, 0], 1), ([1, 2], 0), ([3, 4], 0)]),
    ):
        iterator = rec(folder, index, last_batch_handle=handle)
        assert epoch(iterator) == first
        with pytest.raises(StopIteration):
            iterator.next()
        iterator.reset()
        assert epoch(iterator) == second
        iterator.hard_reset()
        assert epoch(iterator) == first


def test_a_batch_larger_than_the_data(folder: Path) -> None:
    iterator = ImageIter(8, (3, 8, 10), path_imgrec=str(folder / "a.rec"))
    assert epoch(iterator) == [([0, 1, 2, 3, 4, 0, 1, 2], 3)]


def test_lists(folder: Path) -> None:
    of_file = ImageIter(
        2, (3, 8, 10), 2, path_imglist=str(folder / "a.lst"), path_root=str(folder), last_batch_handle="discard"
    )
    expected = [([[0, 0], [1, 10]], 0), ([[2, 20], [3, 30]], 0)]
    assert of_file.provide_label == [("softmax_label", (2, 2))]
    assert epoch(of_file) == expected
    for given in ([[i, 10 * i, f"{i}.png"] for i in range(4)], [[[i, 10 * i], f"{i}.png"] for i in range(4)]):
        assert epoch(ImageIter(2, (3, 8, 10), 2, imglist=given, path_root=str(folder))) == expected
    labels_of_list = rec(folder, True, path_imglist=str(folder / "a.lst"), label_width=2, last_batch_handle="discard")
    assert epoch(labels_of_list) == expected


def test_parts_and_shuffling(folder: Path) -> None:
    assert epoch(rec(folder, True, num_parts=2, part_index=1)) == [([2, 3], 0)]
    random.seed(0)
    iterator = rec(folder, True, shuffle=True, last_batch_handle="discard")
    orders = set()
    for _ in range(20):
        orders.add(str(epoch(iterator)))
        iterator.reset()
    assert len(orders) > 10


def test_types_are_those_of_labels(folder: Path) -> None:
    for dtype, label in (("int32", 1), ("float64", 1.5)):
        iterator = ImageIter(1, (3, 8, 10), imglist=[[1.5, "0.png"]], path_root=str(folder), dtype=dtype, mean=True)
        batch = iterator.next()
        assert batch.data[0].dtype == batch.label[0].dtype == np.float32
        assert batch.label[0].asnumpy().tolist() == [label]
    with pytest.raises(ValueError, match="dtype of labels must be one of .* got 'float16'"):
        rec(folder, dtype="float16")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs images"),
        ({"imglist": [], "last_batch_handle": "x"}, "last_batch_handle"),
        ({"imglist": [], "num_parts": 2, "part_index": 2}, "part_index"),
        ({"path_imgrec": "a.rec", "shuffle": True}, "path_imgidx"),
        ({"path_imgrec": "a.rec", "num_parts": 2}, "path_imgidx"),
        ({"imglist": [], "data_shape": (1, 8, 8)}, "data_shape must be"),
        ({"imglist": [], "batch_size": 0}, "batch_size"),
    ],
)
def test_contradictions(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageIter(**{"batch_size": 2, "data_shape": (3, 8, 8), **settings})
    with pytest.raises(TypeError, match="no_such_setting"):
        ImageIter(2, (3, 8, 8), imglist=[], no_such_setting=1)


def test_errors_name_the_image(folder: Path) -> None:
    (folder / "text.png").write_text("no image")
    for name, message in (("text.png", "'text.png'.*Decoding failed"), ("none.png", r"none\.png'.*No such file")):
        iterator = ImageIter(2, (3, 8, 10), imglist=[[0, "0.png"], [1, name]], path_root=str(folder))
        with pytest.raises(mx.MXNetError, match=message):
            iterator.next()
    iterator = ImageIter(1, (3, 8, 10), 3, path_imglist=str(folder / "a.lst"), path_root=str(folder))
    with pytest.raises(mx.MXNetError, match=r"'0\.png': 2 labels, expected label_width=3"):
        iterator.next()
    with MXIndexedRecordIO(folder / "b.idx", folder / "b.rec", "w") as file:
        file.write_idx(7, pack(IRHeader(0, 0.0, 0, 0), b"no image"))
    with pytest.raises(mx.MXNetError, match=r"Record 7 of .*b\.rec'.*Decoding failed"):
        ImageIter(1, (3, 8, 8), path_imgrec=str(folder / "b.rec"), path_imgidx=str(folder / "b.idx")).next()
    with pytest.raises(mx.MXNetError, match=r"shape \(3, 10, 12\) after augmentation"):
        rec(folder, aug_list=[]).next()
    (folder / "bad.lst").write_text("0\t1\ta.png\nx\t1\tb.png\n")
    with pytest.raises(mx.MXNetError, match=r"bad\.lst', line 2"):
        ImageIter(1, (3, 8, 8), path_imglist=str(folder / "bad.lst"))


def test_a_next_of_ones_own(folder: Path) -> None:
    class OneByOne(ImageIter):
        def next(self) -> mx.io.DataBatch:
            label, file = self.next_sample()
            image = self.imdecode(file)
            self.check_valid_image([image])
            data = self.postprocess_data(self.augmentation_transform(image))
            return mx.io.DataBatch([mx.nd.expand_dims(data, 0)], [mx.nd.array([label])], 0)

    iterator = OneByOne(1, (3, 8, 10), path_imgrec=str(folder / "a.rec"))
    assert epoch(iterator) == [([float(i)], 0) for i in range(COUNT)]
    with pytest.raises(RuntimeError, match="Data shape is wrong"):
        iterator.check_valid_image([mx.nd.array(1)])


def test_methods_to_override(folder: Path) -> None:
    class Negative(ImageIter):
        def imdecode(self, s: bytes) -> mx.nd.NDArray:
            return mx.nd.array(255 - np.array(Image.open(io.BytesIO(s))), dtype="uint8")

    batch = Negative(2, (3, 8, 10), path_imgrec=str(folder / "a.rec")).next()
    np.testing.assert_array_equal(batch.data[0].asnumpy()[0], 255.0 - pixels(0)[1:9, 1:11].transpose(2, 0, 1))
