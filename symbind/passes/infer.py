"""Shapes and element types: what is given spreads over the graph, both ways, until nothing changes.

Every operator states what it can tell from the shapes of its neighbours; the pass sweeps the graph forwards and
backwards, asking only nodes about which something is still unknown. Each sweep is linear in the graph, and a graph
described from inputs to outputs is done after one.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from ..base import MXNetError
from ..dtype import as_numpy, as_torch, from_code, name_of
from ..graph.node import Node, post_order
from ..graph.symbol import Symbol
from ..ops.shapes import is_known, merge

__all__ = ["infer_dtypes", "infer_shapes", "listed_dtypes", "listed_shapes", "require_complete", "variable_shape"]

Shape = tuple[int, ...]
Value = TypeVar("Value")


def infer_shapes(order: Sequence[Node], given: Mapping[Node, Shape]) -> dict[Node, list[Shape | None]]:
    """Shapes of all outputs of all nodes in ``order`` (topological), from those of some variables.

    A variable that is not in ``given`` starts from its ``__shape__`` attribute. Unknown ranks stay None and unknown
    dimensions 0. MXNetError names the node at which two shapes disagree, and what it saw there.
    """
    start = {node: merge_given(node, given.get(node), variable_shape(node)) for node in order if node.is_variable}

    def ask(node: Node, inputs: list[Shape | None], outputs: list[Shape | None]) -> Any:
        try:
            told = node.op.infer_shape(node.params, inputs, outputs)
        except IndexError:
            # What inference looks up is axes of shapes.
            raise MXNetError("a shape has too few dimensions") from None
        for shape in (*told[0], *told[1]):
            if shape and min(shape) < 0:
                raise MXNetError(f"a shape would have a negative dimension: {shape}")
        return told

    return _fixed_point(order, start, ask, merge, is_known, _shape_text)


def infer_dtypes(order: Sequence[Node], given: Mapping[Node, torch.dtype]) -> dict[Node, list[torch.dtype | None]]:
    """As :func:`infer_shapes`, for element types; variables start from their ``__dtype__`` attribute."""
    start = {node: given.get(node, variable_dtype(node)) for node in order if node.is_variable}

    def ask(node: Node, inputs: list[torch.dtype | None], outputs: list[torch.dtype | None]) -> Any:
        return node.op.infer_dtype(node.params, inputs, outputs)

    return _fixed_point(order, start, ask, _merge_dtypes, lambda t: t is not None, _dtype_text)


def _fixed_point(
    order: Sequence[Node],
    start: Mapping[Node, Value | None],
    ask: Callable[[Node, list[Value | None], list[Value | None]], Any],
    merge: Callable[[Value | None, Value | None], Value | None],
    is_known: Callable[[Value | None], bool],
    text: Callable[[Value | None], str],
) -> dict[Node, list[Value | None]]:
    values: dict[Node, list[Value | None]] = {}
    for node in order:
        values[node] = [start.get(node)] if node.is_variable else [None] * node.num_outputs

    def visit(node: Node) -> tuple[bool, bool]:
        """Ask one node; returns whether anything became known, and whether it has nothing more to tell."""
        inputs = [values[source][i] for source, i in node.inputs]
        outputs = values[node]
        try:
            told_inputs, told_outputs = ask(node, list(inputs), list(outputs))
            merged_outputs = [merge(old, new) for old, new in zip(outputs, told_outputs)]
            merged_inputs = [merge(old, new) for old, new in zip(inputs, told_inputs)]
            changed = merged_outputs != outputs
            for (source, i), old, new in zip(node.inputs, inputs, merged_inputs):
                if new != old:
                    # Merge again: the same value may be several inputs of this node.
                    values[source][i] = merge(values[source][i], new)
                    changed = True
        except MXNetError as error:
            raise MXNetError(_explain(node, inputs, outputs, text, error)) from error
        values[node] = merged_outputs
        return changed, all(map(is_known, merged_inputs)) and all(map(is_known, merged_outputs))

    open_nodes = [node for node in order if not node.is_variable]
    backwards = False
    idle_sweeps = 0
    while open_nodes and idle_sweeps < 2:
        changed = False
        remaining = []
        for node in reversed(open_nodes) if backwards else open_nodes:
            node_changed, done = visit(node)
            changed |= node_changed
            if not done:
                remaining.append(node)
        open_nodes = remaining[::-1] if backwards else remaining
        idle_sweeps = 0 if changed else idle_sweeps + 1
        backwards = not backwards
    return values


def _explain(
    node: Node, inputs: Sequence[Any], outputs: Sequence[Any], text: Callable[[Any], str], error: MXNetError
) -> str:
    names = node.op.input_names(node.params)
    seen = ", ".join(
        f"{name}={text(value)}" + (f" (variable {source.name})" if source.is_variable else "")
        for name, value, (source, _) in zip(names, inputs, node.inputs)
    )
    result = ", ".join(map(text, outputs))
    return f"Error in operator {node.name}: {error} [{node.op.name}: {seen} -> {result}]"


def _merge_dtypes(first: torch.dtype | None, second: torch.dtype | None) -> torch.dtype | None:
    if first is not None and second is not None and first != second:
        raise MXNetError(f"Type inconsistent, Provided = {name_of(first)}, inferred type={name_of(second)}")
    return second if first is None else first


def _shape_text(shape: Shape | None) -> str:
    return "?" if shape is None else "(" + ", ".join("?" if n == 0 else str(n) for n in shape) + ")"


def _dtype_text(dtype: torch.dtype | None) -> str:
    return "?" if dtype is None else name_of(dtype)


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


# ---- what variables say of themselves -----------------------------------------------------------


def variable_shape(node: Node) -> Shape | None:
    """The ``__shape__`` attribute of a variable; None if it has none, or ``()``, which says nothing."""
    text = node.attrs.get("__shape__")
    if text is None:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = text
    if isinstance(value, (tuple, list)) and all(isinstance(n, int) and n >= 0 for n in value):
        return tuple(value) or None
    raise MXNetError(f"Variable {node.name} has __shape__ {text!r}, which is not a tuple of sizes")


def variable_dtype(node: Node) -> torch.dtype | None:
    """The ``__dtype__`` attribute of a variable, a type code; None if it has none."""
    text = node.attrs.get("__dtype__")
    if text is None:
        return None
    try:
        code = int(text)
    except ValueError:
        raise MXNetError(f"Variable {node.name} has __dtype__ {text!r}, which is not a type code") from None
    return None if code == -1 else from_code(code)


def merge_given(node: Node, given: Shape | None, declared: Shape | None) -> Shape | None:
    """The caller's shape wins; the declared one only fills dimensions that the caller left open."""
    if given is None or declared is None or len(given) != len(declared):
        return declared if given is None else given
    return tuple(g or d for g, d in zip(given, declared))


