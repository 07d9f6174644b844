"""Without the library there is nothing to test here, except that its absence is well behaved."""

from __future__ import annotations

import pytest

from symbind.runtime.onednn import library


@pytest.fixture(autouse=True)
def onednn() -> None:
    """Skip the test where oneDNN is missing."""
    if not library.available():
        pytest.skip(library.unavailable_reason())
