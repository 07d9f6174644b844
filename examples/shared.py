"""What the examples have in common: the command line, training with a line per epoch, and pictures of curves."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import symbind as mx

Curves = dict[str, list[float]]


def parsed(
    doc: str | None, name: str, arguments: Sequence[str] | None, seed: int = 0, **numbers: int
) -> argparse.Namespace:
    """Options of an example: ``--out``, a folder that is made, ``--short``, and ``--<name>`` for each number.

    Its random numbers are the same each time it runs.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build") / name, help="folder for the results")
    parser.add_argument("--short", action="store_true", help="only as much as shows that it works")
    for option, default in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    random.seed(seed)
    np.random.seed(seed)
    mx.random.seed(seed)
    return options


def fit(
    module: Any, training: Any, validation: Any, metric: Callable[[], mx.metric.EvalMetric], **settings: Any
) -> Curves:
    """Train; the metric after each epoch, on both sets, which is also printed."""
    curves: Curves = {"training": [], "validation": []}
    of_training = metric()

    def after_epoch(epoch: int, *_: Any) -> None:
        [(name, trained)] = of_training.get_name_value()
        [(_, valid)] = module.score(validation, metric())
        for curve, value in zip(curves.values(), (trained, valid)):
            curve.append(float(value))
        print(f"epoch {epoch + 1:2d}   {name} {trained:.4g}   of validation {valid:.4g}", flush=True)

    callbacks = [after_epoch, *settings.pop("epoch_end_callback", [])]
    module.fit(training, eval_metric=of_training, epoch_end_callback=callbacks, **settings)
    return curves


def draw_curves(path: Path, curves: Curves, quantity: str, title: str, **axes_settings: Any) -> None:
    """One line per name over the epochs, as a picture."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=4, label=name)
    axes.set(xlabel="epoch", ylabel=quantity, title=title, **axes_settings)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
