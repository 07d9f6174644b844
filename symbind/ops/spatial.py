"""Windows that slide over the spatial axes of an array: their parameters, layouts and sizes.

Convolutions and poolings work on arrays (batch, channel, spatial axes …), or channel last if their layout says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base import MXNetError

if TYPE_CHECKING:
    import torch

    from .operator import MaybeShape
    from .parameter import Params

__all__ = [
    "channel_first", "channel_given", "channel_last", "check_layout", "complete", "dilated", "first_view",
    "sizes",
]  # fmt: skip


def complete(operator: str, p: Params, **defaults: int) -> None:
    """Give each parameter in ``defaults`` one number per axis of the kernel where the user left it out.

    Raises MXNetError if it has another length, or numbers that cannot be: less than the default (1 for a stride, 0
    for padding).
    """
    rank = len(p.kernel)
    if rank not in (1, 2, 3):
        raise MXNetError(f"{operator} slides over 1, 2 or 3 axes, but kernel={p.kernel} has {rank}")
    if any(n < 1 for n in p.kernel):
        raise MXNetError(f"kernel={p.kernel} of {operator} must have sizes of at least 1")
    for name, default in defaults.items():
        value = getattr(p, name) or (default,) * rank
        if not any(value[rank:]):
            value = value[:rank]  # no padding of axes that are not there either
        if len(value) != rank or any(n < default for n in value):
            raise MXNetError(
                f"{name}={value} of {operator} must be {rank} numbers (one for each axis of kernel={p.kernel}) "
                f"of at least {default}"
            )
        setattr(p, name, value)


def check_layout(operator: str, p: Params) -> None:
    """MXNetError if the layout is for another number of axes than the kernel."""
    if p.layout is not None and len(p.layout) != len(p.kernel) + 2:
        raise MXNetError(f"layout={p.layout} of {operator} does not fit a kernel of {len(p.kernel)} axes: {p.kernel}")


def channel_last(p: Params) -> bool:
    """Whether the layout has the channel as its last axis."""
    return p.layout is not None and p.layout.endswith("C")


def channel_first(shape: MaybeShape, last: bool) -> MaybeShape:
    """A shape whose channel is ``last`` as (batch, channel, spatial …)."""
    return (shape[0], shape[-1], *shape[1:-1]) if shape is not None and last else shape


def channel_given(shape: MaybeShape, last: bool) -> MaybeShape:
    """The inverse of :func:`channel_first`."""
    return (shape[0], *shape[2:], shape[1]) if shape is not None and last else shape


def sizes(array: torch.Tensor, last: bool) -> tuple[int, ...]:
    """The lengths of the spatial axes of ``array``."""
    return tuple(array.shape[1:-1] if last else array.shape[2:])


def first_view(array: torch.Tensor, last: bool) -> torch.Tensor:
    """A view of ``array`` as (batch, channel, spatial …)."""
    return array.movedim(-1, 1) if last else array


def dilated(kernel: int, dilate: int) -> int:
    """How far a kernel reaches when its points are ``dilate`` apart."""
    return (kernel - 1) * dilate + 1
