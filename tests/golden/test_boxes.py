"""Images with boxes come out of every augmenter and iterator as they do in MXNet 1.9.1."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import symbind as mx

from . import archive
from .boxes import CASES, DUMPS, ITERATORS, observe_batches
from .pictures import observe

RECORDS = archive.read(Path(__file__).parent / "boxes.npz")
# Grey values are rounded once more, and one case is resized twice.
RESAMPLED = ("record grey", "record short")


@pytest.mark.parametrize("name", CASES)
def test_augmenter(name: str) -> None:
    seen, recorded = observe(mx, CASES[name]), RECORDS["augmented"][name]
    assert len(seen) == len(recorded)
    for got, expected in zip(seen, recorded):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(got, expected, 1e-4, 2e-3 if expected.ndim == 3 else 1e-6)


@pytest.mark.parametrize("name", ITERATORS)
def test_batches(name: str) -> None:
    (described, *seen), (expected_description, *recorded) = observe_batches(mx, name), RECORDS["batches"][name]
    assert json.loads(json.dumps(described)) == expected_description
    assert [batch["pad"] for batch in seen] == [batch["pad"] for batch in recorded]
    for got, expected in zip(seen, recorded):
        # Without rounding MXNet leaves in the last rows what was there before.
        rows = slice(0, 2 - got["pad"] if "no rounding" in name else 2)
        np.testing.assert_allclose(got["label"][rows], expected["label"][rows], 1e-6)
        if "data" in expected:
            # Interpolated bytes are rounded from weights with 11 bits there.
            pixels, expected_pixels = got["data"][rows], expected["data"][rows]
            np.testing.assert_allclose(pixels, expected_pixels, 1e-5, 2 if name in RESAMPLED else 1)
            assert abs(pixels.mean() - expected_pixels.mean()) < 0.75


@pytest.mark.parametrize("name", DUMPS)
def test_descriptions(name: str) -> None:
    def without_rounding(text: str) -> list:
        return json.loads(text, parse_float=lambda number: round(float(number), 4))

    seen, recorded = without_rounding(DUMPS[name](mx)), without_rounding(RECORDS["dumps"][name])
    assert [_unpacked(x) for x in seen] == [_unpacked(x) for x in recorded]


def _unpacked(described: object) -> object:
    """JSON within JSON as what it says."""
    if isinstance(described, str) and described.startswith("["):
        return _unpacked(json.loads(described, parse_float=lambda number: round(float(number), 4)))
    return [_unpacked(x) for x in described] if isinstance(described, list) else described
