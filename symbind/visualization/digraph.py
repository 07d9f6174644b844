"""A graph for the graphviz program."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..graph import Entry, Node, Symbol, post_order
from .facts import complete_shapes, looks_like_weight, require_symbol

if TYPE_CHECKING:
    from graphviz import Digraph

__all__ = ["plot_network"]

NODE_STYLE = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled"}
INPUT_COLOUR, OTHER_COLOUR = "#8dd3c7", "#fccde5"
COLOURS = {
    "Convolution": "#fb8072",
    "FullyConnected": "#fb8072",
    "BatchNorm": "#bebada",
    "Activation": "#ffffb3",
    "LeakyReLU": "#ffffb3",
    "Pooling": "#80b1d3",
    "Concat": "#fdb462",
    "Flatten": "#fdb462",
    "Reshape": "#fdb462",
    "Softmax": "#b3de69",
}


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    save_format: str = "pdf",
    shape: Mapping[str, Sequence[int]] | None = None,
    dtype: Mapping[str, Any] | None = None,
    node_attrs: Mapping[str, str] | None = None,
    hide_weights: bool = True,
) -> Digraph:
    """The network as a ``graphviz.Digraph``, which draws itself if the graphviz program is installed.

    :func:`~symbind.visualization.to_svg` draws without that program.

    Parameters
    ----------
    symbol : Symbol
    title : str
        Name of the graph, and of the files it is rendered to.
    save_format : str
        ``'pdf'``, ``'png'``, ``'svg'`` …
    shape : dict from names of inputs to shapes, optional
        If given, edges are labelled with the shapes of what flows there, without the first axis.
    dtype : dict from names of inputs to types, optional
        If given, edges are labelled with types.
    node_attrs : dict from str to str, optional
        Graphviz attributes of all nodes, such as ``{"shape": "oval", "fixedsize": "false"}``.
    hide_weights : bool
        Leave out variables that are weights, biases or statistics by their name.

    Raises
    ------
    TypeError
        If ``symbol`` is no Symbol.
    ValueError
        If ``shape`` or ``dtype`` does not determine those of all values.
    ImportError
        If the Python package graphviz is missing.

    Warns with RuntimeWarning if nodes share a name; they are drawn apart nevertheless.
    """
    require_symbol(symbol)
    try:
        from graphviz import Digraph
    except ImportError as error:
        raise ImportError(
            "plot_network needs the Python package graphviz; visualization.to_svg draws without it"
        ) from error
    edge_label = _edge_labels(symbol, shape, dtype)
    order = post_order(symbol.entries)
    identifiers = _identifiers(order)
    hidden = {node for node in order if node.is_variable and looks_like_weight(node.name)}
    dot = Digraph(name=title, format=save_format)
    style = NODE_STYLE | dict(node_attrs or {})
    for node in order:
        # A weight that is not hidden has no style of its own: it appears as the end of an edge.
        if node not in hidden:
            dot.node(identifiers[node], _label(node), _attributes=style | _appearance(node))
    for node in order:
        for entry in node.inputs:
            if entry.node in hidden and hide_weights:
                continue
            dot.edge(
                identifiers[node], identifiers[entry.node],
                label=edge_label(entry), dir="back", arrowtail="open",
            )  # fmt: skip
    return dot


def _edge_labels(
    symbol: Symbol, shape: Mapping[str, Sequence[int]] | None, dtype: Mapping[str, Any] | None
) -> Callable[[Entry], str]:
    shapes = None if shape is None else complete_shapes(symbol, shape)
    types: dict[Entry, Any] | None = None
    if dtype is not None:
        internals = symbol.get_internals()
        _, out_types, _ = internals.infer_type(**dtype)
        if out_types is None:
            raise ValueError(f"Input type is incomplete: {dict(dtype)} does not determine the types of all values")
        types = dict(zip(internals.entries, out_types))

    def label(entry: Entry) -> str:
        text = "" if shapes is None else "x".join(map(str, shapes[entry][1:]))
        return text if types is None else f"{text}({types[entry].__name__})"

    return label


def _identifiers(order: Sequence[Node]) -> dict[Node, str]:
    """What the nodes are called in the graph: by their names, with a number for those that have none of their own."""
    identifiers: dict[Node, str] = {}
    seen: dict[str, int] = {}
    for node in order:
        count = seen[node.name] = seen.get(node.name, 0) + 1
        identifiers[node] = node.name if count == 1 else f"{node.name} ({count})"
    if repeated := [name for name, count in seen.items() if count > 1]:
        warnings.warn(
            "There are multiple variables with the same name in your graph; they are numbered in the plot. "
            f"Repeated names: {','.join(repeated)}",
            RuntimeWarning,
            stacklevel=3,
        )
    return identifiers


def _appearance(node: Node) -> dict[str, str]:
    if node.op is None:
        return {"shape": "oval", "fillcolor": INPUT_COLOUR}
    return {"fillcolor": COLOURS.get(node.op.name, OTHER_COLOUR)}


def _label(node: Node) -> str:
    attrs = node.attrs

    def sizes(key: str, default: str) -> str:
        return "x".join(re.findall(r"\d+", attrs[key])) if key in attrs else default

    match node.op and node.op.name:
        case "Convolution":
            return f"Convolution\n{sizes('kernel', '')}/{sizes('stride', '1')}, {attrs['num_filter']}"
        case "FullyConnected":
            return f"FullyConnected\n{attrs['num_hidden']}"
        case "Activation":
            return f"Activation\n{attrs['act_type']}"
        case "LeakyReLU":
            return f"LeakyReLU\n{attrs.get('act_type', 'Leaky')}"
        case "Pooling":
            return f"Pooling\n{attrs.get('pool_type', 'max')}, {sizes('kernel', '[]')}/{sizes('stride', '1')}"
        case "Custom":
            return attrs["op_type"]
        case _:
            return node.name
