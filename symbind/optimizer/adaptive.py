"""Optimizers that scale every element of the gradient by the gradients it had before.

In the formulas w is the weight, g = clip(rescale_grad · gradient), η the learning rate and λ the weight decay.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch

from ..ndarray import NDArray
from .batch import Batch
from .optimizer import register
from .rule import RuleOptimizer, zeros_like

__all__ = ["AdaDelta", "AdaGrad", "Ftrl", "GroupAdaGrad", "RMSProp"]


@register
class AdaGrad(RuleOptimizer):
    """``h ← h + g²;  w ← w − η(g/√(h + eps) + λw)``.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011.
    """

    def __init__(self, eps: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Hashable, weight: NDArray) -> NDArray:
        return zeros_like(weight)

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        (history,) = batch.states
        grads = self._gradient(batch)
        torch._foreach_addcmul_(history, grads, grads)
        scale = batch.scratch("scale").load(history)
        scale.flat.add_(self.float_stable_eps).sqrt_()
        if wd:
            torch._foreach_mul_(batch.weights, 1 - lr * wd)
        torch._foreach_addcdiv_(batch.weights, grads, scale.pieces, value=-lr)


@register
class AdaDelta(RuleOptimizer):
    """``a ← ρa + (1 − ρ)g²;  Δ = √((b + ε)/(a + ε))·g;  b ← ρb + (1 − ρ)Δ²;  w ← w − Δ − λw``, without η.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012. The state is ``(a, b)``.
    """

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def create_state(self, index: Hashable, weight: NDArray) -> tuple[NDArray, NDArray]:
        return zeros_like(weight), zeros_like(weight)

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        square_grad, square_delta = batch.states
        grads = self._gradient(batch)
        torch._foreach_mul_(square_grad, self.rho)
        torch._foreach_addcmul_(square_grad, grads, grads, value=1 - self.rho)
        delta = batch.scratch("delta").load(square_delta)
        scale = batch.scratch("scale").load(square_grad)
        delta.flat.add_(self.epsilon).div_(scale.flat.add_(self.epsilon)).sqrt_()
        torch._foreach_mul_(delta.pieces, grads)
        torch._foreach_mul_(square_delta, self.rho)
        torch._foreach_addcmul_(square_delta, delta.pieces, delta.pieces, value=1 - self.rho)
        if wd:
            torch._foreach_mul_(batch.weights, 1 - wd)
        torch._foreach_sub_(batch.weights, delta.pieces)


@register
class RMSProp(RuleOptimizer):
    """``n ← γ₁n + (1 − γ₁)g²;  w ← w − η·g/√(n + ε)`` with ``g = clip(rescale_grad · gradient + λw)``.

    ``centered`` also keeps the mean and a momentum: ``ḡ ← γ₁ḡ + (1 − γ₁)g;  δ ← γ₂δ − η·g/√(n − ḡ² + ε);
    w ← w + δ``. ``clip_weights`` keeps the weights in ±clip_weights. Tieleman and Hinton, lecture 6.5 of
    "Neural Networks for Machine Learning", 2012; centered: Graves, "Generating Sequences With Recurrent Neural
    Networks", 2013. The state is ``(n,)`` or ``(n, ḡ, δ)``.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        gamma1: float = 0.9,
        gamma2: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        clip_weights: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1 = gamma1
        self.gamma2 = gamma2
        self.epsilon = epsilon
        self.centered = centered
        self.clip_weights = clip_weights

    def create_state(self, index: Hashable, weight: NDArray) -> tuple[NDArray, ...]:
        return tuple(zeros_like(weight) for _ in range(3 if self.centered else 1))

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        square, *centered = batch.states
        grads = self._decayed_gradient(batch, wd)
        torch._foreach_mul_(square, self.gamma1)
        torch._foreach_addcmul_(square, grads, grads, value=1 - self.gamma1)
        scale = batch.scratch("scale").load(square)
        if centered:
            mean, momentum = centered
            torch._foreach_lerp_(mean, grads, 1 - self.gamma1)
            torch._foreach_addcmul_(scale.pieces, mean, mean, value=-1)
        scale.flat.add_(self.epsilon).sqrt_()
        if centered:
            torch._foreach_mul_(momentum, self.gamma2)
            torch._foreach_addcdiv_(momentum, grads, scale.pieces, value=-lr)
            torch._foreach_add_(batch.weights, momentum)
        else:
            torch._foreach_addcdiv_(batch.weights, grads, scale.pieces, value=-lr)
        if self.clip_weights:
            torch._foreach_clamp_min_(batch.weights, -self.clip_weights)
            torch._foreach_clamp_max_(batch.weights, self.clip_weights)