# ---- the methods of Symbol ----------------------------------------------------------------------


def listed_shapes(
    symbol: Symbol, args: Sequence[Any], kwargs: Mapping[str, Any], partial: bool
) -> tuple[Any, Any, Any]:
    """:meth:`Symbol.infer_shape` and its partial form."""
    given = _by_name(symbol, args, kwargs, "InferShape")
    for name, shape in given.items():
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
            raise TypeError(f"Argument {name} of infer_shape must be a tuple of sizes, not {shape!r}")
    order = post_order(symbol.entries)
    # A shape without dimensions says nothing: unknown shapes are listed that way.
    by_node = {n: tuple(map(int, given[n.name])) for n in order if n.is_variable and given.get(n.name)}
    try:
        values = infer_shapes(order, by_node)
    except MXNetError:
        print("infer_shape error. Arguments:")
        for name, shape in given.items():
            print(f"  {name}: {shape}")
        raise
    lists = _in_list_order(symbol, values)
    unknown = [name for name, shape in zip(symbol.list_arguments(), lists[0]) if not is_known(shape)]
    complete = all(is_known(shape) for part in lists for shape in part)
    if not partial and not complete:
        details = "\n".join(
            f"  {name}: {() if shape is None else shape}"
            for name, shape in zip(symbol.list_arguments(), lists[0])
            if name in unknown
        )
        warnings.warn(
            "Cannot decide shape for the following arguments (0s in shape means unknown dimensions). "
            f"Consider providing them as input:\n{details}",
            stacklevel=3,
        )
        return None, None, None
    return tuple([() if s is None else s for s in part] for part in lists)  # type: ignore[return-value]


def listed_dtypes(
    symbol: Symbol, args: Sequence[Any], kwargs: Mapping[str, Any], partial: bool
) -> tuple[Any, Any, Any]:
    """:meth:`Symbol.infer_type` and its partial form."""
    given = {name: as_torch(t) for name, t in _by_name(symbol, args, kwargs, "InferType").items()}
    order = post_order(symbol.entries)
    values = infer_dtypes(order, {n: given[n.name] for n in order if n.is_variable and n.name in given})
    lists = _in_list_order(symbol, values)
    if not partial and any(t is None for part in lists for t in part):
        unknown = [name for name, t in zip(symbol.list_arguments(), lists[0]) if t is None]
        warnings.warn(
            f"Cannot decide type for the following arguments. Consider providing them as input:\n  {unknown}",
            stacklevel=3,
        )
        return None, None, None
    return tuple([None if t is None else as_numpy(t) for t in part] for part in lists)  # type: ignore[return-value]


def _by_name(symbol: Symbol, args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> dict[str, Any]:
    if args and kwargs:
        raise ValueError("Can only specify known argument shapes or types either by positional or kwargs way.")
    names = symbol.list_arguments()
    if len(args) > len(names):
        raise TypeError(f"{len(args)} values were given, but the symbol has {len(names)} arguments: {names}")
    given = {n: v for n, v in zip(names, args) if v is not None} if args else dict(kwargs)
    known = {*names, *symbol.list_auxiliary_states()}
    for name in given:
        if name not in known:
            listed = "".join(f"\n\t[{i}]{n}" for i, n in enumerate(names))
            raise MXNetError(f"{what}Keyword argument name {name} not found.\nCandidate arguments:{listed}")
    return {name: value for name, value in given.items() if value is not None}


def _in_list_order(symbol: Symbol, values: Mapping[Node, Sequence[Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    arguments = [values[node][0] for node in symbol._variables(auxiliary=False)]
    auxiliary = [values[node][0] for node in symbol._variables(auxiliary=True)]
    return arguments, [values[e.node][e.index] for e in symbol.entries], auxiliary
