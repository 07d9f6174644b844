"""Every recorded operator call gives what MXNet 1.9.1 gave: names, JSON, inference, numbers, gradients, states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx

from . import archive
from .cases import FAMILIES, Case
from .compare import TOLERANCE, assert_same
from .harness import find_operator, observe_inference, wants_gradient

RECORDS = {family: archive.read(Path(__file__).parent / f"operators_{family}.npz") for family in FAMILIES}

# Operators with recorded numbers that this package does not have yet.
# fmt: off
NOT_BUILT: set[str] = set()
# fmt: on


def _exists(op: str) -> bool:
    try:
        find_operator(mx, op)
    except AttributeError:
        return False
    return True


CASES = [
    pytest.param(entry, RECORDS[family].get(name), id=f"{family}: {name}")
    for family, cases in FAMILIES.items()
    for name, entry in cases.items()
    if entry.op not in NOT_BUILT
]


def test_the_list_of_missing_operators_is_exact() -> None:
    recorded = {entry.op for cases in FAMILIES.values() for entry in cases.values()}
    missing = {op for op in recorded if not _exists(op)}
    assert missing == NOT_BUILT, (
        f"missing but not listed: {sorted(missing - NOT_BUILT)}; listed but built: {sorted(NOT_BUILT - missing)}"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_records_belong_to_the_tables(family: str) -> None:
    assert list(RECORDS[family]) == list(FAMILIES[family])
    for name, entry in FAMILIES[family].items():
        record = RECORDS[family][name]
        assert record["op"] == entry.op
        assert record["params"] == {key: str(value) for key, value in entry.params.items()}
        for recorded, declared in zip(record["inputs"], entry.inputs.values(), strict=True):
            np.testing.assert_array_equal(recorded, declared, err_msg=name)


# MXNet computes these in double precision with constants of single precision.
SINGLE_CONSTANTS = {
    "degrees",
    "radians",
    "erf",
    "erfinv",
    "gamma",
    "gammaln",
    "hard_sigmoid",
    "LeakyReLU",
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "random_pdf_normal",
    "random_pdf_gamma",
    "random_pdf_dirichlet",
}


def tolerance_of(entry: Case) -> float:
    """What must be forgiven beyond the precision of each array."""
    dtypes = {array.dtype.name for array in entry.inputs.values()}
    if "float16" in dtypes:
        return TOLERANCE["float16"]  # what is computed from half precision is no better
    return TOLERANCE["float32"] if entry.op in SINGLE_CONSTANTS else 0.0


# Bytes that are rounded from sums in another order.
FLOORS = {"image.resize": 1.0}


def build(entry: Case) -> Any:
    with mx.name.NameManager():
        given = list(entry.inputs)[: entry.given]
        return find_operator(mx, entry.op)(*map(mx.sym.Variable, given), **entry.params)


# From the first input alone MXNet takes the output of a concatenation to be as long as that input, and the first of
# several casts to keep its type.
WRONG_ABOUT_THE_REST = {"Concat", "concat", "_rnn_param_concat", "amp_multicast"}


def knows_at_least(recorded: Any, seen: Any) -> bool:
    """Whether ``seen`` agrees with ``recorded`` wherever that says something (not None, not 0, not an empty shape)."""
    if recorded in (None, 0, []):
        return True
    if isinstance(recorded, list):
        return isinstance(seen, list) and len(seen) == len(recorded) and all(map(knows_at_least, recorded, seen))
    return seen == recorded


@pytest.mark.parametrize(("entry", "record"), CASES)
def test_description(entry: Case, record: dict[str, Any]) -> None:
    """Names, JSON text, and what shape and type inference can tell."""
    symbol = build(entry)
    assert symbol.list_arguments() == record["arguments"]
    assert symbol.list_auxiliary_states() == record["auxiliary"]
    assert symbol.list_outputs() == record["outputs"]
    assert symbol.tojson() == record["json"]
    inferred = observe_inference(symbol, entry)
    for question, recorded in record["inference"].items():
        if question.endswith("given"):
            assert inferred.get(question) == recorded, question
        elif entry.op not in WRONG_ABOUT_THE_REST:
            assert knows_at_least(recorded, inferred.get(question)), f"{question}: {inferred.get(question)}, {recorded}"


# The numbers in their inputs decide the shapes of their outputs: they run on arrays only.
MEASURED = {"contrib.boolean_mask"}


@pytest.mark.parametrize(("entry", "record"), [case for case in CASES if case.values[0].op not in MEASURED])
def test_numbers(entry: Case, record: dict[str, Any]) -> None:
    """Outputs, gradients, auxiliary states after each step, and arguments the operator changed."""
    symbol = build(entry)
    names = record["arguments"] + record["auxiliary"]
    arrays = [mx.nd.array(array, dtype=array.dtype) for array in entry.inputs.values()]
    arguments = dict(zip(record["arguments"], arrays))
    states = dict(zip(record["auxiliary"], arrays[len(arguments) :]))
    wanted = [name for name, key in zip(arguments, entry.inputs) if wants_gradient(entry, key)]
    gradients = {name: mx.nd.zeros(arguments[name].shape, dtype=arguments[name].dtype) for name in wanted}
    requests = {name: "write" if name in wanted else "null" for name in arguments}
    executor = symbol.bind(mx.cpu(), arguments, gradients, requests, states)

    tolerance = tolerance_of(entry)
    outputs = [array.asnumpy() for array in executor.forward(is_train=entry.is_train)]
    for name, seen, recorded in zip(record["outputs"], outputs, record["results"], strict=True):
        if entry.random:
            assert list(seen.shape) == recorded["shape"]
            assert seen.dtype.name == recorded["dtype"]
        else:
            assert_same(name, seen, recorded, tolerance, FLOORS.get(entry.op, 0.0))
    for (name, state), recorded in zip(states.items(), record["states after forward"], strict=True):
        assert_same(f"{name} after forward", state.asnumpy(), recorded, tolerance)

    if wanted and not entry.random:
        heads = [mx.nd.array(head, dtype=head.dtype) for head in record["head gradients"]]
        executor.backward(heads, is_train=entry.is_train)
        for name in wanted:
            assert_same(f"gradient of {name}", gradients[name].asnumpy(), record["gradients"][name], tolerance)
        for (name, state), recorded in zip(states.items(), record["states after backward"], strict=True):
            assert_same(f"{name} after backward", state.asnumpy(), recorded, tolerance)
    for name, before in zip(names, entry.inputs.values()):
        if name in arguments:
            assert_same(
                f"{name} afterwards", arguments[name].asnumpy(), record["arguments after"].get(name, before), tolerance
            )


# Operators that work differently in training; outside a recorded scope an array function is never in training.
STATEFUL = {"BatchNorm", "BatchNorm_v1", "contrib.SyncBatchNorm", "Dropout", "IdentityAttachKLSparseReg"}
PURE = [case for case in CASES if not case.values[0].random and case.values[0].op not in STATEFUL]


@pytest.mark.parametrize(("entry", "record"), PURE)
def test_function_of_arrays(entry: Case, record: dict[str, Any]) -> None:
    """``mx.nd`` has the same operators, and they give at once what the bound symbol gives."""
    arrays = [mx.nd.array(array, dtype=array.dtype) for array in entry.inputs.values()]
    outputs = find_operator(mx, entry.op, "nd")(*arrays, **entry.params)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    for name, seen, recorded in zip(record["outputs"], outputs, record["results"], strict=True):
        assert_same(name, seen.asnumpy(), recorded, tolerance_of(entry), FLOORS.get(entry.op, 0.0))
