"""What older files meant: their graphs brought up to date while they are read."""

from __future__ import annotations

from typing import Any, NamedTuple

from .attribute import HIDDEN_KEYS, stored_key
from .node import Entry, Node
from .registry import OperatorType

__all__ = ["OLDEST_VERSION", "SavedNode", "complete_node", "prepare_attributes"]

# Files that state no version are of this one or older.
OLDEST_VERSION = 800


class SavedNode(NamedTuple):
    """A node as it stands in a file: nothing checked against an operator yet."""

    op: str
    name: str
    attrs: dict[str, str]
    inputs: list[Any]
    control_deps: list[Any]
    #: Graphs inside the node, as they stand in the file.
    subgraphs: list[dict[str, Any]]


def prepare_attributes(
    op: OperatorType | None, attrs: dict[str, str], inputs: list[Entry], version: int
) -> dict[str, str]:
    """``attrs`` with annotations under the keys of today.

    Files before 1.0 hold ``lr_mult`` plainly, and ``weight_lr_mult`` on the operator to mean the variable that is its
    ``weight``; the latter moves to that variable.
    """
    kept: dict[str, str] = {}
    moved: list[tuple[str, str, str]] = []
    for key, value in attrs.items():
        hidden = next((h for h in HIDDEN_KEYS if key.endswith(f"_{h}") and not key.startswith("__")), None)
        if op is not None and hidden is not None:
            moved.append((key[: -len(hidden) - 1], hidden, value))
        else:
            kept[stored_key(key)] = value
    if op is not None and moved:
        names = list(op.input_names(op.parse(_with_count(op, kept, inputs))))
        for input_name, hidden, value in moved:
            position = names.index(input_name) if input_name in names else len(inputs)
            if position < len(inputs) and inputs[position].node.is_variable:
                inputs[position].node.attrs[stored_key(hidden)] = value
    # Until 0.9.4 argmax and argmin wrote -1 for "no axis given".
    if op is not None and version < 905 and op.name in ("argmax", "argmin") and kept.get("axis") == "-1":
        del kept["axis"]
    return kept


def _with_count(op: OperatorType, attrs: dict[str, str], inputs: list[Entry]) -> dict[str, str]:
    return attrs if op.variadic is None else {op.variadic: str(len(inputs)), **attrs}


def complete_node(
    op: OperatorType, params: Any, name: str, attrs: dict[str, str], inputs: list[Entry], version: int
) -> None:
    """Add to ``inputs`` and its variables what an older file leaves out.

    Before 0.9.0 auxiliary states were not saved as variables; before 0.9.4 they did not say how they are initialized.
    """
    names = op.input_names(params)
    if version < 900 and op.variadic is None:
        for input_name in names[len(inputs) :]:
            inputs.append(Entry(Node(None, f"{name}_{input_name}", dict(attrs))))
    if version < 904:
        for (node, _), input_name in zip(inputs, names):
            if node.is_variable:
                for key, value in op.variable_attrs(params, input_name).items():
                    node.attrs.setdefault(key, value)
