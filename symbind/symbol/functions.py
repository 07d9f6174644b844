"""``mx.sym.X`` for every operator, made from its declaration; and the operators as methods of Symbol."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..graph import registry
from ..graph.attribute import current_attributes
from ..graph.compose import apply_operator
from ..graph.node import Entry
from ..graph.symbol import Symbol, _single
from ..ops.operator import Operator
from ..ops.signature import FLUENT, bind_arguments, describe, fill_namespaces

__all__ = ["install"]


def make_function(operator: Operator, spelling: str) -> Callable[..., Symbol]:
    """The function that adds ``operator`` to a graph; ``spelling`` is the name it is called by."""

    def function(*args: Any, name: str | None = None, attr: Any = None, out: Any = None, **kwargs: Any) -> Symbol:
        given, params = bind_arguments(operator, lambda value: isinstance(value, Symbol), args, kwargs)
        attrs = {**params, **current_attributes(attr)}
        inputs: Any
        if isinstance(given, dict):
            inputs = {key: _single(value, key) for key, value in given.items()}
        else:
            inputs = [_single(value, f"arg{i}") for i, value in enumerate(given)]
        node = apply_operator(operator, inputs, attrs, name, hint=spelling)
        return Symbol([Entry(node, i) for i in range(node.num_visible_outputs)])

    return function


def install(package: ModuleType) -> None:
    """Fill the package's namespaces, and give Symbol the operators that are its methods."""
    fill_namespaces(package, make_function)
    for name in FLUENT:
        setattr(Symbol, name, _method(registry.find(name), name))  # type: ignore[arg-type]
    Symbol.astype = _method(registry.find("cast"), "cast")  # type: ignore[attr-defined,arg-type]

    squeeze = make_function(registry.find("squeeze"), "squeeze")  # type: ignore[arg-type]

    def squeeze_method(self: Symbol, axis: Any = None, **kwargs: Any) -> Symbol:
        """All axes of length 1 removed, or those named."""
        # Unlike other methods this one has always written its default into the graph.
        return squeeze(self, axis="None" if axis is None else axis, **kwargs)

    Symbol.squeeze = squeeze_method  # type: ignore[attr-defined]


def _method(operator: Operator, spelling: str) -> Callable[..., Symbol]:
    function = make_function(operator, spelling)

    def method(self: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        return function(self, *args, **kwargs)

    return describe(method, operator, spelling)
