"""What ``mx.sym`` and ``mx.nd`` functions have in common: where they live, how they are called, what help() says.

Both are made from the same declaration; they differ only in what they do with the arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from ..dtype import as_torch, name_of
from ..graph import registry
from ..graph.compose import attribute_text
from .operator import Operator
from .parameter import REQUIRED

__all__ = ["FLUENT", "NAMESPACES", "bind_arguments", "describe", "fill_namespaces", "home"]

#: Sub-namespaces by the prefix of the operator names that live there; ``_internal`` takes what is left. Of the random
#: operators, only those in the shape of another array are called directly.
NAMESPACES = {"_contrib_": "contrib", "_linalg_": "linalg", "_random_": "random", "_image_": "image",
              "_sparse_": "sparse", "sparse.": "sparse", "_": "_internal"}  # fmt: skip

#: Operators that are methods of symbols and arrays too.
FLUENT = [
    "abs",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "argmax",
    "argmax_channel",
    "argmin",
    "argsort",
    "broadcast_axes",
    "broadcast_like",
    "broadcast_to",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "degrees",
    "depth_to_space",
    "diag",
    "exp",
    "expand_dims",
    "expm1",
    "fix",
    "flatten",
    "flip",
    "floor",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "max",
    "mean",
    "min",
    "nanprod",
    "nansum",
    "norm",
    "one_hot",
    "ones_like",
    "pad",
    "pick",
    "prod",
    "radians",
    "rcbrt",
    "reciprocal",
    "relu",
    "repeat",
    "reshape",
    "reshape_like",
    "rint",
    "round",
    "rsqrt",
    "shape_array",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "size_array",
    "slice",
    "slice_axis",
    "slice_like",
    "softmax",
    "softmin",
    "sort",
    "space_to_depth",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "sum",
    "swapaxes",
    "take",
    "tan",
    "tanh",
    "tile",
    "topk",
    "transpose",
    "trunc",
    "zeros_like",
]


def home(name: str) -> tuple[str, str]:
    """``(namespace, function name)`` of an operator name: ``('contrib', 'box_nms')``, ``('', 'Concat')``."""
    for prefix, namespace in NAMESPACES.items():
        if name.startswith(prefix) and (prefix != "_random_" or name.endswith("_like")):
            return namespace, name if prefix == "_" else name.removeprefix(prefix)
    return "", name


def fill_namespaces(
    package: ModuleType, make: Callable[[Operator, str], Callable[..., Any]], keywords: Sequence[str] = ("name",)
) -> None:
    """Put a function for every registered name into ``package`` and its sub-namespace modules.

    ``make(operator, name)`` builds one for the name it is called by; it takes ``keywords`` beside what the declaration
    says. Names the package defines itself are left alone. Plain names also stand in ``package.op``.
    """
    modules = {name: getattr(package, name) for name in {*NAMESPACES.values(), "op"}}
    for spelling in registry.names():
        namespace, public = home(spelling)
        operator: Any = registry.find(spelling)
        function = describe(make(operator, public), operator, public, keywords)
        if namespace:
            vars(modules[namespace]).setdefault(public, function)
        else:
            vars(package).setdefault(public, function)
            setattr(modules["op"], public, function)


def describe(
    function: Callable[..., Any], operator: Operator, public_name: str, keywords: Sequence[str] = ("name",)
) -> Callable[..., Any]:
    """Give ``function`` the name, signature and documentation that the declaration implies."""
    kind = inspect.Parameter
    parameters = []
    any_number = operator.variadic is not None or operator.open_ended
    if any_number:
        parameters.append(kind("data", kind.VAR_POSITIONAL))
    else:
        parameters += [kind(n, kind.POSITIONAL_OR_KEYWORD, default=None) for n in _all_inputs(operator)]
    place = kind.KEYWORD_ONLY if any_number else kind.POSITIONAL_OR_KEYWORD
    for key, param in operator.parameters.items():
        if key != operator.variadic:
            parameters.append(kind(key, place, default=param.default))
    parameters += [kind(keyword, kind.KEYWORD_ONLY, default=None) for keyword in keywords]
    parameters.append(kind("kwargs", kind.VAR_KEYWORD))

    lines = [inspect.cleandoc(operator.doc), "", "Parameters", "----------"]
    lines += [f"{n} : input" for n in _all_inputs(operator)] if not any_number else ["data : any number of inputs"]
    for key, param in operator.parameters.items():
        default = "required" if param.default is REQUIRED else f"default {param.default!r}"
        lines.append(f"{key} : {param.kind.name}, {default}")
        if param.doc:
            lines.append(f"    {param.doc}")
    function.__name__ = function.__qualname__ = public_name
    function.__doc__ = "\n".join(lines)
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _all_inputs(operator: Operator) -> list[str]:
    return [*operator.inputs, *operator.auxiliary]


def bind_arguments(
    operator: Operator, is_value: Callable[[Any], bool], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any] | dict[str, Any], dict[str, str]]:
    """Sort a call's arguments into inputs (values) and parameters (text).

    Positional arguments are the inputs, then the parameters in declared order, as the signature says. Inputs come
    back as a list for operators that take any number, else by name. TypeError names an argument that cannot be.
    """
    if operator.variadic is not None or operator.open_ended:
        for i, value in enumerate(args):
            if not is_value(value):
                raise TypeError(f"Argument {i} of {operator.name} must be an input, but got {value!r}")
        values = {k: v for k, v in kwargs.items() if is_value(v)}
        if values and not operator.open_ended:
            raise TypeError(f"{operator.name} takes its inputs by position; got keyword(s) {', '.join(values)}")
        if values and args:
            raise TypeError(f"{operator.name} takes its inputs either by position or by keyword, not both")
        params = {k: v for k, v in kwargs.items() if k not in values and not _is_default(operator, k, v)}
        return values or list(args), {k: _text(operator, k, v) for k, v in params.items()}

    input_names = _all_inputs(operator)
    order = [*input_names, *operator.parameters]
    if len(args) > len(order):
        raise TypeError(f"{operator.name} takes at most {len(order)} positional arguments, but {len(args)} were given")
    given = dict(zip(order, args))
    for key, value in kwargs.items():
        if given.get(key) is not None:
            raise TypeError(f"{operator.name} got argument {key!r} twice, by position and by keyword")
        given[key] = value
    inputs, params = {}, {}
    for key, value in given.items():
        if is_value(value):
            inputs[key] = value
        elif key in input_names:
            if value is not None:
                raise TypeError(
                    f"Argument {key} of {operator.name} must be an input, but got {value!r} "
                    f"of type {type(value).__name__}"
                )
        elif not _is_default(operator, key, value):
            params[key] = _text(operator, key, value)
    return inputs, params


def _is_default(operator: Operator, key: str, value: Any) -> bool:
    """Whether the caller passed on the signature's own placeholder, or no dtype at all."""
    if value is REQUIRED:
        return True
    param = operator.parameters.get(key)
    return value is None and param is not None and param.kind.name.startswith("dtype")


def _text(operator: Operator, key: str, value: Any) -> str:
    param = operator.parameters.get(key)
    if param is not None and param.kind.name.startswith("dtype") and not isinstance(value, str):
        return name_of(as_torch(value))
    return attribute_text(value)
