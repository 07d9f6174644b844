"""The im2rec command: from a folder to lists, and from lists to record files that the iterators read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import symbind as mx
from symbind.im2rec import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten images of two classes, and something else."""
    for kind in ("cat", "dog"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for i in range(5):
            pixels = np.full((20, 30, 3), 10 * i + 100 * (kind == "dog"), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / kind / f"{i}.png")
    (tmp_path / "images" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "images"


def lines(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_lists(root: Path) -> None:
    prefix = root.parent / "all"
    assert main(["--list", "--recursive", "--no-shuffle", str(prefix), str(root)]) == 0
    rows = lines(prefix.with_suffix(".lst"))
    assert rows[0] == ["0", "0.000000", "cat/0.png"]
    assert rows[9] == ["9", "1.000000", "dog/4.png"]
    assert main(["--list", "--recursive", "--test-ratio", "0.2", str(prefix), str(root)]) == 0
    test, train = lines(root.parent / "all_test.lst"), lines(root.parent / "all_train.lst")
    assert (len(test), len(train)) == (2, 8)
    assert sorted(row[2] for row in test + train) == [row[2] for row in rows]
    assert main(["--list", "--recursive", "--chunks", "3", str(prefix), str(root)]) == 0
    assert [len(lines(root.parent / f"all_{i}.lst")) for i in range(3)] == [4, 4, 2]


def test_record_files_are_read_by_the_iterators(root: Path) -> None:
    prefix = str(root.parent / "a")
    main(["--list", "--recursive", prefix, str(root)])
    assert main([prefix, str(root), "--resize", "10", "--encoding", ".png", "--quality", "1", "--num-thread", "2"]) == 0
    iterator = mx.io.ImageRecordIter(
        path_imgrec=f"{prefix}.rec", path_imgidx=f"{prefix}.idx", data_shape=(3, 10, 15), batch_size=10, shuffle=True
    )
    batch = iterator.next()
    for image, label, number in zip(batch.data[0].asnumpy(), batch.label[0].asnumpy(), batch.index):
        assert len(np.unique(image)) == 1
        assert image[0, 0, 0] // 100 == label
        assert number < 10


def test_files_as_they_are(root: Path) -> None:
    prefix = root.parent / "a"
    prefix.with_suffix(".lst").write_text("3\t1\t2\tcat/1.png\n")
    assert main([str(prefix), str(root), "--pass-through", "--pack-label"]) == 0
    with mx.recordio.MXIndexedRecordIO(prefix.with_suffix(".idx"), prefix.with_suffix(".rec"), "r") as file:
        header, data = mx.recordio.unpack(file.read_idx(3))
    assert (header.label.tolist(), header.id) == ([1, 2], 3)
    assert data == (root / "cat" / "1.png").read_bytes()


def test_what_cannot_be_read_is_left_out_and_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = root.parent / "a"
    prefix.with_suffix(".lst").write_text("0\t1\tcat/notes.txt\n1\t0\tnone.png\n2\t0\tcat/2.png\n")
    assert main([str(prefix), str(root), "--center-crop", "--color", "0"]) == 1
    output = capsys.readouterr()
    assert "notes.txt is left out: Decoding failed" in output.err
    assert "none.png is left out" in output.err
    assert "a.rec: 1 images, 2 left out" in output.out
    with mx.recordio.MXIndexedRecordIO(prefix.with_suffix(".idx"), prefix.with_suffix(".rec"), "r") as file:
        assert file.keys == [2]
        assert mx.recordio.unpack_img(file.read_idx(2))[1].shape == (20, 20)
    assert main([str(root.parent / "none"), str(root)]) == 1
    assert main(["--list", str(root.parent / "none"), str(root)]) == 1
    assert "No images" in capsys.readouterr().err
