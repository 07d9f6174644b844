"""Graphs inside nodes: as functions whose shapes can be asked for, and bound to memory of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from ..base import MXNetError
from ..context import Context
from ..dtype import as_torch
from ..graph.compose import substitute
from ..graph.node import Entry, Node, post_order
from ..graph.symbol import Symbol
from .operator import Environment
from .shapes import merge

__all__ = ["DTYPES", "SHAPES", "Bound", "Graph", "Inference"]


class Graph:
    """A graph in a node, as a function of its variables."""

    def __init__(self, heads: Sequence[Entry]) -> None:
        self.heads = tuple(heads)
        variables = [node for node in post_order(heads) if node.is_variable]
        # It is bound under names of its own: those that it was given need not differ.
        self.names = [f"input{i}" for i in range(len(variables))]
        renamed = {Entry(v): Entry(Node(None, name, dict(v.attrs))) for v, name in zip(variables, self.names)}
        self.symbol = Symbol(substitute(heads, renamed))
        self.auxiliary = [self.names.index(name) for name in self.symbol.list_auxiliary_states()]
        self.is_random = _is_random(heads)

    def infer_shape(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Shapes of variables and outputs, as far as known, from those of the variables."""
        given = {name: shape for name, shape in zip(self.names, inputs) if shape is not None}
        seen, outputs = self._in_order(*self.symbol.infer_shape_partial(**given))
        return [s or None for s in seen], [s or None for s in outputs]

    def infer_dtype(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """As :meth:`infer_shape`, for element types."""
        given = {name: dtype for name, dtype in zip(self.names, inputs) if dtype is not None}
        seen, outputs = self._in_order(*self.symbol.infer_type_partial(**given))
        return [t and as_torch(t) for t in seen], [t and as_torch(t) for t in outputs]

    def _in_order(self, arguments: list[Any], outputs: list[Any], auxiliary: list[Any]) -> tuple[list[Any], list[Any]]:
        by_name = dict(zip(self.symbol.list_arguments(), arguments))
        by_name.update(zip(self.symbol.list_auxiliary_states(), auxiliary))
        return [by_name[name] for name in self.names], outputs


def _is_random(heads: Sequence[Entry]) -> bool:
    nodes = [node for node in post_order(heads) if not node.is_variable]
    return any(node.op.random or any(map(_is_random, node.subgraphs)) for node in nodes)  # type: ignore[union-attr]


class Bound:
    """A graph with memory of its own, ready to run.

    ``requests`` says for which variables, by position, gradients are wanted, and how (``write`` or ``add``).
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[tuple[tuple[int, ...], torch.dtype]],
        env: Environment,
        requests: dict[int, str] | None = None,
    ) -> None:
        device = env.device
        context = Context("gpu", device.index or 0) if device.type == "cuda" else Context("cpu", 0)
        self._executor = graph.symbol.simple_bind(
            context,
            {graph.names[i]: request for i, request in (requests or {}).items()},
            type_dict={name: dtype for name, (_, dtype) in zip(graph.names, inputs)},
            **{name: shape for name, (shape, _) in zip(graph.names, inputs)},
        )
        arrays = {**self._executor.arg_dict, **self._executor.aux_dict}
        gradients = {name: g.tensor for name, g in self._executor.grad_dict.items() if g is not None}
        heads = [output.copy() for output in self._executor.outputs]
        self.inputs: list[torch.Tensor] = [arrays[name].tensor for name in graph.names]
        self.outputs: list[torch.Tensor] = [output.tensor for output in self._executor.outputs]
        self.gradients: list[torch.Tensor | None] = [gradients.get(name) for name in graph.names]
        self.head_gradients: list[torch.Tensor] = [head.tensor for head in heads]
        self._heads = heads
        self._is_train = env.is_train
        self._generator = env.generator if graph.is_random else None

    def forward(self, seed: torch.Tensor) -> None:
        """Compute ``outputs`` from ``inputs``; random numbers are those that belong to ``seed``."""
        if self._generator is None:
            self._executor.forward(self._is_train)
        else:
            with _seeded(self._generator, int(seed)):
                self._executor.forward(self._is_train)

    def backward(self) -> None:
        """Compute ``gradients`` from ``head_gradients``, after :meth:`forward`."""
        self._executor.backward(self._heads)


@contextmanager
def _seeded(generator: torch.Generator, seed: int) -> Iterator[None]:
    """A block in which ``generator`` begins anew at ``seed``; behind it, it goes on as if nothing had been drawn."""
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


class Inference(NamedTuple):
    """What shapes and element types have in common."""

    infer: Callable[[Graph, Sequence[Any]], tuple[list[Any], list[Any]]]
    merge: Callable[[Any, Any], Any]
    row: Callable[[Any], Any]
    """Of an array to loop over, what is known of one step."""
    rows: Callable[[Any, int, Any], Any]
    """Of such an array, given what is known of it, what its steps and one of them add."""
    stack: Callable[[int, Any], Any]
    """Of an array of what all steps make, what is known by one of them."""
    steps: Callable[[Any], int]
    """How many steps an array has, 0 if unknown."""
    counter: Callable[[int], Any]
    """An array of whole numbers."""


def _row(shape: Any) -> Any:
    if shape == ():
        raise MXNetError("An array to loop over needs a first axis, but has no axes")
    return None if shape is None else shape[1:] or (1,)


def _rows(shape: Any, steps: int, row: Any) -> Any:
    # Steps over single numbers see arrays of one number, as arrays of arrays of one number do.
    if shape is not None and len(shape) == 1:
        return merge(shape, (steps,))
    return None if row is None else (steps, *row)


def _same_dtype(first: Any, second: Any) -> Any:
    if first is not None and second is not None and first != second:
        raise MXNetError(f"A loop turns a state of type {first} into one of type {second}")
    return second if first is None else first


SHAPES = Inference(
    Graph.infer_shape,
    merge,
    _row,
    _rows,
    lambda steps, shape: None if shape is None else (steps, *shape),
    lambda shape: shape[0] if shape else 0,
    lambda count: (count,),
)
DTYPES = Inference(
    Graph.infer_dtype,
    _same_dtype,
    lambda dtype: dtype,
    lambda given, steps, dtype: dtype,
    lambda steps, dtype: dtype,
    lambda dtype: 0,
    lambda count: torch.int64,
)
