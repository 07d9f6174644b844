"""From a graph to a program: every pass in its order, then kernels and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from ..graph.node import Entry, Node, execution_order, post_order
from ..ops.shapes import product
from ..passes.fuse import fuse
from ..passes.hoist import hoistable, independent_parts
from ..passes.join_sums import join_sums
from ..passes.layout import Arranged, arrange
from ..passes.plan import Kept, Plan, Store, plan_memory
from ..passes.recompute import recompute
from ..passes.simplify import simplify
from ..passes.split_batch import split_batch
from .arena import ArenaMemory
from .bound import Bound, Places
from .cache import cache_bytes
from .engine import Engine, Value
from .program import Program
from .torch_engine import TorchImplementation

__all__ = ["compile_program"]


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
    training = bool(bound.gradients)
    results = [*bound.heads, *bound.gradients.values()]
    if rewrite:
        results = _rewritten(results, bound, engine, training or tuple(modes) == (True,))
    shapes, dtypes = bound.infer(results)
    cache = cache_bytes(device)
    if rewrite and tuple(modes) == (False,) and not training and cache:
        results = split_batch(results, shapes, partial(_plain_bytes, shapes, dtypes), cache)
        shapes, dtypes = bound.infer(results)
    if rewrite and training:
        leaner = _recomputing(results, bound, engine, shapes, dtypes)
        if leaner != results:
            results, (shapes, dtypes) = leaner, bound.infer(leaner)
    movable = bound.movable() if rewrite else set()
    arranged = arrange(
        results,
        engine,
        shapes,
        dtypes,
        Value,
        TorchImplementation,
        training=training,
        settled=bound.layouts(engine) if rewrite else {},
        movable=movable,
        like={i: variable for i, variable in enumerate(bound.gradients, len(bound.heads)) if variable in movable},
    )
    places = Places.of(bound, arranged, engine)
    # While training, parameters change at every step: only inference is worth preparing for.
    prepares = tuple(modes) == (False,) and not training
    plan, parts, preparation = _plan(bound, arranged, places, shapes, dtypes, prepares)
    program = Program(plan, places, shapes, dtypes, arranged, device, modes, share, parts, preparation)
    return program, arranged.outputs[: len(bound.heads)]


def _rewritten(results: Sequence[Entry], bound: Bound, engine: Engine, training: bool) -> list[Entry]:
    """The same results by a graph that is faster to run."""
    joined = join_sums(simplify(results), lambda entries: bound.infer(entries)[0])
    return fuse(joined, engine.patterns(training))


def _recomputing(
    results: list[Entry],
    bound: Bound,
    engine: Engine,
    shapes: Mapping[Node, Any],
    dtypes: Mapping[Node, Any],
) -> list[Entry]:
    """Heads and gradients by a graph that keeps less from the one to the other."""
    heads, gradients = results[: len(bound.heads)], results[len(bound.heads) :]
    again = recompute(heads, gradients, partial(_plain_bytes, shapes, dtypes))
    # What runs again may run in one with what follows.
    return results if again == gradients else fuse([*heads, *again], engine.patterns(training=True))


def _plan(
    bound: Bound,
    arranged: Arranged,
    places: Places,
    shapes: Mapping[Node, Any],
    dtypes: Mapping[Node, Any],
    prepares: bool,
) -> tuple[Plan, list[list[Node]], Plan]:
    """The plan of a run, and if it ``prepares`` the nodes that run in advance, in independent parts, and their plan."""
    order = execution_order(arranged.outputs)
    heads = arranged.outputs[: len(bound.heads)]
    hoisted = dict.fromkeys(hoistable(order) if prepares else [])
    parts = independent_parts(list(hoisted))
    steps = [node for node in order if node not in hoisted]
    in_forward = set(post_order(heads))
    memory = _planner(arranged, shapes, dtypes)
    read = dict.fromkeys([*(entry for node in steps for entry in node.inputs), *heads])
    prepared = [Store(entry, Kept(entry)) for entry in read if entry.node in hoisted]
    preparation = memory([node for part in parts for node in part], [], prepared, [])
    forward = [node for node in steps if node in in_forward]
    backward = [node for node in steps if node not in in_forward]
    return memory(forward, backward, places.stores, places.gradient_stores, held=hoisted), parts, preparation


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

    def joins(node: Node) -> bool:
        """Whether the node does nothing but lay its inputs one behind another."""
        axis = node.op.joined_axis(node.params)
        if axis is None:
            return False
        whole, *parts = (layouts.get(entry) for entry in (Entry(node), *node.inputs))
        if whole is None:
            return not any(parts) and product(shapes[node][0][:axis]) == 1
        sample = whole.of_a_sample
        return axis == 0 and sample is not None and all(p is not None and p.of_a_sample == sample for p in parts)

    return partial(
        plan_memory,
        joins=joins,
        num_bytes=num_bytes,
        same_type=same_type,
        inplace_of=lambda node: implementations[node].inplace,
        workspace_of=lambda node: implementations[node].workspace,
    )
