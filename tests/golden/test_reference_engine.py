"""MXNet's numbers on the reference engine too, for the operators that the fast engine has kernels of its own for."""

from __future__ import annotations

from typing import Any

import pytest

from symbind.graph import registry
from symbind.runtime.engines import use_engine
from symbind.runtime.onednn import operators  # noqa: F401 - enters its builders
from symbind.runtime.onednn.implementation import BUILDERS

from .cases import Case
from .test_operators import CASES, MEASURED
from .test_operators import test_numbers as check_numbers

ACCELERATED = {
    spelling
    for name in BUILDERS
    if registry.is_registered(name)
    for spelling in (name, *registry.find(name).aliases)
}
SHARED = [c for c in CASES if c.values[0].op in ACCELERATED and c.values[0].op not in MEASURED]


def test_there_is_something_to_compare() -> None:
    assert len(SHARED) > 100


@pytest.mark.parametrize(("entry", "record"), SHARED)
def test_numbers_on_the_torch_engine(entry: Case, record: dict[str, Any]) -> None:
    with use_engine("torch"):
        check_numbers(entry, record)
