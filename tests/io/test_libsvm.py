"""LibSVMIter: batches as MXNet 1.9.1 makes them (recorded here by hand), and errors that name the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import symbind as mx

ROWS = [[1.5, 0, 0, 2], [0, 1, 0, 0], [3, 4, 5, 0]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.svm").write_text("1 0:1.5 3:2\n\n0 qid:7 1:1 # a note\n2.5 0:3 1:4 2:5\n")
    (tmp_path / "label.svm").write_text("1 0:1\n1 1:1\n1 0:2 1:3\n")
    return tmp_path / "a.svm"


def batches(path: Path, **settings: Any) -> mx.io.LibSVMIter:
    return mx.io.LibSVMIter(**{"data_libsvm": path, "data_shape": (4,), "batch_size": 2, **settings})


def epoch(iterator: mx.io.LibSVMIter) -> list[tuple[list, list, int]]:
    return [(batch.data[0].asnumpy().tolist(), batch.label[0].asnumpy().tolist(), batch.pad) for batch in iterator]


def test_the_next_epoch_starts_after_the_borrowed_rows(path: Path) -> None:
    iterator = batches(path)
    assert epoch(iterator) == [(ROWS[:2], [1, 0], 0), ([ROWS[2], ROWS[0]], [2.5, 1], 1)]
    iterator.reset()
    assert epoch(iterator) == [(ROWS[1:], [0, 2.5], 0)]


def test_labels_of_their_own_file(path: Path) -> None:
    iterator = batches(path, label_libsvm=path.with_name("label.svm"), label_shape=(2,))
    assert iterator.provide_label == [("softmax_label", (2, 2))]
    assert [labels for _, labels, _ in epoch(iterator)] == [[[1, 0], [0, 1]], [[2, 3], [1, 0]]]


def test_parts(path: Path) -> None:
    assert epoch(batches(path, batch_size=1, num_parts=3, part_index=1)) == [([ROWS[1]], [0], 0)]
    with pytest.raises(mx.MXNetError, match="no samples for part 0 of 4"):
        batches(path, num_parts=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0:1\n1 4:1\n", r"line 2: index 4 is outside of \[0, 4\)"),
        ("1 -1:1\n", "line 1: index -1"),
        ("1 a:1\n", "line 1: expected .* found '1 a:1"),
        ("1 3\n", "line 1: expected"),
        ("\n", "holds no samples"),
    ],
)
def test_damage_is_named(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(mx.MXNetError, match=rf"a\.svm'.* ?{message}"):
        batches(path)


def test_wrong_use(path: Path) -> None:
    with pytest.raises(mx.MXNetError, match="none.svm"):
        batches(path.with_name("none.svm"))
    with pytest.raises(mx.MXNetError, match="data_shape"):
        batches(path, data_shape=(2, 2))
    path.with_name("label.svm").write_text("1 0:1\n")
    with pytest.raises(mx.MXNetError, match="holds 1 labels, but .* holds 3"):
        batches(path, label_libsvm=path.with_name("label.svm"))
