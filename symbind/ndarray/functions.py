"""``mx.nd.X`` for every operator, made from its declaration: a call infers, allocates, runs, and returns arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch

from ..base import MXNetError
from ..context import Context, current_context
from ..dtype import name_of
from ..generators import generator
from ..graph import registry
from ..graph.compose import attribute_text
from ..ops.operator import Environment, Operator
from ..ops.parameter import Params
from ..ops.shapes import is_known, merge
from ..ops.signature import FLUENT, bind_arguments, describe, fill_namespaces
from ..profiler.recorder import recorder
from .memory import allocate, overlap, same_memory
from .ndarray import NDArray
from .recording import mode, record, refuse_update
from .sparse_operators import run_sparse, takes_part

__all__ = ["compute", "install", "invoke", "run"]

Result = NDArray | list[NDArray]
# What every function takes beside inputs and parameters.
KEYWORDS = ("out", "name")


def invoke(operator: str, *inputs: NDArray, out: Any = None, **params: Any) -> Any:
    """Run the operator called ``operator`` on arrays in declared order; see :func:`run`."""
    declared: Any = registry.find(operator)
    return run(declared, list(inputs), {k: attribute_text(v) for k, v in params.items()}, out)


def run(
    operator: Operator,
    given: Sequence[NDArray] | dict[str, NDArray],
    attrs: dict[str, str],
    out: NDArray | Sequence[NDArray] | None = None,
) -> Result:
    """Run ``operator`` once on arrays, by position or by input name; ``attrs`` are its parameters as text.

    Returns the visible outputs: one array, or a list of several; in ``out`` if that is given. Operators that update
    inputs (moments of an optimizer, say) do so in place. The result is on the context of the inputs; without inputs on
    that of the parameter ``ctx``, of ``out``, or on the current one.

    Raises MXNetError if inputs are missing, or shapes or types do not fit, and names the operator.
    """
    if operator.variadic is not None:
        attrs = {operator.variadic: str(len(given)), **attrs}
    # The parameters of the user's own operators mean whatever these are just now.
    params = operator.parse(attrs) if operator.open_ended else _parse(operator, tuple(attrs.items()))
    arrays = _in_order(operator, params, given)
    targets = _targets(operator, params, out)
    if takes_part(operator, arrays) and not mode.recording:
        result = run_sparse(operator, params, arrays, _compute_there)
        if result is not None:
            return result if targets[0] is None else result.copyto(targets[0])
    inputs = [array.tensor for array in arrays]
    context = _context(operator, params, arrays, targets)
    device = context.device
    shapes, dtypes = _infer(operator, params, inputs, targets)

    outputs: list[torch.Tensor] = []
    for shape, dtype, target in zip(shapes, dtypes, targets):
        if target is not None and _may_write(operator, params, target, inputs, len(outputs), device):
            outputs.append(target.tensor)
        else:
            outputs.append(allocate(shape, dtype, device))
    environment = Environment(is_train=mode.training, device=device, generator=generator(device))
    try:
        kernel = operator.kernel(params, inputs, outputs, environment)
        if recorder.imperative:
            _run_recorded(operator, kernel, outputs)
        else:
            kernel()
    except (IndexError, RuntimeError) as error:
        if isinstance(error, MXNetError) or all(tensor.numel() for tensor in inputs):
            raise
        raise MXNetError(f"{_failed_call(operator, params, inputs)}: an array without elements") from error

    results = []
    for tensor, target in zip(outputs, targets):
        if target is None:
            results.append(NDArray(tensor, context))
        else:
            if target.stype != "default" or target.tensor is not tensor:
                target.assign(tensor)
            results.append(target)
    for i in operator.mutated_inputs(params):
        if arrays[i].stype != "default":
            arrays[i].assign(inputs[i])
    visible = results[: operator.num_visible_outputs(params)]
    record(operator, params, attrs, arrays, outputs, visible, kernel)
    return visible[0] if len(visible) == 1 else visible


def _run_recorded(operator: Operator, kernel: Callable[[], Any], outputs: Sequence[torch.Tensor]) -> None:
    """Run a kernel while the profiler runs."""
    begin = recorder.now()
    kernel()
    if outputs and outputs[0].device.type == "cuda":
        torch.cuda.synchronize(outputs[0].device)
    recorder.span("operator", operator.name, begin, sum(output.nbytes for output in outputs))


def compute(
    operator: Operator, params: Params, inputs: Sequence[torch.Tensor], device: torch.device, is_train: bool
) -> list[torch.Tensor]:
    """All outputs of ``operator``, hidden ones included, on tensors: what :func:`run` is beneath its manners."""
    shapes, dtypes = _infer(operator, params, inputs, [None] * operator.num_outputs(params))
    outputs = [allocate(shape, dtype, device) for shape, dtype in zip(shapes, dtypes)]
    operator.kernel(params, inputs, outputs, Environment(is_train, device, generator(device)))()
    return outputs


def _compute_there(operator: Operator, params: Params, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """:func:`compute` where the inputs are, as the current mode says."""
    return compute(operator, params, inputs, inputs[0].device, mode.training)


@lru_cache(maxsize=4096)
def _parse(operator: Operator, attrs: tuple[tuple[str, str], ...]) -> Params:
    return operator.attach(operator.parse(dict(attrs)), ())


def _in_order(operator: Operator, params: Params, given: Sequence[NDArray] | dict[str, NDArray]) -> list[NDArray]:
    names = operator.input_names(params)
    if isinstance(given, dict):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise MXNetError(
                f"Operator {operator.name} takes no input {unknown[0]} with these parameters; it takes {list(names)}"
            )
        missing = [name for name in names if name not in given]
        arrays = [given[name] for name in names if name in given]
    else:
        arrays, missing = list(given), list(names[len(given) :])
    if missing or len(arrays) != len(names):
        raise MXNetError(
            f"Operator {operator.name} expects {len(names)} inputs ({', '.join(names)}), but got {len(arrays)} instead"
        )
    return arrays


def _targets(operator: Operator, params: Params, out: Any) -> list[NDArray | None]:
    """The caller's arrays by output, None where there is none."""
    total, visible = operator.num_outputs(params), operator.num_visible_outputs(params)
    if out is None:
        return [None] * total
    listed = [out] if isinstance(out, NDArray) else list(out) if isinstance(out, (list, tuple)) else None
    if listed is None or not all(isinstance(array, NDArray) for array in listed):
        raise TypeError(f"out of {operator.name} must be an NDArray or a list of them, not {out!r}")
    if len(listed) not in (visible, total):
        raise MXNetError(f"Operator {operator.name} has {visible} outputs, but out holds {len(listed)} arrays")
    for array in listed:
        refuse_update(array)
    return [*listed, *[None] * (total - len(listed))]


