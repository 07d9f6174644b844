"""What is bound: what is to be computed, from which of the caller's arrays into which, and where in memory that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..graph.node import Entry, Node, execution_order
from ..ndarray import NDArray
from ..passes.infer import infer_dtypes, infer_shapes, require_complete
from ..passes.layout import Arranged
from ..passes.plan import Kept, Store
from .engine import Engine, Layout
from .resident import ResidentArgument, ResidentGradient, content_for, resident_layout

__all__ = ["Bound", "GradientTarget", "Places"]


@dataclass(frozen=True)
class GradientTarget:
    """Where the gradient of a variable goes, and whether it is added to what is there."""

    variable: Node
    array: NDArray
    accumulate: bool


@dataclass(frozen=True)
class Bound:
    """What is to be computed, from which arrays into which."""

    heads: Sequence[Entry]
    gradients: Mapping[Node, Entry]
    variables: Sequence[tuple[Node, NDArray]]
    outputs: Sequence[NDArray]
    targets: Sequence[GradientTarget]

    def infer(self, results: Sequence[Entry]) -> tuple[dict[Node, Any], dict[Node, Any]]:
        """Shapes and types of the graph below ``results``; MXNetError if one cannot be decided."""
        order = execution_order(results)
        reached = set(order)
        given = [(node, array) for node, array in self.variables if node in reached]
        shapes = infer_shapes(order, {node: array.shape for node, array in given})
        dtypes = infer_dtypes(order, {node: array.storage.dtype for node, array in given})
        require_complete(order, shapes, dtypes)
        return shapes, dtypes

    def movable(self) -> set[Node]:
        """Variables that may stay as kernels want them, and their gradients too.

        These replace what is in their array, which is nobody else's, and the variable's array is not another's either.
        """
        shared = Counter(id(array) for array in (*(a for _, a in self.variables), *(t.array for t in self.targets)))
        arrays = dict(self.variables)
        return {
            target.variable
            for target in self.targets
            if not target.accumulate and shared[id(target.array)] == shared[id(arrays[target.variable])] == 1
        }

    def layouts(self, engine: Engine) -> dict[Node, Layout]:
        """The layouts in which other programs keep variables already."""
        found = {node: resident_layout(array, engine) for node, array in self.variables}
        return {node: layout for node, layout in found.items() if layout is not None}


@dataclass
class Places:
    """Memory outside the arena: that of the caller's arrays, or where these are kept as the kernels want them.

    ``stores`` and ``gradient_stores`` say which values go there.
    """

    tensors: dict[Kept, torch.Tensor] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)
    gradient_stores: list[Store] = field(default_factory=list)
    residents: list[ResidentArgument] = field(default_factory=list)
    resident_gradients: list[ResidentGradient] = field(default_factory=list)

    @classmethod
    def of(cls, bound: Bound, arranged: Arranged, engine: Engine) -> Places:
        """The places of what ``bound`` names, ``arranged`` being the graph of its heads, then its gradients."""
        places = cls()
        for node, array in bound.variables:
            layout = arranged.layouts.get(Entry(node))
            if layout is None:
                places.tensors[Kept(node)] = array.tensor
            else:
                content = content_for(array, engine, layout)
                places.residents.append(ResidentArgument(array, content))
                places.tensors[Kept(node)] = content.elements
        count = len(bound.heads)
        for i, (entry, output) in enumerate(zip(arranged.outputs[:count], bound.outputs)):
            place = Kept(("output", i))
            places.tensors[place] = output.tensor
            places.stores.append(Store(entry, place))
        gradients = dict(zip(bound.gradients, arranged.outputs[count:]))
        for target in bound.targets:
            place, entry = Kept(("gradient", target.variable)), gradients[target.variable]
            layout = arranged.layouts.get(entry)
            if layout is None:
                places.tensors[place] = target.array.tensor
            else:
                content = content_for(target.array, engine, layout)
                places.resident_gradients.append(ResidentGradient(target.array, content))
                places.tensors[place] = content.elements
            places.gradient_stores.append(Store(entry, place, target.accumulate))
        return places
