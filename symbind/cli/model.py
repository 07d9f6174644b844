"""What the commands share: the model that the command line names, and tables of what is known of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import ndarray as nd
from ..base import MXNetError
from ..checkpoint import split_params
from ..deployment import DeployedModel, load_archive, prediction_symbol
from ..graph.symbol import Symbol, load_json
from ..runtime.executor import Executor

__all__ = [
    "ARCHIVES", "all_params", "bind", "for_prediction", "input_shapes", "load", "print_table", "read_text",
    "shape_text",
]  # fmt: skip

Shape = tuple[int, ...]
ARCHIVES = (".tar", ".tar.gz", ".tgz")


def load(options: argparse.Namespace) -> DeployedModel:
    """The model that the command line names; without a parameter file it has no parameters."""
    if options.model.endswith(ARCHIVES):
        if options.params:
            raise ValueError(f"{options.model} holds parameters; {options.params} cannot be given as well")
        return load_archive(options.model)
    symbol = load_json(read_text(options.model))
    params = ({}, {}) if options.params is None else split_params(nd.load(options.params), options.params)
    return DeployedModel(symbol, *params)


def read_text(file: str) -> str:
    """The content of a text file."""
    return Path(file).read_text(encoding="utf-8")


def input_shapes(options: argparse.Namespace, model: DeployedModel) -> dict[str, Shape]:
    """Shapes of inputs: those that the archive states in full, and those of the command line."""
    stated = {name: shape for name, shape in model.input_shapes.items() if 0 not in shape}
    return {**stated, **dict(options.shape)}


def all_params(model: DeployedModel) -> dict[str, Any]:
    """Parameters and auxiliary states by name."""
    return {**model.arg_params, **model.aux_params}


def for_prediction(model: DeployedModel, shapes: Mapping[str, Shape]) -> Symbol:
    """The network without what needs labels that are not given."""
    symbol = model.symbol
    labels = {name for name in symbol.list_arguments() if name.endswith("label")} - {*shapes, *all_params(model)}
    return prediction_symbol(symbol, set(symbol.list_inputs()) - labels)


def bind(symbol: Symbol, model: DeployedModel, shapes: Mapping[str, Shape], grad_req: Any = "null") -> Executor:
    """``symbol`` bound to zeros in the shapes and types of the model's parameters, and of the inputs given."""
    inputs = set(symbol.list_inputs())
    unknown = [name for name in shapes if name not in inputs]
    if unknown:
        raise MXNetError(
            f"The network has no input {unknown[0]}; its arguments are {', '.join(symbol.list_arguments())}"
        )
    arrays = {name: array for name, array in all_params(model).items() if name in inputs and name not in shapes}
    types = {name: array.dtype for name, array in arrays.items()}
    known = {name: array.shape for name, array in arrays.items()}
    return symbol.simple_bind(grad_req=grad_req, type_dict=types, **known, **shapes)


def print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print rows below a title, their columns aligned."""
    print(title)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def shape_text(shape: Shape | None) -> str:
    """A shape as ``8x3x224x224``; ``?`` where it is not known."""
    return "?" if shape is None else "x".join(map(str, shape)) or "scalar"
