"""Files that MXNet 1.9.1 wrote are read, and training goes on from them as it did there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx

from . import archive
from .compare import assert_same
from .files import FOLDER, OPTIMIZERS, continue_training, read_arrays

RECORDS = archive.read(Path(__file__).parent / "files.npz")


@pytest.mark.parametrize("name", RECORDS["arrays"])
def test_arrays(name: str) -> None:
    loaded, recorded = read_arrays(mx, name), RECORDS["arrays"][name]
    assert type(loaded) is type(recorded)
    if isinstance(recorded, dict):
        assert list(loaded) == list(recorded)
        loaded, recorded = list(loaded.values()), list(recorded.values())
    for position, (seen, expected) in enumerate(zip(loaded, recorded, strict=True)):
        np.testing.assert_array_equal(seen, expected, f"array {position}", strict=True)


@pytest.mark.parametrize("name", ["dict.params", "list.params"])
def test_arrays_are_written_byte_for_byte(name: str, tmp_path: Path) -> None:
    mx.nd.save(str(tmp_path / name), mx.nd.load(str(FOLDER / name)))
    assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_checkpoint(optimizer: str) -> None:
    results, recorded = continue_training(mx, optimizer), RECORDS["checkpoints"][optimizer]
    for what, expected in recorded.items():
        if isinstance(expected, dict):
            assert list(results[what]) == list(expected)
            for name, array in expected.items():
                assert_same(f"{what}: {name}", results[what][name], array, tolerance=1e-5)
        else:
            assert_same(what, results[what], expected, tolerance=1e-5)
