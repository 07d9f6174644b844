"""When two arrays count as the same."""

from __future__ import annotations

import numpy as np

__all__ = ["TOLERANCE", "assert_same"]

# How much may differ, relative to the largest number of an array and (twice) to each number.
TOLERANCE = {"float16": 2e-3, "float32": 3e-6, "float64": 1e-10}


def assert_same(what: str, seen: np.ndarray, recorded: np.ndarray, tolerance: float = 0.0, floor: float = 0.0) -> None:
    """Fail unless ``seen`` has the shape, the dtype and (nearly) the numbers of ``recorded``.

    The relative tolerance is that of the dtype, or ``tolerance`` if this is larger; differences below ``floor`` are
    always forgiven.
    """
    assert seen.shape == recorded.shape, f"{what}: shape {seen.shape}, recorded {recorded.shape}"
    assert seen.dtype == recorded.dtype, f"{what}: {seen.dtype}, recorded {recorded.dtype}"
    tolerance = max(tolerance, TOLERANCE.get(recorded.dtype.name, 0.0)) if recorded.dtype.kind == "f" else 0.0
    finite = np.abs(recorded[np.isfinite(recorded)])
    np.testing.assert_allclose(
        seen.astype("float64"),
        recorded.astype("float64"),
        rtol=2 * tolerance,
        atol=max(floor, tolerance * float(finite.max(initial=0))),
        err_msg=what,
    )
