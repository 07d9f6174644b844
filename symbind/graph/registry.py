"""The table of operators by name, and what the graph asks of one.

Operators register themselves here (see :mod:`symbind.ops.operator`); the graph looks them up by the name a user
called or a file holds. This is the whole of what the graph knows about operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..base import MXNetError

__all__ = ["OperatorType", "add", "find", "is_registered", "names", "operators"]


class OperatorType(Protocol):
    """What a graph needs to know about an operator; ``p`` is what :meth:`parse` returned."""

    name: str
    aliases: Sequence[str]
    variadic: str | None
    """Name of the parameter that counts the inputs of an operator that takes any number; None for the others."""
    needs_all_inputs: bool
    """A missing input is an error, where otherwise it becomes a new variable."""
    bypass_when_saved: bool
    """Saved files leave it out: what reads its outputs reads its inputs instead."""

    def parse(self, attrs: Mapping[str, str], node_name: str = "") -> Any:
        """Typed parameters from attribute strings; MXNetError names an unknown, missing or malformed one."""

    def attach(self, p: Any, subgraphs: Sequence[Any]) -> Any:
        """``p`` with the heads of the graphs that the node runs; MXNetError if there are too many or too few."""

    def subgraphs(self, p: Any) -> Sequence[Any]:
        """What :meth:`attach` was given."""

    def input_names(self, p: Any) -> Sequence[str]:
        """Names of all inputs in order, auxiliary states included."""

    def auxiliary_inputs(self, p: Any) -> Sequence[int]:
        """Positions of the inputs that are auxiliary states: updated while running, without a gradient."""

    def num_outputs(self, p: Any) -> int:
        """How many values a node produces, hidden ones included."""

    def num_visible_outputs(self, p: Any) -> int:
        """How many of them, from the first, composition and listings show."""

    def num_recorded_outputs(self, p: Any) -> int:
        """How many of them a saved file counts."""

    def output_names(self, p: Any) -> Sequence[str] | None:
        """Suffixes of the output names; None for the plain ``output`` / ``output0, output1 …``."""

    def variable_attrs(self, p: Any, input_name: str) -> Mapping[str, str]:
        """Extra attributes (``__init__``) of a variable created for a missing input."""


_operators: dict[str, OperatorType] = {}


def add(operator: OperatorType) -> None:
    """Make ``operator`` known under its name and aliases; ValueError if one of them is taken."""
    wanted = (operator.name, *operator.aliases)
    for name in wanted:
        if name in _operators:
            raise ValueError(f"Operator {name} is registered already")
    for name in wanted:
        _operators[name] = operator


def find(name: str) -> OperatorType:
    """The operator called ``name`` (canonical or alias); MXNetError if there is none."""
    try:
        return _operators[name]
    except KeyError:
        raise MXNetError(f"Operator {name} is not registered") from None


def is_registered(name: str) -> bool:
    """Whether an operator has this name, its own or an alias."""
    return name in _operators


def names() -> Iterator[str]:
    """Every registered name, aliases included."""
    return iter(tuple(_operators))


def operators() -> Iterable[OperatorType]:
    """Every operator once."""
    return tuple({id(op): op for op in _operators.values()}.values())
