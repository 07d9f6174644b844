"""Data parallelism: one executor per context, each with a part of every batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from .. import ndarray as nd
from ..context import Context, cpu
from ..graph.symbol import Symbol
from ..io import DataDesc
from ..ndarray import NDArray
from ..runtime.executor import Executor

__all__ = ["DataParallelExecutorGroup", "share_out"]


class DataParallelExecutorGroup:
    """Executors of one symbol on several contexts, which share the samples of each batch among them.

    Parameters
    ----------
    symbol : the network.
    contexts : where it runs; one executor is made for each.
    workload : how the samples are shared, as one number per context.
    inputs : descriptions of data and labels for the whole batch.
    grad_req : by name of the argument.
    type_dict : types by name of the argument.
    group2ctxs : for each context the placement of groups of operators.
    param_names : arguments that are shared with the executors of ``shared``, another group on the same contexts.

    Raises ValueError if there are too few samples for all contexts.
    """

    def __init__(
        self,
        symbol: Symbol,
        contexts: Sequence[Context],
        workload: Sequence[float],
        inputs: Sequence[DataDesc],
        grad_req: Mapping[str, str],
        type_dict: Mapping[str, Any],
        group2ctxs: Sequence[Mapping[str, Context] | None],
        param_names: Sequence[str],
        shared: DataParallelExecutorGroup | None = None,
    ) -> None:
        self._symbol = symbol
        self._workload = list(workload)
        self._output_axes = [DataDesc.get_batch_axis(output.attr("__layout__")) for output in symbol]
        self.slices = self._share_out(inputs)
        self.execs: list[Executor] = [
            symbol.simple_bind(
                context,
                grad_req=grad_req,
                type_dict=type_dict,
                group2ctx=groups,
                shared_exec=None if shared is None else shared.execs[i],
                shared_arg_names=None if shared is None else param_names,
                **self._shapes(inputs, part),
            )
            for i, (context, groups, part) in enumerate(zip(contexts, group2ctxs, self.slices))
        ]
        self._arguments = [executor.arg_dict for executor in self.execs]
        self.param_names = list(param_names)

    @property
    def param_arrays(self) -> list[list[NDArray]]:
        """For each parameter its arrays, one per context."""
        return [[executor.arg_dict[name] for executor in self.execs] for name in self.param_names]

    @property
    def grad_arrays(self) -> list[list[NDArray | None]]:
        """For each parameter its gradients, one per context."""
        return [[executor.grad_dict[name] for executor in self.execs] for name in self.param_names]

    @property
    def aux_names(self) -> list[str]:
        """Names of the auxiliary states."""
        return self._symbol.list_auxiliary_states()

    @property
    def batch_size(self) -> int:
        """Samples of a batch, on all contexts together."""
        return self.slices[-1].stop

    @property
    def aux_arrays(self) -> list[list[NDArray]]:
        """For each auxiliary state its arrays, one per context."""
        return [list(arrays) for arrays in zip(*(executor.aux_arrays for executor in self.execs))]

    # ---- sharing out samples ------------------------------------------------------------------------------------

    def _share_out(self, inputs: Sequence[DataDesc]) -> list[slice]:
        """The samples of each context."""
        axis = DataDesc.get_batch_axis(inputs[0].layout)
        return share_out(inputs[0].shape[max(axis, 0)], self._workload)

    @staticmethod
    def _shapes(inputs: Iterable[DataDesc], part: slice) -> dict[str, tuple[int, ...]]:
        shapes = {}
        for desc in inputs:
            shape = list(desc.shape)
            axis = DataDesc.get_batch_axis(desc.layout)
            if axis >= 0:
                shape[axis] = part.stop - part.start
            shapes[desc.name] = tuple(shape)
        return shapes

    def _part(self, array: Any, axis: int, index: int) -> Any:
        """What of ``array`` belongs to the context; all of it if there is no axis of samples."""
        if len(self.execs) == 1 or axis < 0 or array is None:
            return array
        here = (slice(None),) * axis + (self.slices[index],)
        if not isinstance(array, NDArray):
            return np.asarray(array)[here]
        return NDArray(array.tensor[here].contiguous(), array.context)

    def reshape(self, inputs: Sequence[DataDesc]) -> None:
        """Share out batches of other shapes; parameters stay the same arrays."""
        slices = self._share_out(inputs)
        self.execs = [
            executor.reshape(partial_shaping=True, allow_up_sizing=True, **self._shapes(inputs, part))
            for executor, part in zip(self.execs, slices)
        ]
        self.slices = slices
        self._arguments = [executor.arg_dict for executor in self.execs]

    # ---- running ------------------------------------------------------------------------------------------------

    def load(self, given: Iterable[tuple[DataDesc, Any]]) -> None:
        """Copy a batch into the arguments of that name; what the network does not have is left out."""
        for desc, array in given:
            axis = DataDesc.get_batch_axis(desc.layout)
            for i, arguments in enumerate(self._arguments):
                if desc.name not in arguments:
                    continue
                part = self._part(array, axis, i)
                if isinstance(part, NDArray):
                    arguments[desc.name].tensor.copy_(part.tensor)
                else:
                    arguments[desc.name][:] = np.asarray(part)

    def forward(self, is_train: bool) -> None:
        """Compute the outputs of what was loaded."""
        for executor in self.execs:
            executor.forward(is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the last forward; ``out_grads`` are those of the outputs for the whole batch.

        As for an executor, a list may have None for losses and end before them.
        """
        if out_grads is None or len(self.execs) == 1:
            for executor in self.execs:
                executor.backward(out_grads)
            return
        grads = [out_grads] if isinstance(out_grads, NDArray) else out_grads
        # One gradient too many goes to the executors whole; it is for them to complain.
        axes = self._output_axes[: len(grads)]
        for i, executor in enumerate(self.execs):
            executor.backward([self._part(grad, axis, i) for grad, axis in zip_longest(grads, axes, fillvalue=-1)])

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Each output for the whole batch, or as a list with one array per context."""
        return _collected([executor.outputs for executor in self.execs], self._output_axes, merge_multi_context)

    def gradients(self, inputs: Sequence[DataDesc], merged: bool) -> list[Any]:
        """The gradient of each of ``inputs``, as :meth:`get_outputs`."""
        grads = [executor.grad_dict for executor in self.execs]
        axes = [DataDesc.get_batch_axis(desc.layout) for desc in inputs]
        return _collected([[grad[desc.name] for desc in inputs] for grad in grads], axes, merged)

    def update_metric(self, metric: Any, inputs: Sequence[DataDesc], labels: Sequence[Any], sliced: bool) -> None:
        """Add the outputs of each context and its part of the labels; ``sliced`` labels come context by context."""
        for i, executor in enumerate(self.execs):
            own = {}
            for desc, label in zip(inputs, labels[i] if sliced else labels):
                own[desc.name] = label if sliced else self._part(label, DataDesc.get_batch_axis(desc.layout), i)
            metric.update_dict(own, executor.output_dict)

    def install_monitor(self, mon: Any) -> None:
        """Have ``mon`` watch the executors."""
        for executor in self.execs:
            mon.install(executor)

    # ---- parameters ---------------------------------------------------------------------------------------------

    def set_params(
        self, arg_params: Mapping[str, NDArray], aux_params: Mapping[str, NDArray], allow_extra: bool = False
    ) -> None:
        """Copy these parameters and auxiliary states to every context; the others keep their values.

        ValueError for a name that the network does not have, unless ``allow_extra``.
        """
        for executor in self.execs:
            executor.copy_params_from(arg_params, aux_params, allow_extra_params=allow_extra)

    def spread(self, param_names: Iterable[str]) -> None:
        """Give all executors the parameters and auxiliary states of the first."""
        first, *others = self.execs
        for other in others:
            other.copy_params_from({name: first.arg_dict[name] for name in param_names}, first.aux_dict)

    def params(self, param_names: Iterable[str]) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of parameters and auxiliary states on the CPU: the mean over all contexts."""
        states = [executor.aux_dict for executor in self.execs]
        return (
            {name: _mean([arguments[name] for arguments in self._arguments]) for name in param_names},
            {name: _mean([auxiliary[name] for auxiliary in states]) for name in states[0]},
        )

    def lasting(self, names: Iterable[str]) -> dict[str, NDArray]:
        """What one step leaves for the next, context by context: the arguments among ``names``, auxiliary states, and
        gradients that add up."""
        kept, arrays = set(names), {}
        for i, executor in enumerate(self.execs):
            requests = executor._grad_req
            arrays.update({f"{i}:arg:{name}": a for name, a in executor.arg_dict.items() if name in kept})
            arrays.update({f"{i}:aux:{name}": a for name, a in executor.aux_dict.items()})
            for name, gradient in executor.grad_dict.items():
                if gradient is not None and requests[name] == "add":
                    arrays[f"{i}:grad:{name}"] = gradient
        return arrays


