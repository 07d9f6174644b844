r"""Multi-head attention on projections that lie interleaved in one array, as text models keep them for speed.

An interleaved array is (length, batch, heads · parts · D): for every head its parts, each a vector of D numbers, one
behind the other. Self-attention has queries, keys and values as three parts of one array; attention from a decoder to
an encoder has queries in one array, keys and values as two parts of another. Scores and attention weights are
(batch · heads, length of queries, length of keys).
"""

from __future__ import annotations

import math
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Int, Param
from .shapes import is_known, merge

__all__: list[str] = []


def _parts(array: torch.Tensor, heads: int, parts: int) -> tuple[torch.Tensor, ...]:
    """The parts of an interleaved array, each as matrices (batch · heads, length, D); views."""
    length, batch, width = array.shape
    return array.view(length, batch * heads, parts, width // (heads * parts)).permute(2, 1, 0, 3).unbind()


def _measure(name: str, shape, heads: int, parts: int) -> tuple[int, int, int]:
    """(length, batch · heads, D) of an interleaved array."""
    if len(shape) != 3 or shape[2] % (heads * parts):
        raise MXNetError(f"{name} must have the shape (length, batch, {heads} heads * {parts} * D), not {shape}")
    return shape[0], shape[1] * heads, shape[2] // (heads * parts)


class _Attention(Operator):
    """What the two products and their gradients have in common."""

    heads = Param(Int, doc="Number of heads")

    @property
    def gradient_name(self) -> str:
        return f"_backward_{self.name.removeprefix('_contrib_')}"

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.heads < 1:
            raise MXNetError(f"heads must be a number from 1, not {p.heads}")
        return p


class _AttentionGradient(_Attention):
    """Base of the gradients: head gradient and the operator's inputs come in, a gradient for each input goes out."""

    def __init__(self, attention: _Attention, *samples: Sample) -> None:
        self.name = attention.gradient_name
        self.inputs = ("ograd", *attention.inputs)
        self.samples = samples

    def num_outputs(self, p):
        return len(self.inputs) - 1

    def infer_shape(self, p, inputs, outputs):
        shapes = [merge(shape, out) for shape, out in zip(inputs[1:], outputs)]
        return [inputs[0], *shapes], shapes


# ---- scores: queries times keys ------------------------------------------------------------------------------------


class _Scores(_Attention):
    r"""How well each query fits each key: :math:`y_{bh} = Q_{bh} K_{bh}^T / \sqrt{D}`, for every sample and head.

    The inputs are interleaved arrays, the output is (batch · heads, length of queries, length of keys).
    """

    def __init__(self, name: str, inputs: tuple[str, ...], parts: tuple[int, ...], *samples: Sample) -> None:
        self.name = f"_contrib_{name}"
        self.inputs = inputs
        self.parts = parts
        self.samples = samples

    def infer_shape(self, p, inputs, outputs):
        if not all(map(is_known, inputs)):
            return inputs, outputs
        measures = [
            _measure(name, shape, p.heads, parts) for name, shape, parts in zip(self.inputs, inputs, self.parts)
        ]
        (rows, *of_queries), (columns, *of_keys) = measures[0], measures[-1]
        if of_queries != of_keys:
            raise MXNetError(f"queries and keys differ in batch or width: {inputs}, with {p.heads} heads")
        return inputs, [merge((of_keys[0], rows, columns), outputs[0])]

    def gradient(self, p, x, y, dy):
        return list(apply(self.gradient_name, dy[0], *x, heads=p.heads))

    def queries_and_keys(self, p, arrays):
        """Their matrices in the operator's inputs, or in the gradients of them."""
        return [part for array, n in zip(arrays, self.parts) for part in _parts(array, p.heads, n)][:2]

    def kernel(self, p, inputs, outputs, env):
        queries, keys = self.queries_and_keys(p, inputs)
        scale, out = 1 / math.sqrt(queries.shape[2]), outputs[0]
        return partial(torch.baddbmm, out, queries, keys.transpose(1, 2), beta=0, alpha=scale, out=out)


class _ScoresGradient(_AttentionGradient):
    r"""Gradients of scores: :math:`dQ = dY\, K / \sqrt{D}`, :math:`dK = dY^T Q / \sqrt{D}`, and zero for values."""

    def __init__(self, scores: _Scores, *samples: Sample) -> None:
        super().__init__(scores, *samples)
        self.scores = scores

    def kernel(self, p, inputs, outputs, env):
        ograd = inputs[0]
        queries, keys = self.scores.queries_and_keys(p, inputs[1:])
        to_queries, to_keys = self.scores.queries_and_keys(p, outputs)
        scale = 1 / math.sqrt(queries.shape[2])

        def run() -> None:
            outputs[-1].zero_()
            torch.baddbmm(to_queries, ograd, keys, beta=0, alpha=scale, out=to_queries)
            torch.baddbmm(to_keys, ograd.transpose(1, 2), queries, beta=0, alpha=scale, out=to_keys)

        return run


# ---- attention times values ----------------------------------------------------------------------------------------


class _Weighted(_Attention):
    r"""Values averaged by attention: :math:`y_{bh} = A_{bh} V_{bh}` for every sample and head.

    ``attention`` is (batch · heads, length of queries, length of keys); the output is (length of queries, batch,
    heads · D), the heads one behind the other.
    """

    def __init__(self, name: str, values: str, parts: int, *samples: Sample) -> None:
        self.name = f"_contrib_{name}"
        self.inputs = (values, "attention")
        self.parts = parts
        self.samples = samples

    def infer_shape(self, p, inputs, outputs):
        interleaved, attention = inputs
        if not is_known(interleaved):
            return inputs, outputs
        columns, matrices, width = _measure(self.inputs[0], interleaved, p.heads, self.parts)
        # Of self-attention, the queries are as many as the keys.
        rows = columns if self.parts == 3 else 0
        attention = merge(attention, (matrices, rows, columns))
        out = merge((attention[1], interleaved[1], p.heads * width), outputs[0])
        return [interleaved, (matrices, out[0], columns)], [out]

    def gradient(self, p, x, y, dy):
        return list(apply(self.gradient_name, dy[0], *x, heads=p.heads))

    def kernel(self, p, inputs, outputs, env):
        interleaved, attention = inputs
        values = _parts(interleaved, p.heads, self.parts)[-1]
        (out,) = _parts(outputs[0], p.heads, 1)
        return partial(torch.bmm, attention, values, out=out)


class _WeightedGradient(_AttentionGradient):
    r"""Gradients of averaged values: :math:`dV = A^T dY`, :math:`dA = dY\, V^T`, zero for queries and keys."""

    def __init__(self, weighted: _Weighted, *samples: Sample) -> None:
        super().__init__(weighted, *samples)
        self.parts = weighted.parts

    def kernel(self, p, inputs, outputs, env):
        _, interleaved, attention = inputs
        parts = self.parts
        (ograd,) = _parts(inputs[0], p.heads, 1)
        values = _parts(interleaved, p.heads, parts)[-1]
        to_interleaved, to_attention = outputs
        to_values = _parts(to_interleaved, p.heads, parts)[-1]

        def run() -> None:
            to_interleaved.zero_()
            torch.bmm(attention.transpose(1, 2), ograd, out=to_values)
            torch.bmm(ograd, values.transpose(1, 2), out=to_attention)

        return run


# ---- self-attention, and attention from a decoder to an encoder ----------------------------------------------------

_self_scores = _Scores("interleaved_matmul_selfatt_qk", ("queries_keys_values",), (3,), Sample((3, 2, 12), heads=2))
_other_scores = _Scores(
    "interleaved_matmul_encdec_qk", ("queries", "keys_values"), (1, 2), Sample((3, 2, 4), (4, 2, 8), heads=2)
)
_self_weighted = _Weighted(
    "interleaved_matmul_selfatt_valatt", "queries_keys_values", 3, Sample((3, 1, 12), (2, 3, 3), heads=2)
)
_other_weighted = _Weighted("interleaved_matmul_encdec_valatt", "keys_values", 2, Sample((4, 1, 8), (2, 3, 4), heads=2))

for _operator in (
    _self_scores,
    _ScoresGradient(_self_scores, Sample((4, 3, 3), (3, 2, 12), heads=2)),
    _other_scores,
    _ScoresGradient(_other_scores, Sample((4, 3, 4), (3, 2, 4), (4, 2, 8), heads=2)),
    _self_weighted,
    _WeightedGradient(_self_weighted, Sample((3, 1, 4), (3, 1, 12), (2, 3, 3), heads=2)),
    _other_weighted,
    _WeightedGradient(_other_weighted, Sample((3, 1, 4), (4, 1, 8), (2, 3, 4), heads=2)),
):
    register(_operator)


# ---- scaling -------------------------------------------------------------------------------------------------------


@register
class DivSqrtDim(Operator):
    r"""The input divided by the square root of its last dimension: :math:`y = x / \sqrt{D}`."""

    name = "_contrib_div_sqrt_dim"
    inplace = ((0, 0),)
    samples = (Sample((2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[0], outputs[0])
        return [shape], [shape]

    def gradient(self, p, x, y, dy):
        return [apply("_contrib_div_sqrt_dim", dy[0])]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        root = math.sqrt(data.shape[-1])
        if not out.is_floating_point():
            return partial(torch.div, data, int(root), rounding_mode="trunc", out=out)
        return partial(torch.mul, data, 1 / root, out=out)
