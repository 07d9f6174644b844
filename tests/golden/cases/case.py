"""The declaration language of the golden cases: one :class:`Case` is one call of one operator.

Inputs are *recipes*: functions of a random state, so that a table reads as shapes and ranges. The numbers a recipe
gives are recorded with the results; nothing depends on a random generator staying the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

__all__ = ["Case", "case", "exactly", "first_of_each", "integers", "layer", "retyped", "spread", "table"]

Recipe = Callable[[np.random.RandomState], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One operator call.

    ``op`` is a path below ``mx.sym``; a leading underscore means ``mx.sym._internal``. ``inputs`` are all its inputs
    in order, auxiliary states last; the first ``given`` of them are passed as variables of that name, the rest is
    left to the operator to create. ``random`` results are compared by shape and dtype only.
    """

    op: str
    inputs: dict[str, np.ndarray]
    params: dict[str, Any] = field(default_factory=dict)
    given: int | None = None
    is_train: bool = True
    wrt: tuple[str, ...] | None = None
    random: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """A readable identity: the call, its input shapes and whatever else is unusual."""
        call = ", ".join(f"{key}={value!r}" for key, value in self.params.items())
        arrays = " ".join("x".join(map(str, array.shape)) for array in self.inputs.values())
        dtypes = sorted({array.dtype.name for array in self.inputs.values()} - {"float32"})
        extras = [arrays, *dtypes, self.note, "" if self.is_train else "inference"]
        return " ".join([f"{self.op}({call})", *filter(None, extras)])


def case(
    op: str,
    inputs: Recipe | dict[str, Recipe | np.ndarray],
    /,
    given: int | None = None,
    is_train: bool = True,
    wrt: tuple[str, ...] | None = None,
    random: bool = False,
    note: str = "",
    **params: Any,
) -> Case:
    """A :class:`Case`; a lone recipe is the input ``data``, each input has its own random state."""
    if callable(inputs):
        inputs = {"data": inputs}
    arrays = {
        name: recipe(np.random.RandomState(position)) if callable(recipe) else recipe
        for position, (name, recipe) in enumerate(inputs.items())
    }
    return Case(op, arrays, params, given, is_train, wrt, random, note)


def layer(op: str, inputs: dict[str, Recipe | np.ndarray], /, **options: Any) -> Case:
    """A case in which only the first input is passed: the operator creates its weights and states."""
    return case(op, inputs, given=1, **options)


def spread(*shape: int, low: float = -2.0, high: float = 2.0, dtype: str = "float32") -> Recipe:
    """Distinct numbers, evenly spaced strictly between ``low`` and ``high``, shuffled (no ties, rarely a zero)."""

    def recipe(random: np.random.RandomState) -> np.ndarray:
        size = int(np.prod(shape))
        steps = (random.permutation(size) + 0.375) / size
        return (low + (high - low) * steps).round(4).astype(dtype).reshape(shape)

    return recipe


def integers(low: int, high: int, *shape: int, dtype: str = "float32") -> Recipe:
    """Whole numbers ``low ≤ n < high``, with repetitions."""
    return lambda random: random.randint(low, high, size=shape).astype(dtype)


def exactly(values: Any, dtype: str = "float32") -> Recipe:
    """These numbers."""
    return lambda random: np.array(values, dtype)


def retyped(original: Case, dtype: str, only: Iterable[str] | None = None) -> Case:
    """The same case with its float32 inputs (or the inputs in ``only``) in another dtype."""
    inputs = {
        name: array.astype(dtype) if (array.dtype == np.float32 if only is None else name in only) else array
        for name, array in original.inputs.items()
    }
    return replace(original, inputs=inputs)


def first_of_each(cases: Iterable[Case]) -> list[Case]:
    """The first case of each operator."""
    firsts: dict[str, Case] = {}
    for entry in cases:
        firsts.setdefault(entry.op, entry)
    return list(firsts.values())


def table(cases: Iterable[Case]) -> dict[str, Case]:
    """Cases by name; of several with one name (they differ in their numbers) the later ones are counted."""
    named: dict[str, Case] = {}
    for entry in cases:
        name, count = entry.name, 1
        while name in named:
            count += 1
            name = f"{entry.name} #{count}"
        named[name] = entry
    return named
