"""The declaration language: one class says everything about an operator.

From a declaration come the functions ``mx.sym.X`` and ``mx.nd.X`` with their signatures and documentation, the
reading of parameters from text, variables for missing inputs, inference of shapes and types in both directions, the
gradient, the memory rules, the kernel of the torch engine, and the tests of the gradient. To add an operator, write
one class in the file of its family::

    @register
    class Activation(Operator):
        \"\"\"...what it computes, as a formula...\"\"\"

        name = "Activation"
        act_type = Param(Enum("relu", "sigmoid"), doc="...")
        inplace = ((0, 0),)                                   # the output may overwrite the input
        samples = (Sample((2, 3), act_type="relu"),)          # for the finite-difference test

        def gradient(self, p, x, y, dy):
            return [dy[0] * (y[0] > 0)]

        def kernel(self, p, inputs, outputs, env):
            return partial(torch.clamp_min, inputs[0], 0, out=outputs[0])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ..base import MXNetError
from ..graph import registry
from .parameter import Param, Params, parse_parameters

if TYPE_CHECKING:
    from ..graph.node import Entry, Node
    from ..graph.symbol import Symbol

__all__ = ["ZERO", "Environment", "Operator", "Sample", "register"]

ShapeT = tuple[int, ...]
# A shape in inference: None while even the rank is unknown, 0 for an unknown dimension.
MaybeShape = ShapeT | None
MaybeDType = torch.dtype | None
Kernel = Callable[[], Any]


class _Zero:
    """A gradient known to be zero everywhere: written as zeros if nothing else reaches the variable."""

    def __repr__(self) -> str:
        return "ZERO"


ZERO = _Zero()


@dataclass(frozen=True)
class Environment:
    """What a kernel may know beside its arrays."""

    is_train: bool
    device: torch.device
    generator: torch.Generator
    """Source of random numbers; kernels of random operators take it, others ignore it."""


@dataclass(frozen=True, init=False)
class Sample:
    """A small call of an operator on which its gradient is tested against finite differences.

    ``shapes`` are those of the inputs (auxiliary states included); values are uniform in ``low..high`` unless
    ``values`` gives an input's range, or a list of numbers, by position. ``integer`` lists inputs that take whole
    numbers (``0 <= n < high``), which get no gradient. Keywords are parameters of the operator, and so is what
    ``named`` holds, for names that mean something else here.
    """

    shapes: tuple[ShapeT, ...]
    params: dict[str, Any] = field(default_factory=dict)
    low: float = -1.0
    high: float = 1.0
    values: Mapping[int, Any] = field(default_factory=dict)
    integer: tuple[int, ...] = ()

    def __init__(
        self,
        *shapes: ShapeT,
        low: float = -1.0,
        high: float = 1.0,
        values: Mapping[int, Any] | None = None,
        integer: tuple[int, ...] = (),
        named: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> None:
        params.update(named or {})
        for name, value in (("shapes", shapes), ("params", params), ("low", low), ("high", high),
                            ("values", values or {}), ("integer", integer)):  # fmt: skip
            object.__setattr__(self, name, value)


class Operator:
    """Base of all operators; the class attributes below are the declaration, the methods its computed parts.

    ``p`` is always the node's typed parameters. Instances hold no state but their declaration: one instance serves
    every node.
    """

    name: str = ""
    aliases: Sequence[str] = ()
    inputs: Sequence[str] = ("data",)
    #: Names of auxiliary states; they come last among the inputs.
    auxiliary: Sequence[str] = ()
    #: A missing input is an error, where otherwise it becomes a new variable.
    needs_all_inputs: bool = False
    #: The parameter that counts the inputs, for operators that take any number of them.
    variadic: str | None = None
    #: Inputs and parameters are the user's own: any number of inputs, by position or by name, and any parameters.
    open_ended: bool = False
    #: How many graphs a node of it runs (the body of a loop, say).
    num_subgraphs: int = 0
    #: Suffixes of output names, or None for the plain ``output``, ``output0`` ….
    outputs: Sequence[str] | None = None
    #: ``(input, output)`` pairs: the output may be written over the input, if nobody reads the input afterwards.
    inplace: Sequence[tuple[int, int]] = ()
    #: ``(input, output)`` pairs: the output *is* the input's memory under another shape.
    alias: Sequence[tuple[int, int]] = ()
    #: Positions of inputs of which only shape and type matter: their values need not exist when the kernel runs.
    unread: Sequence[int] = ()
    #: All inputs and outputs have one shape, and the kernel treats elements alike wherever they lie.
    elementwise: bool = False
    #: The output equals the (only) input: the node can be left out.
    identity: bool = False
    #: Positions of outputs that are fast to compute a second time, by :meth:`again`: the backward pass may do so
    #: instead of the forward pass keeping them.
    recomputable: Sequence[int] = ()
    #: The input of which each row (along the last axis) alone decides the same row of the output, if there is one.
    row_wise: int | None = None
    #: Positions of inputs with samples along the first axis: in inference a sample alone decides the same one of all
    #: visible outputs, together with the other inputs. So it is for everything that is ``elementwise``.
    sample_wise: Sequence[int] = ()
    #: Positions of inputs over whose first axis the output sums: ``f(rows) + f(other rows) = f(all rows)``.
    summed: Sequence[int] = ()
    #: Turns parameters into what a kernel wants of them: in inference it runs again only when they have changed.
    prepares_parameters: bool = False
    #: Its output shapes follow from the numbers in its inputs, by :meth:`measure`: it runs on arrays, in no network.
    measured: bool = False
    #: Draws random numbers: two nodes of it are never the same value.
    random: bool = False
    #: Its kernel differs between training and inference.
    mode_dependent: bool = False
    #: A loss: its gradient is that of the loss it names, whatever head gradient reaches it.
    ignores_head_gradient: bool = False
    #: Its gradient is chosen, not derived (straight-through estimators): finite differences do not show it.
    has_surrogate_gradient: bool = False
    #: Its gradient with respect to every input is zero.
    zero_gradient: bool = False
    #: Saved files leave it out (automatic precision casts).
    bypass_when_saved: bool = False
    #: Calls on which the gradient is tested.
    samples: Sequence[Sample] = ()

    #: Collected from the class body; the instances of a family may have their own.
    parameters: dict[str, Param] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {key: value for key, value in vars(cls).items() if isinstance(value, Param)}
        cls.parameters = {**cls.parameters, **own}

    # ---- parameters, inputs and outputs ------------------------------------------------------------------------

    def parse(self, attrs: Mapping[str, str], node_name: str = "") -> Params:
        """Typed parameters from attribute strings. Override to check combinations (raise MXNetError)."""
        return parse_parameters(self.name, self.parameters, attrs, node_name)

    def attach(self, p: Params, subgraphs: Sequence[Sequence[Entry]]) -> Params:
        """``p`` with the heads of the graphs that a node runs. Override to check that they fit."""
        if len(subgraphs) != self.num_subgraphs:
            raise MXNetError(f"{self.name} runs {self.num_subgraphs} graphs of its own, but got {len(subgraphs)}")
        return p

    def subgraphs(self, p: Params) -> Sequence[Sequence[Entry]]:
        """What :meth:`attach` was given."""
        return ()

    def input_names(self, p: Params) -> Sequence[str]:
        """Names of all inputs, auxiliary states last; override where parameters decide."""
        if self.variadic is not None:
            return [f"arg{i}" for i in range(getattr(p, self.variadic))]
        return [*self.inputs, *self.auxiliary]

    def auxiliary_inputs(self, p: Params) -> Sequence[int]:
        count = len(self.input_names(p)) if self.auxiliary else 0
        return range(count - len(self.auxiliary), count)

    def mutated_inputs(self, p: Params) -> Sequence[int]:
        """Positions of the inputs that the kernel itself updates in place."""
        return ()

    def num_outputs(self, p: Params) -> int:
        return 1

    def num_visible_outputs(self, p: Params) -> int:
        return self.num_outputs(p)

    def num_recorded_outputs(self, p: Params) -> int:
        return self.num_outputs(p)

    def output_names(self, p: Params) -> Sequence[str] | None:
        return self.outputs

    def variable_attrs(self, p: Params, input_name: str) -> Mapping[str, str]:
        return {}

    # ---- inference ---------------------------------------------------------------------------------------------

    def infer_shape(
        self, p: Params, inputs: list[MaybeShape], outputs: list[MaybeShape]
    ) -> tuple[Sequence[MaybeShape], Sequence[MaybeShape]]:
        """What is known of the shapes after one look, given what was known before.

        Must accept anything unknown and return it unknown, may fill in either side from the other, and raises
        MXNetError for shapes that cannot be (the caller adds operator and node). Merging with what was known is the
        caller's work.
        """
        raise NotImplementedError(f"{self.name} declares no shape inference")

    def infer_dtype(
        self, p: Params, inputs: list[MaybeDType], outputs: list[MaybeDType]
    ) -> tuple[Sequence[MaybeDType], Sequence[MaybeDType]]:
        """As :meth:`infer_shape`, for element types. Unless overridden, all inputs and outputs share one."""
        known = next((t for t in (*inputs, *outputs) if t is not None), None)
        return [known] * len(inputs), [known] * len(outputs)

    def measure(self, p: Params, inputs: Sequence[torch.Tensor]) -> Sequence[ShapeT]:
        """The shapes of all outputs for these very inputs, if the operator is ``measured``."""
        raise NotImplementedError(f"{self.name} is not measured")

    # ---- memory ------------------------------------------------------------------------------------------------

    def inplace_pairs(self, p: Params) -> Sequence[tuple[int, int]]:
        return self.inplace

    def alias_pairs(self, p: Params) -> Sequence[tuple[int, int]]:
        return self.alias

    def unread_inputs(self, p: Params) -> Sequence[int]:
        return self.unread

    def selection(self, p: Params) -> tuple[int, int] | None:
        """Positions ``(table, index)`` of inputs if the output is rows of a table; numbers outside mean its ends."""
        return None

    def cut_axis(self, p: Params) -> int | None:
        """The axis of the only input of which the outputs are equal parts, if they are that."""
        return None

    def joined_axis(self, p: Params) -> int | None:
        """The axis of the only output along which it is the inputs one behind another, if it is that.

        The kernel must leave alone what lies there already.
        """
        return None

    def sample_inputs(self, p: Params) -> Sequence[int]:
        return range(len(self.input_names(p))) if self.elementwise else self.sample_wise

    def summed_inputs(self, p: Params) -> Sequence[int]:
        return self.summed

    # ---- gradient ----------------------------------------------------------------------------------------------

    def gradient(
        self, p: Params, x: Sequence[Symbol], y: Sequence[Symbol], dy: Sequence[Symbol]
    ) -> Sequence[Symbol | _Zero | None]:
        """Symbols of the gradient with respect to each input, from inputs, all outputs and head gradients.

        ``ZERO`` is a gradient that is zero; None says that there is none at all (a label of a loss, an auxiliary
        state): the caller's buffer stays untouched. What is not asked for is never computed, so build freely.
        """
        if self.zero_gradient:
            return [ZERO] * len(x)
        raise MXNetError(f"Operator {self.name} has no gradient")

    @property
    def is_differentiable(self) -> bool:
        """Whether a gradient other than zero is declared."""
        return not self.zero_gradient and type(self).gradient is not Operator.gradient

    # ---- the torch engine --------------------------------------------------------------------------------------

    def again(self, node: Node, inputs: Sequence[Entry]) -> tuple[Operator, Sequence[Entry], Any]:
        """What computes the outputs in ``recomputable``, at the same positions: an operator, its inputs and parameters.

        ``inputs`` are those of ``node``; its other outputs are there as well.
        """
        return self, inputs, node.params

    def kernel(
        self, p: Params, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], env: Environment
    ) -> Kernel:
        """A call without arguments that computes ``outputs`` from ``inputs``, both fixed for its whole life.

        Decide everything here (views, strides, which torch function) and return a closure that only runs it, writing
        into ``outputs`` and allocating as little as torch lets it. The arrays may share memory as ``inplace`` and
        ``alias`` allow; an aliased output that is the same memory needs no call at all and gets none.
        """
        raise NotImplementedError(f"{self.name} declares no kernel")

    # ---- documentation -----------------------------------------------------------------------------------------

    @property
    def doc(self) -> str:
        """What it computes: the class's docstring, or that of an instance of a family."""
        return self.__doc__ or ""

    def __repr__(self) -> str:
        return f"<Operator {self.name}>"


def register(operator: type[Operator] | Operator) -> Any:
    """Add an operator (a class, as a decorator, or an instance of a family's class) to the registry."""
    registry.add(operator() if isinstance(operator, type) else operator)
    return operator
