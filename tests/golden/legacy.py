"""Old names and old files: every alias of an operator, and graphs as earlier versions of MXNet wrote them."""

from __future__ import annotations

import json
from typing import Any

from .harness import find_operator

__all__ = ["ALIASES", "GRAPHS", "alias_graph", "call", "reload"]

# alias -> (number of inputs, parameters). Saved graphs use these names; they are written back canonically.
_PAIR = "Plus Minus Mul Div Mod Power Maximum Minimum Hypot Equal Not_Equal Greater Greater_Equal Lesser Lesser_Equal"
_SCALAR = (
    "Plus Minus RMinus Mul Div RDiv Mod RMod Power RPower Maximum Minimum Hypot Equal NotEqual Greater GreaterEqual "
    "Lesser LesserEqual"
)
ALIASES: dict[str, tuple[int, dict[str, str]]] = {
    **{f"_{name}": (2, {}) for name in _PAIR.split()},
    **{f"_{name}": (2, {}) for name in ("plus", "minus", "mul", "div", "add", "sub")},
    **{f"_{name}Scalar": (1, {"scalar": "2"}) for name in _SCALAR.split()},
    **{f"_Logical_{name}": (2, {}) for name in ("And", "Or", "Xor")},
    "ElementWiseSum": (2, {"num_args": "2"}),
    "Softmax": (2, {}),
    "stop_gradient": (1, {}),
    "concat": (2, {"num_args": "2", "dim": "1"}),
    "reshape": (1, {"shape": "(-1,)"}),
    "flatten": (1, {}),
    "split": (1, {"num_outputs": "2"}),
    "swapaxes": (1, {"dim1": "0", "dim2": "1"}),
    "cast": (1, {"dtype": "float16"}),
    "pad": (1, {"mode": "edge", "pad_width": "(0, 0, 0, 0, 1, 1, 1, 1)"}),
    "crop": (1, {"begin": "(0,)", "end": "(1,)"}),
    "sum_axis": (1, {"axis": "1"}),
    "max_axis": (1, {"axis": "1"}),
    "min_axis": (1, {"axis": "1"}),
    "broadcast_plus": (2, {}),
    "broadcast_minus": (2, {}),
    "broadcast_axes": (1, {"axis": "0", "size": "2"}),
    "uniform": (0, {"shape": "(2,)"}),
    "normal": (0, {"shape": "(2,)"}),
    "random_uniform": (0, {"shape": "(2,)"}),
    "random_normal": (0, {"shape": "(2,)"}),
    "identity": (1, {}),
    "flip": (1, {"axis": "0"}),
    "choose_element_0index": (2, {}),
    "_contrib_CTCLoss": (2, {}),
    "_contrib_ctc_loss": (2, {}),
    "ctc_loss": (2, {}),
    "_crop_assign": (2, {"begin": "(0,)", "end": "(1,)"}),
    "_crop_assign_scalar": (1, {"begin": "(0,)", "end": "(1,)", "scalar": "1"}),
    "Convolution_v1": (3, {"kernel": "(1, 1)", "num_filter": "1"}),
    "Pooling_v1": (1, {"kernel": "(1, 1)", "pool_type": "max"}),
    "linalg_gemm2": (2, {}),
    "ravel_multi_index": (1, {"shape": "(2, 3)"}),
    "unravel_index": (1, {"shape": "(2, 3)"}),
}


def alias_graph(alias: str) -> str:
    """A saved graph in which one node carries the alias."""
    count, params = ALIASES[alias]
    nodes = [variable(f"x{i}") for i in range(count)]
    nodes.append(node(alias, "node", [[i, 0, 0] for i in range(count)], attrs=params))
    return graph(nodes, heads=[[count, 0, 0]], version=10901)


def variable(name: str, **fields: Any) -> dict[str, Any]:
    return {"op": "null", "name": name, "inputs": [], **fields}


def node(op: str, name: str, inputs: list[list[int]], **fields: Any) -> dict[str, Any]:
    return {"op": op, "name": name, "inputs": inputs, **fields}


def graph(nodes: list[dict[str, Any]], heads: list[list[int]], version: int | None = None, **fields: Any) -> str:
    """The text of a saved graph."""
    content = {
        "nodes": nodes,
        "arg_nodes": [i for i, entry in enumerate(nodes) if entry["op"] == "null"],
        "heads": heads,
        **fields,
    }
    if version is not None:
        content["attrs"] = {"mxnet_version": ["int", version]}
    return json.dumps(content)


