"""Sparse arrays are stored, and hold, what they did in MXNet 1.9.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx

from . import archive
from .compare import TOLERANCE, assert_same
from .sparse import CALLS, LAZY, PARTS, observe, observe_parts, train_lazily

RECORDS = archive.read(Path(__file__).parent / "sparse.npz")


def test_everything_is_recorded() -> None:
    assert [list(RECORDS[key]) for key in ("parts", "calls", "lazy")] == [list(PARTS), list(CALLS), list(LAZY)]


@pytest.mark.parametrize("name", PARTS)
def test_parts(name: str) -> None:
    recorded, seen = RECORDS["parts"][name], observe_parts(PARTS[name], mx)
    assert list(seen) == list(recorded)
    for part, value in recorded.items():
        if isinstance(value, np.ndarray) and value.size:
            assert_same(part, seen[part], value)
        elif isinstance(value, np.ndarray):
            assert seen[part].size == 0
        else:
            assert seen[part] == value


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    recorded, seen = RECORDS["calls"][name], observe(CALLS[name], mx)
    assert seen["stype"] == recorded["stype"]
    assert_same(name, seen["values"], recorded["values"], TOLERANCE["float32"])


@pytest.mark.parametrize("name", LAZY)
def test_lazy_updates(name: str) -> None:
    for step, (seen, recorded) in enumerate(zip(train_lazily(name, mx), RECORDS["lazy"][name], strict=True)):
        assert_same(f"after step {step}", seen, recorded, 1e-5)
