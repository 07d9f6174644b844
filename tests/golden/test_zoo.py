"""Whole networks of MXNet's model zoo and of GluonCV: text, shapes, predictions, and a step of training.

The names of the tests say which networks were run, and on which engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx
from symbind.runtime.engines import use_engine

from . import archive
from .compare import assert_same
from .zoo import ZOO, infer, predict, train

RECORDS = archive.read(Path(__file__).parent / "zoo.npz")

NAMES = [pytest.param(name, marks=[pytest.mark.slow] if ZOO[name].slow else []) for name in ZOO]
TRAINED = [name for name, network in ZOO.items() if network.trains]
# In these no rectifier is so near to zero that rounding in float32 could switch it.
TRAINED_IN_FLOAT32 = ["resnet18_v2", "mobilenet0.25"]


@pytest.fixture(params=["onednn", "torch"])
def engine(request) -> Iterator[str]:
    if request.param == "onednn":
        pytest.importorskip("cffi")
    with use_engine(request.param):
        yield request.param


@cache
def load(name: str) -> Any:
    return mx.sym.load_json(RECORDS[name]["json"])


def test_every_network_is_recorded() -> None:
    assert list(RECORDS) == list(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_the_text_is_written_back(name: str) -> None:
    assert load(name).tojson() == RECORDS[name]["json"]


@pytest.mark.parametrize("name", ZOO)
def test_shapes(name: str) -> None:
    assert infer(load(name), ZOO[name]) == RECORDS[name]["shapes"]


@pytest.mark.parametrize("name", NAMES)
def test_prediction(name: str, engine: str) -> None:
    outputs = predict(mx, load(name), ZOO[name], RECORDS[name]["constants"])
    for output, recorded in zip(outputs, RECORDS[name]["outputs"], strict=True):
        assert_same(name, output, recorded, tolerance=1e-4)


def assert_same_step(name: str, dtype: str, tolerance: dict[str, float]) -> None:
    """A step of training gives the digests that are recorded, as exactly as ``tolerance`` says for each part.

    A gradient that is zero but for rounding (of a shift before a normalization) is compared with the largest one.
    """
    step = train(mx, load(name), ZOO[name], RECORDS[name]["constants"], dtype)
    for part, recorded in RECORDS[name]["training"].items():
        assert list(step[part]) == list(recorded), part
        largest = max(digest[0] for digest in recorded.values())
        for key, digest in recorded.items():
            error = np.abs(step[part][key] - digest).max() / max(digest[0], 1e-6 * largest)
            assert error < tolerance[part], f"{part}: {key}"


@pytest.mark.parametrize("name", TRAINED)
def test_training(name: str) -> None:
    # MXNet keeps the momentum of moving averages in float32.
    assert_same_step(name, "float64", {"outputs": 1e-9, "gradients": 1e-8, "states": 1e-6})


@pytest.mark.parametrize("name", TRAINED_IN_FLOAT32)
def test_training_in_float32(name: str, engine: str) -> None:
    assert_same_step(name, "float32", {"outputs": 1e-4, "gradients": 1e-3, "states": 1e-4})
