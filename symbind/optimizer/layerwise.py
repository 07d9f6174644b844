"""Optimizers for large batches: the learning rate of each layer follows the sizes of its weight and gradient.

In the formulas w is the weight, g = clip(rescale_grad · gradient), η the learning rate and λ the weight decay.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..ndarray import NDArray
from .batch import Batch, Parameter
from .descent import SGD
from .moments import TwoMoments
from .optimizer import register

__all__ = ["LAMB", "LARS", "LBSGD"]


def _norms(tensors: Sequence[Tensor]) -> list[float]:
    """The 2-norms of tensors on one device, accumulated in float32 at least, fetched from it at once."""
    norms = [
        torch.linalg.vector_norm(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors
    ]
    return torch.stack(norms).tolist() if norms else []


@register
class LARS(SGD):
    """:class:`SGD` with learning rates ``η · eta·‖w‖ / (‖rescale_grad · gradient‖ + λ‖w‖ + eps)``.

    A rate is just η where a norm is 0 and for parameters named ``…gamma``, ``…beta`` or ``…bias``. Weight decay
    applies to ``…_weight`` only. With ``momentum_correction`` the update that first sees another η multiplies its
    momentum by the ratio of the new η to the old one; as in MXNet that is the update of one parameter, the others
    of the same step take η as it is by then. You, Gitman and Ginsburg, "Large Batch Training of Convolutional
    Networks", 2017.
    """

    def __init__(
        self,
        momentum: float = 0.0,
        lazy_update: bool = True,
        eta: float = 0.001,
        eps: float = 0,
        momentum_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, lazy_update=lazy_update, **kwargs)
        self.eta = eta
        self.eps = eps
        self.momentum_correction = momentum_correction
        self.last_lr: float | None = None
        self.cur_lr: float | None = None

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith("_weight")

    def _step_coefficients(
        self, indices: Sequence[Hashable], parameters: Sequence[Parameter]
    ) -> list[tuple[float, ...]]:
        coefficients = super()._step_coefficients(indices, parameters)
        layers = [i for i, index in enumerate(indices) if self._is_layer(index)]
        weight_norms = _norms([parameters[i].weight for i in layers])
        grad_norms = _norms([parameters[i].grad for i in layers])
        for i, weight_norm, grad_norm in zip(layers, weight_norms, grad_norms):
            lr, wd, momentum = coefficients[i]
            grad_norm *= abs(self.rescale_grad)
            if weight_norm > 0 and grad_norm > 0:
                lr *= self.eta * weight_norm / (grad_norm + wd * weight_norm + self.eps)
            coefficients[i] = (lr, wd, momentum)
        return coefficients

    def _is_layer(self, index: Hashable) -> bool:
        return not str(self.idx2name.get(index, index)).endswith(("gamma", "beta", "bias"))

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        current = self.learning_rate
        self.last_lr, self.cur_lr = (current if self.cur_lr is None else self.cur_lr), current
        correction = current / self.last_lr if self.momentum_correction and self.last_lr else 1.0
        return lr, wd, self.momentum * correction


@dataclass(slots=True)
class _Gathering(Parameter):
    """A parameter whose ``grad`` is a sum, to which ``latest`` is still to be added."""

    latest: Tensor | None = None


@register
class LBSGD(SGD):
    """:class:`SGD` that gathers the gradients of ``batch_scale`` batches and warms its learning rate up.

    Every ``batch_scale`` calls the weight is updated with the mean gradient, and with a learning rate multiplied
    by ``1 + (batch_scale − 1)·p`` (``warmup_strategy='linear'``), ``p²`` (``'power2'``) or ``√p`` (``'sqrt'``) in
    place of p, where p is the share of the warm-up of ``warmup_epochs`` epochs of ``updates_per_epoch`` calls
    that is over. The strategy ``'lars'`` takes ``‖w‖/√(‖g‖² + λ‖w‖²)`` kept in [0.01, 100] instead. Goyal et al.,
    "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.
    """

    master_first = True

    def __init__(
        self,
        momentum: float = 0.0,
        multi_precision: bool = False,
        warmup_strategy: str = "linear",
        warmup_epochs: int = 5,
        batch_scale: int = 1,
        updates_per_epoch: int = 32,
        begin_epoch: int = 0,
        num_epochs: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, multi_precision=multi_precision, **kwargs)
        logging.info("Running Large-Batch SGD Algorithm")
        logging.info(
            "(Batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d)",
            batch_scale,
            warmup_epochs,
            warmup_strategy,
            updates_per_epoch,
        )
        self.warmup_strategy = warmup_strategy
        self.warmup_epochs = warmup_epochs
        self.batch_scale = batch_scale
        self.updates_per_epoch = updates_per_epoch
        self.init_updates = begin_epoch * updates_per_epoch
        self.num_epochs = num_epochs
        self.cumgrads: dict[Hashable, NDArray] = {}

    def _parameter(self, index: Hashable, weight: NDArray, grad: NDArray, state: Any, master: bool) -> Parameter:
        # The rule is to see the sum of the gradients, which outlives the arrays of one executor.
        parameter = super()._parameter(index, weight, grad, state, master)
        total = self.cumgrads.get(index)
        if total is None or total.shape != grad.shape:
            zeros = torch.zeros(grad.shape, dtype=parameter.weight.dtype, device=parameter.weight.device)
            total = self.cumgrads[index] = NDArray(zeros, grad.context)
        gathered = total.lie_in(grad.order)
        return _Gathering(parameter.weight, gathered, parameter.states, parameter.stored, parameter.grad)

    def _step_coefficients(self, indices: Sequence[Hashable], parameters: Sequence[Any]) -> list[tuple[float, ...]]:
        # As in MXNet the rate is looked up before the update is counted.
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        self._update_count(indices)
        coefficients: list[tuple[float, ...]] = []
        for index, parameter, lr, wd in zip(indices, parameters, lrs, wds):
            call = self.init_updates + self._index_update_count[index] - self.begin_num_update
            if call % self.batch_scale == 1 % self.batch_scale:
                parameter.grad.zero_()
            parameter.grad.add_(parameter.latest)
            if call % self.batch_scale:
                coefficients.append(())  # no update yet
                continue
            parameter.grad.div_(self.batch_scale)
            strategy = self.warmup_strategy
            multiplier = self._lars(parameter, wd) if strategy == "lars" else self._warmup(call)
            coefficients.append((lr * multiplier, wd))
        return coefficients

    def _warmup(self, call: int) -> float:
        calls = self.warmup_epochs * self.updates_per_epoch
        if call >= calls:
            return float(self.batch_scale)
        progress = call / calls
        shape = {"linear": progress, "power2": progress**2, "sqrt": math.sqrt(progress)}
        return 1.0 + (self.batch_scale - 1) * shape.get(self.warmup_strategy, 0.0)

    @staticmethod
    def _lars(parameter: Parameter, wd: float) -> float:
        weight, grad = (norm**2 for norm in _norms([parameter.weight, parameter.grad]))
        return min(max(math.sqrt(weight / (grad + wd * weight + 1e-18)), 0.01), 100.0)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "cumgrads": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "cumgrads": {}})


@register
class LAMB(TwoMoments):
    """Adam's direction with a step proportional to the size of the layer.

    ``m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  u = m̂/(√v̂ + ε) + λw;  w ← w − η·(‖w‖/‖u‖)·u`` with m̂ and v̂
    divided by ``1 − βᵗ`` if ``bias_correction``, ``‖w‖`` kept within ``lower_bound`` and ``upper_bound`` where
    they are given, and the ratio 1 where a norm is 0. You et al., "Large Batch Optimization for Deep Learning:
    Training BERT in 76 minutes", 2019.
    """

    elementwise = False

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        bias_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(beta1, beta2, learning_rate=learning_rate, **kwargs)
        self.epsilon = epsilon
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound
        self.bias_correction = bias_correction

    def _coefficients(self, index: Hashable, lr: float, wd: float, t: int) -> tuple[float, ...]:
        if not self.bias_correction:
            return lr, wd, 1.0, 1.0
        return lr, wd, 1 - self.beta1**t, 1 - self.beta2**t

    def _apply(self, batch: Batch, lr: float, wd: float, mean_correction: float, square_correction: float) -> None:
        mean, square = batch.states
        grads = self._gradient(batch)
        torch._foreach_lerp_(mean, grads, 1 - self.beta1)
        torch._foreach_mul_(square, self.beta2)
        torch._foreach_addcmul_(square, grads, grads, value=1 - self.beta2)
        step = batch.scratch("step").load(mean, 1 / mean_correction)
        scale = batch.scratch("scale").load(square, 1 / square_correction)
        step.flat.div_(scale.flat.sqrt_().add_(self.epsilon))
        if wd:
            torch._foreach_add_(step.pieces, batch.weights, alpha=wd)
        norms = zip(_norms(batch.weights), _norms(step.pieces))
        for weight, direction, (weight_norm, step_norm) in zip(batch.weights, step.pieces, norms):
            if self.lower_bound:
                weight_norm = max(weight_norm, self.lower_bound)
            if self.upper_bound:
                weight_norm = min(weight_norm, self.upper_bound)
            ratio = weight_norm / step_norm if weight_norm and step_norm else 1.0
            weight.add_(direction, alpha=-lr * ratio)
