"""ImageRecordIter: orders, threads, resets, and errors that reach the consumer in their place."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.recordio import IRHeader, MXIndexedRecordIO, pack, pack_img

COUNT = 11


def pixels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (12, 14, 3), np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "w") as file:
        for i in range(COUNT):
            file.write_idx(i, pack_img(IRHeader(0, float(i), i, 0), pixels(i)[:, :, ::-1], 1, ".png"))
    return tmp_path / "a.rec"


def images(path: Path, **settings: Any) -> mx.io.ImageRecordIter:
    settings = {"data_shape": (3, 12, 14), "batch_size": 4, "preprocess_threads": 2, "verbose": False, **settings}
    return mx.io.ImageRecordIter(path_imgrec=path, **settings)


def flat(lists: list[list[int]]) -> list[int]:
    return [x for each in lists for x in each]


def labels(iterator: mx.io.DataIter) -> list[list[int]]:
    return [batch.label[0].asnumpy().astype(int).tolist() for batch in iterator]


def test_each_image_comes_with_its_label_and_number(path: Path) -> None:
    for batch in images(path, shuffle=True, seed=3):
        for image, label, number in zip(batch.data[0].asnumpy(), batch.label[0].asnumpy(), batch.index):
            assert label == number
            np.testing.assert_array_equal(image, pixels(int(label)).transpose(2, 0, 1))


@pytest.mark.parametrize("index", ["", "a.idx"])
def test_shuffled_epochs_visit_everything(path: Path, index: str) -> None:
    iterator = images(path, shuffle=True, path_imgidx=path.with_name(index) if index else "", round_batch=False)
    orders = []
    for _ in range(4):
        order = flat(labels(iterator))
        assert sorted(order[:COUNT]) == list(range(COUNT))
        orders.append(tuple(order))
        iterator.reset()
    assert len(set(orders)) == 4


def test_everything_follows_from_the_seed_whatever_the_threads(path: Path) -> None:
    chances = {
        "data_shape": (3, 8, 8), "shuffle": True, "rand_crop": True, "rand_mirror": True, "max_rotate_angle": 20,
        "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "pca_noise": 0.1, "seed": 5,
    }  # fmt: skip

    def run(**settings: Any) -> np.ndarray:
        return np.concatenate([batch.data[0].asnumpy() for batch in images(path, **chances, **settings)])

    first = run()
    for threads, ahead in ((1, 1), (4, 9)):
        np.testing.assert_array_equal(run(preprocess_threads=threads, prefetch_buffer=ahead), first)
    chances["seed"] = 6
    assert (run() != first).any()


def test_random_parts_differ_and_have_the_right_size(path: Path) -> None:
    settings = {"random_resized_crop": True, "min_random_area": 0.2, "min_aspect_ratio": 0.5, "max_aspect_ratio": 2.0}
    iterator = images(path, data_shape=(3, 6, 5), **settings)
    first = iterator.next().data[0]
    assert first.shape == (4, 3, 6, 5)
    iterator.reset()
    assert (iterator.next().data[0].asnumpy() != first.asnumpy()).any()


def test_a_reset_in_the_middle_starts_from_the_beginning(path: Path) -> None:
    iterator = images(path)
    whole = labels(iterator)
    assert whole == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 0]]
    iterator.reset()
    assert iterator.next().label[0].asnumpy().tolist() == [1, 2, 3, 4]
    iterator.reset()
    assert labels(iterator) == whole
    with pytest.raises(StopIteration):
        iterator.next()


def test_parts_cover_the_file(path: Path) -> None:
    parts = [flat(labels(images(path, num_parts=3, part_index=i, batch_size=1))) for i in range(3)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_an_error_in_a_thread_comes_in_its_place_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with MXIndexedRecordIO(tmp_path / "a.idx", path, "w") as file:
        for i in range(6):
            image = pack_img(IRHeader(0, float(i), i, 0), pixels(i), 1, ".png")
            file.write_idx(i, pack(IRHeader(0, 4.0, 4, 0), b"no image") if i == 4 else image)
    iterator = images(path, batch_size=2)
    assert iterator.next().label[0].asnumpy().tolist() == [0, 1]
    assert iterator.next().label[0].asnumpy().tolist() == [2, 3]
    for _ in range(2):
        with pytest.raises(mx.MXNetError, match=r"Record 4 of .*a\.rec'.*Decoding failed"):
            iterator.next()
    iterator.reset()
    assert iterator.next().label[0].asnumpy().tolist() == [0, 1]


def test_a_damaged_file_is_an_error_after_what_is_whole(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    iterator = images(path, batch_size=5)
    iterator.next()
    iterator.next()
    with pytest.raises(mx.MXNetError, match="Invalid RecordIO file .* the chunk should hold"):
        iterator.next()


def test_labels_must_have_the_stated_width(path: Path) -> None:
    with pytest.raises(mx.MXNetError, match="Record 0 of .*: 1 labels, expected label_width=2"):
        images(path, label_width=2).next()
    (path.parent / "a.lst").write_text("0\t1\t2\ta.png\n")
    with pytest.raises(mx.MXNetError, match="Record 1 of .*: the list has no image 1"):
        images(path, path_imglist=path.parent / "a.lst", batch_size=2).next()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data_shape": (2, 5, 5)}, "data_shape"),
        ({"batch_size": 0}, "at least 1"),
        ({"num_parts": 2, "part_index": 2}, "part_index"),
        ({"num_parts": 100, "part_index": 99}, "holds no records for part 99"),
        ({"max_crop_size": 5}, "min_crop_size"),
        ({"random_resized_crop": True, "max_crop_size": 5, "min_crop_size": 5}, "exclude each other"),
        ({"std_g": 0.0}, "std"),
        ({"inter_method": 7}, "inter_method"),
    ],
)
def test_contradictions(path: Path, settings: dict, message: str) -> None:
    with pytest.raises(mx.MXNetError, match=message):
        images(path, **settings)


def test_files_that_cannot_be_read(path: Path, tmp_path: Path) -> None:
    with pytest.raises(mx.MXNetError, match="none.rec"):
        images(tmp_path / "none.rec")
    (tmp_path / "empty.rec").touch()
    with pytest.raises(mx.MXNetError, match="holds no records"):
        images(tmp_path / "empty.rec")
    with pytest.warns(UserWarning, match="no use of nonsense"):
        images(path, nonsense=3)
    with pytest.warns(UserWarning, match="not normalized"):
        mx.io.ImageRecordUInt8Iter(path_imgrec=path, data_shape=(3, 5, 5), batch_size=1, mean_r=1.0)


def test_threads_end_with_the_iterator_and_leave_torch_alone(path: Path) -> None:
    threads, running = torch.get_num_threads(), threading.active_count()
    iterator = images(path, preprocess_threads=3)
    assert threading.active_count() == running + 3
    iterator.next()
    del iterator
    for thread in threading.enumerate():
        if thread.name.startswith("image records"):
            thread.join(5)
    assert threading.active_count() == running
    assert torch.get_num_threads() == threads


def test_a_mean_image_is_made_once(path: Path, tmp_path: Path) -> None:
    settings = {"mean_img": tmp_path / "mean.params", "std_r": 2.0, "scale": 0.5, "batch_size": COUNT}
    made = images(path, **settings).next().data[0].asnumpy()
    mean = mx.nd.load(str(tmp_path / "mean.params"))["mean_img"].asnumpy()
    expected = np.mean([pixels(i) for i in range(COUNT)], axis=0).transpose(2, 0, 1)
    np.testing.assert_allclose(mean, expected, 1e-6)
    factors = np.reshape([0.25, 0.5, 0.5], (3, 1, 1))
    np.testing.assert_allclose(made[3], (pixels(3).transpose(2, 0, 1) - expected) * factors, 1e-5, 1e-5)
    np.testing.assert_array_equal(images(path, **settings).next().data[0].asnumpy(), made)
    with pytest.raises(mx.MXNetError, match=r"one array of shape \(3, 5, 5\), found \(3, 12, 14\)"):
        images(path, **settings, data_shape=(3, 5, 5))


def test_alpha_channel(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (12, 14, 4), np.uint8)
    with MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "w") as file:
        file.write_idx(0, pack_img(IRHeader(0, 0.0, 0, 0), rgba[:, :, [2, 1, 0, 3]], 1, ".png"))
    settings = {"data_shape": (4, 12, 14), "batch_size": 1, "mean_a": 10.0, "std_a": 2.0}
    got = images(tmp_path / "a.rec", **settings).next().data[0].asnumpy()[0]
    expected = rgba.transpose(2, 0, 1).astype(np.float32)
    expected[3] = (expected[3] - 10) / 2
    np.testing.assert_array_equal(got, expected)
    jittered = images(tmp_path / "a.rec", **settings, brightness=0.5, random_h=50, mirror=True).next().data[0].asnumpy()
    np.testing.assert_array_equal(jittered[0, 3], expected[3, :, ::-1])
    assert (jittered[0, :3] != expected[:3, :, ::-1]).mean() > 0.5


def test_four_channels_need_four_channels(path: Path) -> None:
    with pytest.raises(mx.MXNetError, match="Record 0 of .*Expected 4 channels, got 3"):
        images(path, data_shape=(4, 12, 14)).next()


def test_contrast_and_illumination(path: Path) -> None:
    batch = images(path, max_random_contrast=0.5, max_random_illumination=20.0, mean_r=3.0, std_g=4.0).next()
    drawn = set()
    for i, image in enumerate(batch.data[0].asnumpy()):
        mean, deviation = np.reshape([3.0, 0, 0], (3, 1, 1)), np.reshape([1.0, 4, 1], (3, 1, 1))
        original = (pixels(i).transpose(2, 0, 1) - mean) / deviation
        for channel, std in enumerate((1, 4, 1)):
            slope, offset = np.polyfit(original[channel].ravel(), image[channel].ravel(), 1)
            np.testing.assert_allclose(image[channel], slope * original[channel] + offset, atol=1e-3)
            drawn.add((round(slope, 3), round(offset * std, 1)))
    assert len(drawn) == 4  # one of each for an image, whatever the channel
    assert all(0.5 <= slope <= 1.5 and -20 <= offset <= 20 for slope, offset in drawn)


def test_augmentation_has_a_seed_of_its_own(path: Path) -> None:
    def run(**seeds: int) -> tuple[list, np.ndarray]:
        batch = images(path, shuffle=True, rand_mirror=True, batch_size=COUNT, **seeds).next()
        order = batch.index.tolist()
        return order, np.array([x == pixels(i).transpose(2, 0, 1) for i, x in zip(order, batch.data[0].asnumpy())])

    order, mirrored = run(seed=1, seed_aug=5)
    again, mirrored_otherwise = run(seed=1, seed_aug=6)
    assert again == order and (mirrored != mirrored_otherwise).any()
    other, _ = run(seed=2, seed_aug=5)
    assert other != order


def test_chunks_are_visited_at_random_but_in_one_piece(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbind.io.record_source.MEGABYTE", 1000)  # of these images of 600 bytes
    orders = {tuple(flat(labels(images(path, shuffle_chunk_size=2, shuffle_chunk_seed=i)))[:COUNT]) for i in range(9)}
    assert len(orders) > 1
    for order in orders:
        assert sorted(order) == list(range(COUNT))
        assert sum(after != before + 1 for before, after in pairwise(order)) <= 4
    within = flat(labels(images(path, shuffle_chunk_size=2, shuffle=True)))[:COUNT]
    assert sorted(within) == list(range(COUNT)) and tuple(within) not in orders


def test_getters_give_arrays(path: Path) -> None:
    iterator = images(path)
    assert isinstance(iterator, mx.io.MXDataIter)
    assert iterator.iter_next()
    assert iterator.getdata().shape == (4, 3, 12, 14)
    assert iterator.getlabel().asnumpy().tolist() == [0, 1, 2, 3] == iterator.getindex().tolist()
    assert len(list(iterator)) == 2 and not iterator.iter_next()


@pytest.mark.parametrize("round_batch", [False, True])
@pytest.mark.parametrize("taken", [(1,), (3, 2), (3, 3), (3, 1, 3, 1)])
def test_going_on_where_another_iterator_stood(path: Path, round_batch: bool, taken: tuple[int, ...]) -> None:
    settings = {"shuffle": True, "rand_mirror": True, "seed": 3, "round_batch": round_batch}
    walked, other = images(path, **settings), images(path, **settings)
    for i, count in enumerate(taken):
        if i:
            walked.reset()
        for _ in range(count):
            walked.next()
    other.next()
    other.load_state_dict(walked.state_dict())
    for _ in range(3):
        for expected, got in zip(walked, other, strict=True):
            assert (got.pad, got.index.tolist()) == (expected.pad, expected.index.tolist())
            np.testing.assert_array_equal(got.data[0].asnumpy(), expected.data[0].asnumpy())
        walked.reset()
        other.reset()
