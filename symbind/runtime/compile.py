"""From a graph to a program: every pass in its order, then kernels and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..base import MXNetError
from ..generators import generator
from ..graph.node import Entry, Node, execution_order, post_order
from ..ndarray import NDArray
from ..ops.shapes import is_known, product
from ..passes.fuse import fuse
from ..passes.hoist import hoistable, independent_parts
from ..passes.infer import infer_dtypes, infer_shapes
from ..passes.join_sums import join_sums
from ..passes.layout import Arranged, arrange
from ..passes.plan import Kept, Store, plan_memory
from ..passes.recompute import recompute
from ..passes.simplify import simplify
from .arena import ArenaMemory
from .engine import Engine, Value
from .program import Program
from .resident import ResidentArgument, ResidentGradient, content_for, resident_layout
from .torch_engine import TorchImplementation

__all__ = ["Bound", "GradientTarget", "compile_program", "require_complete"]


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


def compile_program(
    bound: Bound,
    engine: Engine,
    device: torch.device,
    modes: Sequence[bool],
    rewrite: bool,
    share: ArenaMemory | None,
) -> tuple[Program, list[Entry]]:
    """The program for ``modes``, and the heads of the graph that it runs.

    Without ``rewrite`` every node is run as it is, so that each value can be looked at. ``share`` is an arena to be
    used again if it is large enough.
    """
    count, training = len(bound.heads), bool(bound.gradients)
    results = [*bound.heads, *bound.gradients.values()]
    if rewrite:
        results = join_sums(simplify(results), lambda entries: bound.infer(entries)[0])
        results = fuse(results, engine.patterns(training or tuple(modes) == (True,)))
    shapes, dtypes = bound.infer(results)
    if rewrite and training:
        again = recompute(results[:count], results[count:], partial(_plain_bytes, shapes, dtypes))
        if again != results[count:]:
            results = [*results[:count], *again]
            shapes, dtypes = bound.infer(results)
    # Parameters may stay as kernels want them, with their gradients, unless these are added up for the caller.
    replaced = {target.variable for target in bound.targets if not target.accumulate} if rewrite else ()
    settled = {node: resident_layout(array, engine) for node, array in bound.variables} if rewrite else {}
    arranged = arrange(
        results,
        engine,
        shapes,
        dtypes,
        Value,
        TorchImplementation,
        training=training,
        settled={node: layout for node, layout in settled.items() if layout is not None},
        movable=replaced,
        like={count + i: variable for i, variable in enumerate(bound.gradients) if variable in replaced},
    )
    heads = arranged.outputs[:count]
    gradients = dict(zip(bound.gradients, arranged.outputs[count:]))

    tensors: dict[Kept, torch.Tensor] = {}
    residents: list[ResidentArgument] = []
    resident_gradients: list[ResidentGradient] = []
    for node, array in bound.variables:
        layout = arranged.layouts.get(Entry(node))
        if layout is None:
            tensors[Kept(node)] = array.tensor
        else:
            content = content_for(array, engine, layout)
            residents.append(ResidentArgument(array, content))
            tensors[Kept(node)] = content.elements
    stores, gradient_stores = [], []
    for i, (entry, output) in enumerate(zip(heads, bound.outputs)):
        place = Kept(("output", i))
        tensors[place] = output.tensor
        stores.append(Store(entry, place))
    for target in bound.targets:
        place, entry = Kept(("gradient", target.variable)), gradients[target.variable]
        layout = arranged.layouts.get(entry)
        if layout is None:
            tensors[place] = target.array.tensor
        else:
            content = content_for(target.array, engine, layout)
            resident_gradients.append(ResidentGradient(target.array, content))
            tensors[place] = content.elements
        gradient_stores.append(Store(entry, place, target.accumulate))

    order = execution_order(arranged.outputs)
    # While training, parameters change at every step: only inference is worth preparing for.
    hoisted = dict.fromkeys(hoistable(order) if tuple(modes) == (False,) and not training else [])
    parts = independent_parts(list(hoisted))
    steps = [node for node in order if node not in hoisted]
    in_forward = set(post_order(heads))
    memory = _planner(arranged, shapes, dtypes)
    read = dict.fromkeys([*(entry for node in steps for entry in node.inputs), *heads])
    prepared = [Store(entry, Kept(entry)) for entry in read if entry.node in hoisted]
    preparation = memory([node for part in parts for node in part], [], prepared, [])
    forward = [node for node in steps if node in in_forward]
    backward = [node for node in steps if node not in in_forward]
    program = Program(
        memory(forward, backward, stores, gradient_stores, held=hoisted),
        tensors,
        shapes,
        dtypes,
        arranged.implementations,
        arranged.layouts,
        device,
        generator(device),
        modes,
        share,
        parts,
        preparation,
        residents,
        resident_gradients,
    )
    return program, heads


def _plain_bytes(shapes: Mapping[Node, Any], dtypes: Mapping[Node, Any], entry: Entry) -> int:
    return product(shapes[entry.node][entry.index]) * dtypes[entry.node][entry.index].itemsize


def _planner(arranged: Arranged, shapes: Mapping[Node, Any], dtypes: Mapping[Node, Any]) -> Any:
    """:func:`plan_memory` for values in the layouts that were chosen."""
    layouts, implementations = arranged.layouts, arranged.implementations

    def num_bytes(entry: Entry) -> int:
        layout = layouts.get(entry)
        return _plain_bytes(shapes, dtypes, entry) if layout is None else layout.nbytes

    def same_type(a: Entry, b: Entry) -> bool:
        return dtypes[a.node][a.index] == dtypes[b.node][b.index] and layouts.get(a) == layouts.get(b)

    return partial(
        plan_memory,
        num_bytes=num_bytes,
        same_type=same_type,
        inplace_of=lambda node: implementations[node].inplace,
        workspace_of=lambda node: implementations[node].workspace,
    )


def require_complete(order: Sequence[Node], shapes: Mapping[Node, Any], dtypes: Mapping[Node, Any]) -> None:
    """MXNetError naming a value whose shape or type inference could not decide."""
    for node in order:
        if node.op is not None and node.op.measured:
            raise MXNetError(
                f"The shape of {node.output_name(0)} follows from the numbers in the inputs of {node.op.name}, which "
                "therefore runs on arrays only, in no network that is bound"
            )
        for i in range(node.num_outputs):
            if not is_known(shapes[node][i]):
                raise MXNetError(f"Cannot decide the shape of {node.output_name(i)}: known is {shapes[node][i]}")
            if dtypes[node][i] is None:
                raise MXNetError(f"Cannot decide the type of {node.output_name(i)}")
