"""``symbind check``: whether a model would run here, and what is wrong if it would not."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence

from ..base import MXNetError
from ..deployment import DeployedModel, label_names
from ..dtype import name_of
from ..graph import registry
from ..graph.node import post_order
from ..graph.serialize import count_operators
from ..graph.symbol import Symbol
from ..runtime.executor import Executor
from .model import ARCHIVES, all_params, bind, for_prediction, input_shapes, load, print_table, read_text, shape_text

__all__ = ["check"]

Shape = tuple[int, ...]


def check(options: argparse.Namespace) -> int:
    """Print operators, variables, outputs and memory of the model, and what is wrong; 1 if it would not run."""
    if not options.model.endswith(ARCHIVES):
        # Before the graph is loaded, which ends at the first operator that is not there.
        counts = count_operators(read_text(options.model))
        missing = sorted(name for name in counts if not registry.is_registered(name))
        if missing:
            _print_operators(counts, {})
            return _verdict([f"missing operators: {', '.join(missing)}"])
    model = load(options)
    shapes = input_shapes(options, model)
    symbol = for_prediction(model, shapes)
    problems: list[str] = []
    executor = None
    try:
        executor = bind(symbol, model, shapes)
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
    print_table("operators", rows)


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
    params = all_params(model)
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
        rows.append((name, shape_text(known.get(name)), what))
    extra = [name for name in params if name not in model.symbol.list_inputs()]
    rows += [(name, shape_text(params[name].shape), "extra") for name in extra]
    print_table("variables", rows)
    return [f"missing parameters or inputs: {', '.join(missing)}"] if missing else []


def _print_results(model: DeployedModel, symbol: Symbol, executor: Executor | None) -> None:
    left = symbol.list_outputs()
    out = [(name, "", "left out: needs a label") for name in model.symbol.list_outputs() if name not in left]
    if executor is None:
        print_table("outputs", [*((name, "?", "") for name in left), *out])
        return
    outputs = executor.output_dict.items()
    print_table(
        "outputs", [*((name, shape_text(array.shape), name_of(array.tensor.dtype)) for name, array in outputs), *out]
    )
    print("memory")
    print("\n".join(f"  {line}" for line in str(executor.memory_plan()).splitlines()))