def share_out(size: int, workload: Sequence[float]) -> list[slice]:
    """``size`` samples shared in proportion to ``workload``: whole numbers, the last taking what rounding leaves.

    ValueError if somebody goes away empty-handed.
    """
    counts = [round(size * load / sum(workload)) for load in workload]
    counts[-1] = size - sum(counts[:-1])
    if any(count <= 0 for count in counts):
        raise ValueError(
            f"Too many slices. Some splits are empty: {size} samples for {len(counts)} contexts are {counts}"
        )
    ends = np.cumsum(counts).tolist()
    return [slice(end - count, end) for count, end in zip(counts, ends)]


def _collected(parts: Sequence[Sequence[Any]], axes: Sequence[int], merged: bool) -> list[Any]:
    """From arrays by context and name to arrays by name: each joined along its axis, or as a list by context."""
    by_name = [list(arrays) for arrays in zip(*parts)]
    if not merged:
        return by_name
    # Without an axis of samples the arrays say the same on every context.
    return [arrays[0] if len(arrays) == 1 or axis < 0 else _joined(arrays, axis) for arrays, axis in zip(by_name, axes)]


def _mean(arrays: Sequence[NDArray]) -> NDArray:
    mean = arrays[0].copyto(cpu())
    if len(arrays) > 1:
        for array in arrays[1:]:
            mean.tensor.add_(array.copyto(cpu()).tensor)
        mean.tensor.div_(len(arrays))
    return mean


def _joined(arrays: Sequence[NDArray], axis: int) -> NDArray:
    return nd.concatenate([array.as_in_context(arrays[0].context) for array in arrays], axis=axis)


def groups_of_contexts(group2ctxs: Any, count: int) -> list[Mapping[str, Context] | None]:
    """For each of ``count`` contexts the context of every group; ValueError for a list of another length."""
    if group2ctxs is None:
        return [None] * count
    if isinstance(group2ctxs, Mapping):
        shares: dict[str, list[Context]] = {}
        for group, given in group2ctxs.items():
            listed = [given] if isinstance(given, Context) else list(given)
            shares[group] = listed * count if len(listed) == 1 else listed
            if len(shares[group]) != count:
                raise ValueError(f"group2ctxs has {len(listed)} contexts for {group!r}; expected 1 or {count}")
        return [{group: share[i] for group, share in shares.items()} for i in range(count)]
    if len(group2ctxs) != count:
        raise ValueError(f"group2ctxs has {len(group2ctxs)} entries; expected one for each of {count} contexts")
    return list(group2ctxs)
