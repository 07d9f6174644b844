"""Small programs return the arrays that they returned in MXNet 1.9.1."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbind as mx

from . import archive
from .compare import assert_same
from .programs import PROGRAMS, observe_program

RECORDS = archive.read(Path(__file__).parent / "programs.npz")


def test_the_records_are_of_these_programs() -> None:
    assert list(RECORDS) == list(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    for position, (seen, recorded) in enumerate(zip(observe_program(mx, name), RECORDS[name], strict=True)):
        assert_same(f"array {position}", seen, recorded)
