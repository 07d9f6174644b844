"""What the recorder and the tests do alike, whichever system ``mx`` is. Imports neither."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import Case
from .networks import Network

__all__ = ["build_network", "describe", "find_operator", "head_gradients", "observe_inference", "run", "wants_gradient"]


def find_operator(mx: Any, path: str, namespace: str = "sym") -> Callable[..., Any]:
    """``mx.sym.<path>``, dots followed; names with a leading underscore live in ``mx.sym._internal``."""
    where = getattr(mx, namespace)
    if path.startswith("_"):
        where = where._internal
    for part in path.split("."):
        where = getattr(where, part)
    return where


def head_gradients(outputs: list[np.ndarray]) -> list[np.ndarray]:
    """A gradient for each output, distinct numbers of its shape and dtype."""
    heads = []
    for position, output in enumerate(outputs):
        steps = np.random.RandomState(100 + position).permutation(output.size) + 0.75
        heads.append((2 * steps / output.size - 1).round(4).astype(output.dtype).reshape(output.shape))
    return heads


def wants_gradient(entry: Case, name: str) -> bool:
    """Whether the gradient of this input is recorded: it is asked for, or nothing is said and it is a float."""
    return entry.inputs[name].dtype.kind == "f" if entry.wrt is None else name in entry.wrt


def observe_inference(symbol: Any, entry: Case) -> dict[str, Any]:
    """What shape and type inference say, from the given inputs and from the first input alone.

    A question which MXNet answers with an error is left out.
    """
    given = list(entry.inputs.items())[: entry.given]
    questions = {"given": dict(given), "first": dict(given[:1])}
    answers: dict[str, Any] = {}
    for question, arrays in questions.items():
        if question == "first" and len(given) < 2:
            continue
        shapes = {name: array.shape for name, array in arrays.items()}
        types = {name: array.dtype.type for name, array in arrays.items()}
        for method, known in (("infer_shape_partial", shapes), ("infer_type_partial", types)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    answers[f"{method} {question}"] = _plain(getattr(symbol, method)(**known))
            except Exception:
                continue
    return answers


def build_network(mx: Any, network: Network) -> Any:
    """The network with automatic names counted from zero."""
    with mx.name.NameManager():
        return network.build(mx)


def describe(symbol: Any, network: Network) -> dict[str, Any]:
    """All a symbol tells about itself without being bound; a question that raises is left out."""
    children = symbol.get_children()
    description = {
        "json": symbol.tojson(),
        "arguments": symbol.list_arguments(),
        "outputs": symbol.list_outputs(),
        "auxiliary": symbol.list_auxiliary_states(),
        "inputs": symbol.list_inputs(),
        "internals": symbol.get_internals().list_outputs(),
        "children": None if children is None else children.list_outputs(),
        "name": symbol.name,
        "attributes of all": symbol.attr_dict(),
        "attributes": symbol.list_attr(),
        "debug": symbol.debug_str(),
        "repr": repr(symbol),
    }
    types = network.types or dict.fromkeys(list(network.shapes)[:1], "float32")
    for method in ("infer_shape", "infer_shape_partial", "infer_type", "infer_type_partial"):
        known = network.shapes if "shape" in method else types
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                description[method] = _plain(getattr(symbol, method)(**known))
        except Exception:
            continue
    return description


def _plain(answer: Any) -> Any:
    """What an inference method answers, as lists of lists or of dtype names."""

    def plain(item: Any) -> Any:
        if item is None:
            return None
        return list(item) if isinstance(item, tuple) else np.dtype(item).name

    return [None if part is None else [plain(item) for item in part] for part in answer]


def run(mx: Any, symbol: Any, network: Network) -> dict[str, Any]:
    """One training step and one (monitored) inference step with numbers made from the names."""
    requests = {name: "null" if name in network.fixed else "write" for name in symbol.list_arguments()}
    executor = symbol.simple_bind(mx.cpu(), grad_req=requests, **network.shapes)
    for arrays in (executor.arg_dict, executor.aux_dict):
        for name, array in arrays.items():
            array[:] = mx.nd.array(network.fill(name, array.shape))
    names = symbol.list_outputs()
    trained = [array.asnumpy() for array in executor.forward(is_train=True)]
    executor.backward([mx.nd.array(head, dtype=head.dtype) for head in head_gradients(trained)])
    mx.nd.waitall()
    seen: list[str] = []
    executor.set_monitor_callback(lambda name, array: seen.append(_text(name)), monitor_all=True)
    inferred = [array.asnumpy() for array in executor.forward(is_train=False)]
    return {
        "training": dict(zip(names, trained)),
        "gradients": {name: array.asnumpy() for name, array in executor.grad_dict.items() if array is not None},
        "states": {name: array.asnumpy() for name, array in executor.aux_dict.items()},
        "inference": dict(zip(names, inferred)),
        "monitored": sorted(set(seen) & set(symbol.get_internals().list_outputs())),
    }


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
