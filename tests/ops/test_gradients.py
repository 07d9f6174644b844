"""The gradient of every operator, against finite differences of its outputs.

For every sample call of every operator, the network of that one operator is bound in double precision and run through
the public interface; its gradients must be the central differences of :math:`\\sum_k \\langle g_k, y_k \\rangle` for
random head gradients :math:`g_k`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import symbind as mx
from symbind.graph.symbol import apply, var

from .samples import CALLS, Call, operators

STEP = 1e-5
DERIVED = [
    call
    for call in CALLS
    if call.operator.is_differentiable
    and not call.operator.ignores_head_gradient
    and not call.operator.has_surrogate_gradient
]
LOSSES = [call for call in CALLS if call.operator.ignores_head_gradient]
# What is measured cannot be bound: mx.autograd differentiates it, and so do its own tests.
BINDABLE = [operator for operator in operators() if operator.is_differentiable and not operator.measured]


@pytest.mark.parametrize("operator", BINDABLE, ids=lambda op: op.name)
def test_there_is_a_sample(operator):
    assert operator.samples, f"{operator.name} declares a gradient but no sample to test it on"


class Bound:
    """The network of one call, bound to its numbers; every forward starts from the same state of the world."""

    def __init__(self, call: Call, dtype: torch.dtype | None = None) -> None:
        """With ``dtype`` on numbers that single precision has, computed with in that instead of double precision."""
        self.values = call.arrays()
        if dtype is not None:
            self.values = [v.float().to(dtype) if v.dtype == torch.float64 else v for v in self.values]
        names = list(call.operator.input_names(call.params))
        symbol = apply(call.operator.name, *map(var, names), **call.sample.params)
        arrays = {name: mx.nd.NDArray(value.clone()) for name, value in zip(names, self.values, strict=True)}
        arguments = {name: arrays[name] for name in symbol.list_arguments()}
        self.states = {name: arrays[name] for name in symbol.list_auxiliary_states()}
        wanted = [
            name
            for i, name in enumerate(names)
            if name in arguments and i not in call.sample.integer and self.values[i].is_floating_point()
        ]
        self.gradients = {name: mx.nd.NDArray(torch.zeros_like(arguments[name].tensor)) for name in wanted}
        requests = {name: "write" if name in wanted else "null" for name in arguments}
        self.arrays = arrays
        self.wanted = {name: names.index(name) for name in wanted}
        self.executor = symbol.bind(mx.cpu(), arguments, self.gradients, requests, self.states)

    def forward(self, changed: int | None = None, by: tuple[int, float] = (0, 0.0)) -> list[torch.Tensor]:
        """The outputs, with one number of one input moved."""
        mx.random.seed(7)
        for i, (array, value) in enumerate(zip(self.arrays.values(), self.values)):
            array.tensor.copy_(value)
            if i == changed:
                array.tensor.view(-1)[by[0]] += by[1]
        return [output.tensor.clone() for output in self.executor.forward(is_train=True)]

    def backward(self, seed: int = 0) -> list[torch.Tensor]:
        """Run backward with random head gradients, and return these."""
        random = np.random.default_rng(seed)
        heads = [
            torch.from_numpy(random.uniform(-1, 1, tuple(output.shape))).to(output.tensor.dtype)
            for output in self.executor.outputs
        ]
        self.executor.backward([mx.nd.NDArray(head) for head in heads])
        return heads


@pytest.mark.parametrize("call", DERIVED, ids=str)
def test_gradient_is_the_derivative(call):
    bound = Bound(call)
    bound.forward()
    heads = bound.backward()
    analytic = {name: array.tensor.clone() for name, array in bound.gradients.items()}
    assert analytic, "no input of this sample has a gradient"
    for name, position in bound.wanted.items():
        numeric = torch.zeros_like(analytic[name])
        for k in range(numeric.numel()):
            above, below = (bound.forward(position, (k, step)) for step in (STEP, -STEP))
            numeric.view(-1)[k] = sum(
                float((h * (a - b)).sum()) / (2 * STEP) for h, a, b in zip(heads, above, below) if a.is_floating_point()
            )
        np.testing.assert_allclose(analytic[name], numeric, rtol=1e-6, atol=1e-7, err_msg=f"gradient of {name}")


@pytest.mark.parametrize("call", [call for call in (*DERIVED, *LOSSES) if not call.operator.random], ids=str)
def test_single_precision_is_double_precision_but_for_rounding(call):
    """On the engine that is chosen by default, outputs and gradients."""
    results = []
    for dtype in (torch.float32, torch.float64):
        bound = Bound(call, dtype)
        outputs = bound.forward()
        bound.backward()
        results.append([*outputs, *(array.tensor for array in bound.gradients.values())])
    for single, double in zip(*results, strict=True):
        scale = float(double.double().abs().max()) if double.numel() else 0.0
        np.testing.assert_allclose(single.double(), double.double(), rtol=1e-4, atol=1e-5 * scale + 1e-6)


@pytest.mark.parametrize("call", LOSSES, ids=str)
def test_losses_ignore_the_head_gradient(call):
    gradients = []
    for seed in (1, 2):
        bound = Bound(call)
        bound.forward()
        bound.backward(seed)
        gradients.append({name: array.tensor for name, array in bound.gradients.items()})
    assert any(g.abs().sum() > 0 for g in gradients[0].values())
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name])