@register
class Ftrl(RuleOptimizer):
    """Follow the regularized leader, with an L1 penalty that makes weights exactly 0.

    ``z ← z + g − (√(n + g²) − √n)/η·w;  n ← n + g²;  w ← (sign(z)·lamda1 − z)/((beta + √n)/η + λ)`` where
    ``|z| > lamda1``, else 0. McMahan et al., "Ad Click Prediction: a View from the Trenches", 2013. The state
    is ``(z, n)``.
    """

    def __init__(self, lamda1: float = 0.01, learning_rate: float = 0.1, beta: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Set here, not passed on: the default rate of this rule is not to overrule a scheduler's.
        self.lr = learning_rate
        self.lamda1 = lamda1
        self.beta = beta

    def create_state(self, index: Hashable, weight: NDArray) -> tuple[NDArray, NDArray]:
        return zeros_like(weight), zeros_like(weight)

    def _apply(self, batch: Batch, lr: float, wd: float) -> None:
        weights = batch.weights
        leader, square = batch.states
        grads = self._gradient(batch)
        growth = batch.scratch("growth").load(square)
        torch._foreach_addcmul_(square, grads, grads)
        root = batch.scratch("root").load(square)
        growth.flat.sqrt_().sub_(root.flat.sqrt_())
        torch._foreach_add_(leader, grads)
        torch._foreach_addcmul_(leader, growth.pieces, weights, value=1 / lr)
        # clamp(z) − z is sign(z)·lamda1 − z outside of ±lamda1 and 0 inside.
        shrunk = growth.load(leader)
        shrunk.flat.clamp_(-self.lamda1, self.lamda1)
        torch._foreach_sub_(shrunk.pieces, leader)
        shrunk.flat.div_(root.flat.mul_(1 / lr).add_(self.beta / lr + wd))
        torch._foreach_copy_(weights, shrunk.pieces)


@register
class GroupAdaGrad(RuleOptimizer):
    """:class:`AdaGrad` with one rate per row of a matrix: ``h ← h + mean(g², axis=1);  w ← w − η·g/√(h + eps)``.

    For embeddings; the state has shape (rows, 1). ValueError for weights that are no matrix or have weight decay.
    """

    elementwise = False

    def __init__(self, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Hashable, weight: NDArray) -> NDArray:
        if len(weight.shape) != 2:
            name = self.idx2name.get(index, index)
            raise ValueError(f"GroupAdaGrad updates matrices only; parameter {name} has shape {weight.shape}")
        return NDArray(weight.storage.new_zeros(weight.shape[0], 1), weight.context)

    def _fits(self, state: NDArray, weight: NDArray) -> bool:
        return state.shape == (weight.shape[0], 1) and state.storage.dtype == weight.storage.dtype

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        if wd:
            name = self.idx2name.get(index, index)
            raise ValueError(f"Weight decay is not supported for GroupAdaGrad; parameter {name} has {wd}")
        return (lr,)

    def _apply(self, batch: Batch, lr: float) -> None:
        # The pieces are whole matrices here, as many rows each as its history has elements.
        (histories,) = batch.states
        squares, means = batch.scratch("squares").pieces, batch.scratch("means").pieces
        for weight, grad, history, square, mean in zip(batch.weights, self._gradient(batch), histories, squares, means):
            rows = len(history)
            torch.mul(grad, grad, out=square)
            torch.mean(square.view(rows, -1), dim=1, out=mean[:rows])
            scale = torch.add(history.add_(mean[:rows]), self.float_stable_eps, out=mean[:rows]).sqrt_()
            weight.view(rows, -1).addcdiv_(grad.view(rows, -1), scale[:, None], value=-lr)
