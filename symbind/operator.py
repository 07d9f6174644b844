"""``mx.operator``: operators written in Python.

An operator is two classes. A :class:`CustomOpProp` describes it — names of inputs and outputs, shapes, types — and
makes a :class:`CustomOp`, which computes::

    class Sigmoid(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], 1 / (1 + mx.nd.exp(-in_data[0])))

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            y = out_data[0]
            self.assign(in_grad[0], req[0], out_grad[0] * y * (1 - y))

    @mx.operator.register("sigmoid")
    class SigmoidProp(mx.operator.CustomOpProp):
        def create_operator(self, ctx, in_shapes, in_dtypes):
            return Sigmoid()

    net = mx.sym.Custom(data=net, op_type="sigmoid")
"""

from __future__ import annotations

import itertools
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from . import symbol
from .base import MXNetError
from .context import Context
from .dtype import as_numpy, as_torch
from .graph import registry
from .ndarray import NDArray
from .ops.custom import define
from .ops.operator import Operator
from .ops.parameter import REQUIRED

__all__ = [
    "CustomOp", "CustomOpProp", "NDArrayOp", "NumpyOp", "OperatorArguments", "PythonOp",
    "get_all_registered_operators", "get_operator_arguments", "register",
]  # fmt: skip


class CustomOp:
    """The computing half of an operator: one for each node of a bound graph, so it may keep what it likes."""

    def forward(
        self,
        is_train: bool,
        req: list[str],
        in_data: list[NDArray],
        out_data: list[NDArray],
        aux: list[NDArray],
    ) -> None:
        """Compute ``out_data`` from ``in_data``, by :meth:`assign` as ``req`` (one word per output) says."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(
        self,
        req: list[str],
        out_grad: list[NDArray],
        in_data: list[NDArray],
        out_data: list[NDArray],
        in_grad: list[NDArray],
        aux: list[NDArray],
    ) -> None:
        """Compute ``in_grad`` by :meth:`assign`; what is not assigned is zero.

        What :meth:`CustomOpProp.declare_backward_dependency` does not name is None here.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def assign(self, dst: NDArray, req: str, src: Any) -> None:
        """Write ``src`` into ``dst`` (``write``, ``inplace``), add it (``add``), or leave ``dst`` alone (``null``)."""
        if req in ("write", "inplace"):
            dst[:] = src
        elif req == "add":
            dst[:] += src
        elif req != "null":
            raise ValueError(f"req must be null, write, inplace or add, not {req!r}")


class CustomOpProp:
    """The describing half of an operator; the constructor gets the keywords of ``Custom`` as strings.

    ``need_top_grad`` says whether the gradient depends on the gradient of the outputs. It does not for a loss, whose
    outputs then need no head gradients.
    """

    def __init__(self, need_top_grad: bool = True) -> None:
        self.need_top_grad_ = need_top_grad

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return ["output"]

    def list_auxiliary_states(self) -> list[str]:
        """Names of the auxiliary states, which the operator itself updates."""
        return []

    def infer_shape(self, in_shape: list[list[int]]) -> Sequence[Any]:
        """Shapes of inputs and outputs, and of auxiliary states if there are any, as two or three lists.

        ``in_shape`` holds an empty list for an input of which nothing is known, and 0 for an unknown dimension.
        Unless overridden, everything has the shape of the first input.
        """
        first = in_shape[0]
        return in_shape, [first] * len(self.list_outputs()), [first] * len(self.list_auxiliary_states())

    def infer_type(self, in_type: list[Any]) -> Sequence[Any]:
        """NumPy types of inputs, outputs and auxiliary states, as :meth:`infer_shape`; None if unknown."""
        first = in_type[0]
        return (
            [first if t is None else t for t in in_type],
            [first] * len(self.list_outputs()),
            [first] * len(self.list_auxiliary_states()),
        )

    def declare_backward_dependency(self, out_grad: list[int], in_data: list[int], out_data: list[int]) -> list[int]:
        """Which of these numbers the gradient is computed from; the other arrays need not be kept for it."""
        return [*(out_grad if self.need_top_grad_ else ()), *in_data, *out_data]

    def create_operator(self, ctx: Context, in_shapes: list[list[int]], in_dtypes: list[Any]) -> CustomOp:
        """The operator for inputs and auxiliary states of these shapes and NumPy types."""
        raise NotImplementedError(f"{type(self).__name__} has no create_operator")