def _context(
    operator: Operator, params: Params, arrays: Sequence[NDArray], targets: Sequence[NDArray | None]
) -> Context:
    """Where to compute."""
    for array in arrays[1:]:
        if array.tensor.device != arrays[0].tensor.device:
            raise MXNetError(
                f"Operator {operator.name}: inputs are on {arrays[0].context} and {array.context}; "
                "move one with as_in_context"
            )
    text = vars(params).get("ctx")
    if arrays:
        return arrays[0].context
    if text:
        return Context.from_string(text)
    return current_context() if targets[0] is None else targets[0].context


def _infer(
    operator: Operator, params: Params, inputs: Sequence[torch.Tensor], targets: Sequence[NDArray | None]
) -> tuple[list[tuple[int, ...]], list[torch.dtype]]:
    """Shapes and element types of all outputs."""
    try:
        return _infer_shapes(operator, params, inputs, targets), _infer_dtypes(operator, params, inputs, targets)
    except MXNetError as error:
        raise MXNetError(f"{_failed_call(operator, params, inputs)}: {error}") from error


def _failed_call(operator: Operator, params: Params, inputs: Sequence[torch.Tensor]) -> str:
    """What was called, for an error."""
    names = operator.input_names(params)
    seen = ", ".join(f"{n}={tuple(t.shape)} {name_of(t.dtype)}" for n, t in zip(names, inputs))
    return f"Error in operator {operator.name}({seen})"


