"""What a mask keeps: rows of an array, or elements of one of two."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Int, Param
from .shapes import is_known, merge, product

__all__: list[str] = []


@register
class BooleanMask(Operator):
    """The rows of ``data`` where ``index`` is not zero, in order.

    Shapes: ``data`` (N, …), ``index`` (N), output (M, …) for M rows that are kept, which may be none. As M depends on
    the numbers in ``index``, this is for arrays; a network that holds it cannot be bound.

    Raises MXNetError for another axis than the first, or a mask of another length.
    """

    name = "_contrib_boolean_mask"
    inputs = ("data", "index")
    measured = True
    axis = Param(Int, 0, "Axis of the rows, which must be 0.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.axis != 0:
            raise MXNetError(f"axis={p.axis} of boolean_mask must be 0")
        return p

    def infer_shape(self, p, inputs, outputs):
        data, index = inputs
        if data is None:
            return inputs, outputs
        if not data:
            raise MXNetError("Data of boolean_mask should have 1 axis at least")
        (count,) = merge((data[0],), index)
        return [(count, *data[1:]), (count,)], outputs

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1] or dtype], [dtype]

    def measure(self, p, inputs):
        data, index = inputs
        return [(int(torch.count_nonzero(index)), *data.shape[1:])]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_contrib_boolean_mask", dy[0], *x), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data, index = inputs
        return lambda: torch.index_select(data, 0, index.nonzero().squeeze(1), out=outputs[0])


@register
class BooleanMaskGradient(Operator):
    """The gradient of :class:`BooleanMask`: the head gradient in the rows that were kept, zeros in the others."""

    name = "_backward_contrib_boolean_mask"
    inputs = ("head_gradient", "data", "index")
    unread = (1,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, inputs[2]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, inputs[2]], [dtype]

    def kernel(self, p, inputs, outputs, env):
        head, _, index = inputs
        return lambda: outputs[0].zero_().index_copy_(0, index.nonzero().squeeze(1), head)


def _choice(condition: torch.Tensor, data: torch.Tensor) -> tuple[torch.Tensor, Kernel]:
    """A mask that broadcasts over ``data`` for a condition on elements or on rows, and the call that fills it."""
    chosen = torch.empty(condition.shape, dtype=torch.bool, device=condition.device)
    mask = chosen if condition.shape == data.shape else chosen.view(-1, *[1] * (data.dim() - 1))
    return mask, partial(torch.ne, condition, 0, out=chosen)


@register
class Where(Operator):
    """Elements of ``x`` where the condition is not zero, of ``y`` where it is.

    ``condition`` has the shape of both, or one number for each of their rows. It has no gradient.
    """

    name = "where"
    aliases = ("_sparse_where",)
    inputs = ("condition", "x", "y")
    samples = (
        Sample((2, 2), (2, 2), (2, 2), values={0: [0, 1, 1, -1]}, integer=(0,)),
        Sample((2,), (2, 3), (2, 3), values={0: [0, 1]}, integer=(0,)),
    )

    def infer_shape(self, p, inputs, outputs):
        condition, x, y = inputs
        shape = merge(merge(x, y), outputs[0])
        if is_known(condition) and is_known(shape) and condition != shape and product(condition) != shape[0]:
            raise MXNetError(f"condition {condition} is neither for the elements nor for the rows of {shape}")
        return [condition, shape, shape], [shape]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[1] or inputs[2] or outputs[0]
        return [inputs[0], dtype, dtype], [dtype]

    def gradient(self, p, x, y, dy):
        return [ZERO, *apply("_backward_where", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        condition, x, y = inputs
        mask, prepare = _choice(condition, x)

        def run() -> None:
            prepare()
            torch.where(mask, x, y, out=outputs[0])

        return run


@register
class WhereGradient(Operator):
    """Gradient of :class:`Where`: the head gradient where each of the two was chosen, zeros elsewhere."""

    name = "_backward_where"
    inputs = ("ograd", "condition")
    inplace = ((0, 0),)
    samples = (Sample((2, 2), (2,), values={1: [0, 1]}, integer=(1,)),)

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        shape = merge(merge(inputs[0], outputs[0]), outputs[1])
        return [shape, inputs[1]], [shape, shape]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype, dtype]

    def gradient(self, p, x, y, dy):
        return [apply("where", x[1], dy[0], dy[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        ograd, condition = inputs
        mask, prepare = _choice(condition, ograd)
        zero = torch.zeros((), dtype=ograd.dtype, device=env.device)

        def run() -> None:
            prepare()
            # The second first: the other may be written over the head gradient.
            torch.where(mask, zero, ograd, out=outputs[1])
            torch.where(mask, ograd, zero, out=outputs[0])

        return run
