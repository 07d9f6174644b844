"""ImageDetRecordIter: labels, settings, and errors that name the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind.recordio import IRHeader, MXIndexedRecordIO, pack, pack_img

LABELS = [[2, 5, i, 0.1, 0.2, 0.5, 0.6] + [i, 0.3, 0.3, 0.9, 0.9] * (i % 2) for i in range(7)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "w") as file:
        for i, label in enumerate(LABELS):
            image = np.full((20, 24, 3), i, np.uint8)
            file.write_idx(i, pack_img(IRHeader(0, label, i, 0), image, 1, ".png"))
    return tmp_path / "a.rec"


def boxes(path: Path, **settings: Any) -> mx.io.ImageDetRecordIter:
    settings = {"data_shape": (3, 10, 12), "batch_size": 3, "preprocess_threads": 2, "verbose": False, **settings}
    return mx.io.ImageDetRecordIter(path_imgrec=path, **settings)


def test_labels_come_with_their_images_in_any_order(path: Path) -> None:
    orders = set()
    iterator = boxes(path, shuffle=True, round_batch=False)
    for _ in range(3):
        order = []
        for batch in iterator:
            for image, label, number in zip(batch.data[0].asnumpy(), batch.label[0].asnumpy(), batch.index):
                assert (image == number).all()
                np.testing.assert_allclose(label[4 : 4 + int(label[3])], LABELS[int(number)], 1e-6)
                assert label[3] == len(LABELS[int(number)]) and (label[4 + int(label[3]) :] == -1).all()
                order.append(int(number))
        assert sorted(order[: len(LABELS)]) == list(range(len(LABELS)))
        orders.add(tuple(order))
        iterator.reset()
    assert len(orders) > 1


def test_labels_of_a_list(path: Path) -> None:
    lines = ("\t".join(map(str, [i, 2, 5, 9, 0, 0, 1, 1, f"{i}.png"])) for i in range(len(LABELS)))
    path.with_suffix(".lst").write_text("\n".join(lines))
    iterator = boxes(path, path_imglist=path.with_suffix(".lst"))
    assert iterator.provide_label == [("softmax_label", (3, 11))]
    np.testing.assert_array_equal(iterator.next().label[0].asnumpy(), [[3, 10, 12, 7, 2, 5, 9, 0, 0, 1, 1]] * 3)


def test_a_mean_image(path: Path) -> None:
    mx.nd.save(str(path.with_name("mean")), {"mean_img": mx.nd.full((3, 10, 12), 2.0)})
    batch = boxes(path, mean_img=path.with_name("mean"), scale=0.5).next()
    np.testing.assert_array_equal(batch.data[0].asnumpy()[:, 0, 0, 0], [-1, -0.5, 0])


def test_errors(path: Path) -> None:
    for settings, message in (
        ({"label_pad_width": 8}, "label_pad_width: 8 smaller than estimated width: 12"),
        ({"label_width": 7}, "Record 1 of .*: 12-dimensional label but label_width is set to 7"),
        ({"data_shape": (2, 5, 5)}, "data_shape must be"),
        ({"resize_mode": "x"}, "resize_mode"),
        ({"aug_seq": "aug_default"}, "det_aug_default"),
        ({"part_index": 1}, "part_index"),
    ):
        with pytest.raises(mx.MXNetError, match=message):
            boxes(path, **settings)
    with pytest.warns(UserWarning, match="makes no use of nonsense"):
        boxes(path, nonsense=1, ctx="cpu")
    with MXIndexedRecordIO(path.with_name("b.idx"), path.with_name("b.rec"), "w") as file:
        file.write_idx(0, pack(IRHeader(0, [2, 5, 1, 0.5, 0.5, 0.1, 0.1], 0, 0), b"no image"))
    with pytest.raises(mx.MXNetError, match=r"Record 0 of .*b\.rec'.*no valid label"):
        boxes(path.with_name("b.rec"), batch_size=1).next()
