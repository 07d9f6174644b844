"""Record files that MXNet 1.9.1 wrote are read, and written with the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx
from symbind.recordio import MXIndexedRecordIO, MXRecordIO

from . import archive
from .recordfiles import FOLDER, ITERATORS, LABELS, PAYLOADS, observe_iterator, write_records

BATCHES = archive.read(Path(__file__).parent / "recordfiles.npz")


@pytest.mark.parametrize("name", ["plain.rec", "indexed.rec", "indexed.idx", "images.idx"])
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


@pytest.mark.parametrize("name", ITERATORS)
def test_batches_of_images(name: str) -> None:
    seen, recorded = observe_iterator(mx, name), BATCHES[name]
    assert [batch["pad"] for batch in seen] == [batch["pad"] for batch in recorded]
    for got, expected in zip(seen, recorded):
        np.testing.assert_array_equal(got["label"], expected["label"], strict=True)
    got, expected = seen[0]["data"], recorded[0]["data"]
    assert got.dtype == expected.dtype
    # Interpolated pixels are rounded from weights with 11 bits there; enlarging does so twice.
    tolerance = 2 if name == "enlarged" else 1
    np.testing.assert_allclose(got.astype(float), expected.astype(float), 1e-5, tolerance)
    if name in ("plain", "index", "list", "part", "normalized", "mirrored", "bordered", "uint8", "int8"):
        np.testing.assert_allclose(got, expected, 1e-5)
