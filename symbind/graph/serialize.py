"""Symbols as text: the JSON of ``-symbol.json`` files, and a listing for people.

Written text is the same to the character as MXNet 1.9.1's. Text of every earlier format (0.8 on) is read; what older
versions meant differently is brought up to date in :mod:`symbind.graph.upgrade`.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..base import MXNetError
from . import registry
from .node import Entry, Node, post_order
from .upgrade import OLDEST_VERSION, SavedNode, complete_node, prepare_attributes

__all__ = ["count_operators", "from_json", "to_json", "to_text"]

# The version whose format is written, as major * 10000 + minor * 100 + patch.
FORMAT_VERSION = 10901
# How many outputs all nodes of a file may have, beside a thousand each: a node states any number in a few bytes.
MOST_OUTPUTS = 2**17


# ---- writing ------------------------------------------------------------------------------------------------------


def to_json(heads: Sequence[Entry], remove_amp_cast: bool = True) -> str:
    """The graph below ``heads`` as JSON text."""
    if remove_amp_cast:
        heads = _without_bypassed(heads)
    return _object([*_graph_fields(heads), ("attrs", f'{{"mxnet_version": ["int", {FORMAT_VERSION}]}}')])


def _object(fields: Sequence[tuple[str, str]]) -> str:
    return "{\n" + ", \n".join(f'  "{key}": {value}' for key, value in fields) + "\n}"


def _graph_fields(heads: Sequence[Entry]) -> list[tuple[str, str]]:
    """What is written of a whole graph, and of one inside a node alike."""
    order = post_order(heads)
    ids = {node: i for i, node in enumerate(order)}
    input_versions, versions = _versions(order)

    nodes = [_node_text(node, ids, input_versions[i]) for i, node in enumerate(order)]
    row_pointer = [0]
    for node in order:
        recorded = 1 if node.op is None else node.op.num_recorded_outputs(node.params)
        row_pointer.append(row_pointer[-1] + recorded)
    head_rows = [_row([ids[e.node], e.index, versions[e.node]]) for e in heads]
    return [
        ("nodes", "[\n    " + ", \n    ".join(nodes) + "\n  ]" if nodes else "[]"),
        ("arg_nodes", _array([str(i) for i, node in enumerate(order) if node.is_variable], 2)),
        ("node_row_ptr", _array([str(i) for i in row_pointer], 2)),
        ("heads", _array(head_rows, 2)),
    ]


def _without_bypassed(heads: Sequence[Entry]) -> Sequence[Entry]:
    """``heads`` of a copy in which automatic precision casts give way to their inputs. A head that is one stays."""
    order = post_order(heads)
    if not any(node.op is not None and node.op.bypass_when_saved for node in order):
        return heads
    copies: dict[Node, Node] = {}
    read: dict[Entry, Entry] = {}
    for node in order:
        inputs = tuple(read[entry] for entry in node.inputs)
        copies[node] = copy = node.copy(copies, inputs)
        bypass = node.op is not None and node.op.bypass_when_saved
        for i in range(node.num_outputs):
            read[Entry(node, i)] = inputs[i] if bypass else Entry(copy, i)
    return [Entry(copies[node], i) for node, i in heads]


def _versions(order: Iterable[Node]) -> tuple[list[list[int]], Counter[Node]]:
    """How often each variable had been updated by an operator when each node read it, and in the end.

    A use as an auxiliary state counts as an update, so the first such use is recorded as version 1. A node that was
    loaded keeps what its file said.
    """
    count: Counter[Node] = Counter()
    per_node = []
    for node in order:
        if node.versions is not None:
            per_node.append(list(node.versions))
            count.update({source: max(0, v - count[source]) for (source, _), v in zip(node.inputs, node.versions)})
            continue
        auxiliary = set(node.auxiliary_inputs)
        row = []
        for i, (source, _) in enumerate(node.inputs):
            if i in auxiliary:
                count[source] += 1
            row.append(count[source])
        per_node.append(row)
    return per_node, count


def _node_text(node: Node, ids: dict[Node, int], versions: Sequence[int]) -> str:
    fields = [f'"op": {_string("null" if node.op is None else node.op.name)}', f'"name": {_string(node.name)}']
    if node.attrs:
        pairs = [f"{_string(k)}: {_string(v)}" for k, v in sorted(node.attrs.items())]
        if len(pairs) == 1:
            fields.append(f'"attrs": {{{pairs[0]}}}')
        else:
            fields.append('"attrs": {\n        ' + ", \n        ".join(pairs) + "\n      }")
    rows = [_row([ids[e.node], e.index, v]) for e, v in zip(node.inputs, versions)]
    fields.append(f'"inputs": {_array(rows, 6)}')
    if node.control_deps:
        fields.append(f'"control_deps": {_array([str(ids[dep]) for dep in node.control_deps], 6)}')
    if node.subgraphs:
        graphs = [_object(_graph_fields(heads)).replace("\n", "\n" + " " * 8) for heads in node.subgraphs]
        fields.append('"subgraphs": [\n        ' + ", \n        ".join(graphs) + "\n      ]")
    return "{\n      " + ", \n      ".join(fields) + "\n    }"


def _row(numbers: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, numbers)) + "]"


def _array(items: Sequence[str], indent: int) -> str:
    """Up to ten items stand on one line, more on a line each."""
    if len(items) <= 10:
        return "[" + ", ".join(items) + "]"
    pad = " " * indent
    return "[\n" + ", \n".join(f"{pad}  {item}" for item in items) + f"\n{pad}]"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _string(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def to_text(heads: Sequence[Entry]) -> str:
    """Outputs, variables and operators with their inputs and attributes, in depth-first order."""
    order = post_order(heads)
    if len(order) == 1 and order[0].op is not None:
        return f"AtomicFunctor  Op:{order[0].op.name}\n"
    versions, _ = _versions(order)
    lines = ["Symbol Outputs:"]
    lines += [f"\toutput[{i}]={e.node.name}({e.index})" for i, e in enumerate(heads)]
    for node, row in zip(order, versions):
        if node.op is None:
            lines.append(f"Variable:{node.name}")
            continue
        lines += ["--------------------", f"Op:{node.op.name}, Name={node.name}", "Inputs:"]
        for i, (entry, version) in enumerate(zip(node.inputs, row)):
            suffix = f" version={version}" if entry.node.is_variable else ""
            lines.append(f"\targ[{i}]={entry.node.name}({entry.index}){suffix}")
        if node.attrs:
            lines.append("Attrs:")
            lines += [f"\t{key}={value}" for key, value in sorted(node.attrs.items())]
        if node.control_deps:
            lines.append("Control deps:")
            lines += [f"\tcdep[{i}]={dep.name}" for i, dep in enumerate(node.control_deps)]
    return "\n".join(lines) + "\n"


# ---- reading ------------------------------------------------------------------------------------------------------


def from_json(text: str) -> list[Entry]:
    """The heads of the graph in ``text``.

    Everything is checked before it is used: fields, types, indices (which must point to earlier nodes, so there can
    be no cycle), operators and parameters. The MXNetError names the node and what is wrong with it.
    """
    document = _parse(text)
    try:
        return _read_graph(document, _version(document))
    except RecursionError:
        raise MXNetError("Graphs are nested too deeply in the nodes of graphs") from None


def _read_graph(document: dict[str, Any], version: int) -> list[Entry]:
    """The heads of a whole graph, or of one inside a node."""
    saved = [_saved_node(i, item) for i, item in enumerate(_field(document, "nodes", list))]
    _check_operators(saved)

    nodes: list[Node] = []
    total_outputs = 0
    for i, item in enumerate(saved):
        inputs = [_entry(row, nodes, f"input {k} of node {i} ({item.name})") for k, row in enumerate(item.inputs)]
        after = [_node(row, nodes, f"control dependency {k} of {item.name}") for k, row in enumerate(item.control_deps)]
        try:
            nodes.append(_make_node(item, inputs, after, version))
        except MXNetError as error:
            raise MXNetError(f"Failed loading node {i} ({item.name}) of type {item.op}: {error}") from error
        total_outputs += nodes[-1].num_outputs
        if total_outputs > MOST_OUTPUTS + 1000 * len(saved):
            raise MXNetError(
                f"Node {i} ({item.name}) of type {item.op} has {nodes[-1].num_outputs} outputs, which makes "
                f"{total_outputs} in a graph of {len(saved)} nodes"
            )
    for i in _field(document, "arg_nodes", list):
        if not isinstance(i, int) or not 0 <= i < len(nodes):
            raise MXNetError(f"arg_nodes holds {i!r}, but the graph has {len(nodes)} nodes")
    heads = [_entry(row, nodes, f"head {k}") for k, row in enumerate(_field(document, "heads", list))]
    if not heads:
        raise MXNetError("The graph has no heads")
    return heads


def count_operators(text: str) -> Counter[str]:
    """How many nodes of the graph in ``text`` have each operator, whether it is registered or not."""
    saved = [_saved_node(i, item) for i, item in enumerate(_field(_parse(text), "nodes", list))]
    return Counter(item.op for item in saved if item.op != "null")


def _parse(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise MXNetError(f"Not the JSON text of a symbol: {error}") from None
    if not isinstance(document, dict):
        raise MXNetError(f"Not the JSON text of a symbol: expected an object, found {type(document).__name__}")
    return document


def _field(document: dict[str, Any], key: str, kind: type) -> Any:
    if key not in document:
        raise MXNetError(f'Missing field "{key}"')
    if not isinstance(document[key], kind):
        raise MXNetError(f'Field "{key}" must be a {kind.__name__}, not {type(document[key]).__name__}')
    return document[key]


def _version(document: dict[str, Any]) -> int:
    """The version of MXNet that wrote the document; files without one are older than 0.9."""
    attrs = document.get("attrs", {})
    stated = attrs.get("mxnet_version") if isinstance(attrs, dict) else None
    if stated is None:
        return OLDEST_VERSION
    if not (isinstance(stated, list) and len(stated) == 2 and isinstance(stated[1], int)):
        raise MXNetError(f'Field "mxnet_version" must look like ["int", {FORMAT_VERSION}], not {stated!r}')
    if stated[1] > FORMAT_VERSION:
        warnings.warn(
            f"This symbol was saved by version {stated[1]}, newer than {FORMAT_VERSION}, whose format is known here; "
            "it may not load as it was meant",
            stacklevel=2,
        )
    return stated[1]


def _saved_node(index: int, item: Any) -> SavedNode:
    if not isinstance(item, dict):
        raise MXNetError(f"Node {index} must be an object, not {type(item).__name__}")
    for key in ("op", "name"):
        if not isinstance(item.get(key), str):
            raise MXNetError(f'Node {index}: Missing field "{key}", or it is not a string')
    attrs: dict[str, str] = {}
    # Three generations of the format: operator parameters in "param", annotations in "attr", everything in "attrs".
    for key in ("param", "attr", "attrs"):
        part = item.get(key, {})
        if not isinstance(part, dict) or not all(isinstance(v, str) for v in part.values()):
            raise MXNetError(f'Node {index} ({item["name"]}): "{key}" must be an object of strings')
        attrs.update(part)
    inputs = item.get("inputs", [])
    if not isinstance(inputs, list):
        raise MXNetError(f'Node {index} ({item["name"]}): "inputs" must be a list')
    if item["op"] == "null" and inputs:
        raise MXNetError(f"Node {index} ({item['name']}) is a variable but has inputs")
    subgraphs = item.get("subgraphs", [])
    if not isinstance(subgraphs, list) or not all(isinstance(graph, dict) for graph in subgraphs):
        raise MXNetError(f'Node {index} ({item["name"]}): "subgraphs" must be a list of objects')
    control_deps = item.get("control_deps", [])
    if not isinstance(control_deps, list):
        raise MXNetError(f'Node {index} ({item["name"]}): "control_deps" must be a list')
    return SavedNode(item["op"], item["name"], attrs, inputs, control_deps, subgraphs)


def _check_operators(saved: Sequence[SavedNode]) -> None:
    missing = [item for item in saved if item.op != "null" and not registry.is_registered(item.op)]
    if not missing:
        return
    first, others = missing[0], sorted({item.op for item in missing} - {missing[0].op})
    also = f"; {len(others)} other operators of this graph are missing too: {', '.join(others)}" if others else ""
    raise MXNetError(f"Failed loading Op {first.name} of type {first.op}: Operator {first.op} is not registered{also}")


def _entry(row: Any, nodes: Sequence[Node], what: str) -> Entry:
    if not (isinstance(row, list) and 2 <= len(row) <= 3 and all(type(n) is int for n in row)):
        raise MXNetError(f"The {what} must be [node, output] or [node, output, version], not {row!r}")
    node, output = _node(row[0], nodes, what), row[1]
    if not 0 <= output < node.num_outputs:
        raise MXNetError(f"The {what} points to output {output} of {node.name}, which has {node.num_outputs}")
    return Entry(node, output)


def _node(index: Any, nodes: Sequence[Node], what: str) -> Node:
    if type(index) is not int:
        raise MXNetError(f"The {what} must be the number of a node, not {index!r}")
    if not 0 <= index < len(nodes):
        raise MXNetError(f"The {what} points to node {index}, but only nodes 0 to {len(nodes) - 1} come before it")
    return nodes[index]


def _make_node(item: SavedNode, inputs: list[Entry], control_deps: Sequence[Node], version: int) -> Node:
    if item.op == "null":
        attrs = prepare_attributes(None, item.attrs, inputs, version)
        return Node(None, item.name, attrs, control_deps=control_deps)
    op = registry.find(item.op)
    attrs = prepare_attributes(op, item.attrs, inputs, version)
    if op.variadic is not None:
        attrs.setdefault(op.variadic, str(len(inputs)))
    params = op.attach(op.parse(attrs, item.name), [_read_graph(graph, version) for graph in item.subgraphs])
    complete_node(op, params, item.name, attrs, inputs, version)
    wanted = op.input_names(params)
    if len(inputs) != len(wanted):
        raise MXNetError(f"{op.name} takes {len(wanted)} inputs ({', '.join(wanted)}), not {len(inputs)}")
    for i in op.auxiliary_inputs(params):
        if not inputs[i].node.is_variable:
            raise MXNetError(f"auxiliary state {wanted[i]} must be a variable")
    versions = [row[2] if len(row) == 3 else 0 for row in item.inputs] + [0] * (len(inputs) - len(item.inputs))
    return Node(op, item.name, attrs, inputs, params, versions=versions, control_deps=control_deps)
