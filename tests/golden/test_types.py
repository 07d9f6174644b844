"""Every operator computes in every element type that MXNet 1.9.1 accepts for it, and gives the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import symbind as mx

from . import archive
from .compare import TOLERANCE, assert_same
from .test_operators import FLOORS, MEASURED, SINGLE_CONSTANTS, tolerance_of
from .types import CALLS, Call, observe_call

RECORDS: dict[str, dict[str, Any]] = archive.read(Path(__file__).parent / "types.npz")

FLOATS = ("float16", "float32", "float64")
# fmt: off
# What is not kept, and why. A difference that is listed and has gone fails too.
DIFFERENT = {
    # oneDNN rounds and clips where every other cast of MXNet cuts. Automatic precision never casts to whole numbers.
    "amp_cast": {"to uint8", "to int8", "to int32"},
    # MXNet hands on the head gradient as it is, neither scaled nor turned.
    "_image_to_tensor": set(FLOATS),
    "_image_flip_left_right": set(FLOATS),
    "_image_flip_top_bottom": set(FLOATS),
}
# What means nothing, and may be another thing the next time.
UNDEFINED = {
    # Not a number, as a whole number.
    "erfinv": {"int32", "int64"},
    # Whole numbers overflow, and what oneDNN does about it depends on the processor.
    "_contrib_interleaved_matmul_selfatt_qk": {"int8"},
    "Convolution": {"int8"},
    # The bins are not in order.
    "_histogram": {"uint8"},
    # OpenCV is told a wrong type, and mixes bytes of several numbers.
    "_image_resize": {"int8", "int64", "bool"},
}
# fmt: on
# Computed in single precision whatever the type is.
SINGLE = SINGLE_CONSTANTS | {"RNN", "image.normalize"}


def test_the_records_belong_to_the_calls() -> None:
    assert {name: list(records) for name, records in RECORDS.items()} == {
        name: [call.label for call in calls] for name, calls in CALLS.items()
    }


@pytest.mark.parametrize("operator", CALLS)
def test_types(operator: str) -> None:
    differing = {}
    for call in CALLS[operator]:
        record = RECORDS[operator][call.label]
        undefined = call.label in UNDEFINED.get(operator, ())
        if "refused" in record or undefined or call.entry.op in MEASURED:
            continue
        try:
            compare(call, record)
        except Exception as error:  # all types of an operator are tried, whatever one of them meets
            differing[call.label] = f"{type(error).__name__}: {error}"
    listed = "\n".join(f"{label}: {text}" for label, text in differing.items())
    assert set(differing) == DIFFERENT.get(operator, set()), listed


def compare(call: Call, record: dict[str, Any]) -> None:
    seen = observe_call(mx, call.entry)
    if call.entry.random:
        assert seen == record
        return
    # What is computed from, or on the way to, a coarse type is no better than that.
    types = {*(array.dtype.name for array in call.entry.inputs.values()), call.entry.params.get("dtype", "")}
    if call.entry.op in SINGLE:
        types.add("float32")
    tolerance = max(tolerance_of(call.entry), *(TOLERANCE.get(name, 0.0) for name in types))
    assert seen.keys() == record.keys()
    for part, arrays in record.items():
        for position, (array, recorded) in enumerate(zip(seen[part], arrays, strict=True)):
            assert_same(f"{part} {position}", array, recorded, tolerance, FLOORS.get(call.entry.op, 0.0))
