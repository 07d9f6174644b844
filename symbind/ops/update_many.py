"""Steps of optimizers for many weights at a time, and what precedes and follows them: checks, norms, resets.

The arrays of one weight follow those of the weight before it: ``w0, g0, m0, w1, g1, m1, …``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from ..base import MXNetError
from .kernels import sequence
from .operator import Kernel, MaybeShape, Operator, Sample, register
from .parameter import Bool, Count, Floats, Param, Params, Shape
from .update import CLIP, RESCALE, MixedPrecision, Update
from .update_adaptive import AdamW, MixedPrecisionAdamW
from .update_descent import SGD, SGDMomentum
from .update_layers import Lamb, LambLength, LambStep

__all__ = ["UpdateMany"]

RATES = Param(Floats, doc="Learning rate of each weight.")
DECAYS = Param(Floats, doc="Weight decay of each weight.")


class UpdateMany(Operator):
    """The rule of an operator on several weights, with numbers of its own for each; the outputs are the new weights.

    ``each`` names the parameters of the rule that differ by weight, and the parameters (tuples) that hold them. With
    ``preloaded`` these are arrays instead, the last inputs. ``shared`` are the last inputs of the rule that all
    weights have in common.
    """

    needs_all_inputs = True
    variadic: str

    def __init__(
        self,
        name: str,
        rule: Update,
        parameters: Mapping[str, Param],
        each: Mapping[str, str],
        preloaded: bool = False,
        shared: int = 0,
        count: str = "num_weights",
    ) -> None:
        self.name = name
        self.rule = rule
        self.each = each
        self.preloaded = preloaded
        self.variadic = count
        self.own = len(rule.inputs) - shared
        self.common = len(each) if preloaded else shared
        self.parameters = {**parameters, count: Param(Count, 1, "Number of weights.")}
        self.samples = [self._sample_of_two(rule.samples[0])]

    @property
    def doc(self) -> str:
        own, common = self.rule.inputs[: self.own], self.rule.inputs[self.own :]
        lines = [
            f"{self.rule.name} on several weights at a time.",
            "",
            f"Inputs are {', '.join(own)} of the first weight, those of the second, and so on",
        ]
        if self.preloaded:
            lines[-1] += f"; then {' and '.join(self.each.values())}, arrays with a number for each weight"
        elif common:
            lines[-1] += f"; then {' and '.join(common)} for all"
        return "\n".join([lines[0], lines[1], f"{lines[2]}. The outputs are the new weights."])

    def _sample_of_two(self, one: Sample) -> Sample:
        """The rule's own sample for each of two weights."""
        own, common = one.shapes[: self.own], one.shapes[self.own :]
        values = {i * self.own + k: v for i in (0, 1) for k, v in one.values.items() if k < self.own}
        values |= {self.own + k: v for k, v in one.values.items() if k >= self.own}
        params = {key: value for key, value in one.params.items() if key in self.parameters}
        if self.preloaded:
            common = ((2,),) * self.common
        else:
            params |= {many: (one.params.get(key, 0.0),) * 2 for key, many in self.each.items()}
        return Sample(*own, *own, *common, values=values, named={**params, self.variadic: 2})

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        count = getattr(p, self.variadic)
        if count < 1:
            raise MXNetError(f"{self.variadic} of {self.name} must be a number from 1, not {count}")
        for key in () if self.preloaded else self.each.values():
            if len(getattr(p, key)) != count:
                raise MXNetError(f"{self.name} has {self.variadic}={count}, but {key} holds {len(getattr(p, key))}")
        return p

    def input_names(self, p):
        own, common = self.rule.inputs[: self.own], self.rule.inputs[self.own :]
        names = [f"{name}{i}" for i in range(self.num_outputs(p)) for name in own]
        return [*names, *(self.each.values() if self.preloaded else common)]

    def num_outputs(self, p):
        return getattr(p, self.variadic)

    def auxiliary_inputs(self, p):
        states = [self.rule.inputs.index(state) for state in self.rule.states]
        return [i * self.own + position for i in range(self.num_outputs(p)) for position in states]

    def mutated_inputs(self, p):
        return self.auxiliary_inputs(p)

    def inplace_pairs(self, p):
        return [(i * self.own, i) for i in range(self.num_outputs(p))] if self.rule.inplace else ()

    def infer_shape(self, p, inputs, outputs):
        common: list[MaybeShape] = list(inputs[len(inputs) - self.common :])
        if self.preloaded:
            common = [(len(outputs),)] * self.common
        told: tuple[list, list] = ([], [])
        for i, own in enumerate(self._groups(inputs)):
            shapes, (new,) = self.rule.infer_shape(p, [*own, *self._passed(common)], [outputs[i]])
            told[0].extend(shapes[: self.own])
            told[1].append(new)
            if not self.preloaded:
                common = list(shapes[self.own :])
        return [*told[0], *common], told[1]

    def infer_dtype(self, p, inputs, outputs):
        common = [torch.float32] * self.common
        told: tuple[list, list] = ([], [])
        for i, own in enumerate(self._groups(inputs)):
            types, (new,) = self.rule.infer_dtype(p, [*own, *self._passed(common)], [outputs[i]])
            told[0].extend(types[: self.own])
            told[1].append(new)
        return [*told[0], *common], told[1]

    def kernel(self, p, inputs, outputs, env):
        groups = list(self._groups(inputs))
        common = inputs[len(inputs) - self.common :]

        def step(i: int, numbers: Sequence[Any]) -> Kernel:
            params = Params({**vars(p), **dict(zip(self.each, numbers, strict=True))})
            return self.rule.kernel(params, [*groups[i], *self._passed(common)], [outputs[i]], env)

        if not self.preloaded:
            numbers = zip(*(getattr(p, key) for key in self.each.values()), strict=True)
            return sequence([step(i, own) for i, own in enumerate(numbers)])

        def run() -> None:
            for i, own in enumerate(zip(*(array.tolist() for array in common), strict=True)):
                step(i, own)()

        return run

    def _groups(self, inputs: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """The inputs of each weight alone."""
        for start in range(0, len(inputs) - self.common, self.own):
            yield inputs[start : start + self.own]

    def _passed(self, common: Sequence[Any]) -> Sequence[Any]:
        """Of the common inputs, those that the rule takes."""
        return () if self.preloaded else common


# The table: every rule in the versions that exist of it.
_rule: Update
_chosen: Update
_SGD, _MOMENTUM = SGD(), SGDMomentum()
for _prefix, _rule, _rules in (
    ("sgd_update", _SGD, {}),
    ("sgd_mom_update", _MOMENTUM, {"momentum": SGDMomentum.momentum}),
):
    _last = {**_rules, "rescale_grad": RESCALE, "clip_gradient": CLIP}
    _each = {"lr": "lrs", "wd": "wds"}
    for _mixed, _chosen in (("", _rule), ("mp_", MixedPrecision(_rule))):
        register(UpdateMany(f"multi_{_mixed}{_prefix}", _chosen, {"lrs": RATES, "wds": DECAYS, **_last}, _each))
        register(UpdateMany(f"preloaded_multi_{_mixed}{_prefix}", _chosen, _last, _each, preloaded=True))

_ADAMW = AdamW()
for _name, _chosen in (("_multi_adamw_update", _ADAMW), ("_multi_mp_adamw_update", MixedPrecisionAdamW(_ADAMW))):
    register(UpdateMany(
        _name, _chosen,
        {
            "lrs": RATES, "beta1": AdamW.beta1, "beta2": AdamW.beta2, "epsilon": AdamW.epsilon, "wds": DECAYS,
            "etas": Param(Floats, doc="Factor of the whole step of each weight."), "clip_gradient": CLIP,
        },
        {"lr": "lrs", "wd": "wds", "eta": "etas"},
        shared=1,
    ))  # fmt: skip

_LAMB = LambStep()
for _name, _chosen in (("_multi_lamb_update", _LAMB), ("_multi_mp_lamb_update", MixedPrecision(_LAMB))):
    register(UpdateMany(
        _name, _chosen,
        {
            "learning_rates": RATES, "beta1": Lamb.beta1, "beta2": Lamb.beta2, "epsilon": Lamb.epsilon, "wds": DECAYS,
            "rescale_grad": RESCALE, "lower_bound": LambLength.lower_bound, "upper_bound": LambLength.upper_bound,
            "clip_gradient": CLIP, "bias_correction": Lamb.bias_correction,
            "step_count": Param(Shape, doc="Number of the step of each weight, from 1."),
        },
        {"lr": "learning_rates", "wd": "wds", "t": "step_count"},
        count="num_tensors",
    ))  # fmt: skip


# ---- before and after the step --------------------------------------------------------------------------------------


class ManyArrays(Operator):
    """Base of operators on ``num_arrays`` arrays of any shapes."""

    variadic: str | None = "num_arrays"
    num_arrays = Param(Count, doc="Number of arrays.")

    def infer_shape(self, p, inputs, outputs):
        return inputs, [(1,)]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [torch.float32]


@register
class SumsOfSquares(ManyArrays):
    r"""The sum of squares of each array: :math:`y_i = \sum_k x_{ik}^2`, float32, of shape (num_arrays,)."""

    name = "multi_sum_sq"
    samples = (Sample((2, 3), (4,)),)

    def infer_shape(self, p, inputs, outputs):
        return inputs, [(p.num_arrays,)]

    def kernel(self, p, inputs, outputs, env):
        pairs = [(array.view(-1), outputs[0][i]) for i, array in enumerate(inputs)]

        def run() -> None:
            for array, place in pairs:
                place.copy_(torch.linalg.vector_norm(array, dtype=torch.promote_types(array.dtype, torch.float32)))
            outputs[0].square_()

        return run


@register
class AllFinite(ManyArrays):
    """1 if no element of any array is infinite or NaN, else 0; float32, of shape (1,).

    Raises MXNetError for whole numbers.
    """

    name = "multi_all_finite"
    samples: Sequence[Sample] = (Sample((2, 3), (4,)),)
    num_arrays = Param(Count, 1, "Number of arrays.")
    init_output = Param(
        Bool, True, "Forget what ``out`` holds; otherwise the result is 0 where that was 0, to check in several calls."
    )

    def kernel(self, p, inputs, outputs, env):
        for array in inputs:
            if not array.is_floating_point():
                raise MXNetError(f"{self.name} works on floating-point arrays, not {array.dtype}")
        out = outputs[0]

        def run() -> None:
            if p.init_output:
                out.fill_(1)
            for array in inputs:
                out.mul_(torch.isfinite(array).all())

        return run


@register
class AllFiniteOne(AllFinite):
    """1 if no element is infinite or NaN, else 0; float32, of shape (1,). Raises MXNetError for whole numbers."""

    name = "all_finite"
    variadic = None
    inputs = ("data",)
    samples = (Sample((2, 3)),)
    parameters = {"init_output": AllFinite.init_output}


@register
class ResetArrays(ManyArrays):
    """Fills arrays with zeros in place; there is no output."""

    name = "reset_arrays"

    def num_outputs(self, p):
        return 0

    def mutated_inputs(self, p):
        return range(p.num_arrays)

    def infer_shape(self, p, inputs, outputs):
        return inputs, []

    def infer_dtype(self, p, inputs, outputs):
        return inputs, []

    def kernel(self, p, inputs, outputs, env):
        return sequence([partial(array.zero_) for array in inputs])
