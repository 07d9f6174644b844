"""One call of every operator in every element type: which types MXNet accepts, and what it computes in them.

The calls come from the tables of cases: the first one of each operator, with its numbers made fit for the type. An
operator without inputs gets the type by its parameter ``dtype``; one that has both is called in both ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .cases import FAMILIES, Case
from .harness import find_operator, head_gradients, wants_gradient

__all__ = ["CALLS", "TYPES", "Call", "canonical_name", "observe_call"]

TYPES = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")

# Where the first case says little about types, or its whole numbers would not fit them: the position of a better one.
BETTER = {"Cast": 1, "_eye": 1}


@dataclass(frozen=True)
class Call:
    """An operator called in one type, by the ``family`` of cases that it is taken from."""

    operator: str
    family: str
    label: str
    entry: Case


def canonical_name(path: str) -> str:
    """The registered name of a function at ``path`` below ``mx.sym`` (an alias stays one)."""
    namespace, _, name = path.rpartition(".")
    return f"_{namespace}_{name}" if namespace else path


def _fit(array: np.ndarray, dtype: str) -> np.ndarray:
    """The numbers of ``array`` as ``dtype`` has them: different ones stay different, if there is room."""
    kind = np.dtype(dtype).kind
    if kind == "f":
        return array.astype(dtype)
    finite = np.nan_to_num(array, posinf=3, neginf=-3)
    whole = finite if np.array_equal(finite, np.rint(finite)) else np.rint(3 * finite)
    if kind == "b":
        return whole > 0
    return (np.abs(whole) if kind == "u" else whole).astype(dtype)


def _in_type(entry: Case, dtype: str, only: Iterable[str] | None = None) -> Case:
    inputs = {
        name: _fit(array, dtype) if (array.dtype.kind == "f" if only is None else name in only) else array
        for name, array in entry.inputs.items()
    }
    # Gradients in whole numbers mean nothing.
    wrt = entry.wrt if np.dtype(dtype).kind == "f" else ()
    return replace(entry, inputs=inputs, wrt=wrt)


def _calls_of(operator: str, family: str, entry: Case, has_dtype: bool) -> list[Call]:
    calls = []
    if any(array.dtype.kind == "f" for array in entry.inputs.values()):
        calls += [Call(operator, family, dtype, _in_type(entry, dtype)) for dtype in TYPES]
        if len(entry.inputs) > 1:
            first = next(iter(entry.inputs))
            calls += [Call(operator, family, f"{dtype} {first}", _in_type(entry, dtype, [first])) for dtype in TYPES]
    elif entry.inputs:
        first = next(iter(entry.inputs))
        calls += [Call(operator, family, dtype, _in_type(entry, dtype, [first])) for dtype in TYPES]
    if has_dtype or not entry.inputs:
        calls += [
            Call(operator, family, f"to {dtype}", replace(entry, params={**entry.params, "dtype": dtype}))
            for dtype in TYPES
        ]
    return calls


def _examples() -> dict[str, tuple[str, Case]]:
    """Of each path, the family and the case to take."""
    examples: dict[str, list[tuple[str, Case]]] = {}
    for family, cases in FAMILIES.items():
        for entry in cases.values():
            examples.setdefault(entry.op, []).append((family, entry))
    return {op: cases[min(BETTER.get(op, 0), len(cases) - 1)] for op, cases in examples.items()}


# Operators with inputs and a parameter ``dtype`` for what they return.
CONVERTING = {
    "argsort", "topk", "one_hot", "Embedding", "softmax", "log_softmax", "softmin", "Cast", "amp_cast",
    "_sample_multinomial", "_sample_uniform", "_sample_normal", "_sample_gamma", "_sample_exponential",
    "_sample_poisson", "_sample_negative_binomial", "_sample_generalized_negative_binomial",
}  # fmt: skip

CALLS: dict[str, list[Call]] = {
    canonical_name(op): _calls_of(canonical_name(op), family, entry, canonical_name(op) in CONVERTING)
    for op, (family, entry) in _examples().items()
}


def observe_call(mx: Any, entry: Case) -> dict[str, Any]:
    """Outputs and, if there are any, gradients, as lists."""
    with mx.name.NameManager():
        given = list(entry.inputs)[: entry.given]
        symbol = find_operator(mx, entry.op)(*map(mx.sym.Variable, given), **entry.params)
    arrays = [mx.nd.array(array, dtype=array.dtype) for array in entry.inputs.values()]
    arguments = dict(zip(symbol.list_arguments(), arrays))
    states = dict(zip(symbol.list_auxiliary_states(), arrays[len(arguments) :]))
    wanted = [name for name, key in zip(arguments, entry.inputs) if wants_gradient(entry, key)]
    gradients = {name: mx.nd.zeros(arguments[name].shape, dtype=arguments[name].dtype) for name in wanted}
    requests = {name: "write" if name in wanted else "null" for name in arguments}
    executor = symbol.bind(mx.cpu(), arguments, gradients, requests, states)
    outputs = [array.asnumpy() for array in executor.forward(is_train=entry.is_train)]
    if entry.random:
        return {"results": [{"shape": list(array.shape), "dtype": array.dtype.name} for array in outputs]}
    record: dict[str, Any] = {"results": outputs}
    if wanted:
        executor.backward([mx.nd.array(head, dtype=head.dtype) for head in head_gradients(outputs)])
        record["gradients"] = [array.asnumpy() for array in gradients.values()]
    return record
