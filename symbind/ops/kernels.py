"""Small builders of kernels that several families use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

from .operator import Kernel

__all__ = ["KernelBuilder", "direct", "nothing", "scalar_like", "through_float64"]

#: ``builder(*inputs, out)`` returns the call that computes ``out`` from the inputs.
KernelBuilder = Callable[..., Kernel]


def direct(function: Callable[..., Any]) -> KernelBuilder:
    """The kernel that is one call of a torch function with an ``out`` argument."""

    def build(*tensors: torch.Tensor) -> Kernel:
        *inputs, out = tensors
        return partial(function, *inputs, out=out)

    return build


def through_float64(function: Callable[..., torch.Tensor]) -> KernelBuilder:
    """As :func:`direct`, for functions that torch computes in floating point only.

    Whole numbers are computed in double precision and cut back, as a C program's cast does.
    """
    floating = direct(function)

    def build(*tensors: torch.Tensor) -> Kernel:
        *inputs, out = tensors
        if out.is_floating_point():
            return floating(*tensors)

        def run() -> None:
            out.copy_(function(*(tensor.double() for tensor in inputs)))

        return run

    return build


def nothing() -> None:
    """The kernel of an output that is in its place already."""


def scalar_like(value: float, array: torch.Tensor) -> torch.Tensor:
    """``value`` as a tensor without dimensions, of the type and device of ``array``.

    Whole numbers are cut and wrapped as in C. torch starts calls with such tensors faster than with Python numbers.
    """
    number = torch.tensor(value, dtype=torch.float64, device=array.device)
    if not array.is_floating_point():
        number = number.to(torch.int64)
    return number.to(array.dtype)


def sequence(steps: Iterable[Kernel]) -> Kernel:
    """One call that makes several, in order."""
    calls = tuple(steps)
    if len(calls) == 1:
        return calls[0]

    def run() -> None:
        for call in calls:
            call()

    return run
