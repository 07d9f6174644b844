"""The operators of MXNet 1.9.1 are here: under all their names, with the same parameters, in the same namespaces."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

import symbind as mx
from symbind.graph import registry
from symbind.ops.parameter import REQUIRED
from symbind.ops.signature import home


class Listed(NamedTuple):
    """An operator as the inventory lists it; ``parameters`` are pairs of name and default (or ``!`` or ``?``)."""

    tier: str
    name: str
    aliases: list[str]
    parameters: dict[str, str]


def read(line: str) -> Listed:
    tier, name, aliases, *parameters = line.split()
    pairs = {}
    for text in parameters:
        key, _, default = text.partition("=") if text[-1] not in "!?" else (text[:-1], "", text[-1])
        pairs[key] = default
    return Listed(tier, name, [alias for alias in aliases.strip("[]").split(",") if alias], pairs)


INVENTORY = [
    read(line) for line in (Path(__file__).parent / "inventory.txt").read_text().splitlines() if line[0] != "#"
]
BUILT = [entry for entry in INVENTORY if registry.is_registered(entry.name)]

# Of the first two tiers, what this package does not have yet.
NOT_BUILT: set[str] = set()


def test_the_list_of_missing_operators_is_exact(capsys) -> None:
    wanted, missing = Counter(entry.tier for entry in INVENTORY), Counter()
    for entry in INVENTORY:
        missing[entry.tier] += not registry.is_registered(entry.name)
    with capsys.disabled():
        print("\noperators:", ", ".join(f"{t} {wanted[t] - missing[t]} of {wanted[t]}" for t in sorted(wanted)))
    assert {
        entry.name for entry in INVENTORY if entry.tier != "T3" and not registry.is_registered(entry.name)
    } == NOT_BUILT


@pytest.mark.parametrize("entry", BUILT, ids=lambda entry: entry.name)
def test_names(entry: Listed) -> None:
    operator = registry.find(entry.name)
    assert operator.name == entry.name
    for alias in entry.aliases:
        assert registry.find(alias) is operator


@pytest.mark.parametrize("entry", BUILT, ids=lambda entry: entry.name)
def test_parameters(entry: Listed) -> None:
    declared = registry.find(entry.name).parameters
    assert list(declared) == list(entry.parameters)
    for name, default in entry.parameters.items():
        param = declared[name]
        if default == "!":
            assert param.default is REQUIRED, name
        elif default in ("", "None"):
            assert param.default in (None, "", ()), name
        elif default != "?":
            assert param.default == param.kind.read(default), name


@pytest.mark.parametrize("entry", BUILT, ids=lambda entry: entry.name)
def test_functions(entry: Listed) -> None:
    """Every name is a function of symbols and one of arrays, in its namespace; random ones in ``_internal`` too."""
    for name in (entry.name, *entry.aliases):
        namespace, public = home(name)
        for package in (mx.sym, mx.nd):
            assert callable(getattr(getattr(package, namespace) if namespace else package, public))


@pytest.mark.parametrize("name", ["_random_uniform", "_random_normal", "_sample_gamma", "_plus_scalar", "_zeros"])
def test_internal_names(name: str) -> None:
    for package in (mx.sym, mx.nd):
        assert callable(getattr(package._internal, name))
