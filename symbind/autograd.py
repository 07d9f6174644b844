"""``mx.autograd``: gradients of imperative code.

While :func:`record` is on, calls on arrays build the graph that symbols are made of (see
:mod:`symbind.ndarray.recording`). :func:`backward` hands that graph to the gradient pass, which networks are
differentiated by, and runs what the pass returns on the numbers that the calls have computed. With ``create_graph`` the
gradient is a graph to be differentiated again.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch

from .base import MXNetError
from .graph.node import Entry, Node, execution_order, post_order
from .graph.symbol import Symbol
from .ndarray import NDArray
from .ndarray.functions import compute
from .ndarray.recording import Leaf, Values, leaves, make_leaf, mode, values
from .ndarray.recording import record as remember
from .ops.operator import Operator
from .passes.gradient import build_gradient

__all__ = [
    "Function", "backward", "get_symbol", "grad", "is_recording", "is_training", "mark_variables", "pause",
    "predict_mode", "record", "set_recording", "set_training", "train_mode",
]  # fmt: skip

REQUESTS = ("null", "write", "add")
NOT_IN_A_GRAPH = (
    "Cannot differentiate node because it is not in a computational graph. You need to set is_recording to true or use "
    "autograd.record() to save computational graphs for backward. If you want to differentiate the same graph twice, "
    "you need to pass retain_graph=True to backward."
)


# ---- modes ---------------------------------------------------------------------------------------------------------


def is_recording() -> bool:
    """Whether calls of this thread are recorded."""
    return mode.recording


def is_training() -> bool:
    """Whether operators that this thread calls run as in training."""
    return mode.training


def set_recording(is_recording: bool) -> bool:
    """Turn recording on or off in this thread; returns what it was."""
    before, mode.recording = mode.recording, bool(is_recording)
    return before


def set_training(train_mode: bool) -> bool:
    """Have operators of this thread run as in training, or as in prediction; returns what it was."""
    before, mode.training = mode.training, bool(train_mode)
    return before


class _Scope:
    """Sets the modes that are not None for a ``with`` block."""

    def __init__(self, recording: bool | None, training: bool | None) -> None:
        self._wanted = (recording, training)
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((mode.recording, mode.training))
        recording, training = self._wanted
        if recording is not None:
            mode.recording = recording
        if training is not None:
            mode.training = training

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mode.recording, mode.training = self._before.pop()


def record(train_mode: bool = True) -> _Scope:
    """A ``with`` block in which calls are recorded, and operators run as in training."""
    return _Scope(True, train_mode)


def pause(train_mode: bool = False) -> _Scope:
    """A ``with`` block in which calls are not recorded, and operators run as in prediction."""
    return _Scope(False, train_mode)


def train_mode() -> _Scope:
    """A ``with`` block in which operators run as in training."""
    return _Scope(None, True)


def predict_mode() -> _Scope:
    """A ``with`` block in which operators run as in prediction."""
    return _Scope(None, False)


# ---- gradients -----------------------------------------------------------------------------------------------------


def mark_variables(variables: Any, gradients: Any, grad_reqs: str | Sequence[str] = "write") -> None:
    """Make arrays variables whose gradients go into the arrays ``gradients``.

    ``grad_reqs`` is ``'write'``, ``'add'`` or ``'null'``, for all or one for each. ValueError if counts, shapes or
    requests are wrong.
    """
    variables, gradients = _listed(variables), _listed(gradients)
    requests = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else list(grad_reqs)
    if not len(variables) == len(gradients) == len(requests):
        raise ValueError(f"{len(variables)} variables, {len(gradients)} gradients and {len(requests)} requests")
    for variable, gradient, request in zip(variables, gradients, requests):
        if request not in REQUESTS:
            raise ValueError(f"grad_req must be one of {REQUESTS}, not {request!r}")
        if variable.shape != gradient.shape:
            raise ValueError(f"A gradient of shape {gradient.shape} for a variable of shape {variable.shape}")
    for variable, gradient, request in zip(variables, gradients, requests):
        make_leaf(variable, gradient, request)


def backward(heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """Compute the gradient of ``heads`` with respect to all variables that they were computed from.

    It goes into the buffers that :meth:`NDArray.attach_grad` or :func:`mark_variables` made.

    Parameters
    ----------
    heads : NDArray or list of them
    head_grads : for each head the gradient that reaches it, ones where it is None
    retain_graph : keep what the graph has computed, so that it can be differentiated again
    train_mode : whether operators run as in training

    Raises MXNetError if a head was not recorded, or no variable wants a gradient.
    """
    entries = _entries(_listed(heads))
    order = post_order(entries)
    wanted = {node: leaves[node] for node in order if node in leaves and leaves[node].request != "null"}
    if not wanted:
        raise MXNetError("There are no inputs in computation graph that require gradients.")
    found = _differentiate(entries, _head_gradients(entries, head_grads), list(wanted), train_mode)
    for node, leaf in wanted.items():
        _store(leaf, found.get(node))
    if not retain_graph:
        _forget(order)


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[NDArray]:
    """The gradients of ``heads`` with respect to ``variables``, as new arrays; no buffer is touched.

    With ``create_graph`` the gradients belong to a graph of their own and can be differentiated again. Other
    parameters as for :func:`backward`; the graph is retained by default if ``create_graph`` is set.

    Raises MXNetError if a head was not recorded, or a variable is none or no head depends on it.
    """
    arrays = _listed(variables)
    entries = _entries(_listed(heads))
    nodes = []
    for number, array in enumerate(arrays, 1):
        if array._entry is None or array._entry.node not in leaves:
            raise MXNetError(
                f"Cannot differentiate with respect to the {number}-th variable because it does not require gradient; "
                "call its attach_grad() before recording"
            )
        nodes.append(array._entry.node)
    graph: dict[Node, Entry] | None = {} if create_graph else None
    found = _differentiate(entries, _head_gradients(entries, head_grads), nodes, train_mode, graph)
    results = []
    for number, (node, array) in enumerate(zip(nodes, arrays), 1):
        if node not in found:
            raise MXNetError(
                f"Cannot differentiate with respect to the {number}-th variable because it is unreachable from the "
                "outputs."
            )
        result = NDArray(found[node].contiguous(), array.context)
        result._entry = None if graph is None else graph[node]
        results.append(result)
    if not (create_graph if retain_graph is None else retain_graph):
        _forget(post_order(entries))
    return results


def get_symbol(x: NDArray) -> Symbol:
    """The graph that ``x`` was computed by. MXNetError if it was not recorded."""
    return Symbol(_entries([x], computed=False))


def _listed(arrays: Any) -> list[NDArray]:
    listed = [arrays] if isinstance(arrays, NDArray) else list(arrays)
    for array in listed:
        if not isinstance(array, NDArray):
            raise TypeError(f"Expected NDArrays, got {type(array).__name__}")
    return listed


def _entries(heads: Sequence[NDArray], computed: bool = True) -> list[Entry]:
    """What the heads are in their graph, the numbers of which must still be there if it is to be ``computed``."""
    entries = [head._entry for head in heads]
    known = [entry for entry in entries if entry is not None]
    if len(known) < len(entries) or (computed and any(node not in values for node in post_order(known))):
        raise MXNetError(NOT_IN_A_GRAPH)
    return known


def _head_gradients(entries: Sequence[Entry], given: Any) -> list[torch.Tensor]:
    """The gradients that reach the heads; ones where nothing is said."""
    listed = [None] * len(entries) if given is None else [given] if isinstance(given, NDArray) else list(given)
    if len(listed) != len(entries):
        raise ValueError(f"{len(listed)} head gradients for {len(entries)} heads")
    tensors = []
    for entry, gradient in zip(entries, listed):
        head = _value(entry)
        if gradient is not None and gradient.tensor.shape != head.shape:
            raise MXNetError(f"A head gradient of shape {gradient.shape} for a head of shape {tuple(head.shape)}")
        tensors.append(torch.ones_like(head) if gradient is None else gradient.tensor.to(head.dtype))
    return tensors


def _value(entry: Entry) -> torch.Tensor:
    return values[entry.node].tensors[entry.index]


def _ran_in_training(node: Node) -> bool:
    """Whether the operator that ``node`` is part of the gradient of was recorded in training mode.

    Gradients that depend on the mode read what their operator computed, and nothing that was recorded after it.
    """
    read = (entry.node for entry in node.inputs if entry.node.op is not None and entry.node in values)
    latest = max(read, key=lambda recorded: recorded.serial, default=None)
    return latest is None or values[latest].is_train


def _differentiate(
    entries: Sequence[Entry],
    head_gradients: Sequence[torch.Tensor],
    wanted: Sequence[Node],
    is_train: bool,
    graph: dict[Node, Entry] | None = None,
) -> dict[Node, torch.Tensor]:
    """The gradients with respect to those variables that the heads depend on.

    If ``graph`` is given it takes the entries of the gradients, and all numbers on the way to them are kept.
    """
    gradient = build_gradient(entries, wanted)
    for variable, tensor in zip(gradient.head_gradients, head_gradients):
        if variable is not None:
            values[variable.node] = Values([tensor])
    order = [node for node in execution_order(gradient.of.values()) if node not in values]
    results = list(gradient.of.values())
    uses = Counter([entry for node in order for entry in node.inputs] + results)
    computed: dict[Entry, torch.Tensor] = {}

    def value(entry: Entry) -> torch.Tensor:
        return computed[entry] if entry in computed else _value(entry)

    device = head_gradients[0].device
    for node in order:
        in_training = is_train and _ran_in_training(node)
        tensors = compute(node.op, node.params, [value(entry) for entry in node.inputs], device, in_training)
        computed.update((Entry(node, i), tensor) for i, tensor in enumerate(tensors))
        if graph is not None:
            values[node] = Values(tensors)
            continue
        # What nobody needs any more makes room.
        for entry in node.inputs:
            uses[entry] -= 1
            if not uses[entry]:
                computed.pop(entry, None)
    if graph is not None:
        graph.update(gradient.of)
    return {node: value(entry) for node, entry in gradient.of.items()}


def _store(leaf: Leaf, gradient: torch.Tensor | None) -> None:
    """Into the buffer of a variable; a variable that no gradient reaches has gradient zero."""
    buffer = leaf.gradient.tensor
    if leaf.request == "add":
        if gradient is not None:
            buffer.add_(gradient)
    elif gradient is None:
        buffer.zero_()
    else:
        buffer.copy_(gradient)


def _forget(order: Sequence[Node]) -> None:
    """Let go of what a graph has computed; its variables remain."""
    for node in order:
        if not node.is_variable:
            values.pop(node, None)


# ---- functions of one's own ----------------------------------------------------------------------------------------


class Function:
    """A function whose gradient is written by hand.

    A subclass has ``forward(self, *inputs)`` and ``backward(self, *output_gradients)``, which both take and return
    NDArrays; what backward needs of forward is handed over by :meth:`save_for_backward`. Neither is recorded. An
    instance is called once::

        class Sigmoid(mx.autograd.Function):
            def forward(self, x):
                y = 1 / (1 + mx.nd.exp(-x))
                self.save_for_backward(y)
                return y

            def backward(self, dy):
                y, = self.saved_tensors
                return dy * y * (1 - y)

        with mx.autograd.record():
            y = Sigmoid()(x)
    """

    def __init__(self) -> None:
        self._was_called = False
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *args: Any) -> None:
        """Keep arrays for backward, which finds them in ``saved_tensors``."""
        self.saved_tensors = args

    def __call__(self, *inputs: NDArray) -> Any:
        if self._was_called:
            raise MXNetError("Each Function instance can only be called once. Please create another instance.")
        self._was_called = True
        arrays = _listed(inputs)
        with pause(mode.training):
            returned = self.forward(*arrays)
        # Arrays of their own: what forward returns may be its input.
        results = [output.detach() for output in _listed(returned)]
        operator = _FunctionOperator(self, arrays, results)
        remember(operator, operator.parse({}), {}, arrays, [result.tensor for result in results], results)
        return results[0] if isinstance(returned, NDArray) else results

    def forward(self, *inputs: NDArray) -> Any:
        """One NDArray or several, computed from ``inputs``."""
        raise NotImplementedError(f"{type(self).__name__} must override forward")

    def backward(self, *output_grads: NDArray) -> Any:
        """The gradient of each input, from those of the outputs."""
        raise NotImplementedError(f"{type(self).__name__} must override backward")


class _FunctionOperator(Operator):
    """One call of a :class:`Function`, as a node of the graph."""

    def __init__(self, function: Function, inputs: Sequence[NDArray], outputs: Sequence[NDArray]) -> None:
        self.function = function
        self.name = type(function).__name__
        self.sources = [array.tensor for array in inputs]
        self.contexts = [array.context for array in outputs]
        self.inputs = [f"input{i}" for i in range(len(inputs))]

    def num_outputs(self, p):
        return len(self.contexts)

    def gradient(self, p, x, y, dy):
        backward = _FunctionGradient(self)
        node = Node(backward, f"{self.name}_backward", {}, [head.entries[0] for head in dy])
        return [Symbol([Entry(node, i)]) for i in range(len(x))]


class _FunctionGradient(Operator):
    """The gradient of one call, as its author has written it."""

    def __init__(self, call: _FunctionOperator) -> None:
        self.call = call
        self.name = f"_backward_{call.name}"
        self.inputs = [f"head_grad{i}" for i in range(len(call.contexts))]

    def num_outputs(self, p):
        return len(self.call.sources)

    def infer_shape(self, p, inputs, outputs):
        return inputs, [tuple(source.shape) for source in self.call.sources]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [source.dtype for source in self.call.sources]

    def kernel(self, p, inputs, outputs, env):
        return lambda: self._run(inputs, outputs, env.is_train)

    def _run(self, heads: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], is_train: bool) -> None:
        function = self.call.function
        arrays = [NDArray(head, context) for head, context in zip(heads, self.call.contexts)]
        try:
            with pause(is_train):
                gradients = _listed(function.backward(*arrays))
        except Exception as error:
            raise MXNetError(f"Error in {self.call.name}.backward:\n{traceback.format_exc()}") from error
        if len(gradients) != len(outputs):
            raise MXNetError(
                f"{self.call.name}.backward returned {len(gradients)} gradients for {len(outputs)} inputs"
            )
        for number, (gradient, output) in enumerate(zip(gradients, outputs)):
            if gradient.tensor.shape != output.shape:
                raise MXNetError(
                    f"{self.call.name}.backward returned a gradient of shape {gradient.shape} for input {number} of "
                    f"shape {tuple(output.shape)}"
                )
            output.copy_(gradient.tensor)
