"""One step of an optimizer as an operator: from a weight, its gradient and states to the new weight.

States (momenta, running averages) change in place, so in a graph they are auxiliary states; the new weight is the
output, which ``out=weight`` puts where the old one was. Here is what all steps share, and how those of one weight are
done on a copy in single precision. The rules are in :mod:`.update_descent`, :mod:`.update_adaptive` and, for whole
layers, in :mod:`.update_layers`; those for many weights at a time in :mod:`.update_many`.

In the formulas w is the weight, η is ``lr``, λ is ``wd``, and g is the gradient times ``rescale_grad``, bounded to
±``clip_gradient``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from ..base import MXNetError
from .operator import Environment, Kernel, Operator, Sample
from .parameter import Bool, Float, Param, Params
from .shapes import merge, same_shape

__all__ = [
    "BOUND", "CLIP", "DECAY", "EPSILON", "FIRST_BETA", "LAZY", "MOMENTUM", "RATE", "RESCALE", "SECOND_BETA",
    "MixedPrecision", "Update", "average", "average_square", "bounded",
]  # fmt: skip

Tensors = Sequence[torch.Tensor]

RATE = Param(Float, doc="Learning rate.")
DECAY = Param(Float, 0.0, "Weight decay: the share of the weight that is added to the gradient.")
RESCALE = Param(Float, 1.0, "Factor of the gradient.")
CLIP = Param(Float, -1.0, "Bound of the rescaled gradient's elements; negative for none.")
LAZY = Param(Bool, True, "Accepted for MXNet's sake: gradients are dense, so no row is ever absent.")
MOMENTUM = Param(Float, 0.0, "Share of the momentum that is kept.")
FIRST_BETA = Param(Float, 0.9, "Share that the mean of gradients keeps.")
SECOND_BETA = Param(Float, 0.999, "Share that the mean of squared gradients keeps.")
EPSILON = Param(Float, 1e-8, "Added to the root that is divided by.")
BOUND = Param(Float, -1.0, "Bound of the new weight's elements; not positive for none.")


def bounded(p: Params, grad: torch.Tensor, out: torch.Tensor, decayed: torch.Tensor | None = None) -> torch.Tensor:
    """g in ``out``; with ``decayed``, that weight's decay is added before the bound."""
    torch.mul(grad, p.rescale_grad, out=out)
    if decayed is not None:
        out.add_(decayed, alpha=p.wd)
    if p.clip_gradient >= 0:
        out.clamp_(-p.clip_gradient, p.clip_gradient)
    return out


def average(mean: torch.Tensor, keep: float, value: torch.Tensor) -> torch.Tensor:
    """``mean ← keep · mean + (1 − keep) · value``."""
    return mean.mul_(keep).add_(value, alpha=1 - keep)


def average_square(mean: torch.Tensor, keep: float, value: torch.Tensor) -> torch.Tensor:
    """``mean ← keep · mean + (1 − keep) · value²``."""
    return mean.mul_(keep).addcmul_(value, value, value=1 - keep)


class Update(Operator):
    """A rule for one weight. All inputs, the weight among them, have one shape and one type."""

    inputs: Sequence[str] = ("weight", "grad")
    #: Names of the inputs that the rule changes in place.
    states: Sequence[str] = ()
    needs_all_inputs = True
    inplace: Sequence[tuple[int, int]] = ((0, 0),)
    #: ``step(p, weight, grad, g, *states, out)`` changes the states and writes the new weight into ``out``, which may
    #: be the weight itself; ``g`` is scratch memory of the size of the gradient.
    step: Callable[..., None]

    def auxiliary_inputs(self, p):
        return [self.inputs.index(state) for state in self.states]

    def mutated_inputs(self, p):
        return self.auxiliary_inputs(p)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p: Params, inputs: Tensors, outputs: Tensors, env: Environment) -> Kernel:
        if not outputs[0].is_floating_point():
            raise MXNetError(f"{self.name} works on floating-point weights, not {outputs[0].dtype}")
        weight, grad, *states = inputs
        return partial(self.step, p, weight, grad, torch.empty_like(grad), *states, outputs[0])


class MixedPrecision(Update):
    """The rule of another operator on ``weight32``, a copy of the weight in single precision.

    ``weight32`` is a state as the others are, all of them float32; the output is that copy after the step, in the
    type of ``weight`` and ``grad``.
    """

    def __init__(self, rule: Update) -> None:
        self.rule = rule
        self.name = f"mp_{rule.name}"
        self.inputs = (*rule.inputs, "weight32")
        self.states = (*rule.states, "weight32")
        self.parameters = rule.parameters
        self.samples = [
            Sample(*shapes, shapes[0], low=sample.low, values=sample.values, named=sample.params)
            for sample in rule.samples
            for shapes in [sample.shapes]
        ]

    @property
    def doc(self) -> str:
        return (
            f"{self.rule.name} on ``weight32``, a copy of the weight in single precision, in which it is rounded less."
            "\n\nThe output is the new copy in the type of ``weight`` and ``grad``; all else is float32 and follows "
            f"the rule of {self.rule.name}."
        )

    def infer_shape(self, p, inputs, outputs):
        # weight32 has the shape of the weight; the rule says what the others have.
        weight = merge(inputs[0], inputs[-1])
        told, outputs = self.rule.infer_shape(p, [weight, *inputs[1:-1]], outputs)
        return [*told, told[0]], outputs

    def infer_dtype(self, p, inputs, outputs):
        low = next((t for t in (*inputs[:2], *outputs) if t is not None), None)
        return [low, low, *[torch.float32] * (len(inputs) - 2)], [low]

    def kernel(self, p, inputs, outputs, env):
        _, grad, *states, master = inputs
        single = torch.empty_like(master)
        step = self.rule.kernel(p, [master, single, *states], [master], env)

        def run() -> None:
            single.copy_(grad)
            step()
            outputs[0].copy_(master)

        return run
