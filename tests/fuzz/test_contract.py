"""Some thousands of damaged files of every kind, found by hypothesis; and that the measuring measures."""

from __future__ import annotations

import os
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind import nd

from .contract import SLACK, Violation, obey
from .targets import TARGETS

EXAMPLES = {"graph": 600, "check": 100, "params": 1000, "states": 400, "records": 400, "archive": 300}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_errors_from_damaged_files(name):
    target = TARGETS[name]

    # The draws of a Random shrink to those of the simplest damage that still does harm.
    @settings(max_examples=EXAMPLES[name], deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def run(rng: Random) -> None:
        target.read(target.make(rng))

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_most_damage_is_noticed_and_some_is_none(name):
    """Files that all fail, or none, at the first check would test nothing behind it."""
    target = TARGETS[name]
    ends = {target.read(target.make(Random(f"{name}/{i}"))) for i in range(300)}
    assert "MXNetError" in ends
    assert ends & {"ok", "loaded, ok"}


def _endless() -> None:
    while True:
        pass


# What was freed before may be taken again without asking the system, so a little more than is allowed may go unseen.
HARM = {
    "memory of Python": lambda: bytearray(2**30),
    "memory of NumPy": lambda: np.empty(2**27),
    "memory of torch": lambda: torch.empty(2**28),
    "no end": _endless,
    "another error": lambda: {}["x"],
}


@pytest.mark.parametrize("what", HARM)
def test_harm_is_seen(what):
    with pytest.raises(Violation):
        obey(HARM[what], size=100)


def test_what_is_allowed():
    assert obey(lambda: bytearray(2**20), size=100) == "ok"
    assert obey(lambda: bytearray(3 * SLACK), size=2 * SLACK) == "ok"
    assert obey(lambda: int("x"), size=1) == "ValueError"
    assert obey(lambda: mx.sym.load_json("{}"), size=2) == "MXNetError"


def test_a_large_file_takes_no_more_than_its_own_size(tmp_path):
    path = str(tmp_path / "large.params")
    nd.save(path, {name: nd.ones((2**21,)) for name in "abcd"})
    size = os.path.getsize(path)
    assert size > 2 * SLACK
    assert obey(lambda: nd.load(path), size, memory=size + SLACK) == "ok"
    with open(path, "r+b") as file:
        file.truncate(size - 1)
    assert obey(lambda: nd.load(path), size, memory=size + SLACK) == "MXNetError"
