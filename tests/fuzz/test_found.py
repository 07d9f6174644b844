"""What the fuzzers found once stays mended, and the errors say what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import symbind as mx

from .contract import obey


def graph(op: str, shapes: list[tuple[int, ...] | None], version: int = 10901, **attrs: str) -> str:
    """One operator between variables of these shapes."""
    inputs = [{"op": "null", "name": f"x{i}", "inputs": []} for i in range(len(shapes))]
    for node, shape in zip(inputs, shapes):
        node["attrs"] = {} if shape is None else {"__shape__": str(shape)}
    node = {"op": op, "name": "node", "attrs": attrs, "inputs": [[i, 0, 0] for i in range(len(shapes))]}
    heads = [[len(shapes), 0, 0]]
    return json.dumps(
        {"nodes": [*inputs, node], "arg_nodes": [], "heads": heads, "attrs": {"mxnet_version": ["int", version]}}
    )


LOADING = {
    "inputs without number": (graph("add_n", [(2,)], num_args="1000000000"), "num_args expect int .at most 131072."),
    "more inputs than given": (graph("Concat", [(2,)], num_args="100000"), "takes 100000 inputs"),
    "inputs of an old file": (graph("Concat", [(2,)], 800, num_args="100000"), "takes 100000 inputs"),
    "outputs without number": (graph("SliceChannel", [(2,)], num_outputs="1000000000"), "num_outputs expect int"),
    "layers without number": (
        graph("RNN", [None] * 3, num_layers="1000000000", state_size="2", mode="rnn_tanh"), "num_layers expect int",
    ),
    "numbers without end": (graph("_arange", [], start="0", stop="inf"), "finite"),
}  # fmt: skip
INFERRING = {
    "no dimensions": (graph("Flatten", [(2, 3)], 10901), {"x0": ()}, None),
    "too few dimensions": (graph("Reshape", [(2, 3)], shape="()"), {}, None),
    "a matrix of any size": (graph("_linalg_extracttrian", [(10**9, 10**9)]), {}, (500000000500000000,)),
    "an odd type": (graph("Cast", [(2,)], dtype="("), {}, "dtype"),
}
BINDING = {
    "more than the machine has": (
        graph("FullyConnected", [(1, 4), (2**40, 4), (2**40,)], num_hidden=str(2**40)), "Cannot allocate",
    ),
    "more than can be said": (graph("_zeros", [], shape=f"({2**62}, 3)"), "Cannot allocate an array of shape"),
    "a negative dimension": (graph("Reshape", [(2, 3)], shape="(-1, -7)"), "Reshape"),
}  # fmt: skip


def quick(text: str, step: Callable[[], object]) -> None:
    assert obey(step, len(text)) in ("ok", "MXNetError")


@pytest.mark.parametrize("what", LOADING)
def test_loading(what):
    text, message = LOADING[what]
    quick(text, lambda: mx.sym.load_json(text))
    with pytest.raises(mx.MXNetError, match=message):
        mx.sym.load_json(text)


@pytest.mark.parametrize("what", INFERRING)
def test_inference(what):
    text, given, wanted = INFERRING[what]
    if isinstance(wanted, str):
        with pytest.raises(mx.MXNetError, match=wanted):
            mx.sym.load_json(text)
        return
    symbol = mx.sym.load_json(text)
    quick(text, lambda: symbol.infer_shape_partial(**given))
    if wanted:
        assert list(symbol.infer_shape()[1]) == [wanted]


@pytest.mark.parametrize("what", BINDING)
def test_binding(what):
    text, message = BINDING[what]
    with pytest.raises(mx.MXNetError, match=message):
        mx.sym.load_json(text).simple_bind(mx.cpu(), grad_req="null")


def test_many_nodes_of_many_outputs():
    nodes = [{"op": "null", "name": "x", "inputs": []}]
    nodes += [
        {"op": "SliceChannel", "name": f"s{i}", "inputs": [[0, 0, 0]], "attrs": {"num_outputs": "131072"}}
        for i in range(100)
    ]
    text = json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0, 0]]})
    with pytest.raises(mx.MXNetError, match=r"Node 2 \(s1\) .* has 131072 outputs, which makes 262145"):
        mx.sym.load_json(text)
