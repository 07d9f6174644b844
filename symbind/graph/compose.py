"""How graphs grow: applying an operator to inputs, and substituting values in a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..dtype import name_of
from .attribute import HIDDEN_KEYS, stored_key
from .naming import current_names
from .node import Entry, Node, post_order
from .registry import OperatorType

__all__ = ["apply_operator", "attribute_text", "auxiliary_nodes", "replace_variables", "substitute"]


def attribute_text(value: Any) -> str:
    """The string that stands for a parameter value in a graph: ``(3, 3)``, ``True``, ``float32``, ``None``."""
    if isinstance(value, str):
        return value
    if isinstance(value, torch.dtype):
        return name_of(value)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    return str(_plain(value))


def _plain(value: Any) -> Any:
    # NumPy scalars print as np.int64(3) inside containers; what is stored must read back as a literal.
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if isinstance(value, tuple):
        return tuple(_plain(v) for v in value)
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def apply_operator(
    op: OperatorType,
    inputs: Sequence[Entry] | Mapping[str, Entry],
    attrs: Mapping[str, str],
    name: str | None = None,
    hint: str | None = None,
    subgraphs: Sequence[Sequence[Entry]] = (),
) -> Node:
    """A new node of ``op`` on ``inputs`` (by position, or by input name).

    A missing input becomes a new variable ``<node>_<input>`` that carries a copy of the node's attributes. ``hint``
    is the spelling of the operator that the caller used; it makes the automatic name. ``subgraphs`` are the heads of
    the graphs that the node is to run.
    """
    stored = _check_keys(op, {stored_key(k): v for k, v in attrs.items()})
    if op.variadic is not None:
        stored.setdefault(op.variadic, str(len(inputs)))
    params = op.attach(op.parse(stored, name or ""), subgraphs)
    name = current_names().get(name, (hint or op.name).lower())
    wanted = op.input_names(params)

    if isinstance(inputs, Mapping):
        unknown = [key for key in inputs if key not in wanted]
        if unknown:
            raise MXNetError(_unknown_input(unknown[0], wanted))
        given: dict[str, Entry] = dict(inputs)
    else:
        if len(inputs) > len(wanted):
            raise MXNetError(
                f"Operator {op.name} (node {name}) takes {len(wanted)} inputs ({', '.join(wanted)}) "
                f"but {len(inputs)} were given"
            )
        given = dict(zip(wanted, inputs))

    entries = []
    for key in wanted:
        entry = given.get(key)
        if entry is None and op.needs_all_inputs:
            raise MXNetError(
                f"Not enough arguments to call operator {op.name}: it needs {', '.join(wanted)}, but {key} is missing"
            )
        if entry is None:
            variable_attrs = {**stored, **op.variable_attrs(params, key)}
            entry = Entry(Node(None, f"{name}_{key}" if name else key, variable_attrs))
        elif entry.node.is_variable:
            # The operator's advice on initialization reaches variables that the user made, too.
            for advice, value in op.variable_attrs(params, key).items():
                entry.node.attrs.setdefault(advice, value)
        entries.append(entry)
    for position in op.auxiliary_inputs(params):
        if not entries[position].node.is_variable:
            raise MXNetError(
                f"Auxiliary state {wanted[position]} of {name} ({op.name}) must be a variable, "
                f"not the output of {entries[position].node.name}"
            )
    return Node(op, name, stored, entries, params)


def _check_keys(op: OperatorType, attrs: dict[str, str]) -> dict[str, str]:
    """Refuse the retired spelling ``weight_lr_mult`` with a word on what replaced it."""
    for key in attrs:
        for hidden in HIDDEN_KEYS:
            if key.endswith(f"_{hidden}") and not key.startswith("__"):
                variable = key[: -len(hidden) - 1]
                raise MXNetError(
                    f"setting variable attributes with {key} is deprecated. please instead use\n"
                    f"w = Variable({hidden}={attrs[key]})\nsym = {op.name}({variable}=w)"
                )
    return attrs


def _unknown_input(key: str, candidates: Sequence[str]) -> str:
    lines = "".join(f"\n\t[{i}]{name}" for i, name in enumerate(candidates))
    return f"Symbol.ComposeKeyword argument name {key} not found.\nCandidate arguments:{lines}\n"


def substitute(
    heads: Sequence[Entry],
    replacements: Mapping[Entry, Entry],
    rename: tuple[Node, str] | None = None,
) -> list[Entry]:
    """``heads`` of a copy of their graph in which ``replacements`` are made and one node may have a new name.

    Nodes that nothing changes for are shared with the original, which stays as it was. What a file said of how often
    variables had been updated no longer holds.
    """
    copies: dict[Node, Node] = {}

    def translate(entry: Entry) -> Entry:
        if entry in replacements:
            return replacements[entry]
        return Entry(copies.get(entry.node, entry.node), entry.index)

    for node in post_order(heads):
        inputs = tuple(translate(e) for e in node.inputs)
        name = rename[1] if rename is not None and node is rename[0] else node.name
        changed = name != node.name or inputs != node.inputs or any(dep in copies for dep in node.control_deps)
        if changed or node.versions is not None:
            copies[node] = node.copy(copies, inputs, name)
            copies[node].versions = None
    return [translate(e) for e in heads]


def replace_variables(heads: Sequence[Entry], values: Mapping[str, Entry], name: str | None) -> list[Entry]:
    """Composition of a whole graph: every variable called like a key of ``values`` gives way to that value.

    ``name`` renames the head node of the result (it must then be one node). Raises MXNetError for a key that no
    variable has, listing the candidates.
    """
    order = post_order(heads)
    variables = [node for node in order if node.is_variable]
    known = {node.name for node in variables}
    for key in values:
        if key not in known:
            auxiliary = auxiliary_nodes(order)
            raise MXNetError(_unknown_input(key, [n.name for n in variables if n not in auxiliary]))
    replacements = {Entry(node): values[node.name] for node in variables if node.name in values}
    rename = None
    if name is not None and len({e.node for e in heads}) == 1:
        rename = (heads[0].node, name)
    return substitute(heads, replacements, rename)


def auxiliary_nodes(order: Sequence[Node]) -> set[Node]:
    """The variables among ``order`` that some operator uses as an auxiliary state."""
    return {node.inputs[i].node for node in order for i in node.auxiliary_inputs if node.inputs[i].node.is_variable}
