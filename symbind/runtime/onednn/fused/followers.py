"""Element-wise operators done by the kernel before them, on numbers that it has in its registers anyway.

After a convolution or a product of matrices come activations and sums with other arrays (a residual, the bias of
another layer, a gradient computed before); the library takes them as post-ops. A sum is best had by accumulating into
the other array in place, which is a question of whether anybody else needs that: the memory plan decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ....graph.node import Entry, Node
from ....ops.kernels import sequence
from ....ops.operator import Environment, Operator
from ....ops.parameter import Params
from ....ops.shapes import merge
from ....passes.fuse import Fusion, Pattern, Users
from ....graph.registry import find
from ...engine import Implementation, Layout, Value
from ...torch_engine import TorchImplementation
from ..declarations import Algorithm, Arg
from ..implementation import BUILDERS, PrimitiveImplementation, Request, View
from ..library import Unsupported
from ..memory import MemoryDesc
from ..primitive import Binary, Eltwise, PostOp, Sum

__all__ = ["PATTERNS", "Followed"]


@dataclass(frozen=True)
class Follower:
    """An element-wise operator on the result so far, and on one more array if it is a sum."""

    op: Operator
    params: Params

    @property
    def num_operands(self) -> int:
        return len(self.op.input_names(self.params)) - 1


@dataclass(frozen=True)
class FollowedParams:
    """The parameters of the operator that comes first, and what follows."""

    first: Params
    followers: tuple[Follower, ...]


class Followed(Operator):
    """An operator and others after it, which all work on its one output in turn.

    The inputs are those of the first, and then the other operands of the sums, each of the output's shape.
    """

    def __init__(self, first: Operator) -> None:
        self.first = first
        self.name = f"_fused_{first.name}"
        self.elementwise = first.elementwise

    def split(self, p: FollowedParams) -> int:
        """How many of the inputs belong to the first operator."""
        return len(self.first.input_names(p.first))

    def input_names(self, p):
        operands = sum(follower.num_operands for follower in p.followers)
        return [*self.first.input_names(p.first), *(f"operand{i}" for i in range(operands))]

    def infer_shape(self, p, inputs, outputs):
        count, output = self.split(p), outputs[0]
        for shape in inputs[count:]:
            output = merge(output, shape)
        own, (output,) = self.first.infer_shape(p.first, inputs[:count], [output])
        return [*own, *[output] * (len(inputs) - count)], [output]

    def inplace_pairs(self, p):
        return self.first.inplace_pairs(p.first)

    def unread_inputs(self, p):
        return self.first.unread_inputs(p.first)

    def kernel(self, p, inputs, outputs, env):
        count = self.split(p)
        first = self.first.kernel(p.first, inputs[:count], outputs, env)
        return sequence([first, *_in_turn(p.followers, inputs[count:], outputs[0], env)])


def _in_turn(
    followers: Sequence[Follower], operands: Sequence[torch.Tensor], array: torch.Tensor, env: Environment
) -> list[Callable[[], object]]:
    """Calls that each change ``array`` in place."""
    pending = iter(operands)
    return [
        f.op.kernel(f.params, [array, *(next(pending) for _ in range(f.num_operands))], [array], env)
        for f in followers
    ]


# ---- which operators follow -----------------------------------------------------------------------


def _activation(p: Params) -> Eltwise | None:
    algorithm = {
        "relu": Algorithm.RELU,
        "sigmoid": Algorithm.LOGISTIC,
        "tanh": Algorithm.TANH,
        "softrelu": Algorithm.SOFT_RELU,
    }.get(p.act_type)
    return None if algorithm is None else Eltwise(algorithm, float(algorithm == Algorithm.SOFT_RELU))


def _leaky(p: Params) -> Eltwise | None:
    algorithm = {"leaky": Algorithm.RELU, "elu": Algorithm.ELU}.get(p.act_type)
    return None if algorithm is None else Eltwise(algorithm, p.slope)


#: By operator: the function of one number that it is, None for parameters with which it is none.
_FUNCTIONS: dict[str, Callable[[Params], Eltwise | None]] = {
    "Activation": _activation,
    "LeakyReLU": _leaky,
    "clip": lambda p: Eltwise(Algorithm.CLIP_V2, p.a_min, p.a_max),
    "relu": lambda p: Eltwise(Algorithm.RELU),
    "sigmoid": lambda p: Eltwise(Algorithm.LOGISTIC),
    "tanh": lambda p: Eltwise(Algorithm.TANH),
}
_SUMS = ("elemwise_add", "_grad_add")
_FIRST = (
    "Convolution", "FullyConnected", "_backward_FullyConnected_data", "_backward_FullyConnected_weight", *_SUMS,
)  # fmt: skip
_FOLLOWED = {name: Followed(find(name)) for name in _FIRST}


def _append(node: Node, users: Users) -> Fusion | None:
    follower = Follower(node.op, node.params)
    is_sum = node.op.name in _SUMS
    if not is_sum and _FUNCTIONS[node.op.name](node.params) is None:
        return None
    for position, entry in enumerate(node.inputs):
        before = entry.node
        # The other operand of a sum must not be what is fused; and who has another user cannot be.
        if before.is_variable or set(users(entry)) != {node} or node.inputs.count(entry) > 1:
            continue
        operands = [*node.inputs[:position], *node.inputs[position + 1 :]]
        if isinstance(before.op, Followed):
            op, first, followers = before.op, before.params.first, before.params.followers
        elif before.op.name in _FOLLOWED:
            op, first, followers = _FOLLOWED[before.op.name], before.params, ()
        else:
            continue
        p = FollowedParams(first, (*followers, follower))
        fused = Node(op, node.name, None, [*before.inputs, *operands], p, node.serial)
        return Fusion([before, node], {Entry(node): Entry(fused)})
    return None


PATTERNS = [Pattern((*_FUNCTIONS, *_SUMS), _append)]


# ---- how they run ---------------------------------------------------------------------------------


class _Implementation:
    """A primitive with post-ops, in two versions if one of them is a sum.

    One reads the first operand where it is; the other accumulates into it and is taken if the plan lets the output
    overwrite it. Both work in the same layouts.
    """

    def __init__(self, apart: PrimitiveImplementation, into: PrimitiveImplementation | None, operand: int) -> None:
        self._apart, self._into, self._operand = apart, into, operand
        versions = [apart] if into is None else [apart, into]
        self.input_layouts, self.output_layouts = apart.input_layouts, apart.output_layouts
        self.inplace = [*apart.inplace, *([] if into is None else [(operand, 0)])]
        self.workspace = max(version.workspace for version in versions)
        self.flops, self.name, self.is_reference = apart.flops, apart.name, apart.is_reference

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], None]:
        in_place = self._into is not None and inputs[self._operand].data_ptr() == outputs[0].data_ptr()
        chosen = self._into if in_place else self._apart
        return chosen.kernel(inputs, outputs, workspace, env)
