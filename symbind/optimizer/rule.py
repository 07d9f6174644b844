"""Optimizers whose rule is written once, for many arrays at a time.

``update`` of one parameter and ``update_multi`` of all of them run the same code on the same batches, so they
agree; and everything but the arithmetic, such as which parameters share a learning rate and how their arrays
are cut, is decided when arrays are first seen and kept while the same arrays come back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..ndarray import NDArray
from ..ndarray.memory import zeros
from .batch import Batch, Parameter, Scratch, ScratchPool, cut
from .optimizer import Optimizer
from .rows import is_sparse, update_rows

__all__ = ["RuleOptimizer", "zeros_like"]


def zeros_like(weight: NDArray) -> NDArray:
    """Zeros with shape, dtype and context of ``weight``."""
    return NDArray(zeros(weight.shape, weight.storage.dtype, weight.storage.device), weight.context)


class RuleOptimizer(Optimizer):
    """Base class of optimizers that are a rule on batches.

    A subclass defines :meth:`_apply` and, where the rule needs more than learning rate and decay,
    :meth:`_coefficients`. Parameters with equal coefficients are updated together.

    ``elementwise`` says that the rule treats every element by itself, so that arrays may be cut.
    """

    elementwise = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._forget_arrays()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A subclass that redefines an update is to be asked for it: the faster ways around it are closed.
        own = vars(cls)
        if "update" in own and "update_multi_precision" not in own:
            cls.update_multi_precision = Optimizer.update_multi_precision  # type: ignore[method-assign]
        if ("update" in own or "update_multi_precision" in own) and "update_multi" not in own:
            cls.update_multi = Optimizer.update_multi  # type: ignore[method-assign]

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        """What :meth:`_apply` needs to know about update number ``t`` of a parameter, beside its arrays.

        Nothing at all, ``()``, leaves the parameter as it is.
        """
        return lr, wd

    # The rule: _apply(batch, *coefficients) updates the weights and states of the batch in place.
    _apply: Callable[..., None]

    def _step_coefficients(
        self, indices: Sequence[Hashable], parameters: Sequence[Parameter]
    ) -> list[tuple[float, ...]]:
        """Count an update of each parameter and return its coefficients."""
        self._update_count(indices)
        counts = self._index_update_count
        return [
            self._coefficients(index, lr, wd, counts[index])
            for index, lr, wd in zip(indices, self._get_lrs(indices), self._get_wds(indices))
        ]

    # --- gradients as rules want them

    @property
    def _bound(self) -> float:
        """What gradients are clipped to; infinite if they are not."""
        return self.clip_gradient if self.clip_gradient is not None and self.clip_gradient > 0 else math.inf

    def _gradient(self, batch: Batch) -> list[Tensor]:
        """``clip(rescale_grad · g)``, to be read only."""
        if self.rescale_grad == 1 and self._bound == math.inf:
            return batch.grads
        return self._own_gradient(batch).pieces

    def _own_gradient(self, batch: Batch) -> Scratch:
        """``clip(rescale_grad · g)`` in scratch memory."""
        own = batch.scratch("gradient").load(batch.grads, self.rescale_grad)
        if self._bound < math.inf:
            own.flat.clamp_(-self._bound, self._bound)
        return own

    def _decayed_gradient(self, batch: Batch, wd: float) -> list[Tensor]:
        """``clip(rescale_grad · g + wd · w)``, to be read only."""
        if wd == 0:
            return self._gradient(batch)
        own = batch.scratch("gradient").load(batch.grads, self.rescale_grad)
        torch._foreach_add_(own.pieces, batch.weights, alpha=wd)
        if self._bound < math.inf:
            own.flat.clamp_(-self._bound, self._bound)
        return own.pieces

    # --- states

    def _parameter(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any, master: bool) -> Parameter:
        """The arrays of a parameter; ValueError if they do not fit together."""
        copy = None
        if master:
            copy, state = state if self.master_first else state[::-1]
        states = [array for array in (state if isinstance(state, (tuple, list)) else (state,)) if array is not None]
        updated = weight if copy is None else copy
        unfit = [("gradient", grad)] if grad.shape != weight.shape else []
        unfit += [("float32 copy", updated)] if updated.shape != weight.shape else []
        unfit += [("state", array) for array in states if not self._fits(array, updated)]
        for what, array in unfit:
            raise ValueError(
                f"{type(self).__name__}: the {what} of parameter {self.idx2name.get(index, index)} has shape "
                f"{array.shape} and dtype {array.storage.dtype}, but the weight to update has shape {weight.shape} "
                f"and dtype {updated.storage.dtype}"
            )
        # Where each element lies does not matter to a rule, as long as it is the same place in all arrays. An order is
        # one of elements of a certain size.
        alike = weight.order == grad.order and all(
            array.shape == weight.shape and array.storage.dtype == weight.storage.dtype for array in (updated, *states)
        )
        order = weight.order if alike else None
        return Parameter(
            updated.lie_in(order),
            grad.lie_in(order),
            tuple(array.lie_in(order) for array in states),
            None if copy is None else weight.lie_in(order),
        )

    def _fits(self, state: NDArray, weight: NDArray) -> bool:
        return state.shape == weight.shape and state.storage.dtype == weight.storage.dtype

    # --- updates

    def update(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any) -> None:
        """Update ``weight`` and ``state`` in place, in the weight's own precision.

        All four arguments may be lists, of as many parameters.
        """
        self._update_lists(index, weight, grad, state, masters=False)

    def update_multi_precision(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any) -> None:
        """:meth:`update`, of the float32 copy where there is one."""
        self._update_lists(index, weight, grad, state, masters=True)

    def update_multi(
        self,
        indices: Sequence[Hashable],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[Any],
    ) -> None:
        """:meth:`update_multi_precision` of many parameters at a time, with as few operations as possible."""
        self._update_lists(indices, weights, grads, states, masters=True)

    def _update_lists(self, index: Any, weight: Any, grad: Any, state: Any, masters: bool) -> None:
        if not isinstance(index, (list, tuple)):
            index, weight, grad, state = (index,), (weight,), (grad,), (state,)
        if any(map(is_sparse, weight, grad)):
            for one in zip(index, weight, grad, state):
                self._update_one(*one, masters)
            return
        key = (tuple(index), masters)
        prepared = self._prepared.get(key)
        if prepared is None or not prepared.is_for(weight, grad, state):
            prepared = self._prepared[key] = _PreparedUpdate(self, index, weight, grad, state, masters)
        prepared.run()

    def _update_one(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any, masters: bool) -> None:
        """Update one parameter that may be sparse, or have a sparse gradient."""

        def update(weight: NDArray, grad: NDArray, state: Any) -> None:
            # The arrays are made for this call; nothing is kept of them.
            _PreparedUpdate(self, (index,), (weight,), (grad,), (state,), masters).run()

        update_rows(update, weight, grad, state, lazy=getattr(self, "lazy_update", False))

    def _forget_arrays(self) -> None:
        self._prepared: dict[Any, _PreparedUpdate] = {}
        self._pool = ScratchPool()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["_prepared"], state["_pool"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget_arrays()


def _arrays_of(states: Sequence[Any]) -> Iterator[NDArray]:
    """The arrays in states as optimizers make them: alone, or in tuples and lists."""
    for state in states:
        if isinstance(state, NDArray):
            yield state
        elif isinstance(state, (tuple, list)):
            yield from _arrays_of(state)


class _PreparedUpdate:
    """The update of certain arrays, ready to be repeated."""

    def __init__(
        self,
        optimizer: RuleOptimizer,
        indices: Sequence[Hashable],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[Any],
        masters: bool,
    ) -> None:
        self.optimizer = optimizer
        self.indices = list(indices)
        self.parameters = [
            optimizer._parameter(index, weight, grad, state, masters and optimizer._keeps_master(weight))
            for index, weight, grad, state in zip(indices, weights, grads, states, strict=True)
        ]
        self.arrays = [(weight.storage, grad.storage) for weight, grad in zip(weights, grads)]
        self.states = list(states)
        self.state_storages = [array.storage for array in _arrays_of(states)]
        self.written = [p.weight if p.stored is None else p.stored for p in self.parameters]
        # Positions of parameters with equal coefficients, and their batches.
        self.groups: list[tuple[list[int], list[Batch]]] = []

    def is_for(self, weights: Sequence[NDArray], grads: Sequence[NDArray], states: Sequence[Any]) -> bool:
        """Whether these are the arrays that were prepared."""
        return (
            all(
                weight.storage is known_weight and grad.storage is known_grad
                for weight, grad, (known_weight, known_grad) in zip(weights, grads, self.arrays, strict=True)
            )
            and all(state is known for state, known in zip(states, self.states, strict=True))
            and all(array.storage is known for array, known in zip(_arrays_of(states), self.state_storages))
        )

    def run(self) -> None:
        """Make one update."""
        coefficients = self.optimizer._step_coefficients(self.indices, self.parameters)
        if not self.groups or not self._grouped_by(coefficients):
            self._group(coefficients)
        for positions, batches in self.groups:
            for batch in batches if coefficients[positions[0]] else ():
                batch.fetch()
                self.optimizer._apply(batch, *coefficients[positions[0]])
                batch.store()
        # torch's fused kernels do not count what they write, and others go by these counts.
        torch.autograd.graph.increment_version(self.written)

    def _grouped_by(self, coefficients: list[tuple[float, ...]]) -> bool:
        return all(
            coefficients[position] == coefficients[positions[0]]
            for positions, _ in self.groups
            for position in positions
        )

    def _group(self, coefficients: list[tuple[float, ...]]) -> None:
        by_key: dict[Any, list[int]] = {}
        for position, parameter in enumerate(self.parameters):
            weight = parameter.weight
            # States can be missing: momentum may have been turned on after some of them were made.
            key = (coefficients[position], weight.dtype, weight.device, len(parameter.states))
            by_key.setdefault(key, []).append(position)
        optimizer = self.optimizer
        self.groups = [
            (positions, cut([self.parameters[i] for i in positions], optimizer.elementwise, optimizer._pool))
            for positions in by_key.values()
        ]
