"""Whole networks: what a symbol says about itself, and what a step of training gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import symbind as mx
from symbind.runtime import compile as module

from . import archive
from .compare import assert_same
from .harness import build_network, describe, run
from .models import MODELS
from .networks import NETWORKS, Network

TABLES = {"networks": NETWORKS, "models": MODELS}
RECORDS = {file: archive.read(Path(__file__).parent / f"{file}.npz") for file in TABLES}

CASES = [
    pytest.param(network, RECORDS[file][name], id=name)
    for file, table in TABLES.items()
    for name, network in table.items()
]


def test_every_network_is_recorded() -> None:
    for file, table in TABLES.items():
        assert list(RECORDS[file]) == list(table)


@pytest.mark.parametrize(("network", "record"), CASES)
def test_description(network: Network, record: dict[str, Any]) -> None:
    description = describe(build_network(mx, network), network)
    for what, recorded in record.items():
        if what != "run":
            assert description.get(what) == recorded, what


@pytest.mark.parametrize(("network", "record"), [case for case in CASES if case.values[0].runs])
def test_training_step(network: Network, record: dict[str, Any]) -> None:
    results = run(mx, build_network(mx, network), network)
    # A monitor sees every output that is computed; MXNet does not compute the same thing twice.
    assert set(results.pop("monitored")) >= set(record["run"]["monitored"])
    for part, arrays in results.items():
        assert list(arrays) == list(record["run"][part]), part
        for name, array in arrays.items():
            recorded = record["run"][part][name]
            assert_same(f"{part}: {name}", array, recorded, tolerance=1e-5, floor=1e-6)


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize(("network", "record"), [case for case in CASES if case.values[0].runs])
def test_inference(monkeypatch: pytest.MonkeyPatch, network: Network, record: dict[str, Any], in_parts: bool) -> None:
    """Bound for nothing else, with no monitor that would keep the engine from fusing, or from cutting the batch."""
    if in_parts:
        monkeypatch.setattr(module, "cache_bytes", lambda device: 64)
    symbol = build_network(mx, network)
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", **network.shapes)
    for name, array in executor.arg_dict.items():
        array[:] = mx.nd.array(network.fill(name, array.shape))
    for name, array in executor.aux_dict.items():
        array[:] = mx.nd.array(record["run"]["states"][name])
    executor.forward(is_train=False)
    for name, array in executor.output_dict.items():
        assert_same(name, array.asnumpy(), record["run"]["inference"][name], tolerance=1e-5, floor=1e-6)


@pytest.mark.parametrize(("network", "record"), CASES)
def test_saving_and_loading_changes_nothing(network: Network, record: dict[str, Any]) -> None:
    assert mx.sym.load_json(record["json"]).tojson() == record["json"]
