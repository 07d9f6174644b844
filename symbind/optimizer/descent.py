"""Stochastic gradient descent, with and without momentum, and its relatives.

In the formulas w is the weight, g = clip(rescale_grad · gradient), η the learning rate and λ the weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import torch

from ..generators import generator
from ..ndarray import NDArray
from .batch import Batch
from .optimizer import register
from .rule import RuleOptimizer, zeros_like

__all__ = ["DCASGD", "NAG", "SGD", "SGLD", "Signum", "Test", "ccSGD"]


class _MomentumOptimizer(RuleOptimizer):
    """An optimizer whose state is one array, the momentum, or None if ``momentum`` is 0."""

    def __init__(self, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum

    def create_state(self, index: Hashable, weight: NDArray) -> NDArray | None:
        return zeros_like(weight) if self.momentum != 0 else None


@register
class SGD(_MomentumOptimizer):
    """``w ← w − η(g + λw)``, or with momentum ``m ← μm − η(g + λw);  w ← w + m``.

    ``lazy_update`` concerns row-sparse gradients: rows that are absent from one keep their momentum.
    """

    master_first = False

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, **kwargs)
        self.lazy_update = lazy_update

    def _apply(self, batch: Batch, lr: float, wd: float, momentum: float | None = None) -> None:
        # The fused kernel makes one pass over memory. It knows v ← μv + (1 − dampening)(grad + decay·w) and
        # w ← w − rate·v; rescale_grad is folded into these constants, which spares a pass over the gradient.
        if self._bound < math.inf or self.rescale_grad == 0:
            grads, scale = self._gradient(batch), 1.0
        else:
            grads, scale = batch.grads, self.rescale_grad
        has_momentum = bool(batch.states)
        torch._fused_sgd_(
            batch.weights,
            grads,
            batch.states[0] if has_momentum else [],
            weight_decay=wd / scale,
            momentum=(self.momentum if momentum is None else momentum) if has_momentum else 0.0,
            lr=-1.0 if has_momentum else lr * scale,
            dampening=1.0 + lr * scale if has_momentum else 0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )


@register
class ccSGD(SGD):  # the name is the registered one
    """:class:`SGD` under the name it had when it was a kernel of its own."""


@register
class NAG(_MomentumOptimizer):
    """Nesterov's accelerated gradient: ``w' = w + μ²m − (1 + μ)η(g + λw);  m ← μm − η(g + λw');  w ← w'``.

    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning",
    2013; that the momentum takes its decay from the new weight is MXNet's. Without momentum it is plain descent.
    """

    master_first = False

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        weights, grads = batch.weights, self._gradient(batch)
        ahead = 1 + self.momentum if batch.states else 1.0
        if wd:
            torch._foreach_mul_(weights, 1 - ahead * lr * wd)
        torch._foreach_add_(weights, grads, alpha=-ahead * lr)
        if batch.states:
            (momentum,) = batch.states
            torch._foreach_mul_(momentum, self.momentum)
            torch._foreach_add_(weights, momentum, alpha=self.momentum)
            torch._foreach_add_(momentum, grads, alpha=-lr)
            if wd:
                torch._foreach_add_(momentum, weights, alpha=-lr * wd)


@register
class Signum(_MomentumOptimizer):
    """The sign of the momentum: ``m ← μm − (1 − μ)(g + λw);  w ← (1 − η·wd_lh)w + η·sign(m)``.

    Without momentum ``w ← (1 − η(λ + wd_lh))w − η·sign(g)``. Bernstein, Wang, Azizzadenesheli and Anandkumar,
    "signSGD: Compressed Optimisation for Non-Convex Problems", 2018; ``wd_lh`` is the decoupled decay of
    Loshchilov and Hutter.
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, **kwargs)
        self.wd_lh = wd_lh

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        weights = batch.weights
        step = self._own_gradient(batch)
        if not batch.states:
            step.flat.sign_()
            torch._foreach_mul_(weights, 1 - lr * (wd + self.wd_lh))
            torch._foreach_add_(weights, step.pieces, alpha=-lr)
            return
        (momentum,) = batch.states
        if wd:
            torch._foreach_add_(step.pieces, weights, alpha=wd)
        torch._foreach_mul_(momentum, self.momentum)
        torch._foreach_add_(momentum, step.pieces, alpha=self.momentum - 1)
        step.load(momentum).flat.sign_()
        torch._foreach_mul_(weights, 1 - lr * self.wd_lh)
        torch._foreach_add_(weights, step.pieces, alpha=lr)


@register
class SGLD(RuleOptimizer):
    """Langevin dynamics: ``w ← w − η/2·(g + λw) + ε`` with ``ε ~ N(0, η)``.

    Its iterates sample a posterior distribution. Welling and Teh, "Bayesian Learning via Stochastic Gradient
    Langevin Dynamics", 2011.
    """

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        step = self._own_gradient(batch)
        if wd:
            torch._foreach_add_(step.pieces, batch.weights, alpha=wd)
        torch._foreach_add_(batch.weights, step.pieces, alpha=-lr / 2)
        step.flat.normal_(0.0, math.sqrt(lr), generator=generator(step.flat.device))
        torch._foreach_add_(batch.weights, step.pieces)


@register
class DCASGD(RuleOptimizer):
    """Descent with delay compensation: ``m ← μm − η(g + λw + lamda·g²(w − w'));  w' ← w;  w ← w + m``.

    w' is the weight before the last update. Zheng et al., "Asynchronous Stochastic Gradient Descent with Delay
    Compensation", 2017. The state is ``(m or None, w')``.
    """

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lamda = lamda

    def create_state(self, index: Hashable, weight: NDArray) -> tuple[NDArray | None, NDArray]:
        return (zeros_like(weight) if self.momentum != 0 else None), weight.copy()

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        weights = batch.weights
        *momentum, previous = batch.states
        step = self._own_gradient(batch)
        drift = batch.scratch("drift").load(weights)
        torch._foreach_sub_(drift.pieces, previous)
        step.flat.addcmul_(drift.flat.mul_(step.flat), step.flat, value=self.lamda)
        if wd:
            torch._foreach_add_(step.pieces, weights, alpha=wd)
        torch._foreach_copy_(previous, weights)
        if momentum:
            torch._foreach_mul_(momentum[0], self.momentum)
            torch._foreach_add_(momentum[0], step.pieces, alpha=-lr)
            torch._foreach_add_(weights, momentum[0])
        else:
            torch._foreach_add_(weights, step.pieces, alpha=-lr)


@register
class Test(RuleOptimizer):
    """``w ← w + rescale_grad · gradient``, without a learning rate; the state is a copy of w. For tests."""

    __test__ = False  # the name makes pytest collect it

    def create_state(self, index: Hashable, weight: NDArray) -> NDArray:
        return zeros_like(weight)

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        torch._foreach_add_(batch.weights, batch.grads, alpha=self.rescale_grad)
        torch._foreach_copy_(batch.states[0], batch.weights)
