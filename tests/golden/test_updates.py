"""The operators that optimizers are made of change their arrays as they did in MXNet 1.9.1."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbind as mx

from . import archive
from .compare import TOLERANCE, assert_same
from .updates import UPDATES, Update, perform

RECORDS = archive.read(Path(__file__).parent / "updates.npz")


@pytest.mark.parametrize(
    ("update", "record"),
    [
        pytest.param(update, record, id=f"{update.op} {update.params}")
        for update, record in zip(UPDATES, RECORDS, strict=True)
    ],
)
def test_update(update: Update, record: dict[str, list]) -> None:
    seen = perform(mx, update)
    for part, arrays in record.items():
        for position, (array, recorded) in enumerate(zip(seen[part], arrays, strict=True)):
            # MXNet has learning rates and the like in single precision, whatever the weight has.
            assert_same(f"{part} {position}", array, recorded, TOLERANCE["float32"])
