"""Adam and its relatives: rules on running moments of the gradient.

In the formulas w is the weight, g = clip(rescale_grad · gradient + λw) with λ the weight decay, η the learning
rate and t the number of the parameter's update, from 1. The decay is added *before* clipping here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from ..ndarray import NDArray
from .batch import Batch
from .optimizer import register
from .rule import RuleOptimizer, zeros_like

__all__ = ["FTML", "Adam", "Adamax", "Nadam", "TwoMoments"]

# Update number for the fused kernel at which its bias correction has no effect.
_ENDLESS: dict[torch.device, Tensor] = {}


class TwoMoments(RuleOptimizer):
    """An optimizer with two state arrays and their decay rates ``beta1`` and ``beta2``."""

    def __init__(self, beta1: float, beta2: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta1 = beta1
        self.beta2 = beta2

    def create_state(self, index: Hashable, weight: NDArray) -> tuple[NDArray, ...]:
        return zeros_like(weight), zeros_like(weight)


@register
class Adam(TwoMoments):
    """``m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)``.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, with ε outside of the bias correction as
    in their section 2. ``lazy_update`` concerns row-sparse gradients.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(beta1, beta2, learning_rate=learning_rate, **kwargs)
        self.epsilon = epsilon
        self.lazy_update = lazy_update

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        return lr * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t), wd

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        # The fused kernel adds the decay itself, but cannot clip the sum.
        if self._bound < math.inf:
            grads, kernel_wd = self._decayed_gradient(batch, wd), 0.0
        else:
            grads, kernel_wd = self._gradient(batch), wd
        mean, variance = batch.states
        device = batch.weights[0].device
        if device not in _ENDLESS:
            _ENDLESS[device] = torch.tensor(math.inf, device=device)
        # Its own bias correction puts ε elsewhere. Ours is in lr already, so it is told that t = ∞.
        torch._fused_adam_(
            batch.weights,
            grads,
            mean,
            variance,
            [],
            [_ENDLESS[device]] * len(grads),
            lr=lr,
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=kernel_wd,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
        )


@register
class Adamax(TwoMoments):
    """``m ← β₁m + (1 − β₁)g;  u ← max(β₂u, |g|);  w ← w − η/(1 − β₁ᵗ) · m/u``.

    Kingma and Ba, 2014, section 7.1. An element that never had a gradient (u = 0) stays as it is.
    """

    def __init__(self, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, **kwargs: Any) -> None:
        super().__init__(beta1, beta2, learning_rate=learning_rate, **kwargs)

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        return lr / (1 - self.beta1**t), wd

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        mean, bound = batch.states
        grads = self._decayed_gradient(batch, wd)
        torch._foreach_lerp_(mean, grads, 1 - self.beta1)
        size = batch.scratch("size").load(grads)
        size.flat.abs_()
        torch._foreach_mul_(bound, self.beta2)
        torch._foreach_maximum_(bound, size.pieces)
        # Where the bound is 0 so is the mean; 0/tiny keeps the weight, 0/0 would destroy it.
        size.load(bound).flat.clamp_(min=torch.finfo(size.flat.dtype).tiny)
        torch._foreach_addcdiv_(batch.weights, mean, size.pieces, value=-lr)


@register
class Nadam(TwoMoments):
    """Adam with Nesterov momentum.

    With ``μₜ = β₁(1 − 0.96^(t·schedule_decay)/2)`` and Πₜ the product of all μ so far:
    ``m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;
    w ← w − η((1 − μₜ)/(1 − Πₜ)·g + μₜ₊₁/(1 − Πₜμₜ₊₁)·m)/(√(v/(1 − β₂ᵗ)) + ε)``.

    Dozat, "Incorporating Nesterov Momentum into Adam", 2016. As in MXNet the product ``m_schedule`` is one
    number for all parameters, so that the result depends on the order and number of parameters.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(beta1, beta2, learning_rate=learning_rate, **kwargs)
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        now, after = (self.beta1 * (1 - 0.5 * 0.96 ** (k * self.schedule_decay)) for k in (t, t + 1))
        self.m_schedule *= now
        of_grad = (1 - now) / (1 - self.m_schedule)
        of_mean = after / (1 - self.m_schedule * after)
        return lr * of_grad, lr * of_mean, 1 - self.beta2**t, wd

    def _apply(self, batch: Batch, lr_grad: float, lr_mean: float, correction: float, wd: float) -> None:
        mean, variance = batch.states
        grads = self._decayed_gradient(batch, wd)
        torch._foreach_lerp_(mean, grads, 1 - self.beta1)
        torch._foreach_mul_(variance, self.beta2)
        torch._foreach_addcmul_(variance, grads, grads, value=1 - self.beta2)
        deviation = batch.scratch("deviation").load(variance, 1 / correction)
        deviation.flat.sqrt_().add_(self.epsilon)
        torch._foreach_addcdiv_(batch.weights, grads, deviation.pieces, value=-lr_grad)
        torch._foreach_addcdiv_(batch.weights, mean, deviation.pieces, value=-lr_mean)


@register
class FTML(RuleOptimizer):
    """Follow the moving leader.

    ``v ← β₂v + (1 − β₂)g²;  d' = (1 − β₁ᵗ)/η·(√(v/(1 − β₂ᵗ)) + ε);  z ← β₁z + (1 − β₁)g − (d' − β₁d)w;
    d ← d';  w ← −z/d``. Zheng and Kwok, "Follow the Moving Leader in Deep Learning", 2017. The state is
    ``(d, v, z)``.
    """

    def __init__(self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def create_state(self, index: Hashable, weight: NDArray) -> tuple[NDArray, ...]:
        return zeros_like(weight), zeros_like(weight), zeros_like(weight)

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        return (1 - self.beta1**t) / lr, 1 - self.beta2**t, wd

    def _apply(self, batch: Batch, rate: float, correction: float, wd: float) -> None:
        denominator, variance, leader = batch.states
        grads = self._decayed_gradient(batch, wd)
        torch._foreach_mul_(variance, self.beta2)
        torch._foreach_addcmul_(variance, grads, grads, value=1 - self.beta2)
        torch._foreach_mul_(leader, self.beta1)
        torch._foreach_add_(leader, grads, alpha=1 - self.beta1)
        torch._foreach_mul_(denominator, self.beta1)
        torch._foreach_addcmul_(leader, denominator, batch.weights)
        fresh = batch.scratch("denominator").load(variance, 1 / correction)
        fresh.flat.sqrt_().add_(self.epsilon).mul_(rate)
        torch._foreach_copy_(denominator, fresh.pieces)
        torch._foreach_addcmul_(leader, denominator, batch.weights, value=-1)
        torch._foreach_copy_(batch.weights, leader)
        torch._foreach_div_(batch.weights, denominator)
        torch._foreach_neg_(batch.weights)
