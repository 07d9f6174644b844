"""Batches of sequences of different lengths: masking, the last step, reversal.

Arrays are (T, N, …), time first, or (N, T, …) where ``axis`` is 1. Without ``use_sequence_length`` every sequence has
the full length T; with it a further input of shape (N,) holds the lengths, of any element type.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, Float, Int, Param
from .shapes import merge

__all__: list[str] = []


class _Sequences(Operator):
    """What the operators share: the lengths as an optional input, and the axis of time."""

    inputs: Sequence[str] = ("data", "sequence_length")
    use_sequence_length = Param(Bool, False, "Take the lengths from the input sequence_length")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.axis not in (0, 1):
            raise MXNetError(f"axis of {self.name}, the axis of time, must be 0 or 1, not {p.axis}")
        return p

    def input_names(self, p):
        return self.inputs if p.use_sequence_length else self.inputs[:-1]

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        return self.with_lengths(p, data, inputs[1:]), [data]

    def with_lengths(self, p, data, lengths):
        """Shapes of the inputs, as ``data`` and the lengths tell each other the size of the batch."""
        if data is None:
            return [data, *lengths]
        if len(data) < 2:
            raise MXNetError(f"{self.name} needs sequences of rank 2 or greater, not {data}")
        if not lengths:
            return [data]
        (batch,) = merge((data[1 - p.axis],), lengths[0])
        data = (data[0], batch, *data[2:]) if p.axis == 0 else (batch, *data[1:])
        return [data, (batch,)]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        # Lengths that nobody described are numbers like the data.
        return [dtype, *(length or dtype for length in inputs[1:])], [dtype]


@register
class SequenceMask(_Sequences):
    r"""A number in place of everything behind the end of each sequence.

    :math:`y_{t,n,…} = x_{t,n,…}` for :math:`t < length_n`, otherwise ``value``.
    """

    name = "SequenceMask"
    inplace = ((0, 0),)
    value = Param(Float, 0.0, "The number")
    axis = Param(Int, 0, "Axis of time, 0 or 1")
    samples = (
        Sample((3, 2, 2)),
        Sample((3, 2, 2), (2,), values={1: [1, 2]}, integer=(1,), use_sequence_length=True, value=7.0),
        Sample((2, 3), (2,), values={1: [1, 2]}, integer=(1,), use_sequence_length=True, axis=1),
    )

    def gradient(self, p, x, y, dy):
        flags = {"use_sequence_length": p.use_sequence_length, "axis": p.axis}
        return [apply("SequenceMask", dy[0], *x[1:], **flags), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if not p.use_sequence_length:
            return partial(out.copy_, data)
        lengths = inputs[1]
        steps = torch.arange(data.shape[p.axis], device=env.device, dtype=lengths.dtype)
        behind = torch.empty(len(steps), len(lengths), dtype=torch.bool, device=env.device)
        mask = behind.view(*behind.shape, *[1] * (data.dim() - 2))
        mask = mask if p.axis == 0 else mask.transpose(0, 1)
        steps = steps.unsqueeze(1)

        def run() -> None:
            torch.ge(steps, lengths, out=behind)
            out.copy_(data).masked_fill_(mask, p.value)

        return run


# ---- the last step of each -----------------------------------------------------------------------------------------


def _last_rows(p, lengths: torch.Tensor, steps: int) -> tuple[torch.Tensor, Kernel]:
    """Numbers of the last steps among all steps of the batch, in memory order, and the call that fills them."""
    batch = len(lengths)
    number = torch.arange(batch, device=lengths.device)
    rows = torch.empty_like(number)

    def fill() -> None:
        torch.clamp(rows.copy_(lengths).sub_(1), 0, steps - 1, out=rows)
        if p.axis == 0:
            rows.mul_(batch).add_(number)
        else:
            rows.add_(number, alpha=steps)

    return rows, fill


@register
class SequenceLast(_Sequences):
    r"""The last step of each sequence: :math:`y_{n,…} = x_{length_n - 1,\,n,…}`, of shape (N, …)."""

    name = "SequenceLast"
    axis = Param(Int, 0, "Axis of time, 0 or 1")
    samples = (
        Sample((3, 2, 2)),
        Sample((3, 2, 2), (2,), values={1: [1, 2]}, integer=(1,), use_sequence_length=True),
        Sample((2, 3), (2,), values={1: [1, 3]}, integer=(1,), use_sequence_length=True, axis=1),
    )

    def infer_shape(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        if data is None and out is not None:
            data = (0,) * (len(out) + 1)
        if data is not None and out is not None:
            data = merge(data, (*out[: p.axis], 0, *out[p.axis :]))
        shapes = self.with_lengths(p, data, inputs[1:])
        if shapes[0] is not None:
            out = (*shapes[0][: p.axis], *shapes[0][p.axis + 1 :])
        return shapes, [out]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_SequenceLast", dy[0], *x, **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if not p.use_sequence_length:
            return partial(out.copy_, data.select(p.axis, -1))
        rows, fill = _last_rows(p, inputs[1], data.shape[p.axis])
        steps, out = data.view(data.shape[0] * data.shape[1], -1), out.view(len(rows), -1)

        def run() -> None:
            fill()
            torch.index_select(steps, 0, rows, out=out)

        return run


@register
class SequenceLastGradient(_Sequences):
    """Gradient of :class:`SequenceLast`: the head gradient at the last steps, zeros before and behind."""

    name = "_backward_SequenceLast"
    inputs = ("ograd", "data", "sequence_length")
    unread = (1,)
    axis = Param(Int, 0, "Axis of time, 0 or 1")
    samples = (
        Sample((2, 2), (3, 2, 2)),
        Sample((2, 2), (3, 2, 2), (2,), values={2: [1, 2]}, integer=(2,), use_sequence_length=True),
        Sample((2,), (2, 3), (2,), values={2: [1, 3]}, integer=(2,), use_sequence_length=True, axis=1),
    )

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, *inputs[2:]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, *inputs[2:]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("SequenceLast", dy[0], *x[2:], **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        ograd, out = inputs[0], outputs[0]
        if p.use_sequence_length:
            rows, fill = _last_rows(p, inputs[2], out.shape[p.axis])
            steps, ograd = out.view(out.shape[0] * out.shape[1], -1), ograd.view(len(rows), -1)

            def run() -> None:
                fill()
                out.zero_()
                steps.index_copy_(0, rows, ograd)

        else:
            last = out.select(p.axis, -1)

            def run() -> None:
                out.zero_()
                last.copy_(ograd)

        return run


# ---- backwards in time ---------------------------------------------------------------------------------------------


@register
class SequenceReverse(_Sequences):
    r"""Each sequence backwards, what is behind its end left in place; time must come first.

    :math:`y_{t,n,…} = x_{length_n - 1 - t,\,n,…}` for :math:`t < length_n`, otherwise :math:`x_{t,n,…}`.
    """

    name = "SequenceReverse"
    axis = Param(Int, 0, "Axis of time, which must be 0")
    samples = (
        Sample((3, 2, 2)),
        Sample((3, 2, 2), (2,), values={1: [1, 2]}, integer=(1,), use_sequence_length=True),
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.axis != 0:
            raise MXNetError(f"axis of SequenceReverse, the axis of time, must be 0, not {p.axis}")
        return p

    def gradient(self, p, x, y, dy):
        return [apply("SequenceReverse", dy[0], *x[1:], **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if not p.use_sequence_length:
            return lambda: out.copy_(data.flip(0))
        steps, batch = data.shape[:2]
        time = torch.arange(steps, device=env.device).unsqueeze(1)
        number = torch.arange(batch, device=env.device)
        last = torch.empty_like(number)
        rows = torch.empty(steps, batch, dtype=torch.int64, device=env.device)
        data, out = data.view(steps * batch, -1), out.view(steps * batch, -1)

        def run() -> None:
            last.copy_(inputs[1]).sub_(1)
            torch.sub(last, time, out=rows)
            torch.where(rows >= 0, rows, time, out=rows).mul_(batch).add_(number)
            torch.index_select(data, 0, rows.view(-1), out=out)

        return run
