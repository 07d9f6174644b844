"""Every optimizer takes the path that it took in MXNet 1.9.1, and ends in the same state."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbind as mx

from . import archive
from .compare import assert_same
from .optimizers import RUNS, follow

RECORDS = archive.read(Path(__file__).parent / "optimizers.npz")

# Optimizers that this package does not have yet.
NOT_BUILT: set[str] = set()


def test_every_run_is_recorded() -> None:
    assert list(RECORDS) == list(RUNS)


def test_the_optimizers_not_built_are_unknown() -> None:
    for optimizer in NOT_BUILT:
        with pytest.raises(ValueError, match=optimizer):
            mx.optimizer.create(optimizer)


@pytest.mark.filterwarnings("ignore:learning rate")
@pytest.mark.parametrize("name", [name for name, entry in RUNS.items() if entry.optimizer not in NOT_BUILT])
def test_path(name: str) -> None:
    results, recorded = follow(mx, RUNS[name]), RECORDS[name]
    tolerance = 1e-5  # in double precision too: MXNet keeps learning rates in single precision
    for parameter, path in recorded["path"].items():
        assert_same(parameter, results["path"][parameter], path, tolerance)
        states = results["states"][parameter]
        for position, (seen, expected) in enumerate(zip(states, recorded["states"][parameter], strict=True)):
            assert_same(f"state {position} of {parameter}", seen, expected, tolerance)
