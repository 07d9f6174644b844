"""Twenty steps of every optimizer on two parameters, with gradients that are the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["RUNS", "Run", "follow"]

STEPS = 20
# Index, name, shape. Only names which end in _weight or _gamma are decayed by default.
PARAMETERS = [(0, "fc_weight", (4, 3)), (1, "fc_bias", (3,)), (2, "bn_gamma", (2,))]


@dataclass(frozen=True)
class Run:
    """An optimizer by its registered name, its options, and factors per parameter name."""

    optimizer: str
    options: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] | None = None
    lr_mult: dict[str, float] = field(default_factory=dict)
    wd_mult: dict[str, float] = field(default_factory=dict)
    dtype: str = "float32"


# What all optimizers have in common, tried on each of them.
COMMON: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"options": {"wd": 0.1}},
    "clipped": {"options": {"clip_gradient": 0.3, "wd": 0.05}},
    "rescaled": {"options": {"rescale_grad": 0.25, "wd": 0.01}},
    "scheduled": {"schedule": {"step": 5, "factor": 0.5}},
    "multiplied": {
        "options": {"wd": 0.1},
        "lr_mult": {"fc_weight": 0.5, "fc_bias": 2.0},
        "wd_mult": {"fc_bias": 1.0, "bn_gamma": 0.5},
    },
}

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {"learning_rate": 0.1}),
    "sgd with momentum": ("sgd", {"learning_rate": 0.1, "momentum": 0.9}),
    "nag": ("nag", {"learning_rate": 0.1, "momentum": 0.9}),
    "nag without momentum": ("nag", {"learning_rate": 0.1}),
    "adam": ("adam", {"learning_rate": 0.05}),
    "adagrad": ("adagrad", {"learning_rate": 0.1}),
    "adadelta": ("adadelta", {}),
    "rmsprop": ("rmsprop", {"learning_rate": 0.02}),
    "centered rmsprop": ("rmsprop", {"learning_rate": 0.02, "centered": True}),
    "ftrl": ("ftrl", {"learning_rate": 0.1}),
    "adamax": ("adamax", {"learning_rate": 0.05}),
    "nadam": ("nadam", {"learning_rate": 0.05}),
    "ftml": ("ftml", {"learning_rate": 0.05}),
    "signum": ("signum", {"learning_rate": 0.02}),
    "dcasgd": ("dcasgd", {"learning_rate": 0.1}),
    "lamb": ("lamb", {"learning_rate": 0.05}),
    "lars": ("lars", {"learning_rate": 0.5, "momentum": 0.9}),
}

RUNS: dict[str, Run] = {}
for _title, (_name, _options) in OPTIMIZERS.items():
    for _way, _change in COMMON.items():
        _all = {**_change, "options": {**_options, **_change.get("options", {})}}
        RUNS[f"{_title}, {_way}"] = Run(_name, **_all)
RUNS |= {
    "adam, other constants": Run("adam", {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}),
    "rmsprop, clipped weights": Run("rmsprop", {"learning_rate": 0.1, "clip_weights": 0.4, "gamma1": 0.5}),
    "centered rmsprop, other constants": Run(
        "rmsprop", {"learning_rate": 0.05, "centered": True, "gamma1": 0.8, "gamma2": 0.5, "epsilon": 1e-4}
    ),
    "adagrad, other constants": Run("adagrad", {"learning_rate": 0.1, "eps": 1e-2}),
    "adadelta, other constants": Run("adadelta", {"rho": 0.5, "epsilon": 1e-2}),
    "sgd, begun at 7": Run("sgd", {"learning_rate": 0.1, "begin_num_update": 7}, schedule={"step": 5, "factor": 0.5}),
    "sgd, double precision": Run("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.1}, dtype="float64"),
    "sgd, half precision with a master copy": Run(
        "sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.1, "multi_precision": True}, dtype="float16"
    ),
}


def gradient(step: int, index: int, shape: tuple[int, ...], dense: bool) -> np.ndarray:
    """The gradient of parameter ``index`` at ``step``; unless it is ``dense``, some entries stay zero."""
    random = np.random.RandomState(1000 * index + step)
    numbers = random.uniform(0.01, 1, size=shape).round(2) * random.choice([-1, 1], size=shape)
    return numbers if dense else numbers * (np.arange(np.prod(shape)).reshape(shape) % 5 != 4)


def flattened(state: Any) -> list[np.ndarray]:
    """The arrays of an optimizer state (nothing, an array, or a tuple of states) in order."""
    if state is None:
        return []
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in flattened(part)]
    return [state.asnumpy()]


def follow(mx: Any, run: Run) -> dict[str, Any]:
    """Weights after every step, and the optimizer's state at the end."""
    options = dict(run.options)
    if run.schedule:
        options["lr_scheduler"] = mx.lr_scheduler.FactorScheduler(**run.schedule)
    names = {index: name for index, name, _ in PARAMETERS}
    optimizer = mx.optimizer.create(run.optimizer, param_idx2name=names, **options)
    if run.lr_mult:
        optimizer.set_lr_mult(run.lr_mult)
    if run.wd_mult:
        optimizer.set_wd_mult(run.wd_mult)
    update = mx.optimizer.get_updater(optimizer)
    weights = {
        index: mx.nd.array(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).round(3), dtype=run.dtype)
        for index, _, shape in PARAMETERS
    }
    dense = run.optimizer == "adamax"  # MXNet's divides zero by zero until a gradient has come
    path: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
    for step in range(STEPS):
        for index, name, shape in PARAMETERS:
            received = mx.nd.array(gradient(step, index, shape, dense), dtype=run.dtype)
            update(index, received, weights[index])
            path[name].append(weights[index].asnumpy())
    return {
        "path": {name: np.stack(steps) for name, steps in path.items()},
        "states": {names[index]: flattened(update.states[index]) for index in names},
    }
