"""Learning rates that depend on the number of updates.

A scheduler is called with the number of the update about to be made (1 for the first one) and returns its
learning rate. All of them can begin with a warm-up: for ``num_update < warmup_steps`` the rate either climbs
linearly from ``warmup_begin_lr`` to ``base_lr``, or stays at ``warmup_begin_lr``.

The schedules, their state (``base_lr`` is the *current* rate) and their log lines are MXNet's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import pairwise

from .stateful import Stateful

__all__ = ["CosineScheduler", "FactorScheduler", "LRScheduler", "MultiFactorScheduler", "PolyScheduler"]


class LRScheduler(Stateful):
    """What all schedules share: the base rate and the warm-up.

    Parameters
    ----------
    base_lr : rate after the warm-up. An optimizer that is given its own ``learning_rate`` replaces it.
    warmup_steps : number of updates of the warm-up.
    warmup_begin_lr : rate of the first of them; not above ``base_lr``.
    warmup_mode : ``'linear'`` or ``'constant'``.
    """

    def __init__(
        self,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        if not isinstance(warmup_steps, int):
            raise TypeError(f"Warmup steps must be an int, got {warmup_steps!r}")
        if warmup_begin_lr > base_lr:
            raise ValueError(
                f"Base lr has to be higher than warmup_begin_lr, got base_lr={base_lr} and "
                f"warmup_begin_lr={warmup_begin_lr}"
            )
        if warmup_steps < 0:
            raise ValueError(f"Warmup steps has to be positive or 0, got {warmup_steps}")
        if warmup_mode not in ("linear", "constant"):
            raise ValueError(f"Supports only linear and constant modes of warmup, got {warmup_mode!r}")
        self.base_lr = base_lr
        self.warmup_steps = warmup_steps
        self.warmup_final_lr = base_lr
        self.warmup_begin_lr = warmup_begin_lr
        self.warmup_mode = warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """The rate of update ``num_update``, which must lie in the warm-up."""
        if num_update >= self.warmup_steps:
            raise ValueError(f"Update {num_update} is not in the warmup of {self.warmup_steps} steps")
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        climb = self.warmup_final_lr - self.warmup_begin_lr
        return self.warmup_begin_lr + climb * num_update / self.warmup_steps

    def __call__(self, num_update: int) -> float:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(num_update)")


class FactorScheduler(LRScheduler):
    """Multiply the rate by ``factor`` after every ``step`` updates, but not below ``stop_factor_lr``.

    ``lr(n) = max(base_lr · factor^⌊(n−1)/step⌋, stop_factor_lr)``
    """

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if step < 1:
            raise ValueError(f"Schedule step must be greater or equal than 1 round, got {step}")
        if factor > 1:
            raise ValueError(f"Factor must be no more than 1 to make lr reduce, got {factor}")
        self.step = step
        self.factor = factor
        self.stop_factor_lr = stop_factor_lr
        self.count = 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        # A loop and not a power: training may resume far into the schedule, and each reduction is logged.
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr *= self.factor
            if self.base_lr < self.stop_factor_lr:
                self.base_lr = self.stop_factor_lr
                logging.info(
                    "Update[%d]: now learning rate arrived at %0.5e, will not change in the future",
                    num_update,
                    self.base_lr,
                )
            else:
                logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """Multiply the rate by ``factor`` once for every element of ``step`` that the update number has passed.

    ``step`` is an increasing list of update numbers, all ≥ 1.
    """

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, (list, tuple)) or not step:
            raise TypeError(f"Schedule step must be a list with at least one update number, got {step!r}")
        if any(s < 1 for s in step):
            raise ValueError(f"Schedule step must be greater or equal than 1 round, got {step}")
        if any(later <= earlier for earlier, later in pairwise(step)):
            raise ValueError(f"Schedule step must be an increasing integer list, got {step}")
        if factor > 1:
            raise ValueError(f"Factor must be no more than 1 to make lr reduce, got {factor}")
        self.step = list(step)
        self.cur_step_ind = 0
        self.factor = factor
        self.count = 0

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class _DecayScheduler(LRScheduler):
    """From ``base_lr`` to ``final_lr`` along a curve over the updates between the warm-up and ``max_update``.

    ``lr(n) = final_lr + (base_lr − final_lr) · curve((n − warmup_steps) / (max_update − warmup_steps))``
    and ``final_lr`` afterwards; subclasses define ``curve`` on [0, 1] with ``curve(0) = 1`` and ``curve(1) = 0``.
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(max_update, int):
            raise TypeError(f"maximum number of updates must be an int, got {max_update!r}")
        if max_update < 1:
            raise ValueError(f"maximum number of updates must be strictly positive, got {max_update}")
        self.base_lr_orig = base_lr
        self.max_update = max_update
        self.final_lr = final_lr
        self.max_steps = max_update - warmup_steps

    def _curve(self, progress: float) -> float:
        raise NotImplementedError

    def __call__(self, num_update: int) -> float:
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update <= self.max_update:
            # A warm-up that lasts until max_update leaves no steps to decay in: the decay is then over at once.
            progress = (num_update - self.warmup_steps) / self.max_steps if self.max_steps > 0 else 1.0
            self.base_lr = self.final_lr + (self.base_lr_orig - self.final_lr) * self._curve(progress)
        return self.base_lr


class PolyScheduler(_DecayScheduler):
    """Polynomial decay: ``curve(p) = (1 − p)^pwr``."""

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.power = pwr

    def _curve(self, progress: float) -> float:
        return (1 - progress) ** self.power


class CosineScheduler(_DecayScheduler):
    """Half a period of a cosine: ``curve(p) = (1 + cos πp) / 2``.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017 (without restarts).
    """

    def _curve(self, progress: float) -> float:
        return (1 + math.cos(math.pi * progress)) / 2
