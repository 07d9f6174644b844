"""What the recorder and the tests do alike, whichever system ``mx`` is. Imports neither."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import Case

__all__ = ["find_operator", "head_gradients", "observe_inference", "wants_gradient"]


def find_operator(mx: Any, path: str) -> Callable[..., Any]:
    """``mx.sym.<path>``, dots followed; names with a leading underscore live in ``mx.sym._internal``."""
    where = mx.sym._internal if path.startswith("_") else mx.sym
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
                    answer = getattr(symbol, method)(**known)
            except Exception:
                continue
            if method == "infer_type_partial":
                answer = [[None if t is None else np.dtype(t).name for t in part] for part in answer or ([], [], [])]
            answers[f"{method} {question}"] = [[list(s) if isinstance(s, tuple) else s for s in p] for p in answer]
    return answers
