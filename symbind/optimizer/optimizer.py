"""What every optimizer keeps track of: learning rates, decay, multipliers, and how often it updated what."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import torch

from ..lr_scheduler import LRScheduler
from ..ndarray import NDArray
from ..registry import registry_of
from ..stateful import Stateful

__all__ = ["LOW_PRECISION", "Optimizer", "create", "register"]

# Types too coarse to accumulate small updates in; multi_precision keeps a float32 copy of such weights.
LOW_PRECISION = (torch.float16, torch.bfloat16)


class Optimizer(Stateful):
    """Base class of all optimizers; a user's own defines :meth:`create_state` and :meth:`update`.

    Parameters are known by an index, an int or a string, and by a name if ``param_idx2name`` tells it.

    Parameters
    ----------
    rescale_grad : factor of every gradient, usually 1/batch size.
    param_idx2name : names of the indices. Once it is given, weight decay applies only to parameters whose
        name ends in ``_weight`` or ``_gamma``.
    wd : weight decay λ.
    clip_gradient : the rescaled gradient is clipped to ±clip_gradient, if given and positive.
    learning_rate : default 0.01, or that of the scheduler; given both, it replaces the scheduler's base rate.
    lr_scheduler : the rate as a function of the number of updates.
    sym : the net; its variables' ``__lr_mult__`` and ``__wd_mult__`` attributes are multipliers by name.
    begin_num_update : number of updates that earlier training has made.
    multi_precision : keep float32 copies of weights of lower precision, and update those.
    param_dict : index → object with ``lr_mult`` and ``wd_mult``, which then are the parameter's multipliers.
    """

    opt_registry: ClassVar[dict[str, type]]
    # Where the float32 copy stands in a state of multi_precision, (copy, state) or (state, copy).
    master_first: ClassVar[bool] = True

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[Hashable, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: LRScheduler | None = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: Mapping[Hashable, Any] | None = None,
    ) -> None:
        if param_idx2name is not None and not isinstance(param_idx2name, Mapping):
            raise TypeError(f"param_idx2name should be a dict of param indexes to names, got {param_idx2name!r}")
        if lr_scheduler is None:
            learning_rate = 0.01 if learning_rate is None else learning_rate
        elif learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            warnings.warn(
                f"learning rate {lr_scheduler.base_lr} from ``lr_scheduler`` has been overwritten by "
                f"``learning_rate`` {learning_rate} in optimizer.",
                UserWarning,
                stacklevel=3,
            )
            lr_scheduler.base_lr = learning_rate
        self.rescale_grad = rescale_grad
        self.lr: Any = learning_rate  # None only where a scheduler decides
        self.lr_scheduler = lr_scheduler
        self.wd = wd
        self.clip_gradient = clip_gradient
        self.multi_precision = multi_precision
        self.begin_num_update = begin_num_update
        self.num_update = begin_num_update
        # Replicas of the parameters on several devices are counted separately, else every step counts N times.
        self._all_index_update_counts: dict[int, dict[Hashable, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.idx2name: dict[Hashable, str] = dict(param_idx2name or {})
        self.sym_info: tuple = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.param_dict = param_dict or {}
        self.lr_mult: dict[Hashable, float] = {}
        self.wd_mult: dict[Hashable, float] = {}
        self.set_lr_mult({})
        self.set_wd_mult({})

    @staticmethod
    def register(klass: type) -> type:
        """Make an optimizer class known to :func:`create` by its name in lower case; usable as a decorator."""
        return _REGISTRY.register(klass)

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """The optimizer of that name (in any case), made with ``kwargs``; ValueError if there is none."""
        if not isinstance(name, str):
            raise TypeError(f"The name of an optimizer must be a string, got {name!r}")
        if name.lower() not in _REGISTRY.classes:
            known = ", ".join(sorted(_REGISTRY.classes))
            raise ValueError(f"Cannot find optimizer {name}. Known: {known}")
        return _REGISTRY.classes[name.lower()](**kwargs)

    # --- what a subclass defines

    def create_state(self, index: Hashable, weight: NDArray) -> Any:
        """What is to be remembered between the updates of ``weight``: None, an NDArray or a tuple of them."""
        return None

    def create_state_multi_precision(self, index: Hashable, weight: NDArray) -> Any:
        """The state for :meth:`update_multi_precision`.

        Where ``multi_precision`` applies it is the pair of the weight as float32 and the state of that.
        """
        if self._keeps_master(weight):
            master = weight.astype("float32")
            pair = (master, self.create_state(index, master))
            return pair if self.master_first else pair[::-1]
        if weight.storage.dtype in LOW_PRECISION:
            warnings.warn(
                f"Accumulating with {weight.storage.dtype} in optimizer can lead to poor accuracy or slow "
                "convergence. Consider using multi_precision=True option of the optimizer",
                UserWarning,
                stacklevel=2,
            )
        return self.create_state(index, weight)

    def update(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any) -> None:
        """Update ``weight`` and ``state`` in place with the gradient ``grad``."""
        raise NotImplementedError(f"{type(self).__name__} must define update(index, weight, grad, state)")

    def update_multi_precision(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any) -> None:
        """:meth:`update`, of the float32 copy where there is one; the weight is then rounded from it."""
        if not self._keeps_master(weight):
            self.update(index, weight, grad, state)
            return
        master, inner = state if self.master_first else state[::-1]
        self.update(index, master, grad.astype("float32"), inner)
        weight.tensor.copy_(master.tensor)

    def update_multi(
        self,
        indices: Sequence[Hashable],
        weights: Sequence[NDArray],
        grads: Sequence[NDArray],
        states: Sequence[Any],
    ) -> None:
        """:meth:`update_multi_precision` of many parameters, in order."""
        for index, weight, grad, state in zip(indices, weights, grads, states, strict=True):
            self.update_multi_precision(index, weight, grad, state)

    def _keeps_master(self, weight: NDArray) -> bool:
        return self.multi_precision and weight.storage.dtype in LOW_PRECISION

    # --- learning rates and weight decay

    @property
    def learning_rate(self) -> float:
        """The current learning rate, before multipliers."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Replace the learning rate; raises UserWarning if a scheduler decides about it."""
        if self.lr_scheduler is not None:
            raise UserWarning(
                "LRScheduler of the optimizer has already been defined. Note that set_learning_rate can mutate "
                "the value of the learning rate of the optimizer only when the LRScheduler of the optimizer is "
                "undefined."
            )
        self.lr = lr

    def set_lr_mult(self, args_lr_mult: Mapping[Hashable, float]) -> None:
        """Multiply the learning rate of parameters, by name or index; the others keep ``__lr_mult__``, or 1."""
        self.lr_mult = {**self._attribute_of_arguments("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult: Mapping[Hashable, float]) -> None:
        """Multiply the weight decay of parameters, by name or index.

        The others keep their ``__wd_mult__``; without one, named parameters that do not decay by nature
        (:meth:`_decays`) have 0.
        """
        exempt: dict[Hashable, float] = {name: 0.0 for name in self.idx2name.values() if not self._decays(name)}
        self.wd_mult = {**exempt, **self._attribute_of_arguments("__wd_mult__"), **args_wd_mult}

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith(("_weight", "_gamma"))

    def _attribute_of_arguments(self, key: str) -> dict[Hashable, float]:
        if not self.sym_info:
            return {}
        attributes, arguments = self.sym_info
        return {name: float(attributes[name][key]) for name in arguments if key in attributes.get(name, {})}

    def _multiplier(self, kind: str, index: Hashable) -> float:
        if index in self.param_dict:
            return getattr(self.param_dict[index], kind)
        table = getattr(self, kind)
        if index in table:
            return table[index]
        return table.get(self.idx2name.get(index), 1.0)

    def _get_lrs(self, indices: Sequence[Hashable]) -> list[float]:
        lr = self.learning_rate
        return [lr * self._multiplier("lr_mult", index) for index in indices]

    def _get_lr(self, index: Hashable) -> float:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Hashable]) -> list[float]:
        return [self.wd * self._multiplier("wd_mult", index) for index in indices]

    def _get_wd(self, index: Hashable) -> float:
        return self._get_wds([index])[0]

    # --- counting updates

    def _set_current_context(self, device_id: int) -> None:
        """Count the following updates for the replica on that device."""
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Hashable | Sequence[Hashable]) -> None:
        """Count one update of a parameter, or of each of a list."""
        counts = self._index_update_count
        for one in index if isinstance(index, (list, tuple)) else (index,):
            counts[one] = counts.get(one, self.begin_num_update) + 1
            self.num_update = max(counts[one], self.num_update)

    # --- states, copies and pickles

    def state_dict(self) -> dict[str, Any]:
        """What has changed since it was made: counts, rates, multipliers, and the scheduler's state.

        The states of parameters belong to the :class:`Updater`.
        """
        state = super().state_dict()
        # The symbol's attributes are as they were; and of the counts one is the other, of the current device.
        for name in ("sym_info", "_index_update_count"):
            state.pop(name, None)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._set_current_context(0)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["param_dict"]  # belongs to whoever gave it
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.param_dict = {}
        self._set_current_context(0)


_REGISTRY = registry_of(Optimizer, "optimizer")
Optimizer.opt_registry = _REGISTRY.classes
register = Optimizer.register
create = Optimizer.create_optimizer