def _infer_shapes(
    operator: Operator, params: Params, inputs: Sequence[torch.Tensor], targets: Sequence[NDArray | None]
) -> list[tuple[int, ...]]:
    given = [tuple(tensor.shape) for tensor in inputs]
    wanted = [None if target is None else target.shape for target in targets]
    told_inputs, told_outputs = operator.infer_shape(params, list(given), list(wanted))
    for seen, told in zip(given, told_inputs):
        merge(seen, told)
    if operator.measured:
        told_outputs = operator.measure(params, inputs)
        for target, told in zip(wanted, told_outputs):
            merge(target, told)
        return list(told_outputs)
    shapes = [merge(target, told) for target, told in zip(wanted, told_outputs)]
    if not all(map(is_known, shapes)):
        raise MXNetError(f"the output shapes {shapes} have unknown (0) dimensions")
    return shapes  # type: ignore[return-value]


def _infer_dtypes(
    operator: Operator, params: Params, inputs: Sequence[torch.Tensor], targets: Sequence[NDArray | None]
) -> list[torch.dtype]:
    given = [tensor.dtype for tensor in inputs]
    wanted = [None if target is None else target.tensor.dtype for target in targets]
    told_inputs, told_outputs = operator.infer_dtype(params, list(given), list(wanted))
    for i, (expected, seen) in enumerate(zip(told_inputs, given)):
        _same_dtype(expected, seen, f"{i}-th input")
    dtypes = [told or target or torch.float32 for told, target in zip(told_outputs, wanted)]
    for i, (expected, target) in enumerate(zip(dtypes, wanted)):
        _same_dtype(expected, target, f"{i}-th output")
    return dtypes


def _same_dtype(expected: torch.dtype | None, got: torch.dtype | None, where: str) -> None:
    if expected is not None and got is not None and expected != got:
        raise MXNetError(f"Incompatible attr at {where}: expected {name_of(expected)}, got {name_of(got)}")


def _may_write(
    operator: Operator,
    params: Params,
    array: NDArray,
    inputs: Sequence[torch.Tensor],
    position: int,
    device: torch.device,
) -> bool:
    """Whether the kernel may write output ``position`` into ``array`` itself, which may be an input's memory too."""
    target = array.tensor
    if target.device != device or array.stype != "default":
        return False
    allowed = {i for i, o in operator.inplace_pairs(params) if o == position}
    return all(
        not overlap(tensor, target) or (i in allowed and same_memory(tensor, target)) for i, tensor in enumerate(inputs)
    )


# ---- the functions and methods -------------------------------------------------------------------------------------


def make_function(operator: Operator, spelling: str) -> Callable[..., Result]:
    """The function that runs ``operator``; ``spelling`` is the name it is called by."""

    def function(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Result:
        # name is taken because the functions of symbols take it; an array has none.
        given, attrs = bind_arguments(operator, lambda value: isinstance(value, NDArray), args, kwargs)
        return run(operator, given, attrs, out)

    return function


def install(package: ModuleType) -> None:
    """Fill the package's namespaces, and give NDArray the operators that are its methods."""
    fill_namespaces(package, make_function, KEYWORDS)
    for name in FLUENT:
        if registry.is_registered(name) and name not in vars(NDArray):
            operator: Any = registry.find(name)
            setattr(NDArray, name, _method(operator, name))


def _method(operator: Operator, spelling: str) -> Callable[..., Result]:
    function = make_function(operator, spelling)

    def method(self: NDArray, *args: Any, **kwargs: Any) -> Result:
        return function(self, *args, **kwargs)

    return describe(method, operator, spelling, KEYWORDS)
