"""The commands that show a saved network, run it, or write it anew."""

from __future__ import annotations

import argparse

import numpy as np

from ..base import atomic_write
from ..checkpoint import save_checkpoint
from ..deployment import label_names, prediction_symbol
from ..visualization import print_summary, to_svg
from .model import all_params, bind, for_prediction, input_shapes, load, shape_text

__all__ = ["convert", "plan", "plot", "predict", "summary"]


def summary(options: argparse.Namespace) -> int:
    """Print the table of layers."""
    model = load(options)
    print_summary(model.symbol, input_shapes(options, model) or None)
    return 0


def plot(options: argparse.Namespace) -> int:
    """Write the network as SVG."""
    model = load(options)
    output = options.output or f"{options.model.removesuffix('.json')}.svg"
    with atomic_write(output, "w") as file:
        file.write(to_svg(model.symbol, input_shapes(options, model) or None))
    print(output)
    return 0


def plan(options: argparse.Namespace) -> int:
    """Print every instruction of the bound network, and its memory."""
    model = load(options)
    shapes = input_shapes(options, model)
    symbol = model.symbol if options.train else for_prediction(model, shapes)
    inputs = {*shapes, *label_names(symbol)}
    requests = {name: "null" if name in inputs else "write" for name in symbol.list_arguments()}
    executor = bind(symbol, model, shapes, requests if options.train else "null")
    print(executor.plan_report(options.time, is_train=options.train))
    print(executor.memory_plan())
    return 0


def predict(options: argparse.Namespace) -> int:
    """Run the network on arrays from ``.npy`` files; print its outputs, or write them to an ``.npz`` file."""
    model = load(options)
    inputs = {name: np.load(file, allow_pickle=False) for name, file in options.input}
    outputs = model.predict(**inputs)
    names = prediction_symbol(model.symbol, {*inputs, *all_params(model)}).list_outputs()
    for name, output in zip(names, outputs):
        print(f"{name}  {shape_text(output.shape)}  {output.dtype}")
    if options.output:
        with atomic_write(options.output) as file:
            np.savez(file, **dict(zip(names, outputs)))  # type: ignore[arg-type]  # allow_pickle is no output's name
    else:
        for output in outputs:
            print(output)
    return 0


def convert(options: argparse.Namespace) -> int:
    """Write a model of any version, or an archive, as today's ``PREFIX-symbol.json`` and ``PREFIX-0000.params``."""
    model = load(options)
    save_checkpoint(options.output, options.epoch, model.symbol, model.arg_params, model.aux_params)
    print(f"{options.output}-symbol.json", f"{options.output}-{options.epoch:04d}.params", sep="\n")
    return 0
