"""Cells, weights and batches as MXNet 1.9.1 made them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import archive

import symbind as mx

from .cells import BUCKETED, CELLS, PACKED, UNROLLINGS, batches_of, unrolled_json, weights_of

RECORD = archive.read(Path(__file__).parent / "mxnet.npz")


def test_everything_is_recorded() -> None:
    assert list(RECORD["graphs"]) == list(CELLS)
    assert list(RECORD["weights"]) == list(PACKED)
    assert list(RECORD["batches"]) == list(BUCKETED)


@pytest.mark.parametrize("cell", CELLS)
def test_unrolled_graphs_are_the_same_to_the_character(cell: str) -> None:
    for way, recorded in RECORD["graphs"][cell].items():
        assert unrolled_json(mx, cell, **UNROLLINGS[way]) == recorded, way


@pytest.mark.parametrize("cell", PACKED)
def test_weights_are_packed_and_unpacked_alike(cell: str) -> None:
    _same(weights_of(mx, cell), RECORD["weights"][cell])


@pytest.mark.parametrize("name", BUCKETED)
def test_batches_of_sentences(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sentences that are too long
        _same(batches_of(mx, name), RECORD["batches"][name])


def _same(actual: Any, recorded: Any) -> None:
    if isinstance(recorded, dict):
        assert list(actual) == list(recorded)
        for key in recorded:
            _same(actual[key], recorded[key])
    elif isinstance(recorded, list):
        assert len(actual) == len(recorded)
        for pair in zip(actual, recorded):
            _same(*pair)
    elif isinstance(recorded, np.ndarray):
        np.testing.assert_array_equal(actual, recorded, strict=True)
    else:
        assert actual == recorded
