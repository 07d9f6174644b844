"""How much of the inventory of operators has numbers recorded from MXNet 1.9.1: all of the first two tiers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from symbind.graph import registry
from tests.ops.test_inventory import INVENTORY

from . import archive
from .cases import FAMILIES
from .programs import PROGRAMS
from .types import TYPES
from .updates import UPDATES

FOLDER = Path(__file__).parent
WANTED = {entry.name for entry in INVENTORY if entry.tier != "T3"}

# Operators whose gradient is not recorded, because MXNet has none, or none that is right.
WITHOUT_GRADIENT = {
    "_slice_assign", "_slice_assign_scalar", "batch_take", "_sample_multinomial",
    # MXNet hands on the head gradient as it is, neither scaled nor turned.
    "_image_to_tensor", "_image_flip_left_right", "_image_random_flip_left_right",
}  # fmt: skip


def recorded_calls() -> Iterator[tuple[str, bool]]:
    """The operator of every recorded call of one, and whether gradients were recorded."""
    for family in FAMILIES:
        for record in archive.read(FOLDER / f"operators_{family}.npz").values():
            for node in json.loads(record["json"])["nodes"]:
                if node["op"] != "null":
                    yield node["op"], "gradients" in record
    for update in UPDATES:
        yield update.op, False
    for program in PROGRAMS.values():
        for operator in program.covers:
            yield operator, True


@pytest.fixture(scope="module")
def calls() -> list[tuple[str, bool]]:
    return list(recorded_calls())


def test_every_operator_is_recorded(calls, capsys) -> None:
    count = Counter(operator for operator, _ in calls)
    tiers = Counter(entry.tier for entry in INVENTORY)
    seen = Counter(entry.tier for entry in INVENTORY if count[entry.name])
    with capsys.disabled():
        recorded = ", ".join(f"{tier} {seen[tier]} of {tiers[tier]}" for tier in sorted(tiers))
        print(f"\nrecorded from MXNet: {len(calls)} calls; operators: {recorded}")
    assert not {name for name in WANTED if not count[name]}


def test_every_gradient_is_recorded(calls) -> None:
    recorded = {operator for operator, has_gradients in calls if has_gradients}
    differentiable = {name for name in WANTED if registry.find(name).is_differentiable}
    assert differentiable - recorded == WITHOUT_GRADIENT


def test_every_type_is_recorded(capsys) -> None:
    """Whatever element type MXNet accepts; an optimizer's in all floating ones."""
    accepted: Counter[str] = Counter()
    operators = set()
    for operator, records in archive.read(FOLDER / "types.npz").items():
        operators.add(registry.find("_split_v2" if operator == "split_v2" else operator).name)
        accepted.update(label for label, record in records.items() if "refused" not in record and label in TYPES)
    with capsys.disabled():
        print("\noperators recorded in each type:", ", ".join(f"{name} {accepted[name]}" for name in TYPES))
    others = {operator for program in PROGRAMS.values() for operator in program.covers}
    assert not WANTED - operators - {update.op for update in UPDATES} - others
