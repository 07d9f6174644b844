"""The ``symbind`` command: look at saved networks, check that they would run here, and run them.

A model is a ``*-symbol.json`` file, with its ``*.params`` file if values matter, or an archive ``model.tar.gz`` that
holds both.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import ndarray as nd
from .base import MXNetError, atomic_write
from .checkpoint import split_params
from .deployment import DeployedModel, label_names, load_archive, prediction_symbol
from .dtype import name_of
from .graph import registry
from .graph.node import post_order
from .graph.serialize import count_operators
from .graph.symbol import Symbol, load_json
from .runtime.executor import Executor
from .visualization import print_summary, to_svg

__all__ = ["main"]

Shape = tuple[int, ...]
_ARCHIVES = (".tar", ".tar.gz", ".tgz")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 if all is well, 1 if the model is not, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (MXNetError, ValueError, TypeError, OSError) as error:
        print(f"symbind {options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="symbind", description="Look at saved networks, check them and run them.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], description: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=description, description=description)
        sub.set_defaults(run=run)
        sub.add_argument("model", help="a *-symbol.json file, or an archive (model.tar.gz)")
        sub.add_argument("params", nargs="?", help="a *.params file")
        sub.add_argument(
            "--shape", action="append", default=[], type=_named_shape, metavar="NAME=N,N,...",
            help="shape of an input, as data=1,3,224,224; may be repeated",
        )  # fmt: skip
        return sub

    command("check", _check, "Say whether a model would run here, and what is wrong if it would not.")
    command("summary", _summary, "Print the table of layers.")
    plot = command("plot", _plot, "Draw the network as SVG.")
    plot.add_argument("-o", "--output", help="file to write (default: the model's name with .svg)")
    plan = command("plan", _plan, "Print every step of the bound network with its kernel and memory.")
    plan.add_argument("--train", action="store_true", help="with gradients of all parameters")
    plan.add_argument("--time", type=int, default=0, metavar="RUNS", help="time every step, the fastest of RUNS")
    predict = command("predict", _predict, "Run the network on arrays and write its outputs.")
    predict.add_argument(
        "--input", action="append", default=[], type=_named_file, metavar="NAME=FILE.npy",
        help="an input; may be repeated",
    )  # fmt: skip
    predict.add_argument("-o", "--output", help="file to write (.npz) with an array for each output")
    return parser


def _named_shape(text: str) -> tuple[str, Shape]:
    name, equals, dims = text.rpartition("=")
    try:
        shape = tuple(int(n) for n in dims.strip("()[] ").rstrip(",").split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected NAME=N,N,... with numbers from 1, not {text!r}")
    return name, shape


def _named_file(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not equals or not name or not file:
        raise argparse.ArgumentTypeError(f"expected NAME=FILE.npy, not {text!r}")
    return name, file


# ---- loading -------------------------------------------------------------------------------------------------------


def _load(options: argparse.Namespace) -> DeployedModel:
    """The model that the command line names; without a parameter file it has no parameters."""
    if options.model.endswith(_ARCHIVES):
        if options.params:
            raise ValueError(f"{options.model} holds parameters; {options.params} cannot be given as well")
        return load_archive(options.model)
    symbol = load_json(_read_text(options.model))
    params = ({}, {}) if options.params is None else split_params(nd.load(options.params), options.params)
    return DeployedModel(symbol, *params)


def _read_text(file: str) -> str:
    return Path(file).read_text(encoding="utf-8")


def _shapes(options: argparse.Namespace, model: DeployedModel) -> dict[str, Shape]:
    """Shapes of inputs: those that the archive states in full, and those of the command line."""
    stated = {name: shape for name, shape in model.input_shapes.items() if 0 not in shape}
    return {**stated, **dict(options.shape)}


def _params(model: DeployedModel) -> dict[str, Any]:
    return {**model.arg_params, **model.aux_params}


def _for_prediction(model: DeployedModel, shapes: Mapping[str, Shape]) -> Symbol:
    """The network without what needs labels that are not given."""
    symbol = model.symbol
    labels = {name for name in symbol.list_arguments() if name.endswith("label")} - {*shapes, *_params(model)}
    return prediction_symbol(symbol, set(symbol.list_inputs()) - labels)


def _bind(symbol: Symbol, model: DeployedModel, shapes: Mapping[str, Shape], grad_req: Any = "null") -> Executor:
    """``symbol`` bound to zeros in the shapes and types of the model's parameters, and of the inputs given."""
    inputs = set(symbol.list_inputs())
    unknown = [name for name in shapes if name not in inputs]
    if unknown:
        raise MXNetError(
            f"The network has no input {unknown[0]}; its arguments are {', '.join(symbol.list_arguments())}"
        )
    arrays = {name: array for name, array in _params(model).items() if name in inputs and name not in shapes}
    types = {name: array.dtype for name, array in arrays.items()}
    known = {name: array.shape for name, array in arrays.items()}
    return symbol.simple_bind(grad_req=grad_req, type_dict=types, **known, **shapes)


