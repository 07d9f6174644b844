from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import symbind as mx


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    """Automatic names begin at 0, and random numbers are the same each time."""
    np.random.seed(0)
    mx.random.seed(0)
    with mx.name.NameManager():
        yield
