"""The two ways to bind a symbol: to arrays made here, or to the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..base import MXNetError
from ..context import Context, cpu, current_context
from ..dtype import as_torch, name_of
from ..garbage import collector_paused
from ..graph.node import Node, post_order
from ..graph.symbol import Symbol
from ..ndarray import NDArray
from ..ndarray.memory import zeros
from ..ops.shapes import is_known, product
from ..passes.infer import infer_dtypes, infer_shapes, require_complete
from .executor import Executor

__all__ = ["bind", "simple_bind"]

Shape = tuple[int, ...]
GRAD_REQS = ("null", "write", "add")
#: Before the name of an argument, what its gradient is called among shared arrays.
GRADIENT = "grad of "


def _requests(grad_req: Any, names: Sequence[str]) -> list[str]:
    """``grad_req`` as one word per argument."""
    if isinstance(grad_req, str):
        requests = [grad_req] * len(names)
    elif isinstance(grad_req, Mapping):
        # Like the dictionaries of arrays, it may say more than this network asks: that of a layer without its bias.
        requests = [grad_req.get(name, "null") for name in names]
    elif isinstance(grad_req, Sequence):
        if len(grad_req) != len(names):
            raise ValueError(f"grad_req has {len(grad_req)} entries for {len(names)} arguments")
        requests = list(grad_req)
    else:
        raise TypeError(f"grad_req must be a str, list or dict, not {type(grad_req).__name__}")
    for name, request in zip(names, requests):
        if request not in GRAD_REQS:
            raise ValueError(f"grad_req of {name} must be in {GRAD_REQS}, not {request!r}")
    return requests


def _refuse_duplicates(symbol: Symbol, error: str) -> None:
    names = symbol.list_inputs()
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise MXNetError(f"{error}: these names belong to more than one variable: {twice}")


def _placement(ctx: Context, group2ctx: Mapping[str, Context] | None) -> Callable[[Node], Context]:
    """From a variable to its context: that of the ``ctx_group`` in whose scope it was made, or else ``ctx``."""
    for group, other in (group2ctx or {}).items():
        if other.device != ctx.device:
            raise MXNetError(
                f"group2ctx places {group!r} on {other}, but the executor is on {ctx}: one executor runs on one device"
            )
    places = dict(group2ctx or {})
    return lambda node: places.get(node.attrs.get("__ctx_group__", ""), ctx)


@torch.inference_mode(False)
@collector_paused()
def simple_bind(
    symbol: Symbol,
    ctx: Context | None = None,
    grad_req: Any = "write",
    type_dict: Mapping[str, Any] | None = None,
    stype_dict: Mapping[str, str] | None = None,
    group2ctx: Mapping[str, Context] | None = None,
    shared_arg_names: Sequence[str] | None = None,
    shared_exec: Executor | None = None,
    shared_buffer: dict[str, NDArray] | None = None,
    **kwargs: Shape,
) -> Executor:
    """Infer every shape from those in ``kwargs``, allocate zero-filled arrays, and bind.

    ``type_dict`` gives element types by name (float32 where nothing says otherwise). ``shared_exec`` is an executor
    whose arena, and whose arrays named in ``shared_arg_names``, are used again where they fit; ``shared_buffer`` is a
    dict of arrays by name that is used and extended for the rest: arguments by their names, and their gradients, as
    ``"grad of x"``. Raises MXNetError if shapes or types cannot be decided or disagree. ``stype_dict`` is accepted, and
    every array is dense. ``group2ctx`` gives the contexts of the arrays of each ``ctx_group``; all must be on the
    device of ``ctx``.
    """
    ctx = ctx or current_context()
    context_of = _placement(ctx, group2ctx)
    names = symbol.list_arguments()
    requests = _requests(grad_req, names)
    try:
        _refuse_duplicates(symbol, "Input argument NDArray cannot be un-allocated")
        order = post_order(symbol.entries)
        unknown = [name for name in kwargs if name not in symbol.list_inputs()]
        if unknown:
            raise MXNetError(f"Keyword argument name {unknown[0]} not found; the inputs are {symbol.list_inputs()}")
        variables = [node for node in order if node.is_variable]
        shapes = infer_shapes(order, {n: tuple(kwargs[n.name]) for n in variables if n.name in kwargs})
        dtypes = _default_dtypes(order, variables, type_dict or {})
        undecided = [n.name for n in variables if not is_known(shapes[n][0])]
        if undecided:
            raise MXNetError(f"Cannot decide the shapes of {undecided}")
        require_complete(order, shapes, dtypes)
    except MXNetError as error:
        listed = "".join(f"\n{name}: {shape}" for name, shape in kwargs.items())
        raise MXNetError(f"simple_bind error. Arguments:{listed}\n{error}") from error

    for name, array in (shared_buffer or {}).items():
        wanted = next((dtypes[n][0] for n in variables if n.name == name.removeprefix(GRADIENT)), array.storage.dtype)
        if array.storage.dtype != wanted:
            raise MXNetError(
                f"simple_bind error. shared_buffer has {name} as {name_of(array.storage.dtype)}, "
                f"but the network asks for {name_of(wanted)}"
            )

    device = ctx.device
    shared_args = {} if shared_exec is None else {n: shared_exec.arg_dict.get(n) for n in shared_arg_names or ()}
    shared_grads = {} if shared_exec is None else {n: shared_exec.grad_dict.get(n) for n in shared_arg_names or ()}

    def array_of(node: Node, shared: Mapping[str, NDArray | None], pool: dict[str, NDArray], name: str) -> NDArray:
        """One of ``shared``, or else a part of that in ``pool`` under ``name``, or a new one, which goes there."""
        shape, dtype = shapes[node][0], dtypes[node][0]
        assert is_known(shape)
        array = shared.get(node.name)
        if array is not None and array.shape == shape and array.storage.dtype == dtype:
            return array
        if node.name in shared:
            pool = {}
        pooled = pool.get(name)
        if pooled is not None and pooled.size >= product(shape):
            if pooled.shape == shape:
                return pooled
            return NDArray(pooled.tensor.view(-1)[: product(shape)].view(shape), context_of(node))
        pool[name] = NDArray(zeros(shape, dtype, device), context_of(node))
        return pool[name]

    arguments, auxiliary = symbol._variables(auxiliary=False), symbol._variables(auxiliary=True)
    pool = {} if shared_buffer is None else shared_buffer
    args = [array_of(n, shared_args, pool, n.name) for n in arguments]
    grads = [
        None if request == "null" else array_of(n, shared_grads, pool, GRADIENT + n.name)
        for n, request in zip(arguments, requests)
    ]
    aux_shared = {} if shared_exec is None else shared_exec.aux_dict
    auxes = [array_of(n, aux_shared, {}, n.name) for n in auxiliary]
    return Executor(symbol, ctx, args, grads, requests, auxes, shared=shared_exec)


def _default_dtypes(
    order: Sequence[Node], variables: Sequence[Node], type_dict: Mapping[str, Any]
) -> dict[Node, list[torch.dtype]]:
    """Types of all values; a variable about which nothing is said or implied is float32."""
    given = {n: as_torch(type_dict[n.name]) for n in variables if n.name in type_dict}
    dtypes = infer_dtypes(order, given)
    undecided = [n for n in variables if dtypes[n][0] is None]
    if undecided:
        given.update(dict.fromkeys(undecided, torch.float32))
        dtypes = infer_dtypes(order, given)
    return dtypes  # type: ignore[return-value]


def bind(
    symbol: Symbol,
    ctx: Context,
    args: Any,
    args_grad: Any = None,
    grad_req: Any = "write",
    aux_states: Any = None,
    group2ctx: Mapping[str, Context] | None = None,
    shared_exec: Executor | None = None,
) -> Executor:
    """Bind to the caller's arrays, given as lists in list order or as dicts by name.

    ``args`` and ``aux_states`` must be complete (extra keys of a dict are ignored); ``args_grad`` may leave out
    arguments, which then get no gradient. Of a sparse array the executor has a dense copy.
    """
    if not isinstance(ctx, Context):
        raise TypeError(f"Context type error: expected a Context such as {cpu()}, not {ctx!r}")
    _placement(ctx, group2ctx)
    names, states = symbol.list_arguments(), symbol.list_auxiliary_states()
    _refuse_duplicates(symbol, "arg_names.size() == in_args_map.size()")
    arg_arrays = _in_order("args", args, names, required=True)
    grad_arrays = _in_order("args_grad", args_grad, names, required=False)
    aux_arrays = _in_order("aux_states", aux_states if aux_states is not None else [], states, required=True)
    requests = _requests(grad_req, names)
    return Executor(  # the lists that must be complete are
        symbol, ctx, arg_arrays, grad_arrays, requests, aux_arrays, shared=shared_exec  # type: ignore[arg-type]
    )


def _in_order(what: str, arrays: Any, names: Sequence[str], required: bool) -> list[NDArray | None]:
    """``arrays`` (list or dict) as a list in the order of ``names``."""
    if arrays is None:
        listed: list[NDArray | None] = [None] * len(names)
    elif isinstance(arrays, Mapping):
        missing = [name for name in names if name not in arrays]
        if missing and required:
            raise ValueError(f"key `{missing[0]}` is missing in `{what}`")
        listed = [arrays.get(name) for name in names]
    elif isinstance(arrays, (list, tuple)):
        if len(arrays) != len(names):
            raise ValueError(
                f"Length of {what} does not match the number of arguments: {len(arrays)} given, {len(names)} expected"
            )
        listed = list(arrays)
    else:
        raise TypeError(
            f"Only accept list of NDArrays or dict of str to NDArray as {what}, not {type(arrays).__name__}"
        )
    for name, array in zip(names, listed):
        if not isinstance(array, NDArray) and not (array is None and not required):
            raise TypeError(f"`{what}` must hold NDArrays: {name} is {array!r}")
        if array is not None and array.stype != "default" and not required:
            raise MXNetError(f"Gradients are computed densely, but `{what}` has a {array.stype} array for {name}")
    return [array if array is None or array.stype == "default" else array.tostype("default") for array in listed]
