"""Every sample call of every registered operator, with numbers to run it on."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch

import symbind as mx
from symbind.graph import registry
from symbind.graph.compose import attribute_text
from symbind.ops.operator import Operator, Sample
from symbind.ops.parameter import Params

__all__ = ["CALLS", "Call", "operators"]


class CubeTimes(mx.operator.CustomOp):
    """What Custom computes is the user's affair; this user wants :math:`a^3 b`."""

    def forward(self, is_train, req, in_data, out_data, aux):
        a, b = in_data
        self.assign(out_data[0], req[0], a**3 * b)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        a, b = in_data
        self.assign(in_grad[0], req[0], out_grad[0] * 3 * a**2 * b)
        self.assign(in_grad[1], req[1], out_grad[0] * a**3)


@mx.operator.register("cube_times")
class CubeTimesProp(mx.operator.CustomOpProp):
    def list_arguments(self):
        return ["a", "b"]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return CubeTimes()


registry.find("Custom").samples = (Sample((2, 3), (2, 3), op_type="cube_times"),)


def operators() -> list[Operator]:
    """All operators but loops and branches, which are nothing without graphs of their own."""
    return sorted((op for op in registry.operators() if not op.num_subgraphs), key=lambda op: op.name)


@dataclass(frozen=True)
class Call:
    """One sample of one operator."""

    operator: Operator
    sample: Sample
    number: int

    def __str__(self) -> str:
        return f"{self.operator.name}-{self.number}"

    @property
    def attrs(self) -> dict[str, str]:
        attrs = {key: attribute_text(value) for key, value in self.sample.params.items()}
        if self.operator.variadic is not None:
            attrs.setdefault(self.operator.variadic, str(len(self.sample.shapes)))
        return attrs

    @property
    def params(self) -> Params:
        return self.operator.parse(self.attrs)

    def arrays(self) -> list[torch.Tensor]:
        """The inputs in float64; in the integer type that type inference asks for, where it asks for one."""
        p = self.params
        given = [None if i in self.sample.integer else torch.float64 for i in range(len(self.sample.shapes))]
        dtypes, _ = self.operator.infer_dtype(p, given, [None] * self.operator.num_outputs(p))
        return [
            torch.from_numpy(self._numbers(i, np.random.default_rng([zlib.crc32(str(self).encode()), i]))).to(
                dtype or torch.float64
            )
            for i, dtype in enumerate(dtypes)
        ]

    def _numbers(self, position: int, random: np.random.Generator) -> np.ndarray:
        shape, sample = self.sample.shapes[position], self.sample
        values = sample.values.get(position, (sample.low, sample.high))
        if isinstance(values, tuple) and len(values) == 2:
            low, high = values
            if position in sample.integer:
                return random.integers(max(int(low), 0), int(high), shape).astype(float)
            return random.uniform(low, high, shape)
        return np.array(values, float).reshape(shape)


CALLS = [Call(op, sample, i) for op in operators() for i, sample in enumerate(op.samples)]
