"""Operators that users write in Python.

What such an operator computes is known only to an object that the user's class stands behind (see
:mod:`symbind.operator`, which gives it its public form); here is how it takes part in a graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import MaybeDType, MaybeShape, Operator, ShapeT, register
from .parameter import Param, Params, String, parse_parameters
from .shapes import is_known, merge

__all__ = ["Definition", "Implementation", "define"]


class Implementation(Protocol):
    """The working half of a custom operator: one for each node of each bound graph, which may hold state."""

    def forward(
        self,
        is_train: bool,
        data: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        auxiliary: Sequence[torch.Tensor],
    ) -> None:
        """Fill ``outputs``."""

    def backward(
        self,
        head_gradients: Sequence[torch.Tensor | None],
        data: Sequence[torch.Tensor | None],
        outputs: Sequence[torch.Tensor | None],
        gradients: Sequence[torch.Tensor],
        auxiliary: Sequence[torch.Tensor],
    ) -> None:
        """Fill ``gradients``, those of ``data``. What it did not say it depends on is None."""


class Definition(Protocol):
    """The describing half of a custom operator: one for each node of a graph."""

    arguments: Sequence[str]
    outputs: Sequence[str]
    auxiliary: Sequence[str]

    def infer_shape(self, inputs: Sequence[MaybeShape]) -> tuple[list[MaybeShape], list[MaybeShape], list[MaybeShape]]:
        """Shapes of arguments, outputs and auxiliary states from what is known of the arguments."""

    def infer_dtype(self, inputs: Sequence[MaybeDType]) -> tuple[list[MaybeDType], list[MaybeDType], list[MaybeDType]]:
        """As :meth:`infer_shape`, for element types."""

    def dependencies(self, heads: Sequence[int], data: Sequence[int], outputs: Sequence[int]) -> Sequence[int]:
        """Which of these numbers of head gradients, arguments and outputs the gradient is computed from."""

    def create(self, device: torch.device, shapes: Sequence[ShapeT], dtypes: Sequence[torch.dtype]) -> Implementation:
        """The implementation for arguments and auxiliary states of these shapes and types."""


_factories: dict[str, Callable[[dict[str, str]], Definition]] = {}


def define(op_type: str, factory: Callable[[dict[str, str]], Definition]) -> None:
    """Make ``op_type`` known; ``factory`` turns the keywords of a node into its definition."""
    _factories[op_type] = factory


class _Running:
    """An implementation at work. Its number, a value of the graph, tells the backward pass which one ran forward."""

    _numbers = itertools.count()

    def __init__(self, implementation: Implementation) -> None:
        self.number = next(self._numbers)
        self.implementation = implementation


_by_number: WeakValueDictionary[int, _Running] = WeakValueDictionary()
_by_place: WeakValueDictionary[Any, _Running] = WeakValueDictionary()


def _running(definition: Definition, inputs: Sequence[torch.Tensor], number: torch.Tensor) -> _Running:
    """The implementation of a node in a bound graph.

    The kernels for training and for inference work with the same one: they are known by the place of their output.
    """
    shapes, dtypes = tuple(tuple(x.shape) for x in inputs), tuple(x.dtype for x in inputs)
    place = (definition, number.data_ptr(), number.device, shapes, dtypes)
    found = _by_place.get(place)
    if found is None:
        found = _Running(definition.create(number.device, shapes, dtypes))
        _by_place[place] = _by_number[found.number] = found
    return found


class _Custom(Operator):
    """How a user's class and its keywords become parameters of a node."""

    op_type = Param(String, doc="The name under which the user's class is registered.")

    def parse(self, attrs: Mapping[str, str], node_name: str = "") -> Params:
        own = {k: v for k, v in attrs.items() if k != "op_type" and not (k.startswith("__") and k.endswith("__"))}
        p = parse_parameters(self.name, self.parameters, {k: v for k, v in attrs.items() if k not in own}, node_name)
        if p.op_type not in _factories:
            raise MXNetError(f"Cannot find custom operator {p.op_type}; registered are {sorted(_factories)}")
        # Every node has a definition of its own, so no two nodes are ever taken to be equal.
        vars(p).update(keywords=tuple(sorted(own.items())), definition=_factories[p.op_type](own))
        return p


def _ask(infer: Callable[..., Any], inputs: list[Any], is_known: Callable[[Any], bool]) -> Any:
    """What the user's inference says; None where it cannot be expected to say anything yet."""
    if inputs and all(x is None for x in inputs):
        return None
    try:
        return infer(inputs)
    except MXNetError:
        if any(map(is_known, inputs)):
            raise
        return None


class _Dependencies(NamedTuple):
    """What a gradient is computed from, by position among head gradients, arguments and outputs."""

    heads: tuple[int, ...]
    data: tuple[int, ...]
    outputs: tuple[int, ...]


def _dependencies(definition: Definition) -> _Dependencies:
    heads, arguments = len(definition.outputs), len(definition.arguments)
    starts = (0, heads, heads + arguments)
    numbers = [range(start, start + count) for start, count in zip(starts, (heads, arguments, heads))]
    used = set(definition.dependencies(*map(list, numbers)))
    return _Dependencies(*(tuple(n - part.start for n in part if n in used) for part in numbers))


