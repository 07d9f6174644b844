"""Record files that MXNet 1.9.1 wrote are read, and written with the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx
from symbind.recordio import MXIndexedRecordIO, MXRecordIO

from .recordfiles import FOLDER, LABELS, PAYLOADS, write_records


@pytest.mark.parametrize("name", ["plain.rec", "indexed.rec", "indexed.idx"])
def test_files_are_written_byte_for_byte_as_mxnet_does(name: str, tmp_path: Path) -> None:
    write_records(mx, tmp_path)
    assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_files_of_mxnet_are_read() -> None:
    with MXRecordIO(FOLDER / "plain.rec", "r") as plain:
        assert list(iter(plain.read, None)) == PAYLOADS
    with MXIndexedRecordIO(FOLDER / "indexed.idx", FOLDER / "indexed.rec", "r") as file:
        assert file.keys == [0, 10, 20, 30]
        for i, label in reversed(list(enumerate(LABELS))):
            header, data = mx.recordio.unpack(file.read_idx(10 * i))
            np.testing.assert_array_equal(header.label, np.ravel(label) if np.ndim(label) else label)
            assert (header.flag, header.id, header.id2) == (np.size(label) if np.ndim(label) else 0, i, 2 * i)
            assert data == b"image %d" % i
