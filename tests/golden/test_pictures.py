"""Images come out of every function as they do in MXNet 1.9.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx

from . import archive
from .pictures import CASES, observe

RECORDS = archive.read(Path(__file__).parent / "pictures.npz")


@pytest.mark.parametrize("name", CASES)
def test_image(name: str) -> None:
    seen, recorded = observe(mx, CASES[name]), RECORDS[name]
    assert len(seen) == len(recorded)
    for got, expected in zip(seen, recorded):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        # Bytes are rounded from sums in another order, or of weights with 11 bits.
        integers = expected.dtype == np.uint8
        np.testing.assert_allclose(got.astype(float), expected.astype(float), 1e-4, 1 if integers else 2e-3)
        if integers:
            # libpng, which makes MXNet's grey images, rounds down where Pillow rounds.
            assert abs(got.astype(float).mean() - expected.mean()) < 0.75
