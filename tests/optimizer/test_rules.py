"""Every optimizer against its reference, against MXNet's numbers, and against itself in other batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.optimizer import batch

from .references import RULES, Settings

# Default learning rates, as far as they are not 0.01.
DEFAULT_LR = {"adam": 1e-3, "lamb": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "adamax": 2e-3, "ftrl": 0.1}

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in RULES),
    ("sgd", {"momentum": 0.9}),
    ("ccsgd", {"momentum": 0.5}),
    ("nag", {"momentum": 0.9}),
    ("signum", {"momentum": 0.0, "wd_lh": 0.1}),
    ("signum", {"momentum": 0.5, "wd_lh": 0.1}),
    ("dcasgd", {"momentum": 0.9, "lamda": 0.3}),
    ("adam", {"beta1": 0.5, "beta2": 0.7, "epsilon": 1e-2}),
    ("adamax", {"beta1": 0.5, "beta2": 0.7}),
    ("nadam", {"schedule_decay": 0.1, "epsilon": 1e-3}),
    ("ftml", {"beta1": 0.3, "beta2": 0.9, "epsilon": 1e-3}),
    ("adagrad", {"eps": 0.1}),
    ("adadelta", {"rho": 0.5, "epsilon": 1e-2}),
    ("rmsprop", {"centered": True, "epsilon": 1e-3}),
    ("rmsprop", {"gamma1": 0.5, "clip_weights": 0.6}),
    ("ftrl", {"lamda1": 0.5, "beta": 2.0}),
    ("groupadagrad", {"eps": 0.1}),
    ("lars", {"momentum": 0.9, "eta": 0.1, "eps": 0.01}),
    ("lbsgd", {"batch_scale": 3, "momentum": 0.9, "warmup_epochs": 1, "updates_per_epoch": 5}),
    ("lamb", {"lower_bound": 2.0, "bias_correction": False}),
    ("lamb", {"upper_bound": 0.5}),
]

COMMON: list[dict[str, float]] = [
    {"learning_rate": 0.05},
    {"learning_rate": 0.05, "wd": 0.1, "rescale_grad": 0.5},
    {"learning_rate": 0.05, "wd": 0.1, "rescale_grad": -2.0, "clip_gradient": 0.7},
    {"learning_rate": 0.05, "wd": 0.1, "rescale_grad": 0.0},
]


def start(shape: tuple[int, ...] = (5, 4)) -> tuple[np.ndarray, list[np.ndarray]]:
    """A weight and gradients, in single precision numbers; some elements never have a gradient."""
    random = np.random.RandomState(3)
    weight = random.randn(*shape).astype("float32")
    gradients = [random.randn(*shape).astype("float32") for _ in range(6)]
    for gradient in gradients:
        gradient.ravel()[::5] = 0
    return weight, gradients


def run(name: str, weight: np.ndarray, gradients: list[np.ndarray], dtype: str, **options: Any) -> np.ndarray:
    updater = mx.optimizer.get_updater(mx.optimizer.create(name, **options))
    array = mx.nd.array(weight, dtype=dtype)
    for gradient in gradients:
        updater("x_weight", mx.nd.array(gradient, dtype=dtype), array)
    return array.asnumpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("common", COMMON, ids=["plain", "decay", "clipped", "rescaled to nothing"])
@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda part: str(part))
def test_reference(name: str, options: dict[str, Any], common: dict[str, float], dtype: str) -> None:
    common = {**common, "wd": 0.0} if name == "groupadagrad" else common
    weight, gradients = start()
    settings = Settings(
        common["learning_rate"],
        common.get("wd", 0.0),
        common.get("rescale_grad", 1.0),
        common.get("clip_gradient"),
        options,
    )
    expected, state = weight.astype("float64"), {}
    for t, gradient in enumerate(gradients, 1):
        expected = RULES[name](settings, state, t, expected, gradient.astype("float64"))
    seen = run(name, weight, gradients, dtype, **common, **options)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(seen, expected, rtol=tolerance, atol=tolerance)
    # A rule that did nothing would pass where weights hardly move.
    assert name in ("test", "lars") or "rescale_grad" in common or abs(seen - weight).max() > 1e-3


# Name, options, and the weight [1, -2] after three updates with the gradient [0.5, 0.25], from MXNet 1.9.1.
ORACLE = [
    ("sgd", {"learning_rate": 0.1, "wd": 0.1}, (0.821794, -2.0148506)),
    ("sgd", {"learning_rate": 0.1, "wd": 0.1, "momentum": 0.9}, (0.666274, -2.0278106)),
    ("nag", {"learning_rate": 0.1, "momentum": 0.9}, (0.59755, -2.201225)),
    ("adam", {}, (0.997, -2.0029998)),
    ("adagrad", {"learning_rate": 0.1}, (0.7715544, -2.2284455)),
    ("adadelta", {}, (0.9693084, -2.0306728)),
    ("rmsprop", {}, (0.9926226, -2.0073774)),
    ("rmsprop", {"centered": True}, (0.9838736, -2.0161264)),
    ("ftrl", {}, (0.2432491, -0.4551156)),
    ("adamax", {}, (0.9940001, -2.0060003)),
    ("nadam", {}, (0.9974276, -2.0025723)),
    ("ftml", {"learning_rate": 0.1}, (0.7864797, -2.2135203)),
    ("signum", {}, (0.97, -2.03)),
    ("dcasgd", {"learning_rate": 0.1}, (0.8500999, -2.0749874)),
    ("lamb", {}, (0.9952551, -2.004745)),
    ("lars", {"learning_rate": 0.1, "momentum": 0.9}, (0.9988781, -2.000561)),
    ("lbsgd", {"learning_rate": 0.1}, (0.85, -2.0750003)),
]
# The same with the gradients [0.5, 0.25]·k for k = 1, 2, …
GROWING_ORACLE = [
    ("signum", 3, {"learning_rate": 0.1, "wd": 0.1, "wd_lh": 0.01}, (0.6973028, -2.2937059)),
    ("signum", 3, {"learning_rate": 0.1, "wd": 0.1, "momentum": 0}, (0.6732889, -2.2376080)),
    ("lbsgd", 4, {"learning_rate": 0.1, "batch_scale": 2}, (0.7446875, -2.1276562)),
    (
        "lbsgd",
        12,
        {"learning_rate": 0.1, "batch_scale": 3, "warmup_epochs": 1, "updates_per_epoch": 10},
        (-2.48, -3.74),
    ),
    (
        "lbsgd",
        3,
        {"learning_rate": 0.1, "warmup_strategy": "lars", "momentum": 0.9, "wd": 0.1},
        (0.0699138, -2.1922405),
    ),
    (
        "lars",
        3,
        {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.1, "eta": 0.1, "rescale_grad": 0.5, "clip_gradient": 0.4},
        (0.9205248, -1.9973540),
    ),
    ("lamb", 3, {"wd": 0.1, "lower_bound": 0.5, "upper_bound": 1.0}, (0.9975662, -2.0017540)),
    ("lamb", 3, {"wd": 0.1, "lower_bound": 5.0, "bias_correction": False}, (0.9889876, -2.0101840)),
    ("ftrl", 3, {"wd": 0.1}, (0.1982909, -0.4862923)),
    ("ftml", 3, {"learning_rate": 0.1, "wd": 0.1}, (0.7531314, -2.2643571)),
    ("nadam", 3, {"wd": 0.1}, (0.9970481, -2.0031254)),
    ("rmsprop", 3, {"wd": 0.1, "clip_weights": 0.99, "centered": True}, (0.9755012, -0.99)),
    ("nag", 3, {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.1, "clip_gradient": 0.3}, (0.6855950, -2.0620933)),
    ("test", 3, {"rescale_grad": 0.5}, (2.5, -1.25)),
    ("adadelta", 3, {"wd": 0.1, "rescale_grad": 2.0}, (0.6940038, -1.4929923)),
]


@pytest.mark.parametrize(("name", "options", "expected"), ORACLE)
def test_oracle(name: str, options: dict[str, Any], expected: tuple[float, float]) -> None:
    seen = run(name, np.array([1.0, -2.0]), [np.array([0.5, 0.25])] * 3, "float32", **options)
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "steps", "options", "expected"), GROWING_ORACLE)
def test_growing_oracle(name: str, steps: int, options: dict[str, Any], expected: tuple[float, float]) -> None:
    gradients = [np.array([0.5, 0.25]) * k for k in range(1, steps + 1)]
    np.testing.assert_allclose(run(name, np.array([1.0, -2.0]), gradients, "float32", **options), expected, rtol=1e-6)


def test_group_adagrad_of_mxnet() -> None:
    weight, gradient = np.array([[1, -2], [3, 4.0]]), np.array([[0.5, 0.25], [1, 0.0]])
    seen = run("groupadagrad", weight, [gradient], "float32", learning_rate=0.1)
    np.testing.assert_allclose(seen, [[0.8735129, -2.0632436], [2.85858, 4.0]], rtol=1e-6)


def test_zero_weights_and_gradients_do_no_harm() -> None:
    for name in RULES:
        options = {"learning_rate": 0.1} if name != "test" else {}
        seen = run(name, np.zeros((2, 2)), [np.zeros((2, 2))] * 2, "float32", **options)
        assert (seen == 0).all(), name


# --- one parameter at a time, all at a time, whole and cut

SHAPES = {"a_weight": (7, 3), "a_bias": (3,), "b_weight": (40, 9), "b_gamma": (9,), "empty_weight": (0, 4), "c": (1,)}


def train(name: str, multi: bool, steps: int = 4, **options: Any) -> dict[str, np.ndarray]:
    mx.random.seed(1)
    names = list(SHAPES)
    if name == "groupadagrad":
        names = [n for n in names if len(SHAPES[n]) == 2]
    optimizer = mx.optimizer.create(name, param_idx2name=dict(enumerate(names)), learning_rate=0.05, **options)
    optimizer.set_lr_mult({"a_bias": 2.0})
    random = np.random.RandomState(0)
    weights = [mx.nd.array(random.randn(*SHAPES[n])) if np.prod(SHAPES[n]) else empty(SHAPES[n]) for n in names]
    gradients = [weight.copy() for weight in weights]
    indices = list(range(len(names)))
    states = [optimizer.create_state_multi_precision(i, weight) for i, weight in enumerate(weights)]
    for _ in range(steps):
        for gradient in gradients:
            if gradient.size:
                gradient[:] = random.randn(*gradient.shape)
        if multi:
            optimizer.update_multi(indices, weights, gradients, states)
        else:
            for i in indices:
                optimizer.update(i, weights[i], gradients[i], states[i])
    return {n: weight.asnumpy() for n, weight in zip(names, weights)}


def empty(shape: tuple[int, ...]) -> mx.nd.NDArray:
    return mx.nd.NDArray(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "options"),
    [(n, {**o, **c}) for n, o in VARIANTS for c in ({}, {"wd": 0.1, "rescale_grad": 0.5, "clip_gradient": 0.4})],
    ids=lambda part: str(part),
)
def test_many_at_a_time_is_one_at_a_time(name: str, options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {k: v for k, v in options.items() if k != "wd"} if name == "groupadagrad" else options
    single = train(name, multi=False, **options)
    together = train(name, multi=True, **options)
    monkeypatch.setattr(batch, "block_size", lambda device: 16)
    cut = train(name, multi=True, **options)
    for parameter, expected in single.items():
        # Vector and scalar instructions may round differently, by where a piece begins.
        np.testing.assert_allclose(together[parameter], expected, rtol=5e-7, atol=2e-7)
        np.testing.assert_allclose(cut[parameter], expected, rtol=5e-7, atol=2e-7)


def test_langevin_dynamics_is_a_step_and_noise() -> None:
    weight = np.linspace(-1, 1, 40_000).reshape(200, 200)
    gradient = np.full((200, 200), 4.0)
    mx.random.seed(5)
    seen = run("sgld", weight, [gradient], "float32", learning_rate=0.04, wd=0.5, rescale_grad=0.5, clip_gradient=1.0)
    noise = seen - (weight - 0.02 * (1.0 + 0.5 * weight))
    assert abs(noise.std() - 0.2) < 0.005
    assert abs(noise.mean()) < 0.005
    mx.random.seed(5)
    again = run("sgld", weight, [gradient], "float32", learning_rate=0.04, wd=0.5, rescale_grad=0.5, clip_gradient=1.0)
    np.testing.assert_array_equal(seen, again)


def test_gradients_are_left_alone() -> None:
    for name in RULES:
        options = {"clip_gradient": 0.1, "rescale_grad": 0.5, "wd": 0.0 if name == "groupadagrad" else 0.1}
        updater = mx.optimizer.get_updater(mx.optimizer.create(name, **options))
        weight, gradient = mx.nd.ones((3, 3)), mx.nd.full((3, 3), 2.0)
        updater("x_weight", gradient, weight)
        assert (gradient.asnumpy() == 2).all(), name


# --- steps cost no memory


class Allocations(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the elements of tensors that operations return in memory of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = {id(t) for t in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in torch.utils._pytree.tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and id(tensor) not in inputs and not func.is_view:
                self.elements += tensor.numel()
        return result


@pytest.mark.parametrize("options", [{}, {"rescale_grad": 0.5, "clip_gradient": 0.4}])
@pytest.mark.parametrize("name", sorted({*RULES, "sgld"} - {"groupadagrad"}))
def test_steps_allocate_no_arrays(name: str, options: dict[str, float]) -> None:
    optimizer = mx.optimizer.create(name, **options)
    if name == "lbsgd":
        optimizer.batch_scale = 1
    updater = mx.optimizer.get_updater(optimizer)
    weights = [mx.nd.ones((300, 100)), mx.nd.ones((100,))]
    gradients = [mx.nd.ones((300, 100)), mx.nd.ones((100,))]
    updater([0, 1], gradients, weights)
    with Allocations() as counted:
        for _ in range(3):
            updater([0, 1], gradients, weights)
    # Norms are single numbers.
    assert counted.elements <= 60
