"""What :mod:`symbind.autograd` must know of imperative calls: while recording is on, every array remembers its origin.

A call on arrays of which at least one belongs to a graph makes a node of the same graph that symbols are made of, and
its results are entries of it. The numbers that the node computed, those of hidden outputs included, are kept beside
it: a gradient is computed from them, never by computing anything a second time (which would draw other random
numbers). Node and numbers live as long as some array depends on them.

Modes belong to a thread; graphs do not.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch

from ..base import MXNetError
from ..graph import registry
from ..graph.node import Entry, Node

if TYPE_CHECKING:
    from .ndarray import NDArray

__all__ = [
    "Leaf", "Values", "is_recorded", "leaves", "make_leaf", "mode", "record", "record_named", "refuse_update", "values",
]  # fmt: skip


class _Mode(threading.local):
    """Whether this thread records, and whether operators run as in training."""

    recording = False
    training = False


class Values(NamedTuple):
    """What a node computed, in which mode. ``kept`` is whatever else its gradient needs to stay alive."""

    tensors: list[torch.Tensor]
    kept: Any = None
    is_train: bool = True


class Leaf(NamedTuple):
    """A variable whose gradient somebody wants: where to put it, and how."""

    gradient: NDArray
    request: str


mode = _Mode()
values: WeakKeyDictionary[Node, Values] = WeakKeyDictionary()
leaves: WeakKeyDictionary[Node, Leaf] = WeakKeyDictionary()
_numbers = itertools.count()


def is_recorded(array: NDArray) -> bool:
    """Whether gradients can go through ``array``; not any more when its graph has let go of its numbers."""
    return array._entry is not None and array._entry.node in values


def make_leaf(array: NDArray, gradient: NDArray, request: str) -> None:
    """Make ``array`` a variable, whatever it came from before."""
    array._entry = _variable(array.tensor)
    leaves[array._entry.node] = Leaf(gradient, request)


def record(
    operator: Any,
    params: Any,
    attrs: Mapping[str, str],
    inputs: Sequence[NDArray],
    computed: Sequence[torch.Tensor],
    results: Sequence[NDArray],
    kept: Any = None,
) -> None:
    """Remember that ``operator`` made ``results``, the first of the tensors ``computed``, of ``inputs``."""
    if not mode.recording or not any(map(is_recorded, inputs)):
        return
    entries = [_entry(array) for array in inputs]
    node = Node(operator, f"node{next(_numbers)}", dict(attrs), entries, params)
    values[node] = Values(list(computed), kept, mode.training)
    for index, result in enumerate(results):
        result._entry = Entry(node, index)


def record_named(operator: str, inputs: Sequence[NDArray], result: NDArray, **attrs: Any) -> None:
    """Remember that ``result`` is what the operator of that name makes of ``inputs``, however it was computed."""
    if mode.recording:
        declared: Any = registry.find(operator)
        texts = {key: str(value) for key, value in attrs.items()}
        record(declared, declared.parse(texts), texts, inputs, [result.tensor], [result])


def refuse_update(array: NDArray) -> None:
    """MXNetError if ``array`` belongs to a graph that is being recorded: its gradient would be of other numbers."""
    if mode.recording and is_recorded(array):
        raise MXNetError(
            "Assigning to NDArrays that are already in a computational graph will cause undefined behavior when "
            "evaluating gradients. Please call backward first to clear the graph or do this outside of a record "
            "section; in-place operations (x += 1, x[i] = 1, relu(x, out=x)) cannot be recorded."
        )


def _entry(array: NDArray) -> Entry:
    """What ``array`` is in its graph; a constant if it belongs to none."""
    return array._entry if array._entry is not None and is_recorded(array) else _variable(array.tensor)


def _variable(tensor: torch.Tensor) -> Entry:
    node = Node(None, f"var{next(_numbers)}")
    values[node] = Values([tensor])
    return Entry(node)