@register
class Custom(_Custom):
    """An operator written in Python; see :mod:`symbind.operator` for how to write one.

    ``op_type`` names the class; all further keywords go to its constructor, as strings. Inputs, outputs, shapes and
    numbers are what the class says.

    Raises MXNetError, with the traceback of the user's own code, where that raises.
    """

    name = "Custom"
    open_ended = True
    mode_dependent = True

    def input_names(self, p):
        return [*p.definition.arguments, *p.definition.auxiliary]

    def auxiliary_inputs(self, p):
        return range(len(p.definition.arguments), len(self.input_names(p)))

    def output_names(self, p):
        return [*p.definition.outputs, "running"]

    def num_outputs(self, p):
        return len(p.definition.outputs) + 1

    def num_visible_outputs(self, p):
        return len(p.definition.outputs)

    def num_recorded_outputs(self, p):
        return len(p.definition.outputs)

    def infer_shape(self, p, inputs, outputs):
        told = _ask(p.definition.infer_shape, inputs[: len(p.definition.arguments)], is_known)
        if told is None:
            return inputs, [*outputs[:-1], (1,)]
        return [*told[0], *told[2]], [*told[1], (1,)]

    def infer_dtype(self, p, inputs, outputs):
        told = _ask(p.definition.infer_dtype, inputs[: len(p.definition.arguments)], lambda t: t is not None)
        if told is None:
            return inputs, [*outputs[:-1], torch.int64]
        return [*told[0], *told[2]], [*told[1], torch.int64]

    def gradient(self, p, x, y, dy):
        needed = [dy[i] for i in _dependencies(p.definition).heads]
        gradients = apply("_backward_Custom", *needed, *x, *y, op_type=p.op_type, **dict(p.keywords))
        return [*gradients, *[None] * len(p.definition.auxiliary)]

    def kernel(self, p, inputs, outputs, env):
        *results, number = outputs
        running = _running(p.definition, inputs, number)
        count = len(p.definition.arguments)

        def run() -> None:
            number.fill_(running.number)
            running.implementation.forward(env.is_train, inputs[:count], results, inputs[count:])

        return run


@register
class CustomGradient(_Custom):
    """Gradient of Custom with respect to its arguments, as the user's class computes it."""

    name = "_backward_Custom"

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        vars(p).update(needs=_dependencies(p.definition))
        return p

    def input_names(self, p):
        d = p.definition
        heads = [f"head_grad_{d.outputs[i]}" for i in p.needs.heads]
        data, outputs = [f"data_{name}" for name in d.arguments], [f"out_{name}" for name in d.outputs]
        return [*heads, *data, *[f"aux_{name}" for name in d.auxiliary], *outputs, "running"]

    def _starts(self, p: Params) -> tuple[int, int, int]:
        """Where arguments, auxiliary states and outputs begin among the inputs."""
        data = len(p.needs.heads)
        auxiliary = data + len(p.definition.arguments)
        return data, auxiliary, auxiliary + len(p.definition.auxiliary)

    def unread_inputs(self, p):
        data, auxiliary, outputs = self._starts(p)
        unread = [data + i for i in range(auxiliary - data) if i not in p.needs.data]
        return unread + [outputs + i for i in range(len(p.definition.outputs)) if i not in p.needs.outputs]

    def mutated_inputs(self, p):
        _, auxiliary, outputs = self._starts(p)
        return range(auxiliary, outputs)

    def num_outputs(self, p):
        return len(p.definition.arguments)

    def infer_shape(self, p, inputs, outputs):
        data, auxiliary, results = self._starts(p)
        gradients = [merge(x, g) for x, g in zip(inputs[data:auxiliary], outputs)]
        heads = [inputs[results + i] for i in p.needs.heads]
        return [*heads, *gradients, *inputs[auxiliary:-1], (1,)], gradients

    def infer_dtype(self, p, inputs, outputs):
        data, auxiliary, results = self._starts(p)
        gradients = [x or g for x, g in zip(inputs[data:auxiliary], outputs)]
        heads = [inputs[results + i] for i in p.needs.heads]
        return [*heads, *gradients, *inputs[auxiliary:-1], torch.int64], gradients

    def kernel(self, p, inputs, outputs, env):
        data, auxiliary, results = self._starts(p)
        count, unread = len(p.definition.outputs), self.unread_inputs(p)
        heads: list[torch.Tensor | None] = [None] * count
        for i, head in zip(p.needs.heads, inputs):
            heads[i] = head
        seen = [None if i in unread else x for i, x in enumerate(inputs)]
        number = inputs[-1]

        def run() -> None:
            running = _by_number.get(int(number))
            if running is None:
                raise MXNetError(f"backward of custom operator {p.op_type} ran before forward")
            for gradient in outputs:
                # What the user's code does not write is zero.
                gradient.zero_()
            running.implementation.backward(
                heads, seen[data:auxiliary], seen[results:-1], outputs, inputs[auxiliary:results]
            )

        return run
