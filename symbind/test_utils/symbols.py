"""What a symbol computes, forward and backward, compared with what it should.

Arguments are given by ``location``: a dict by name, or a list in the order of ``list_arguments()``, of NumPy arrays or
NDArrays; auxiliary states likewise. ``dtype`` is the type that NumPy arrays are given, ``"asnumpy"`` leaves them
their own.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..context import Context, current_context
from ..graph.symbol import Symbol, var
from ..graph.symbol import apply as apply_operator
from ..ndarray import NDArray, array, waitall, zeros
from ..runtime.executor import Executor
from .comparison import assert_almost_equal
from .tolerance import Tolerance, default_numeric_eps, get_tolerance, get_tols

__all__ = [
    "check_consistency", "check_numeric_gradient", "check_speed", "check_symbolic_backward",
    "check_symbolic_forward", "numeric_grad", "simple_forward",
]  # fmt: skip

#: Arrays by name, or in list order.
Arrays = Mapping[str, Any] | Sequence[Any]


# ---- forward -------------------------------------------------------------------------------------------------------


def simple_forward(
    sym: Symbol, ctx: Context | None = None, is_train: bool = False, **inputs: Any
) -> np.ndarray | list[np.ndarray]:
    """The outputs of ``sym`` for the given arguments, as NumPy arrays: a list, or the array if there is one output."""
    ctx = ctx or current_context()
    executor = sym.bind(ctx, {name: array(value, ctx) for name, value in inputs.items()})
    outputs = [output.asnumpy() for output in executor.forward(is_train=is_train)]
    return outputs[0] if len(outputs) == 1 else outputs


def check_symbolic_forward(
    sym: Symbol,
    location: Arrays,
    expected: Arrays,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    aux_states: Arrays | None = None,
    ctx: Context | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> list[NDArray]:
    """AssertionError unless the outputs, in inference mode, are ``expected`` (a list, or a dict by output name).

    Returns the outputs.
    """
    ctx = ctx or current_context()
    names = sym.list_outputs()
    executor = sym.bind(ctx, _arguments(sym, location, ctx, dtype), aux_states=_states(sym, aux_states, ctx, dtype))
    outputs = executor.forward(is_train=False)
    for name, wanted, output in zip(names, _in_order("expected", expected, names), outputs):
        assert_almost_equal(wanted, output, rtol, atol, (f"EXPECTED_{name}", f"FORWARD_{name}"), equal_nan)
    return outputs


# ---- backward ------------------------------------------------------------------------------------------------------


def check_symbolic_backward(
    sym: Symbol,
    location: Arrays,
    out_grads: Arrays | None,
    expected: Arrays,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    aux_states: Arrays | None = None,
    grad_req: Any = "write",
    ctx: Context | None = None,
    grad_stypes: Mapping[str, str | None] | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> dict[str, NDArray]:
    """AssertionError unless the gradients for the head gradients ``out_grads`` are ``expected``.

    Parameters
    ----------
    out_grads : a list, or a dict by output name; None if every output is a loss.
    expected : the gradients, in the order of ``list_arguments()`` or by name; arguments left out get none.
    grad_req : ``'write'``, ``'add'`` or ``'null'``, for all or for each. The buffers hold random numbers before: to
        these the gradient must be added, or they must stay.
    grad_stypes : the storages of gradients, by name.

    Returns the gradient buffers by name.
    """
    ctx = ctx or current_context()
    names = sym.list_arguments()
    wanted = dict(expected) if isinstance(expected, Mapping) else dict(zip(names, expected))
    requests = _requests(grad_req, names)
    before = {name: np.random.normal(size=np.shape(wanted[name])) for name in sorted(wanted)}
    stypes = {name: (grad_stypes or {}).get(name) or "default" for name in wanted}
    grads = {}
    for name, noise in before.items():
        kind = wanted[name].dtype if dtype == "asnumpy" else dtype
        if stypes[name] == "default":
            grads[name] = array(noise, ctx, kind)
        else:
            grads[name] = zeros(noise.shape, ctx, kind, stypes[name])
            before[name] = np.zeros_like(noise)
    executor = sym.bind(
        ctx, _arguments(sym, location, ctx, dtype), grads, {name: requests[name] for name in wanted},
        _states(sym, aux_states, ctx, dtype),
    )  # fmt: skip
    executor.forward(is_train=True)
    executor.backward(_head_gradients(out_grads, ctx, dtype))
    for name, grad in grads.items():
        labels = (f"EXPECTED_{name}", f"BACKWARD_{name}")
        _check_gradient(wanted[name], grad, before[name], requests[name], rtol, atol, labels, equal_nan)
    return grads


def check_numeric_gradient(
    sym: Symbol,
    location: Arrays,
    aux_states: Arrays | None = None,
    numeric_eps: Tolerance = None,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    grad_nodes: Sequence[str] | Mapping[str, str] | None = None,
    use_forward_train: bool = True,
    ctx: Context | None = None,
    grad_stype_dict: Mapping[str, str] | None = None,
    dtype: Any = np.float32,
) -> None:
    r"""AssertionError unless the gradient is what finite differences say.

    With fixed random weights :math:`p \in [0.1, 1.1)`, the gradients of :math:`\sum p \odot y` for the one output
    :math:`y` are compared with those of :func:`numeric_grad`.

    Parameters
    ----------
    numeric_eps : the step; None for the default of the output's type.
    grad_nodes : the arguments to look at, or a dict of ``grad_req`` by argument; None for all.
    use_forward_train : whether the differences are those of the training mode.
    grad_stype_dict : the storages of gradients, by name.
    """
    ctx = ctx or current_context()
    arguments = _arguments(sym, location, ctx, dtype)
    states = _states(sym, aux_states, ctx, dtype)
    requests = dict(grad_nodes) if isinstance(grad_nodes, Mapping) else dict.fromkeys(
        sym.list_arguments() if grad_nodes is None else grad_nodes, "write"
    )  # fmt: skip
    (output_shape,) = sym.infer_shape(**{name: value.shape for name, value in arguments.items()})[1]
    weights = "__random_proj"
    loss = apply_operator("make_loss", apply_operator("_mul", sym, var(weights)))
    arguments[weights] = array(np.random.uniform(0.1, 1.1, output_shape), ctx, dtype)
    before = {name: np.random.normal(0, 0.01, arguments[name].shape) for name in requests}
    grads = {}
    for name, noise in before.items():
        stype = (grad_stype_dict or {}).get(name, "default")
        grads[name] = array(noise, ctx, dtype) if stype == "default" else zeros(noise.shape, ctx, dtype, stype)
    executor = loss.bind(ctx, arguments, grads, requests, states)
    values = {name: value.asnumpy() for name, value in arguments.items() if name in requests}
    state_values = {name: value.asnumpy() for name, value in states.items()}

    (output,) = executor.forward(is_train=True)
    executor.backward()
    # The runs of the differences below leave the gradients as they are.
    step = get_tolerance(output, numeric_eps, default_numeric_eps())
    numeric = numeric_grad(executor, values, state_values, step, use_forward_train, dtype)
    for name, request in requests.items():
        labels = (f"NUMERICAL_{name}", f"BACKWARD_{name}")
        _check_gradient(numeric[name], grads[name], before[name], request, rtol, atol, labels, False)


def numeric_grad(
    executor: Executor,
    location: Mapping[str, Any],
    aux_states: Mapping[str, Any] | None = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = np.float32,
) -> dict[str, np.ndarray]:
    r"""The gradients of the sum of the first output by central differences, :math:`(f(x+h/2) - f(x-h/2))/h`.

    Parameters
    ----------
    executor : where forward is run; its arguments are set to ``location``, and are that again in the end.
    location : where, and by which arguments. The derivative by integers is 0.
    aux_states : what the auxiliary states are before every run.
    eps : the step :math:`h`.
    """
    values = {name: np.array(value, order="C") for name, value in location.items()}
    for name, value in values.items():
        executor.arg_dict[name][:] = value
    gradients = {name: np.zeros(value.shape, dtype) for name, value in values.items()}

    def output(argument: NDArray, value: np.ndarray) -> np.ndarray:
        argument[:] = value
        for name, state in (aux_states or {}).items():
            executor.aux_dict[name][:] = state
        return executor.forward(is_train=use_forward_train)[0].asnumpy()

    for name, value in values.items():
        if value.dtype.kind != "f":
            continue
        argument, flat, gradient = executor.arg_dict[name], value.reshape(-1), gradients[name].reshape(-1)
        for i, old in enumerate(flat.copy()):
            flat[i] = old + eps / 2
            above = output(argument, value)
            flat[i] = old - eps / 2
            below = output(argument, value)
            flat[i] = old
            # Differences first: the sums themselves would swallow them.
            gradient[i] = (above - below).sum() / eps
        argument[:] = value
    return gradients


# ---- several executors, and speed ----------------------------------------------------------------------------------


def check_consistency(
    sym: Symbol | Sequence[Symbol],
    ctx_list: Sequence[Mapping[str, Any]],
    scale: float = 1.0,
    grad_req: Any = "write",
    arg_params: dict[str, Any] | None = None,
    aux_params: dict[str, Any] | None = None,
    rtol: Tolerance = None,
    atol: Tolerance = None,
    raise_on_err: bool = True,
    ground_truth: Mapping[str, Any] | None = None,
    equal_nan: bool = False,
    use_uniform: bool = False,
    rand_type: Any = np.float64,
) -> Mapping[str, Any]:
    """AssertionError unless a symbol gives the same on several contexts or in several types, forward and backward.

    Parameters
    ----------
    sym : one symbol, or one for each context, with the same arguments and outputs.
    ctx_list : the keywords of ``simple_bind`` for each: ``ctx``, shapes by name, ``type_dict``.
    scale, use_uniform, rand_type : arguments are normal with this deviation, or uniform in ±0.92 ``scale``, and are
        rounded to this type.
    arg_params, aux_params : arguments and auxiliary states that are given; other states are 0.
    raise_on_err : if false, print what differs and go on.
    ground_truth : what to compare with, by output and argument name: otherwise what the most precise of them gives.

    Returns what was compared with. Head gradients are the outputs of the first, rounded to the coarsest type.
    """
    symbols = [sym] * len(ctx_list) if isinstance(sym, Symbol) else list(sym)
    if len(ctx_list) < 2 or len(symbols) != len(ctx_list):
        raise ValueError(f"There is nothing to compare: {len(symbols)} symbols on {len(ctx_list)} contexts")
    names, outputs = symbols[0].list_arguments(), symbols[0].list_outputs()
    for other in symbols[1:]:
        if (other.list_arguments(), other.list_outputs()) != (names, outputs):
            raise ValueError(
                f"The symbols differ: {names} -> {outputs} and {other.list_arguments()} -> {other.list_outputs()}"
            )
    executors = [s.simple_bind(grad_req=grad_req, **keywords) for s, keywords in zip(symbols, ctx_list)]
    _fill(executors, scale, dict(arg_params or {}), dict(aux_params or {}), use_uniform, rand_type)

    precision = [np.dtype(executor.outputs[0].dtype) for executor in executors]
    best = max(range(len(executors)), key=lambda i: precision[i].itemsize)

    def compare(i: int, title: str, values: Mapping[str, NDArray | None]) -> None:
        for name, value in values.items():
            wanted = truth[name]
            if value is None or wanted is None:
                if value is not wanted:
                    raise AssertionError(f"{title}: {name} is there on one context, and None on the other")
                continue
            # The gradient of a float32 parameter that meets float16 data is no more precise than that.
            coarse = [_coarser(value, precision[i]), _coarser(wanted, precision[best])]
            try:
                assert_almost_equal(value, wanted, *get_tols(coarse[0], coarse[1], rtol, atol), equal_nan=equal_nan)
            except AssertionError as error:
                message = f"{title} Err: ctx {i} vs ctx {best} at {name}: {error}"
                if raise_on_err:
                    raise AssertionError(message) from error
                print(message)
                traceback.print_exc()

    for executor in executors:
        executor.forward(is_train=False)
    truth: Mapping[str, Any] = ground_truth or {**executors[best].output_dict, **executors[best].grad_dict}
    others = [i for i in range(len(executors)) if i != best]
    for i in others:
        compare(i, "Predict", executors[i].output_dict)
    if grad_req != "null":
        for executor in executors:
            executor.forward(is_train=True)
        columns = zip(*(executor.outputs for executor in executors))
        coarsest = [min((np.dtype(o.dtype) for o in column), key=lambda t: t.itemsize) for column in columns]
        heads = [output.astype(kind).asnumpy() for output, kind in zip(executors[0].outputs, coarsest)]
        for executor in executors:
            executor.backward([array(h, executor._ctx, o.dtype) for h, o in zip(heads, executor.outputs)])
        for i in others:
            compare(i, "Train", {**executors[i].output_dict, **executors[i].grad_dict})
    return truth


def check_speed(
    sym: Symbol,
    location: Mapping[str, Any] | None = None,
    ctx: Context | None = None,
    N: int = 20,
    grad_req: Any = None,
    typ: Literal["whole", "forward"] = "whole",
    **kwargs: Any,
) -> float:
    """Seconds that one of ``N`` runs takes: of forward and backward (``'whole'``), or of forward in inference mode.

    The arguments are ``location``, or normal random numbers if it is None; then ``kwargs``, which go to
    ``simple_bind``, give the shapes.
    """
    if typ not in ("whole", "forward"):
        raise ValueError(f'typ can only be "whole" or "forward", not {typ!r}')
    if location is not None:
        kwargs = {name: value.shape for name, value in location.items()}
    executor = sym.simple_bind(ctx or current_context(), grad_req or "write", **kwargs)
    if location is None:
        location = {name: np.random.normal(size=value.shape) for name, value in executor.arg_dict.items()}
    for name, value in location.items():
        executor.arg_dict[name][:] = value

    def step() -> None:
        executor.forward(is_train=typ == "whole")
        if typ == "whole":
            executor.backward(executor.outputs)

    step()  # the first run may have things to prepare
    waitall()
    start = time.perf_counter()
    for _ in range(N):
        step()
    waitall()
    return (time.perf_counter() - start) / N


# ---- reading what was given ----------------------------------------------------------------------------------------


def _in_order(what: str, values: Arrays, names: Sequence[str]) -> list[Any]:
    """``values``, one for each name, in the order of ``names``; ValueError if they do not match."""
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ValueError(f"{what} has {sorted(values)}, but the symbol {sorted(names)}")
        return [values[name] for name in names]
    if len(values) != len(names):
        raise ValueError(f"{what} has {len(values)} arrays, but the symbol {len(names)}: {list(names)}")
    return list(values)


def _as_ndarray(value: Any, ctx: Context, dtype: Any) -> NDArray:
    if isinstance(value, NDArray):
        return value
    value = np.asarray(value)
    return array(value, ctx, value.dtype if dtype == "asnumpy" else dtype)


def _arguments(sym: Symbol, location: Arrays, ctx: Context, dtype: Any) -> dict[str, NDArray]:
    names = sym.list_arguments()
    return {n: _as_ndarray(v, ctx, dtype) for n, v in zip(names, _in_order("location", location, names))}


def _states(sym: Symbol, aux_states: Arrays | None, ctx: Context, dtype: Any) -> dict[str, NDArray]:
    """Copies, because a run in training mode writes to them."""
    if aux_states is None:
        return {}
    names = sym.list_auxiliary_states()
    listed = _in_order("aux_states", aux_states, names)
    return {name: _as_ndarray(np.asarray(value), ctx, dtype) for name, value in zip(names, listed)}


def _requests(grad_req: Any, names: Sequence[str]) -> dict[str, str]:
    if isinstance(grad_req, str):
        return dict.fromkeys(names, grad_req)
    return dict(grad_req) if isinstance(grad_req, Mapping) else dict(zip(names, grad_req))


def _head_gradients(out_grads: Arrays | None, ctx: Context, dtype: Any) -> Any:
    if out_grads is None:
        return None
    if isinstance(out_grads, Mapping):
        return {name: _as_ndarray(value, ctx, dtype) for name, value in out_grads.items()}
    return [_as_ndarray(value, ctx, dtype) for value in out_grads]


def _check_gradient(
    expected: Any, grad: NDArray, before: np.ndarray, request: str, rtol: Tolerance, atol: Tolerance,
    names: tuple[str, str], equal_nan: bool,
) -> None:  # fmt: skip
    """Compare a gradient buffer with what ``request`` leaves in it, given what was in it ``before``."""
    if request == "add":
        assert_almost_equal(expected, grad.asnumpy() - before, rtol, atol, names, equal_nan)
    else:
        assert_almost_equal(before if request == "null" else expected, grad, rtol, atol, names, equal_nan)


def _coarser(value: Any, dtype: np.dtype) -> Any:
    """``value`` in its own type or in ``dtype``, whichever is less precise."""
    return value.astype(dtype) if dtype.itemsize < np.dtype(value.dtype).itemsize else value


def _fill(
    executors: Sequence[Executor], scale: float, arguments: dict[str, Any], states: dict[str, Any],
    use_uniform: bool, rand_type: Any,
) -> None:  # fmt: skip
    """Give all executors the same arguments and states, random where nothing is given, and gradients of 0."""
    for name, value in sorted(executors[0].arg_dict.items()):
        if name not in arguments:
            if use_uniform:
                drawn = np.random.uniform(-0.92 * scale, 0.92 * scale, value.shape)
            else:
                drawn = np.random.normal(0, scale, value.shape)
            arguments[name] = drawn.astype(rand_type)
    for executor in executors:
        for name, value in executor.arg_dict.items():
            value[:] = arguments[name]
        for name, value in executor.aux_dict.items():
            value[:] = states.get(name, 0)
        for grad in executor.grad_arrays:
            if grad is not None:
                grad[:] = 0
