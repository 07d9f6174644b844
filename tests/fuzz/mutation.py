"""Damage to good files, by someone who knows their format.

Everything is drawn from a ``random.Random``: hypothesis hands in one that it can shrink, the long runs one for each
number of an input, and the guided ones one that reads its numbers from the bytes that the fuzzer chose.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from symbind.graph import registry

__all__ = ["damaged_bytes", "damaged_graph", "damaged_value"]

NUMBERS = (
    -1, 0, 1, 2, 3, 5, 7, 33, 99, 255, 256, 1000, 65536, 10**6, 10**9, -7, -(10**9),
    2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, -(2**63), 10**30,
)  # fmt: skip
WORDS = (
    "", " ", "None", "True", "False", "nan", "inf", "-inf", "1e308", "1e-320", "0x10", "1_0", "١٢", "é", "\0", "\ud800",
    "𝔘𝔫𝔦", "(", ")", "()", "(,)", "[1,2", "(1,2,3)", "(0,0)", "(-1,-1)", "(1000000000,3)", "(None,None)", "('a',)",
    "((1,),)", "{}", "__import__('os')", "float32", "int32", "float31", "default", "csr", "null", "add", "1" * 5000,
    "(" * 300, "a" * 3000, "-(-(-1))", "1+1", "(1,)*9", "8L", "(2L, 3L)", "1.5", "(1.5, 2)", "1e3",
)  # fmt: skip
KEYS = (
    "__shape__", "__dtype__", "__init__", "__lr_mult__", "__storage_type__", "__ctx_group__", "lr_mult",
    "weight_lr_mult", "axis", "axes", "shape", "num_args", "num_outputs", "num_hidden", "kernel", "stride", "pad",
    "dtype", "name", "", "é", "\0", "stype", "force_mirroring", "weight_wd_mult",
)  # fmt: skip


def damaged_value(rng: Random) -> Any:
    """A value of JSON that is rarely expected."""
    return rng.choice(
        (
            lambda: rng.choice(NUMBERS),
            lambda: rng.choice(WORDS),
            lambda: rng.choice((None, True, False, 1.5, float("nan"), float("inf"))),
            lambda: [rng.choice(NUMBERS) for _ in range(rng.randrange(5))],
            lambda: {rng.choice(KEYS): rng.choice(WORDS) for _ in range(rng.randrange(3))},
            lambda: [[rng.choice(NUMBERS), rng.choice(NUMBERS), 0]],
            lambda: _nested(rng),
        )
    )()


def _nested(rng: Random) -> Any:
    value: Any = rng.choice(NUMBERS)
    for _ in range(rng.choice((2, 20, 200))):
        value = [value] if rng.random() < 0.5 else {"nodes": value}
    return value


# ---- graphs --------------------------------------------------------------------------------------------------------


def damaged_graph(text: str, rng: Random) -> str:
    """The JSON of a graph with one to four things wrong, or at least unusual."""
    document = json.loads(text, strict=False)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_GRAPH_DAMAGE)(document, rng)
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 2)))
    return rng.choice(_TEXT_DAMAGE)(text, rng) if rng.random() < 0.15 else text


def _graph(document: Any, rng: Random) -> dict[str, Any] | None:
    """The document, or a graph inside one of its nodes."""
    graph = document
    while rng.random() < 0.5:
        inner = [g for node in _nodes(graph) for g in _list(node.get("subgraphs")) if isinstance(g, dict)]
        if not inner:
            break
        graph = rng.choice(inner)
    return graph


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _nodes(graph: Any) -> list[dict[str, Any]]:
    return [node for node in _list(graph.get("nodes")) if isinstance(node, dict)] if isinstance(graph, dict) else []


def _on_node(change: Callable[[dict[str, Any], Random], None]) -> Callable[[Any, Random], None]:
    def damage(document: Any, rng: Random) -> None:
        nodes = _nodes(_graph(document, rng))
        if nodes:
            change(rng.choice(nodes), rng)

    return damage


def _on_attributes(change: Callable[[dict[str, Any], Random], None]) -> Callable[[Any, Random], None]:
    def damage(document: Any, rng: Random) -> None:
        nodes = _nodes(_graph(document, rng))
        # Operators have parameters, which are worth more than what stands on variables.
        nodes = [node for node in nodes if node.get("op") != "null"] or nodes
        if nodes:
            node = rng.choice(nodes)
            key = next((key for key in ("attrs", "attr", "param") if isinstance(node.get(key), dict)), "attrs")
            if isinstance(node.setdefault(key, {}), dict):
                change(node[key], rng)

    return damage


def _change_text(attrs: dict[str, Any], rng: Random) -> None:
    if not attrs:
        return
    key = rng.choice(sorted(attrs))
    text = str(attrs[key])
    numbers = list(re.finditer(r"-?\d+(\.\d+)?", text))
    if numbers and rng.random() < 0.6:
        place = rng.choice(numbers)
        attrs[key] = text[: place.start()] + str(rng.choice(NUMBERS)) + text[place.end() :]
    elif text.startswith("(") and rng.random() < 0.5:
        items = [item for item in text.strip("()").split(",") if item.strip()]
        items = rng.choice((items[1:], items + ["1"], items * 2, items * 40, items[::-1]))
        attrs[key] = "(" + ",".join(items) + ")"
    else:
        attrs[key] = rng.choice((rng.choice(WORDS), str(rng.choice(NUMBERS))))


def _add_attribute(attrs: dict[str, Any], rng: Random) -> None:
    attrs[rng.choice(KEYS)] = rng.choice((rng.choice(WORDS), str(rng.choice(NUMBERS))))


def _drop_attribute(attrs: dict[str, Any], rng: Random) -> None:
    if attrs:
        del attrs[rng.choice(sorted(attrs))]


def _declared_attribute(node: dict[str, Any], rng: Random) -> None:
    """Give a parameter that the operator does have."""
    op = node.get("op")
    if isinstance(op, str) and registry.is_registered(op):
        declared = sorted(registry.find(op).parameters)  # type: ignore[attr-defined]
        if declared and isinstance(node.setdefault("attrs", {}), dict):
            node["attrs"][rng.choice(declared)] = rng.choice((rng.choice(WORDS), str(rng.choice(NUMBERS))))


def _replace_operator(node: dict[str, Any], rng: Random) -> None:
    names = sorted({op.name for op in registry.operators()})
    node["op"] = rng.choice((*names, "null", "NoSuchOperator", "", "é"))


def _rename(node: dict[str, Any], rng: Random) -> None:
    node["name"] = rng.choice((*WORDS, "data", "fc_weight"))


def _replace_field(node: dict[str, Any], rng: Random) -> None:
    node[rng.choice(("op", "name", "attrs", "attr", "param", "inputs", "subgraphs"))] = damaged_value(rng)


def _drop_field(node: dict[str, Any], rng: Random) -> None:
    node.pop(rng.choice(("op", "name", "attrs", "inputs", "subgraphs")), None)


def _move_attributes(node: dict[str, Any], rng: Random) -> None:
    if "attrs" in node:
        node[rng.choice(("attr", "param"))] = node.pop("attrs")


def _change_inputs(node: dict[str, Any], rng: Random) -> None:
    inputs = node.get("inputs")
    if not isinstance(inputs, list):
        return
    rows = [row for row in inputs if isinstance(row, list) and row]
    match rng.randrange(5):
        case 0 if rows:
            row = rng.choice(rows)
            row[rng.randrange(len(row))] = rng.choice(NUMBERS)
        case 1 if inputs:
            del inputs[rng.randrange(len(inputs))]
        case 2:
            inputs.append([rng.randrange(4), rng.randrange(2), 0])
        case 3:
            rng.shuffle(inputs)
        case _:
            node["inputs"] = inputs * rng.choice((0, 2, 50))


def _insert_graph(node: dict[str, Any], rng: Random) -> None:
    graphs = node.get("subgraphs")
    if isinstance(graphs, list) and graphs:
        node["subgraphs"] = rng.choice((graphs * 2, graphs[1:], graphs[::-1], graphs * 30))
        return
    inner: Any = {"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0], "heads": [[0, 0, 0]]}
    for _ in range(rng.choice((0, 1, 100))):
        inner = {
            "nodes": [{"op": "_foreach", "name": "f", "inputs": [], "subgraphs": [inner]}],
            "arg_nodes": [], "heads": [[0, 0, 0]],
        }  # fmt: skip
    node["subgraphs"] = [inner]


def _change_list(key: str) -> Callable[[Any, Random], None]:
    def damage(document: Any, rng: Random) -> None:
        graph = _graph(document, rng)
        if not isinstance(graph, dict):
            return
        items = graph.get(key)
        if not isinstance(items, list) or rng.random() < 0.2:
            graph[key] = damaged_value(rng)
        elif items:
            place = rng.randrange(len(items))
            row = items[place]
            if isinstance(row, list) and row and rng.random() < 0.8:
                row[rng.randrange(len(row))] = rng.choice((rng.choice(NUMBERS), damaged_value(rng)))
            else:
                items[place] = rng.choice((rng.choice(NUMBERS), damaged_value(rng)))

    return damage


def _change_order(document: Any, rng: Random) -> None:
    graph = _graph(document, rng)
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(nodes, list) or not nodes:
        return
    place = rng.randrange(len(nodes))
    match rng.randrange(4):
        case 0:
            del nodes[place]
        case 1:
            nodes.insert(rng.randrange(len(nodes)), nodes[place])
        case 2:
            nodes.append(nodes.pop(place))
        case _:
            nodes[place] = damaged_value(rng)


def _change_version(document: Any, rng: Random) -> None:
    if isinstance(document, dict):
        stated: Any = ["int", rng.choice((700, 800, 804, 900, 904, 10100, 10901, 20000, *NUMBERS))]
        document["attrs"] = rng.choice(({"mxnet_version": stated}, {"mxnet_version": damaged_value(rng)}, stated, {}))


_GRAPH_DAMAGE: tuple[Callable[[Any, Random], None], ...] = (
    *[_on_attributes(_change_text)] * 8,
    *[_on_node(_declared_attribute)] * 5,
    *[_on_attributes(_add_attribute)] * 2,
    _on_attributes(_drop_attribute),
    *[_on_node(_change_inputs)] * 3,
    *[_on_node(_replace_operator)] * 2,
    _on_node(_rename),
    _on_node(_replace_field),
    _on_node(_drop_field),
    _on_node(_move_attributes),
    _on_node(_insert_graph),
    _on_node(_add_attribute),
    *[_change_list(key) for key in ("nodes", "heads", "arg_nodes", "node_row_ptr")],
    *[_change_order] * 2,
    *[_change_version] * 2,
)


def _cut(text: str, rng: Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _change_characters(text: str, rng: Random) -> str:
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice('{}[],:"0-.eEn\\ué\0\ud800') + text[place + 1 :]
    return text


def _double_key(text: str, rng: Random) -> str:
    key = rng.choice(("nodes", "heads", "op", "name", "inputs", "attrs"))
    value = json.dumps(damaged_value(rng))
    return re.sub(f'("{key}": )', lambda m: f'"{key}": {value}, {m[1]}', text, count=rng.randint(1, 3))


def _deepen(text: str, rng: Random) -> str:
    depth = rng.choice((100, 3000, 100_000))
    return text[:-1] + ', "x": ' + "[" * depth + rng.choice(("]" * depth, "")) + "}"


def _enlarge_number(text: str, rng: Random) -> str:
    numbers = list(re.finditer(r"\b\d+\b", text))
    if not numbers:
        return text
    place = rng.choice(numbers)
    large = rng.choice(("9" * 6000, "9" * 20, "1e400", "-0", "NaN", "Infinity", "-Infinity", "1.0", "true"))
    return text[: place.start()] + large + text[place.end() :]


_TEXT_DAMAGE = (_cut, _change_characters, _double_key, _deepen, _enlarge_number)


# ---- bytes ---------------------------------------------------------------------------------------------------------


def damaged_bytes(data: bytes, rng: Random, others: tuple[bytes, ...] = ()) -> bytes:
    """A binary file with one to three things wrong; ``others`` are good files that parts may be taken from."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(8):
            case 0 if content:
                content[at % len(content)] = rng.randrange(256)
            case 1 if content:
                content[at % len(content)] ^= 1 << rng.randrange(8)
            case 2 | 3:
                # Counts, sizes and codes stand at multiples of four.
                kind = rng.choice("iIqQ")
                mask = 2 ** (8 * struct.calcsize(kind)) - 1
                number = struct.pack("<" + kind.upper(), rng.choice(NUMBERS) & mask)
                content[at // 4 * 4 : at // 4 * 4 + len(number)] = number
            case 4:
                del content[at : at + rng.choice((1, 4, 8, 16))]
            case 5:
                content[at:at] = content[at : at + rng.choice((1, 4, 8, 16, 64))]
            case 6:
                del content[at:]
            case _ if others:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                content[at:at] = other[start : start + rng.choice((4, 24, 200))]
    return bytes(content)
