"""The updater: an optimizer with the states of the parameters it has met, called by index."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from ..context import Context
from ..ndarray import NDArray
from .optimizer import Optimizer
from .states import dump_states, load_states

__all__ = ["Updater", "get_updater"]


class Updater:
    """Applies an optimizer to parameters by index, and makes their states when they first come.

    ``states`` is the dict index → state; ``optimizer`` the optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Hashable, Any] = {}
        # States that were loaded lie in host memory until their parameter comes and shows where it is.
        self._unplaced: set[Hashable] = set()

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update the array ``weight`` in place with ``grad``; or, given three lists, many parameters at a time.

        The lists may hold different arrays every time, but if they do not, steps are faster.
        """
        if isinstance(index, (list, tuple)):
            self._update(index, grad, weight)
        else:
            self._update((index,), (grad,), (weight,))

    def _update(self, indices: Sequence[Hashable], grads: Sequence[NDArray], weights: Sequence[NDArray]) -> None:
        if not indices:
            return
        indices = [index.decode() if isinstance(index, bytes) else index for index in indices]
        self.optimizer._set_current_context(weights[0].context.device_id)
        states = [self._state(index, weight) for index, weight in zip(indices, weights)]
        self.optimizer.update_multi(indices, weights, grads, states)

    def _state(self, index: Hashable, weight: NDArray) -> Any:
        if index not in self.states:
            self.states[index] = self.optimizer.create_state_multi_precision(index, weight)
        elif index in self._unplaced:
            self.states[index] = _placed(self.states[index], weight.context)
        self._unplaced.discard(index)
        return self.states[index]

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """The states, and with ``dump_optimizer`` the optimizer, as a pickle that MXNet 1.x reads as well.

        Raises MXNetError if they hold anything but arrays, numbers, strings and containers of these.
        """
        return dump_states(self.states, self.optimizer if dump_optimizer else None)

    def set_states(self, states: bytes) -> None:
        """Take over states, and the optimizer if there is one, from a pickle of :meth:`get_states` or of MXNet.

        The pickle is read as data: nothing in it is imported or called. Raises MXNetError, and changes nothing,
        if it is damaged or holds anything but arrays, optimizers, schedulers and plain values.
        """
        loaded, optimizer = load_states(states)
        self.states = loaded
        self._unplaced = set(loaded)
        if optimizer is not None:
            self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """The states, and what the optimizer has counted."""
        return {"states": self.states, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` said, into this optimizer."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.states = state["states"]
        self._unplaced = set(self.states)


def _placed(state: Any, context: Context) -> Any:
    if isinstance(state, NDArray):
        return state.as_in_context(context)
    if isinstance(state, (tuple, list)):
        return type(state)(_placed(part, context) for part in state)
    return state


def get_updater(optimizer: Optimizer) -> Updater:
    """The updater of ``optimizer``."""
    return Updater(optimizer)
