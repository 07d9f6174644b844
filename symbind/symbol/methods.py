"""Methods of Symbol that need more than the graph: inference, gradients, binding, drawing.

The graph knows nothing of the rooms above it, so these are added to its class from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..context import Context, current_context
from ..graph.symbol import Symbol
from ..ndarray import NDArray
from ..passes.gradient import gradient_symbol
from ..passes.infer import listed_dtypes, listed_shapes
from ..runtime import bind as binding
from ..runtime.executor import Executor
from .creation import split_v2

__all__ = ["install"]

Shape = tuple[int, ...]
Shapes = tuple[list[Shape], list[Shape], list[Shape]] | tuple[None, None, None]


def infer_shape(self: Symbol, *args: Shape | None, **kwargs: Shape) -> Shapes:
    """Shapes of (arguments, outputs, auxiliary states), from the ones given by position or keyword.

    0 stands for an unknown dimension. ``(None, None, None)`` with a warning if anything stays unknown.
    """
    return listed_shapes(self, args, kwargs, partial=False)


def infer_shape_partial(self: Symbol, *args: Shape | None, **kwargs: Shape) -> Shapes:
    """As :meth:`infer_shape`, but unknown ranks come back as ``()`` and unknown dimensions as 0."""
    return listed_shapes(self, args, kwargs, partial=True)


def infer_type(self: Symbol, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    """NumPy types of (arguments, outputs, auxiliary states) from the ones given."""
    return listed_dtypes(self, args, kwargs, partial=False)


def infer_type_partial(self: Symbol, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    """As :meth:`infer_type`, with None for what stays unknown."""
    return listed_dtypes(self, args, kwargs, partial=True)


def gradient(self: Symbol, wrt: str | Sequence[str]) -> Symbol:
    r"""The gradient of the sum of the outputs with respect to the arguments named, as a symbol.

    For outputs :math:`y_k` with head gradients :math:`g_k` (variables ``<output>_grad`` of the result, unless the
    output is a loss, which needs none) the result groups :math:`\sum_k \partial y_k/\partial x \cdot g_k` for each
    ``x`` in ``wrt``. It is a graph like any other: it can be printed, saved, bound and differentiated.
    """
    return gradient_symbol(self, [wrt] if isinstance(wrt, str) else list(wrt))


def simple_bind(self: Symbol, ctx: Context | None = None, grad_req: Any = "write", **kwargs: Any) -> Executor:
    """Allocate everything for the given argument shapes and return a ready executor.

    See :func:`symbind.runtime.bind.simple_bind` for the keywords.
    """
    return binding.simple_bind(self, ctx, grad_req, **kwargs)


def bind(self: Symbol, ctx: Context, args: Any, args_grad: Any = None, grad_req: Any = "write",
         aux_states: Any = None, **kwargs: Any) -> Executor:  # fmt: skip
    """An executor over arrays that the caller owns; see :func:`symbind.runtime.bind.bind`."""
    return binding.bind(self, ctx, args, args_grad, grad_req, aux_states, **kwargs)


def evaluate(self: Symbol, ctx: Context | None = None, **kwargs: NDArray) -> list[NDArray]:
    """Bind to the given arrays, run forward once, and return the outputs."""
    return binding.bind(self, ctx or current_context(), kwargs, grad_req="null").forward()


def drawing(self: Symbol) -> str:
    """The SVG that a notebook shows."""
    from ..visualization import to_svg  # only notebooks need it

    return to_svg(self)


def install() -> None:
    """Give Symbol these methods."""
    for method in (infer_shape, infer_shape_partial, infer_type, infer_type_partial, gradient, simple_bind, bind):
        setattr(Symbol, method.__name__, method)
    Symbol.eval = evaluate
    Symbol.split_v2 = split_v2  # type: ignore[attr-defined]
    Symbol._repr_svg_ = drawing  # type: ignore[attr-defined]