def _oldest(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nodes as version 0.8 wrote them: parameters under ``param``, a field that nobody reads any more."""
    return [{"param": {}, "backward_source_id": -1, **part} for part in parts]


_CONVOLUTION = {"kernel": "(3L, 3L)", "num_filter": "8", "stride": "(1L,1L)", "pad": "[1, 1]", "no_bias": "True"}

GRAPHS: dict[str, str] = {
    "0.8: dense": graph(
        _oldest(
            [
                variable("data"),
                variable("fc1_weight"),
                variable("fc1_bias"),
                node("FullyConnected", "fc1", [[0, 0], [1, 0], [2, 0]], param={"num_hidden": "4", "no_bias": "False"}),
                node("Activation", "relu1", [[3, 0]], param={"act_type": "relu"}),
                variable("sm_label"),
                node("SoftmaxOutput", "sm", [[4, 0], [5, 0]], param={"grad_scale": "1", "multi_output": "0"}),
            ]
        ),
        heads=[[6, 0]],
    ),
    "0.8: batch normalization without its states": graph(
        _oldest(
            [
                variable("data"),
                variable("conv_weight"),
                node("Convolution", "conv", [[0, 0], [1, 0]], param=_CONVOLUTION),
                variable("bn_gamma"),
                variable("bn_beta"),
                node("BatchNorm", "bn", [[2, 0], [3, 0], [4, 0]], param={"eps": "2e-05", "fix_gamma": "False"}),
                node("LeakyReLU", "act", [[5, 0]], param={"act_type": "leaky", "slope": "0.1"}),
            ]
        ),
        heads=[[6, 0]],
    ),
    "0.8: attributes": graph(
        _oldest(
            [
                variable("data", attr={"ctx_group": "stage1"}),
                variable("fc1_weight", attr={"lr_mult": "0.5", "wd_mult": "0"}),
                variable("fc1_bias"),
                node(
                    "FullyConnected",
                    "fc1",
                    [[0, 0], [1, 0], [2, 0]],
                    param={"num_hidden": "4"},
                    attr={"ctx_group": "stage1", "mirror_stage": "True", "lr_mult": "2"},
                ),
            ]
        ),
        heads=[[3, 0]],
    ),
    "0.8: attributes for inputs": graph(
        _oldest(
            [
                variable("data"),
                variable("w"),
                variable("b"),
                node(
                    "FullyConnected",
                    "fc1",
                    [[0, 0], [1, 0], [2, 0]],
                    param={"num_hidden": "4"},
                    attr={"weight_lr_mult": "1.2", "bias_wd_mult": "0"},
                ),
            ]
        ),
        heads=[[3, 0]],
    ),
    "0.8: missing variables": graph(
        _oldest(
            [
                variable("data"),
                node("FullyConnected", "fc1", [[0, 0]], param={"num_hidden": "4"}),
                node("SoftmaxOutput", "softmax", [[1, 0]]),
            ]
        ),
        heads=[[2, 0]],
    ),
    "0.8: several outputs": graph(
        _oldest(
            [
                variable("data"),
                node("SliceChannel", "parts", [[0, 0]], param={"num_outputs": "2", "axis": "1"}),
                node("_Plus", "sum", [[1, 0], [1, 1]]),
                node("Concat", "joined", [[1, 1], [2, 0]], param={"num_args": "2", "dim": "1"}),
            ]
        ),
        heads=[[3, 0], [1, 0]],
    ),
    "0.9: batch normalization": graph(
        [
            variable("data"),
            variable("bn_gamma", attr={"eps": "0.001"}),
            variable("bn_beta", attr={"eps": "0.001"}),
            variable("bn_moving_mean", attr={"eps": "0.001"}),
            variable("bn_moving_var", attr={"eps": "0.001"}),
            node("BatchNorm", "bn", [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 1], [4, 0, 1]], attr={"eps": "0.001"}),
        ],
        heads=[[5, 0, 0]],
        node_row_ptr=[0, 1, 2, 3, 4, 5, 8],
        version=900,
    ),
    "0.9.3: argmax over the last axis": graph(
        [variable("data"), node("argmax", "am", [[0, 0, 0]], attr={"axis": "-1"})], heads=[[1, 0, 0]], version=903
    ),
    "0.9.5: argmax over the last axis": graph(
        [variable("data"), node("argmax", "am", [[0, 0, 0]], attr={"axis": "-1"})], heads=[[1, 0, 0]], version=905
    ),
    "0.11: attributes": graph(
        [
            variable("data", attr={"mood": "angry"}),
            variable(
                "fc_weight",
                attr={"__lr_mult__": "2", "num_hidden": "3", "__init__": '["normal", {"sigma": 0.1}]'},
            ),
            variable("fc_bias", attr={"num_hidden": "3"}),
            node(
                "FullyConnected",
                "fc",
                [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
                attr={"num_hidden": "3", "__mood__": "happy", "ctx_group": "a"},
            ),
        ],
        heads=[[3, 0, 0]],
        version=1100,
    ),
    "0.11: annotations of an operator without parameters": graph(
        [variable("a"), variable("b"), node("_Plus", "sum", [[0, 0, 0], [1, 0, 0]], attr={"mood": "happy"})],
        heads=[[2, 0, 0]],
        version=1100,
    ),
    "0.12: numbers in the style of C++": graph(
        [variable("x"), node("_MulScalar", "m", [[0, 0, 0]], attr={"scalar": "0.5f"})],
        heads=[[1, 0, 0]],
        version=1200,
    ),
    "0.12: prelu": graph(
        [
            variable("data"),
            variable("prelu_gamma", attr={"act_type": "prelu"}),
            node("LeakyReLU", "prelu", [[0, 0, 0], [1, 0, 0]], attr={"act_type": "prelu", "slope": "0.25"}),
        ],
        heads=[[2, 0, 0]],
        version=1200,
    ),
    "1.2: gluon": graph(
        [
            variable("data"),
            variable(
                "net0_weight",
                attrs={
                    "__dtype__": "0", "__lr_mult__": "1.0", "__shape__": "(4, 0)", "__wd_mult__": "1.0",
                    "__storage_type__": "0", "__init__": "ones",
                },
            ),
            node(
                "FullyConnected", "net0_fwd", [[0, 0, 0], [1, 0, 0]],
                attrs={"flatten": "True", "no_bias": "True", "num_hidden": "4"},
            ),
        ],
        heads=[[2, 0, 0]],
        node_row_ptr=[0, 1, 2, 3],
        version=10200,
    ),
    "1.3: two kinds of attributes": graph(
        [variable("x"), node("_mul_scalar", "m", [[0, 0, 0]], param={"scalar": "2"}, attrs={"__b__": "2"})],
        heads=[[1, 0, 0]],
        version=10300,
    ),
    "1.5: control dependencies on nothing": graph(
        [variable("x"), node("exp", "e", [[0, 0, 0]], control_deps=[])], heads=[[1, 0, 0]], version=10500
    ),
    "1.5: control dependencies": graph(
        [
            variable("x"),
            variable("y"),
            node("exp", "e", [[1, 0, 0]]),
            node("_mul_scalar", "m", [[0, 0, 0]], attrs={"scalar": "2"}, control_deps=[2]),
            node("sin", "s", [[3, 0, 0]], control_deps=[2, 1]),
            variable("z", control_deps=[4]),
            node("log", "l", [[5, 0, 0]], control_deps=[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]),
        ],
        heads=[[6, 0, 0]],
        version=10500,
    ),
    "1.9: mixed precision casts": graph(
        [
            variable("x"),
            node("amp_cast", "half", [[0, 0, 0]], attrs={"dtype": "float16"}),
            node("exp", "e", [[1, 0, 0]]),
            node("amp_multicast", "both", [[2, 0, 0], [0, 0, 0]], attrs={"num_outputs": "2"}),
            node("elemwise_add", "sum", [[3, 0, 0], [3, 1, 0]]),
        ],
        heads=[[4, 0, 0]],
        version=10901,
    ),
    "2.0: from the future": graph(
        [variable("x"), node("exp", "e", [[0, 0, 0]])], heads=[[1, 0, 0]], version=20000
    ),
    "unordered fields": json.dumps(
        {
            "heads": [[1, 0, 0]],
            "arg_nodes": [0],
            "nodes": [{"inputs": [], "name": "x", "op": "null"}, {"inputs": [[0, 0, 0]], "op": "relu", "name": "r"}],
        }
    ),
}  # fmt: skip


def call(mx: Any, alias: str) -> dict[str, Any] | None:
    """The automatic name and the graph of a call by the alias; None if no function has this name."""
    try:
        function = find_operator(mx, alias)
    except AttributeError:
        return None
    count, params = ALIASES[alias]
    with mx.name.NameManager():
        symbol = function(*(mx.sym.Variable(f"x{i}") for i in range(count)), **params)
    return {"name": symbol.name, "json": symbol.tojson()}


def reload(mx: Any, text: str) -> dict[str, Any]:
    """What becomes of a saved graph when it is loaded and written again."""
    symbol = mx.sym.load_json(text)
    return {
        "json": symbol.tojson(),
        "kept casts": symbol.tojson(remove_amp_cast=False),
        "arguments": symbol.list_arguments(),
        "auxiliary": symbol.list_auxiliary_states(),
        "outputs": symbol.list_outputs(),
        "attributes": symbol.attr_dict(),
        "debug": symbol.debug_str(),
        "composed": symbol(**{name: mx.sym.Variable("other") for name in symbol.list_arguments()[-1:]}).tojson(),
    }