def register(reg_name: str) -> Callable[[type[CustomOpProp]], type[CustomOpProp]]:
    """Class decorator that makes a :class:`CustomOpProp` known as ``op_type=reg_name``.

    A name that is taken already means the new class from now on. Raises TypeError for anything but a subclass of
    :class:`CustomOpProp`.
    """

    def do_register(prop_class: type[CustomOpProp]) -> type[CustomOpProp]:
        if not (isinstance(prop_class, type) and issubclass(prop_class, CustomOpProp)):
            raise TypeError(f"register({reg_name!r}) needs a subclass of CustomOpProp, not {prop_class!r}")
        define(reg_name, lambda keywords: _Definition(reg_name, prop_class, keywords))
        return prop_class

    return do_register


# ---- between the user's classes and the graph ----------------------------------------------------------------------


@contextmanager
def _users_code(what: str, op_type: str) -> Iterator[None]:
    """Turn what the user's code raises into an MXNetError that shows where."""
    try:
        yield
    except Exception as error:
        raise MXNetError(f"Error in {what} of custom operator {op_type}:\n{traceback.format_exc()}") from error


class _Definition:
    """A property object as the graph sees it: :class:`symbind.ops.custom.Definition`."""

    def __init__(self, op_type: str, prop_class: Callable[..., CustomOpProp], keywords: dict[str, str]) -> None:
        self._op_type = op_type
        with self._calling("constructor"):
            self._prop = prop_class(**keywords)
        with self._calling("list_arguments"):
            self.arguments: Sequence[str] = list(self._prop.list_arguments())
        with self._calling("list_outputs"):
            self.outputs: Sequence[str] = list(self._prop.list_outputs())
        with self._calling("list_auxiliary_states"):
            self.auxiliary: Sequence[str] = list(self._prop.list_auxiliary_states())

    def _calling(self, what: str) -> Any:
        return _users_code(f"CustomOpProp.{what}", self._op_type)

    def infer_shape(self, inputs: Sequence[Any]) -> Any:
        def shape(value: Any) -> tuple[int, ...] | None:
            return tuple(int(n) for n in value) or None

        with self._calling("infer_shape"):
            told = self._prop.infer_shape([[] if x is None else list(x) for x in inputs])
            return self._checked(told, shape)

    def infer_dtype(self, inputs: Sequence[Any]) -> Any:
        def dtype(value: Any) -> torch.dtype | None:
            return None if value is None else as_torch(value)

        with self._calling("infer_type"):
            told = self._prop.infer_type([None if t is None else as_numpy(t) for t in inputs])
            return self._checked(told, dtype)

    def _checked(self, told: Sequence[Any], read: Callable[[Any], Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """The answer of an inference method, read item by item, with as many items as there are names."""
        if len(told) not in (2, 3):
            raise ValueError(f"expected 2 or 3 lists, got {len(told)}")
        lists: list[list[Any]] = []
        names = {"arguments": self.arguments, "outputs": self.outputs, "auxiliary states": self.auxiliary}
        for (kind, wanted), items in zip(names.items(), (*told, ())):
            if len(items) != len(wanted):
                raise ValueError(f"expected {len(wanted)} entries for the {kind} {list(wanted)}, got {len(items)}")
            lists.append([read(item) for item in items])
        return lists[0], lists[1], lists[2]

    def dependencies(self, heads: Sequence[int], data: Sequence[int], outputs: Sequence[int]) -> Sequence[int]:
        with self._calling("declare_backward_dependency"):
            return self._prop.declare_backward_dependency(list(heads), list(data), list(outputs))

    def create(
        self, device: torch.device, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[torch.dtype]
    ) -> _Implementation:
        ctx = Context("gpu", device.index or 0) if device.type == "cuda" else Context("cpu", 0)
        with self._calling("create_operator"):
            operator = self._prop.create_operator(ctx, [list(s) for s in shapes], [as_numpy(t) for t in dtypes])
        return _Implementation(self._op_type, operator, ctx)


class _Implementation:
    """An operator object as the graph sees it: :class:`symbind.ops.custom.Implementation`."""

    def __init__(self, op_type: str, operator: CustomOp, ctx: Context) -> None:
        self._op_type, self._operator, self._ctx = op_type, operator, ctx

    def _arrays(self, tensors: Sequence[torch.Tensor | None]) -> list[Any]:
        return [None if tensor is None else NDArray(tensor, self._ctx) for tensor in tensors]

    def forward(
        self,
        is_train: bool,
        data: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        auxiliary: Sequence[torch.Tensor],
    ) -> None:
        with _users_code("CustomOp.forward", self._op_type):
            self._operator.forward(
                is_train=is_train,
                req=["write"] * len(outputs),
                in_data=self._arrays(data),
                out_data=self._arrays(outputs),
                aux=self._arrays(auxiliary),
            )

    def backward(
        self,
        head_gradients: Sequence[torch.Tensor | None],
        data: Sequence[torch.Tensor | None],
        outputs: Sequence[torch.Tensor | None],
        gradients: Sequence[torch.Tensor],
        auxiliary: Sequence[torch.Tensor],
    ) -> None:
        with _users_code("CustomOp.backward", self._op_type):
            self._operator.backward(
                req=["write"] * len(gradients),
                out_grad=self._arrays(head_gradients),
                in_data=self._arrays(data),
                out_data=self._arrays(outputs),
                in_grad=self._arrays(gradients),
                aux=self._arrays(auxiliary),
            )


# ---- the operators of the first releases ---------------------------------------------------------------------------


class PythonOp:
    """Base of the first kinds of Python operators, in which one object both describes and computes.

    Deprecated: write a :class:`CustomOp`. Calling the object, or :meth:`get_symbol`, applies it to symbols.
    """

    _numbers = itertools.count()

    def __init__(self, need_top_grad: bool = True) -> None:
        warnings.warn(
            f"{type(self).__name__} is a PythonOp, which is deprecated; please use CustomOp",
            DeprecationWarning,
            stacklevel=3,
        )
        self.need_top_grad_ = need_top_grad
        self._op_type: str | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> symbol.Symbol:
        return self.get_symbol(*args, **kwargs)

    def get_symbol(self, *args: Any, **kwargs: Any) -> symbol.Symbol:
        """The symbol of this operator on symbols, by position or by name. Saved, it is of no use elsewhere."""
        if self._op_type is None:
            self._op_type = f"{type(self).__name__}_{next(self._numbers)}"
            define(self._op_type, lambda keywords: _Definition(self._op_type or "", lambda: _PythonProp(self), {}))
        return symbol.Custom(*args, op_type=self._op_type, **kwargs)  # type: ignore[attr-defined]

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return ["output"]

    def infer_shape(self, in_shape: list[list[int]]) -> Sequence[Any]:
        """Shapes of inputs and outputs; unless overridden that of the first input."""
        return in_shape, [in_shape[0]] * len(self.list_outputs())

    def need_top_grad(self) -> bool:
        """Whether the gradient depends on the gradient of the outputs."""
        return self.need_top_grad_

    def forward(self, in_data: list[Any], out_data: list[Any]) -> None:
        """Fill ``out_data``; unless overridden with the first input."""
        out_data[0][:] = in_data[0]

    def backward(self, out_grad: list[Any], in_data: list[Any], out_data: list[Any], in_grad: list[Any]) -> None:
        """Fill ``in_grad``; unless overridden with ones."""
        in_grad[0][:] = 1.0

    def compute(
        self, function: Callable[..., None], inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]
    ) -> None:
        """Call ``function`` on arrays of the kind that this kind of operator works on."""
        raise NotImplementedError(f"{type(self).__name__} must be a NumpyOp or an NDArrayOp")


class NumpyOp(PythonOp):
    """A :class:`PythonOp` whose ``forward`` and ``backward`` work on NumPy arrays, writing results in place."""

    def compute(self, function, inputs, outputs):
        def on_host(arrays: list[Any]) -> list[np.ndarray | None]:
            # On the CPU these are the arrays themselves, not copies.
            return [None if a is None else a.tensor.cpu().numpy() for a in arrays]

        results = {key: on_host(arrays) for key, arrays in outputs.items()}
        function(**{key: on_host(arrays) for key, arrays in inputs.items()}, **results)
        for key, arrays in outputs.items():
            for array, result in zip(arrays, results[key]):
                if array.tensor.device.type != "cpu":
                    array.tensor.copy_(torch.from_numpy(result))


class NDArrayOp(PythonOp):
    """A :class:`PythonOp` whose ``forward`` and ``backward`` work on NDArrays, writing results in place."""

    def declare_backward_dependency(self, out_grad: list[int], in_data: list[int], out_data: list[int]) -> list[int]:
        """As :meth:`CustomOpProp.declare_backward_dependency`."""
        return [*(out_grad if self.need_top_grad() else ()), *in_data, *out_data]

    def compute(self, function, inputs, outputs):
        function(**inputs, **outputs)


class _PythonProp(CustomOpProp):
    """A :class:`PythonOp` described as a custom operator."""

    def __init__(self, operator: PythonOp) -> None:
        super().__init__(operator.need_top_grad())
        self._operator = operator
        self.list_arguments = operator.list_arguments  # type: ignore[method-assign]
        self.list_outputs = operator.list_outputs  # type: ignore[method-assign]
        self.infer_shape = operator.infer_shape  # type: ignore[method-assign]
        if isinstance(operator, NDArrayOp):
            self.declare_backward_dependency = operator.declare_backward_dependency  # type: ignore[method-assign]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return _PythonCustomOp(self._operator)


class _PythonCustomOp(CustomOp):
    """A :class:`PythonOp` run as a custom operator."""

    def __init__(self, operator: PythonOp) -> None:
        self._operator = operator

    def forward(self, is_train, req, in_data, out_data, aux):
        self._operator.compute(self._operator.forward, {"in_data": in_data}, {"out_data": out_data})

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        given = {"out_grad": out_grad, "in_data": in_data, "out_data": out_data}
        self._operator.compute(self._operator.backward, given, {"in_grad": in_grad})


# ---- what there is -------------------------------------------------------------------------------------------------


class OperatorArguments(NamedTuple):
    """The inputs and parameters of an operator: how many, their names, and their types in words."""

    narg: int
    names: list[str]
    types: list[str]


def get_all_registered_operators() -> list[str]:
    """The names of all operators, aliases included."""
    return list(registry.names())


def get_operator_arguments(op_name: str) -> OperatorArguments:
    """Inputs and parameters of the operator called ``op_name``; MXNetError if there is none."""
    operator = registry.find(op_name)
    assert isinstance(operator, Operator)
    if operator.variadic is not None or operator.open_ended:
        types = {"data": "NDArray-or-Symbol[]"}
    else:
        types = dict.fromkeys((*operator.inputs, *operator.auxiliary), "NDArray-or-Symbol")
    for name, param in operator.parameters.items():
        rest = "required" if param.default is REQUIRED else f"optional, default={param.default!r}"
        types[name] = f"{param.kind.name}, {rest}"
    return OperatorArguments(len(types), list(types), list(types.values()))
