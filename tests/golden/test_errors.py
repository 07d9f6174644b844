"""Mistakes raise the kind of error that MXNet 1.9.1 raised, and the message has the words that matter."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbind as mx

from . import archive
from .errors import MISTAKES, make

RECORDS = archive.read(Path(__file__).parent / "errors.npz")

# MXNet asserts what its users pass; here that is an ordinary TypeError.
KINDS = {"AssertionError": "TypeError"}
# Mistakes for which there is a more fitting kind of error than MXNet's.
FITTING = {
    "unknown_dtype": "MXNetError",
    "unknown_gradient_request": "ValueError",
    "file_that_does_not_exist": "FileNotFoundError",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str) -> None:
    error = make(mx, MISTAKES[name])
    recorded = RECORDS[name]
    assert error is not None, f"no error; MXNet: {recorded}"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    assert FITTING.get(name, KINDS.get(recorded["type"], recorded["type"])) in kinds, f"{error!r}; MXNet: {recorded}"
    for word in MISTAKES[name].mentions:
        assert word in str(error), f"{error!r}; MXNet: {recorded}"
