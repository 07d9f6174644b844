"""The operators that optimizers are made of change their arrays as they did in MXNet 1.9.1."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbind as mx

from . import archive
from .compare import assert_same
from .updates import UPDATES, Update, perform

RECORDS = archive.read(Path(__file__).parent / "updates.npz")

# Operators that this package does not have yet.
NOT_BUILT = {update.op for update in UPDATES}

CASES = [
    pytest.param(update, record, id=f"{update.op} {update.params}")
    for update, record in zip(UPDATES, RECORDS, strict=True)
    if update.op not in NOT_BUILT
]


def test_the_list_of_missing_operators_is_exact() -> None:
    assert {update.op for update in UPDATES if not hasattr(mx.nd, update.op)} == NOT_BUILT


@pytest.mark.parametrize(("update", "record"), CASES)
def test_update(update: Update, record: dict[str, list]) -> None:
    seen = perform(mx, update)
    for part, arrays in record.items():
        for position, (array, recorded) in enumerate(zip(seen[part], arrays, strict=True)):
            assert_same(f"{part} {position}", array, recorded)
