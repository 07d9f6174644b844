"""Element-wise operators done by the kernel before them, on numbers that it has in its registers anyway.

After a convolution or a product of matrices come activations and sums with other arrays (a residual, the bias of
another layer, a gradient computed before); the library takes them as post-ops. A sum is best had by accumulating into
the other array in place, which is a question of whether anybody else needs that: the memory plan decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch

from ....graph.node import Entry, Node
from ....graph.registry import find
from ....ops.batch_norm import NORMALIZE
from ....ops.kernels import sequence
from ....ops.operator import Environment, Operator
from ....ops.parameter import Params
from ....ops.shapes import merge
from ....passes.fuse import Fusion, Pattern, Users
from ...engine import Implementation, Layout
from ..declarations import Algorithm, Arg
from ..implementation import BUILDERS, Operand, PostOps, PrimitiveImplementation, Request, implements, no_post_ops
from ..library import Unsupported
from ..memory import MemoryDesc
from ..primitive import Binary, Eltwise, PostOp, Sum

__all__ = ["FOLLOWED", "PATTERNS", "Followed", "FollowedParams", "Follower"]


@dataclass(frozen=True)
class Follower:
    """An element-wise operator on the result so far, and on one more array if it is a sum."""

    op: Operator
    params: Params

    @property
    def num_operands(self) -> int:
        return len(self.op.input_names(self.params)) - 1

    @property
    def function(self) -> Eltwise | None:
        """The function of one number that it is, if the library knows it."""
        describe = _FUNCTIONS.get(self.op.name)
        return None if describe is None else describe(self.params)


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
        self.recomputable = first.recomputable

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

    def infer_dtype(self, p, inputs, outputs):
        count, output = self.split(p), outputs[0]
        output = output or next((dtype for dtype in inputs[count:] if dtype), None)
        own, (output,) = self.first.infer_dtype(p.first, inputs[:count], [output])
        return [*own, *[output] * (len(inputs) - count)], [output]

    def inplace_pairs(self, p):
        return self.first.inplace_pairs(p.first)

    def sample_inputs(self, p):
        first = self.first.sample_inputs(p.first)
        return [*first, *range(self.split(p), len(self.input_names(p)))] if first else ()

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
        f.op.kernel(f.params, [array, *(next(pending) for _ in range(f.num_operands))], [array], env) for f in followers
    ]


# ---- which operators follow -----------------------------------------------------------------------


#: The library's own rectifier makes zero of what is not a number, and a training that diverges would seem to go on.
#: ``x * min(max(alpha * x, 0), 1)`` with a huge alpha is a rectifier as well, in as much time, and NaN stays in the x.
RECTIFIER = Eltwise(Algorithm.HARD_SWISH, torch.finfo(torch.float32).max)


def _activation(p: Params) -> Eltwise | None:
    return {
        "relu": RECTIFIER,
        "sigmoid": Eltwise(Algorithm.LOGISTIC),
        "tanh": Eltwise(Algorithm.TANH),
        "softrelu": Eltwise(Algorithm.SOFT_RELU, 1.0),
    }.get(p.act_type)


def _leaky(p: Params) -> Eltwise | None:
    if p.act_type == "leaky":
        return Eltwise(Algorithm.RELU, p.slope) if p.slope else RECTIFIER
    return Eltwise(Algorithm.ELU, p.slope) if p.act_type == "elu" else None


#: By operator: the function of one number that it is, None for parameters with which it is none.
_FUNCTIONS: dict[str, Callable[[Params], Eltwise | None]] = {
    "Activation": _activation,
    "LeakyReLU": _leaky,
    "clip": lambda p: Eltwise(Algorithm.CLIP_V2, p.a_min, p.a_max),
    "relu": lambda p: RECTIFIER,
    "sigmoid": lambda p: Eltwise(Algorithm.LOGISTIC),
    "tanh": lambda p: Eltwise(Algorithm.TANH),
}
_SUMS = ("elemwise_add", "_grad_add")
_PRODUCTS = (
    "Convolution", "Deconvolution",
    "FullyConnected", "_backward_FullyConnected_data", "_backward_FullyConnected_weight",
)  # fmt: skip
#: The library takes 32 post-ops, of which a normalization needs one.
MOST_FOLLOWERS = 31
#: By name: what others may follow.
FOLLOWED = {
    op.name: Followed(op) for op in (*(cast(Operator, find(name)) for name in (*_PRODUCTS, *_SUMS)), NORMALIZE)
}


def _append(node: Node, users: Users) -> Fusion | None:
    appended = _as_followers(node)
    if appended is None:
        return None
    for position, entry in enumerate(node.inputs):
        before = entry.node
        # The other operand of a sum must not be what is fused; and who has another user cannot be.
        if before.is_variable or len(users(entry)) > 1 or node.inputs.count(entry) > 1:
            continue
        operands = [*node.inputs[:position], *node.inputs[position + 1 :]]
        if isinstance(before.op, Followed):
            op, first, followers = before.op, before.params.first, before.params.followers
        elif before.op.name in FOLLOWED:
            op, first, followers = FOLLOWED[before.op.name], before.params, ()
        else:
            continue
        if len(followers) + len(appended) > MOST_FOLLOWERS:
            continue
        p = FollowedParams(first, (*followers, *appended))
        fused = Node(op, f"{before.name}+{node.name}", None, [*before.inputs, *operands], p, node.serial)
        return Fusion([before, node], {Entry(node): Entry(fused)})
    return None


def _as_followers(node: Node) -> tuple[Follower, ...] | None:
    """What the node does to one of its inputs; None if it is nothing that can follow."""
    if isinstance(node.op, Followed):
        return (Follower(node.op.first, node.params.first), *node.params.followers)
    follower = Follower(node.op, node.params)
    # A rectifier with slopes that are learned is neither: its operand is no addend.
    return (follower,) if follower.function is not None or node.op.name in _SUMS else None


PATTERNS = [Pattern((*_FUNCTIONS, *_SUMS, *(FOLLOWED[name].name for name in _SUMS)), _append)]


# ---- how they run ---------------------------------------------------------------------------------


def _implement(request: Request) -> Implementation | None:
    """One primitive if the library has it, or else one for the first operator and torch for what follows."""
    sums = any(f.num_operands for f in request.node.params.followers)
    may_accumulate = sums and request.node.op.first.name in _PRODUCTS
    for accumulate in (True, False) if may_accumulate else (False,):
        try:
            return _in_one(request, accumulate)
        except Unsupported:
            continue
    return _one_by_one(request)


def _first(request: Request, wanted: Layout | None, post_ops: PostOps = no_post_ops) -> Implementation | None:
    """The first operator, with the output in the layout that is wanted if that can be."""
    node = request.node
    count = node.op.split(node.params)
    first = Node(node.op.first, node.name, None, node.inputs[:count], node.params.first, node.serial)
    output = request.outputs[0]._replace(layout=wanted)
    return BUILDERS[first.op.name](Request(first, request.inputs[:count], [output], request.training, post_ops))


def _in_one(request: Request, accumulate: bool) -> Implementation:
    followers = request.node.params.followers
    added = request.inputs[request.node.op.split(request.node.params) :]

    def post_ops(result: MemoryDesc) -> list[PostOp]:
        chain: list[PostOp] = []
        for follower in followers:
            if follower.function is not None:
                chain.append(follower.function)
            elif accumulate and not any(isinstance(post_op, Sum) for post_op in chain):
                chain.append(Sum())
            else:
                chain.append(Binary(Algorithm.ADD, result))
        return chain

    first = _first(request, added[0].layout if added else None, post_ops)
    if not isinstance(first, PrimitiveImplementation):
        raise Unsupported("This operator is no primitive that could have post-ops")
    arguments = [
        Arg.DST if isinstance(post_op, Sum) else Arg.post_op(i)
        for i, post_op in enumerate(post_ops(first.primitive.descs[Arg.DST]), first.own_post_ops)
        if not isinstance(post_op, Eltwise)
    ]
    result = first.results[0]
    operands: list[Operand] = [
        (argument, result[1]) if isinstance(result, tuple) else argument for argument in arguments
    ]
    family = _Accumulation if accumulate else type(first)
    return family(first.primitive, [*first.operands, *operands], first.results)


class _Accumulation(PrimitiveImplementation):
    """A primitive that adds to what its destination holds: an input, in place unless somebody else needs that."""

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], None]:
        run = super().kernel(inputs, outputs, workspace, env)
        augend, output = inputs[self.arguments.index(Arg.DST)], outputs[0]
        if augend.data_ptr() == output.data_ptr():
            return run
        return sequence([partial(output.copy_, augend.view(output.shape)), run])


class _OneByOne:
    """The first operator by the engine, and then the others by torch, in whatever layout that leaves the result."""

    def __init__(self, node: Node, first: Implementation) -> None:
        self._node, self._first = node, first
        layout = first.output_layouts[0]
        added = len(node.inputs) - node.op.split(node.params)
        self.input_layouts = [*first.input_layouts, *[layout] * added]
        self.output_layouts = first.output_layouts
        self.inplace, self.workspace, self.flops = first.inplace, first.workspace, first.flops
        self.name, self.is_reference = f"{first.name}, torch", first.is_reference

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], None]:
        p, count = self._node.params, self._node.op.split(self._node.params)
        first = self._first.kernel(inputs[:count], outputs, workspace, env)
        return sequence([first, *_in_turn(p.followers, inputs[count:], outputs[0], env)])


def _one_by_one(request: Request) -> Implementation | None:
    try:
        first = _first(request, None)
    except Unsupported:
        return None
    if first is None:
        return None
    layout = first.output_layouts[0]
    # Torch's functions do not leave the padding of a layout alone.
    return _OneByOne(request.node, first) if layout is None or layout.is_dense else None


implements(*(op.name for op in FOLLOWED.values()))(_implement)
