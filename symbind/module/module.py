"""Module: one symbol, one optimizer, and an executor on each of its contexts."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .. import optimizer as opt
from ..base import MXNetError, atomic_write
from ..checkpoint import load_checkpoint, save_checkpoint
from ..context import Context, cpu
from ..graph.symbol import Symbol
from ..initializer import InitDesc, Uniform
from ..io import DataDesc
from ..ndarray import NDArray
from ..runtime.executor import Executor
from .base_module import BaseModule, check_input_names
from .executor_group import DataParallelExecutorGroup, groups_of_contexts
from .updating import create_kvstore, initialize_kvstore, update_params, update_params_on_kvstore

__all__ = ["Module"]


class Module(BaseModule):
    """A symbol whose arguments are data, labels, states and parameters.

    Parameters
    ----------
    symbol : the network.
    data_names, label_names : which arguments are fed by batches. An unknown data name is a ValueError, an unknown
        label name a warning (a network for prediction may have no label).
    context : where it runs. On several contexts each has a part of every batch, and gradients are summed.
    work_load_list : how much of a batch each context has, as numbers to be compared; default the same.
    fixed_param_names : parameters that training leaves as they are.
    state_names : arguments that are neither data nor parameters; :meth:`set_states` sets them.
    group2ctxs : where the arrays of each ``ctx_group`` are: a context for each group, or a list with one for each of
        the module's contexts; or a list of such dicts.
    """

    def __init__(
        self,
        symbol: Symbol,
        data_names: Sequence[str] | None = ("data",),
        label_names: Sequence[str] | None = ("softmax_label",),
        logger: Any = logging,
        context: Context | Sequence[Context] | None = None,
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(logger)
        contexts: list[Context] = [context or cpu()] if isinstance(context, Context | None) else list(context)
        workload = list(work_load_list or [1] * len(contexts))
        if len(workload) != len(contexts):
            raise AssertionError(f"work_load_list has {len(workload)} entries for {len(contexts)} contexts")
        self._context, self._workload = contexts, workload
        self._group2ctxs = groups_of_contexts(group2ctxs, len(contexts))
        if compression_params:
            raise MXNetError("Gradients are not compressed: all contexts of a module are in one process")
        self._symbol: Symbol = symbol
        self._data_names = list(data_names or ())
        self._label_names = list(label_names or ())
        self._state_names = list(state_names or ())
        self._fixed_param_names = list(fixed_param_names or ())
        check_input_names(symbol, self._data_names, "data", True)
        check_input_names(symbol, self._label_names, "label", False)
        check_input_names(symbol, self._state_names, "state", True)
        check_input_names(symbol, self._fixed_param_names, "fixed_param", True)
        inputs = {*self._data_names, *self._label_names, *self._state_names}
        self._param_names = [name for name in symbol.list_arguments() if name not in inputs]
        self._aux_names = symbol.list_auxiliary_states()
        self._data_shapes: list[DataDesc] = []
        self._label_shapes: list[DataDesc] | None = None
        self._exec_group: DataParallelExecutorGroup | None = None
        self._grad_req: dict[str, str] = {}
        self._optimizer: opt.Optimizer | None = None
        self._updater: Any = None
        self._kvstore: Any = None
        self._update_on_kvstore = False
        self._preload_opt_states: str | None = None
        self._loaded_params: tuple[dict[str, NDArray], dict[str, NDArray]] | None = None

    # ---- checkpoints --------------------------------------------------------------------------------------------

    @staticmethod
    def load(prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """A module from ``prefix-symbol.json`` and ``prefix-<epoch>.params``; keywords go to the constructor.

        Its parameters are there once it is bound; optimizer states, if asked for, once :meth:`init_optimizer` ran.
        """
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        module = Module(symbol=symbol, **kwargs)
        module._loaded_params = (arg_params, aux_params)
        module.params_initialized = True
        if load_optimizer_states:
            module._preload_opt_states = f"{prefix}-{epoch:04d}.states"
        return module

    def save_checkpoint(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> None:
        """Write the symbol, the parameters and, if asked, the optimizer states; each file whole or not at all."""
        arg_params, aux_params = self.get_params()
        save_checkpoint(prefix, epoch, self._symbol, arg_params, aux_params, remove_amp_cast)
        if save_optimizer_states:
            states = f"{prefix}-{epoch:04d}.states"
            self.save_optimizer_states(states)
            logging.info('Saved optimizer state to "%s"', states)

    def save_optimizer_states(self, fname: str) -> None:
        """Write the optimizer's states to a file."""
        self._require(optimizer=True)
        with atomic_write(fname) as handle:
            handle.write(self._states_owner().get_states(dump_optimizer=False))

    def load_optimizer_states(self, fname: str) -> None:
        """Read the optimizer's states from a file."""
        self._require(optimizer=True)
        with open(fname, "rb") as handle:
            self._states_owner().set_states(handle.read())

    def _states_owner(self) -> Any:
        """Where the optimizer's states are: in the store if that updates, else here."""
        return getattr(self._kvstore, "_updater", None) if self._update_on_kvstore else self._updater

    def state_dict(self) -> dict[str, Any]:
        """All that the next step of training depends on, beside the batch: arrays of every context, and the optimizer.

        MXNetError if the optimizer's states are out of reach, in a store of somebody else's.
        """
        self._require(bound=True, initialized=True, optimizer=True)
        return {"arrays": self._lasting_arrays(), "updater": self._stateful_updater().state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`; ValueError, and nothing has changed, if it is another network's."""
        self._require(bound=True, initialized=True, optimizer=True)
        updater = self._stateful_updater()
        own, given = self._lasting_arrays(), state.get("arrays", {})
        different = sorted(own.keys() ^ given.keys()) or [n for n in own if own[n].shape != given[n].shape]
        if different:
            name = different[0]
            theirs, ours = (f"of shape {a[name].shape}" if name in a else "absent" for a in (given, own))
            raise ValueError(f"the array {name} is {theirs} there, but {ours} here")
        for name, array in own.items():
            array.tensor.copy_(given[name].tensor)
        self._fill_store()
        updater.load_state_dict(state["updater"])

    def _lasting_arrays(self) -> dict[str, NDArray]:
        return self._bound_group().lasting([*self._param_names, *self._state_names])

    def _stateful_updater(self) -> Any:
        owner = self._states_owner()
        if not hasattr(owner, "state_dict"):
            raise MXNetError(f"The optimizer runs in {self._kvstore!r}, which does not tell its state")
        return owner

    # ---- what it is ---------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs that are data."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """Names of the inputs that are labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._symbol.list_outputs()

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Descriptions of the data inputs."""
        self._require(bound=True)
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Descriptions of the label inputs; None if the module was bound without labels."""
        self._require(bound=True)
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """``(name, shape)`` of each output."""
        outputs = self._bound_group().get_outputs()
        return [(name, out.shape) for name, out in zip(self.output_names, outputs)]

    def _bound_group(self) -> DataParallelExecutorGroup:
        self._require(bound=True)
        assert self._exec_group is not None
        return self._exec_group

    def _bound(self) -> Executor:
        """The executor on the first context."""
        return self._bound_group().execs[0]

    # ---- binding ------------------------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Module | None = None,
        grad_req: Any = "write",
    ) -> None:
        """Make the executor for these shapes; parameters that are known already keep their values.

        ``shared_module`` is another bound module whose parameter arrays and arena this one uses too.
        """
        params = self.get_params() if self.binded and self.params_initialized else self._loaded_params
        if not self._needs_binding(force_rebind):
            return
        self.binded, self._exec_group = False, None
        if inputs_need_grad and not for_training:
            raise AssertionError("inputs_need_grad needs for_training=True")
        described = self._described(data_shapes, self._data_names, "data")
        labels = self._described(label_shapes, self._label_names, "label") if label_shapes else None
        requests = self._requests(for_training, inputs_need_grad, grad_req)

        shapes = [*described, *(labels or [])]
        declared = {name for name, attrs in self._symbol.attr_dict().items() if "__dtype__" in attrs}
        self._exec_group = DataParallelExecutorGroup(
            self._symbol,
            self._context,
            self._workload,
            shapes,
            requests,
            {d.name: d.dtype for d in shapes if d.name not in declared},
            self._group2ctxs,
            self._param_names,
            shared_module._bound_group() if shared_module is not None else None,
        )
        self._data_shapes, self._label_shapes, self._grad_req = described, labels, requests
        self.for_training, self.inputs_need_grad, self.binded = for_training, inputs_need_grad, True
        self._list_arrays()
        if shared_module is not None and shared_module.params_initialized:
            self.params_initialized = True
            if shared_module.optimizer_initialized:
                self.borrow_optimizer(shared_module)
        elif params is not None:
            for executor in self._exec_group.execs:
                executor.copy_params_from(*params, allow_extra_params=True)
            self._loaded_params = None

    def _described(self, shapes: Any, names: Sequence[str], kind: str) -> list[DataDesc]:
        described = [d if isinstance(d, DataDesc) else DataDesc(*d) for d in shapes or ()]
        given = [d.name for d in described]
        if sorted(given) != sorted(names):
            message = (
                f"Data provided by {kind}_shapes don't match names specified by {kind}_names "
                f"({described} vs. {list(names)})"
            )
            if kind == "data":
                raise ValueError(message)
            warnings.warn(message, stacklevel=4)
        return described

    def _requests(self, for_training: bool, inputs_need_grad: bool, grad_req: Any) -> dict[str, str]:
        """The gradient request of every argument: parameters as asked, data if wanted, labels and states never."""
        names = self._symbol.list_arguments()
        if isinstance(grad_req, str):
            asked = dict.fromkeys(names, grad_req)
        elif isinstance(grad_req, Mapping):
            asked = {name: grad_req.get(name, "write" if name in self._param_names else "null") for name in names}
        else:
            asked = dict(zip(names, grad_req, strict=True))
        requests = {}
        for name in names:
            wanted = (name in self._param_names and name not in self._fixed_param_names) or (
                inputs_need_grad and name in self._data_names
            )
            requests[name] = asked[name] if for_training and wanted else "null"
        return requests

    def _list_arrays(self) -> None:
        """Note once what every update needs: the arrays of the parameters and of their gradients, by context."""
        group = self._bound_group()
        self._weights, self._gradients = group.param_arrays, group.grad_arrays

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Bind for other input shapes, keeping parameters, gradients and optimizer as they are."""
        group = self._bound_group()
        described = self._described(data_shapes, self._data_names, "data")
        labels = self._described(label_shapes, self._label_names, "label") if label_shapes else None
        group.reshape([*described, *(labels or [])])
        self._data_shapes, self._label_shapes = described, labels
        self._list_arrays()

    # ---- parameters ---------------------------------------------------------------------------------------------

    def init_params(
        self,
        initializer: Any = Uniform(0.01),
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill every parameter from ``arg_params``/``aux_params``, or by ``initializer`` where they have none.

        RuntimeError for a parameter that neither gives, unless ``allow_missing``. Names that the network does not
        have are left out, whatever ``allow_extra`` says.
        """
        if self.params_initialized and not force_init:
            warnings.warn(
                "Parameters already initialized and force_init=False. init_params call ignored.", stacklevel=2
            )
            return
        executor = self._bound()
        attributes = self._symbol.attr_dict()
        for arrays, names, given in (
            (executor.arg_dict, self._param_names, arg_params),
            (executor.aux_dict, self._aux_names, aux_params),
        ):
            for name in sorted(names):
                array = arrays[name]
                if given is not None and name in given:
                    if given[name].shape != array.shape:
                        raise ValueError(f"{name} has shape {given[name].shape}, but the network needs {array.shape}")
                    array.tensor.copy_(given[name].tensor)
                elif given is not None and not allow_missing:
                    raise RuntimeError(f"{name} is not presented")
                elif initializer is not None:
                    initializer(InitDesc(name, attributes.get(name)), array)
        self._bound_group().spread(self._param_names)
        self._fill_store()
        self.params_initialized = True

    def _fill_store(self) -> None:
        """Have the store, if it is there that parameters are updated, hold those of the first context."""
        if self._update_on_kvstore:
            self._kvstore.assign(self._param_names, [weights[0] for weights in self._weights])

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of all parameters and auxiliary states, on the CPU."""
        if not self.binded and self._loaded_params is not None:
            return self._loaded_params
        self._require(bound=True, initialized=True)
        return self._bound_group().params(self._param_names)

    @property
    def _arg_params(self) -> dict[str, NDArray]:
        """The parameters, as :meth:`get_params`; those set before binding are what it begins with.

        This name and the two below are MXNet's own, which modules derived from this one use in their ``load``.
        """
        return self.get_params()[0]

    @_arg_params.setter
    def _arg_params(self, params: dict[str, NDArray]) -> None:
        self._loaded_params = (params, self._loaded_params[1] if self._loaded_params else {})

    @property
    def _aux_params(self) -> dict[str, NDArray]:
        return self.get_params()[1]

    @_aux_params.setter
    def _aux_params(self, params: dict[str, NDArray]) -> None:
        self._loaded_params = (self._loaded_params[0] if self._loaded_params else {}, params)

    def _sync_params_from_devices(self) -> None:
        """Nothing to do: :meth:`get_params` reads the executors' arrays, of which no other copy is kept."""

    # ---- optimizer ----------------------------------------------------------------------------------------------

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer, by name with ``optimizer_params`` or ready-made.

        Gradients are sums over the batch, so a named optimizer's ``rescale_grad`` is 1/batch size unless given.
        ``kvstore`` (a name or a store) sums gradients of several contexts, which would go their own ways without; on
        one context a name has nothing to do.
        """
        if not self._needs_optimizer(force_init):
            return
        first = self._data_shapes[0]
        axis = DataDesc.get_batch_axis(first.layout)
        rescale_grad = 1.0 / first.shape[axis if axis >= 0 else 0]
        params = {name: weights[0] for name, weights in zip(self._param_names, self._weights)}
        store, on_store = create_kvstore(kvstore, len(self._context), params)
        count = 1 if on_store else len(self._context)
        names = {i * count + k: name for i, name in enumerate(self._param_names) for k in range(count)}
        if isinstance(optimizer, str):
            settings = {"rescale_grad": rescale_grad, **dict(optimizer_params)}
            optimizer = opt.create(optimizer, sym=self._symbol, param_idx2name=names, **settings)
        else:
            if optimizer.rescale_grad != rescale_grad:
                warnings.warn(
                    "Optimizer created manually outside Module but rescale_grad is not normalized to 1.0/batch_size "
                    f"({optimizer.rescale_grad} vs. {rescale_grad}). Is this intended?",
                    stacklevel=2,
                )
            if not optimizer.idx2name:
                optimizer.idx2name = names
        self._optimizer = optimizer
        self._kvstore, self._update_on_kvstore = store, on_store
        self._updater = None if on_store else opt.get_updater(optimizer)
        if store is not None:
            initialize_kvstore(store, self._weights, params, self._param_names, on_store)
            if on_store:
                store.set_optimizer(optimizer)
        self.optimizer_initialized = True
        if self._preload_opt_states is not None:
            self.load_optimizer_states(self._preload_opt_states)
            self._preload_opt_states = None

    def borrow_optimizer(self, shared_module: Module) -> None:
        """Use the optimizer of another module, and its states."""
        shared_module._require(optimizer=True)
        self._optimizer, self._updater = shared_module._optimizer, shared_module._updater
        self._kvstore, self._update_on_kvstore = shared_module._kvstore, shared_module._update_on_kvstore
        self.optimizer_initialized = True

    # ---- steps --------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Copy the batch in and compute the outputs; a batch of another shape binds anew first."""
        self._require(bound=True, initialized=True)
        given = list(zip(self._data_shapes, data_batch.data))
        labels = getattr(data_batch, "label", None)
        if self._label_shapes and labels:
            given += zip(self._label_shapes, labels)
        if any(tuple(array.shape) != desc.shape for desc, array in given):
            self._follow_batch(data_batch)
        group = self._bound_group()
        group.load(given)
        group.forward(self.for_training if is_train is None else is_train)

    def _follow_batch(self, batch: Any) -> None:
        """Reshape to the shapes of a batch that differs from what was bound."""
        provided = getattr(batch, "provide_data", None)
        data = provided or [
            DataDesc(d.name, tuple(a.shape), d.dtype, d.layout) for d, a in zip(self._data_shapes, batch.data)
        ]
        labels = getattr(batch, "provide_label", None)
        if not labels and self._label_shapes and getattr(batch, "label", None):
            labels = [
                DataDesc(d.name, tuple(a.shape), d.dtype, d.layout) for d, a in zip(self._label_shapes, batch.label)
            ]
        elif not labels and self._label_shapes:
            # Prediction without labels: only the batch size can have changed.
            size = batch.data[0].shape[0]
            labels = [DataDesc(d.name, (size, *d.shape[1:]), d.dtype, d.layout) for d in self._label_shapes]
        self.reshape(data, labels)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the last forward."""
        self._require(bound=True, initialized=True)
        self._bound_group().backward(out_grads)

    def update(self) -> None:
        """Update all trained parameters with the gradients of the last backward."""
        self._require(bound=True, initialized=True, optimizer=True)
        if self._update_on_kvstore:
            update_params_on_kvstore(self._weights, self._gradients, self._kvstore, self._param_names)
        else:
            update_params(
                self._weights, self._gradients, self._updater, len(self._context), self._kvstore, self._param_names
            )

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward, or without ``merge_multi_context`` a list by context for each.

        On one context they are the executor's arrays, which the next forward overwrites.
        """
        self._require(bound=True, initialized=True)
        return self._bound_group().get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Gradients of the data, as :meth:`get_outputs`, if the module was bound with ``inputs_need_grad``."""
        self._require(bound=True, initialized=True)
        if not self.inputs_need_grad:
            raise AssertionError("Bind with inputs_need_grad=True to have gradients of the inputs")
        return self._bound_group().gradients(self._data_shapes, merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The state arrays, on several contexts, or without ``merge_multi_context``, a list by context for each."""
        self._require(bound=True, initialized=True)
        by_name = [[e.arg_dict[name] for e in self._bound_group().execs] for name in self._state_names]
        return by_name if len(self._context) > 1 or not merge_multi_context else [arrays[0] for arrays in by_name]

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states from what :meth:`get_states` gives, or all to one number."""
        self._require(bound=True, initialized=True)
        if (states is None) == (value is None):
            raise ValueError("set_states takes either states or value")
        for i, targets in enumerate(self.get_states(merge_multi_context=False)):
            given = value if states is None else states[i]
            for k, target in enumerate(targets):
                target[:] = given[k] if isinstance(given, (list, tuple)) else given

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs and these labels to a metric."""
        self._bound_group().update_metric(eval_metric, self._label_shapes or (), labels or (), pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Have ``mon`` watch the executors."""
        self._bound_group().install_monitor(mon)