# ---- check ---------------------------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    if not options.model.endswith(_ARCHIVES):
        # Before the graph is loaded, which ends at the first operator that is not there.
        counts = count_operators(_read_text(options.model))
        missing = sorted(name for name in counts if not registry.is_registered(name))
        if missing:
            _print_operators(counts, {})
            return _verdict([f"missing operators: {', '.join(missing)}"])
    model = _load(options)
    shapes = _shapes(options, model)
    symbol = _for_prediction(model, shapes)
    problems: list[str] = []
    executor = None
    try:
        executor = _bind(symbol, model, shapes)
    except MXNetError as error:
        problems.append(str(error))
    counts = Counter(node.op.name for node in post_order(symbol.entries) if not node.is_variable)
    _print_operators(counts, _engines(executor))
    problems += _check_variables(symbol, model, shapes, executor)
    _print_results(model, symbol, executor)
    return _verdict(problems)


def _verdict(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"problem: {problem}")
    print("would not run" if problems else "would run")
    return 1 if problems else 0


def _print_operators(counts: Mapping[str, int], engines: Mapping[str, set[str]]) -> None:
    rows = []
    for name, count in sorted(counts.items()):
        # A node without an engine of its own runs as part of another.
        support = ", ".join(sorted(engines.get(name, ()))) or ("fused" if engines else "supported")
        rows.append((name, str(count), support if registry.is_registered(name) else "MISSING"))
    _print_table("operators", rows)


def _engines(executor: Executor | None) -> dict[str, set[str]]:
    """By operator, which engines run it; what was fused or simplified away has none of its own."""
    engines: dict[str, set[str]] = {}
    for row in executor.plan_report(is_train=False).rows if executor else ():
        engines.setdefault(row.operator, set()).add(row.implementation.split()[0])
    return engines


def _check_variables(
    symbol: Symbol, model: DeployedModel, shapes: Mapping[str, Shape], executor: Executor | None
) -> list[str]:
    """Print every variable with what is known of it; returns what is wrong with them."""
    params = _params(model)
    labels = label_names(symbol)
    bound = {} if executor is None else {**executor.arg_dict, **executor.aux_dict}
    known = {name: array.shape for name, array in {**bound, **params}.items()} | dict(shapes)
    missing, rows = [], []
    for name in symbol.list_inputs():
        if name in shapes:
            what = "input"
        elif name in params:
            what = ""
        elif name in labels:
            what = "label, not needed"
        elif params:
            what = "MISSING"
            missing.append(name)
        else:
            what = "not given"
        rows.append((name, _text(known.get(name)), what))
    extra = [name for name in params if name not in model.symbol.list_inputs()]
    rows += [(name, _text(params[name].shape), "extra") for name in extra]
    _print_table("variables", rows)
    return [f"missing parameters or inputs: {', '.join(missing)}"] if missing else []


def _print_results(model: DeployedModel, symbol: Symbol, executor: Executor | None) -> None:
    left = symbol.list_outputs()
    out = [(name, "", "left out: needs a label") for name in model.symbol.list_outputs() if name not in left]
    if executor is None:
        _print_table("outputs", [*((name, "?", "") for name in left), *out])
        return
    outputs = executor.output_dict.items()
    _print_table(
        "outputs", [*((name, _text(array.shape), name_of(array.tensor.dtype)) for name, array in outputs), *out]
    )
    print("memory")
    print("\n".join(f"  {line}" for line in str(executor.memory_plan()).splitlines()))


def _print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    print(title)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def _text(shape: Shape | None) -> str:
    return "?" if shape is None else "x".join(map(str, shape)) or "scalar"


# ---- the other commands --------------------------------------------------------------------------------------------


def _summary(options: argparse.Namespace) -> int:
    model = _load(options)
    print_summary(model.symbol, _shapes(options, model) or None)
    return 0


def _plot(options: argparse.Namespace) -> int:
    model = _load(options)
    output = options.output or f"{options.model.removesuffix('.json')}.svg"
    with atomic_write(output, "w") as file:
        file.write(to_svg(model.symbol, _shapes(options, model) or None))
    print(output)
    return 0


def _plan(options: argparse.Namespace) -> int:
    model = _load(options)
    shapes = _shapes(options, model)
    symbol = model.symbol if options.train else _for_prediction(model, shapes)
    inputs = {*shapes, *label_names(symbol)}
    requests = {name: "null" if name in inputs else "write" for name in symbol.list_arguments()}
    executor = _bind(symbol, model, shapes, requests if options.train else "null")
    print(executor.plan_report(options.time, is_train=options.train))
    print(executor.memory_plan())
    return 0


def _predict(options: argparse.Namespace) -> int:
    model = _load(options)
    inputs = {name: np.load(file, allow_pickle=False) for name, file in options.input}
    outputs = model.predict(**inputs)
    names = prediction_symbol(model.symbol, {*inputs, *_params(model)}).list_outputs()
    for name, output in zip(names, outputs):
        print(f"{name}  {_text(output.shape)}  {output.dtype}")
    if options.output:
        with atomic_write(options.output) as file:
            np.savez(file, **dict(zip(names, outputs)))  # type: ignore[arg-type]  # allow_pickle is no output's name
    else:
        for output in outputs:
            print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
