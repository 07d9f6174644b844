"""The names that :mod:`symbind.autograd` had when it was new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from .. import autograd
from ..autograd import mark_variables
from ..ndarray import NDArray

__all__ = [
    "backward", "compute_gradient", "grad", "grad_and_loss", "mark_variables", "set_is_training", "test_section",
    "train_section",
]  # fmt: skip


def set_is_training(is_train: bool) -> bool:
    """Record operators, in training mode, from now on, or no longer; returns whether they were before."""
    before = autograd.set_recording(is_train)
    autograd.set_training(is_train)
    return before


def train_section() -> AbstractContextManager[Any]:
    """A block in which operators are recorded, in training mode."""
    return autograd.record(train_mode=True)


def test_section() -> AbstractContextManager[Any]:
    """A block within a training section in which nothing is recorded."""
    return autograd.pause(train_mode=False)


def backward(outputs: Sequence[NDArray], out_grads: Any = None, retain_graph: bool = False) -> None:
    """Compute the gradients of the outputs with respect to the variables that were marked."""
    autograd.backward(outputs, out_grads, retain_graph)


def compute_gradient(outputs: Sequence[NDArray]) -> None:
    """:func:`backward` with gradients of ones."""
    backward(outputs)


def grad_and_loss(func: Callable[..., Any], argnum: int | Sequence[int] | None = None) -> Callable[..., Any]:
    """A function that returns the gradients of ``func`` by its arguments (or those numbered), and what it returns."""

    def wrapped(*args: NDArray) -> tuple[list[NDArray], Any]:
        numbers = range(len(args)) if argnum is None else [argnum] if isinstance(argnum, int) else argnum
        variables = [args[i] for i in numbers]
        for variable in variables:
            if not isinstance(variable, NDArray):
                raise AssertionError(f"gradients are by NDArrays, not by {variable!r}")
        gradients = [NDArray(x.tensor.new_zeros(x.shape), x.context) for x in variables]
        mark_variables(variables, gradients)
        with train_section():
            outputs = func(*args)
        backward([outputs] if isinstance(outputs, NDArray) else outputs)
        return gradients, outputs

    return wrapped


def grad(func: Callable[..., Any], argnum: int | Sequence[int] | None = None) -> Callable[..., Any]:
    """A function that returns the gradients of ``func`` by its arguments, or those numbered ``argnum``."""
    both = grad_and_loss(func, argnum)
    return lambda *args: both(*args)[0]
