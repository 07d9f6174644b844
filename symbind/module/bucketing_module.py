"""BucketingModule: networks for inputs of different lengths, over the same parameters and the same memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from .. import ndarray as nd
from .. import symbol as sym
from ..base import MXNetError
from ..checkpoint import load_params, save_checkpoint
from ..context import Context, cpu
from ..graph.symbol import Symbol
from ..initializer import Uniform
from ..io import DataDesc
from ..ndarray import NDArray
from .base_module import BaseModule
from .module import Module

__all__ = ["BucketingModule"]

# From a bucket key to (symbol, data names, label names).
SymbolGenerator = Callable[[Any], tuple[Symbol, Sequence[str] | None, Sequence[str] | None]]


class BucketingModule(BaseModule):
    """One module per bucket, all with the parameters, gradients and optimizer states of the default bucket's.

    Each batch says by ``bucket_key`` for which bucket it is (None: the default one), and by ``provide_data`` and
    ``provide_label`` which shapes it has; the bucket's module is made and bound when its first batch comes. All
    executors compute in the arena of the default bucket's, so that together they need as much memory as the largest,
    if that is the default one.

    Parameters
    ----------
    sym_gen : from a bucket key to the network for it and the names of its data and labels. Parameters of every bucket
        must be among those of the default one.
    default_bucket_key : key of the largest bucket.
    logger, context, work_load_list, fixed_param_names, state_names, group2ctxs, compression_params : those of each
        :class:`Module`.
    """

    def __init__(
        self,
        sym_gen: SymbolGenerator,
        default_bucket_key: Hashable = None,
        logger: Any = logging,
        context: Context | Sequence[Context] | None = cpu(),
        work_load_list: Sequence[float] | None = None,
        fixed_param_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        group2ctxs: Any = None,
        compression_params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(logger)
        if default_bucket_key is None:
            raise AssertionError("BucketingModule needs default_bucket_key, the key of the largest bucket")
        self._sym_gen = sym_gen
        self._default_bucket_key = default_bucket_key
        self._module_settings: dict[str, Any] = {
            "logger": logger,
            "context": context,
            "work_load_list": work_load_list,
            "fixed_param_names": fixed_param_names,
            "state_names": state_names,
            "group2ctxs": group2ctxs,
            "compression_params": compression_params,
        }
        self._default = self._make(default_bucket_key)
        self._buckets: dict[Hashable, Module] = {default_bucket_key: self._default}
        self._curr_bucket_key: Hashable = default_bucket_key
        self._grad_req: Any = "write"
        self._monitor: Any = None

    def _make(self, bucket_key: Any) -> Module:
        symbol, data_names, label_names = self._sym_gen(bucket_key)
        return Module(symbol, data_names, label_names, **self._module_settings)

    @property
    def _curr_module(self) -> Module:
        return self._buckets[self._curr_bucket_key]

    # ---- checkpoints --------------------------------------------------------------------------------------------

    def save_checkpoint(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> None:
        """Write the parameters, ``prefix-<key>-symbol.json`` for each bucket so far, and their keys, which must be
        integers, as ``prefix.buckets``."""
        self._require(bound=True, initialized=True)
        strange = [key for key in self._buckets if not isinstance(key, int)]
        if strange:
            raise MXNetError(f"Buckets can be saved if their keys are integers; {strange[0]!r} is not")
        for key, module in self._buckets.items():
            module._symbol.save(f"{prefix}-{key}-symbol.json", remove_amp_cast=remove_amp_cast)
        nd.save(f"{prefix}.buckets", [nd.array(list(self._buckets), dtype="int32")])
        save_checkpoint(prefix, epoch, None, *self.get_params())

    @staticmethod
    def load(
        prefix: str,
        epoch: int,
        sym_gen: SymbolGenerator | None = None,
        default_bucket_key: Any = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """A module from the files of :meth:`save_checkpoint`; keywords go to the constructor.

        ``sym_gen`` gives the names of data and labels, and the networks of buckets that were not saved.
        """
        loaded = nd.load(f"{prefix}.buckets")
        if not isinstance(loaded, list) or len(loaded) != 1:
            raise MXNetError(f"{prefix}.buckets should hold one array, the keys of the buckets")
        keys = loaded[0].asnumpy().tolist()
        symbols = {key: sym.load(f"{prefix}-{key}-symbol.json") for key in keys}
        arg_params, aux_params = load_params(prefix, epoch)
        return BucketingModule.load_dict(symbols, sym_gen, default_bucket_key, arg_params, aux_params, **kwargs)

    @staticmethod
    def load_dict(
        sym_dict: Mapping[Any, Symbol] | None = None,
        sym_gen: SymbolGenerator | None = None,
        default_bucket_key: Any = None,
        arg_params: dict[str, NDArray] | None = None,
        aux_params: dict[str, NDArray] | None = None,
        **kwargs: Any,
    ) -> BucketingModule:
        """A module from networks by bucket key and parameters; see :meth:`load`."""
        if sym_dict is None:
            raise AssertionError("sym_dict needs to be provided for BucketingModule.load_dict")
        if sym_gen is None:
            raise AssertionError("sym_gen is required for loading BucketingModule")
        if default_bucket_key is None:
            raise AssertionError("default_bucket_key is required for loading BucketingModule")

        def saved_or_generated(key: Any) -> tuple[Symbol, Any, Any]:
            symbol, data_names, label_names = sym_gen(key)
            return sym_dict.get(key, symbol), data_names, label_names

        module = BucketingModule(saved_or_generated, default_bucket_key, **kwargs)
        module._default._loaded_params = (arg_params or {}, aux_params or {})
        module._default.params_initialized = module.params_initialized = True
        return module

    # ---- what it is: the current bucket -------------------------------------------------------------------------

    @property
    def symbol(self) -> Symbol:
        """The network of the current bucket."""
        self._require(bound=True)
        return self._curr_module._symbol

    @property
    def data_names(self) -> list[str]:
        """Names of the data inputs of the current bucket."""
        return self._curr_module.data_names

    @property
    def label_names(self) -> list[str]:
        """Names of the labels of the current bucket."""
        return self._curr_module.label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of the current bucket."""
        return self._curr_module.output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Descriptions of the data inputs of the current bucket."""
        return self._curr_module.data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Descriptions of the label inputs of the current bucket."""
        return self._curr_module.label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """``(name, shape)`` of each output of the current bucket."""
        return self._curr_module.output_shapes

    # ---- binding ------------------------------------------------------------------------------------------------

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Bind the default bucket for these shapes; all others share its arrays and its arena."""
        if shared_module is not None:
            raise AssertionError("shared_module for BucketingModule is not supported")
        self._default.bind(data_shapes, label_shapes, for_training, inputs_need_grad, force_rebind, None, grad_req)
        if self.binded and not force_rebind:
            return
        # Other buckets are bound to arrays that are no more.
        self._buckets = {self._default_bucket_key: self._default}
        self._curr_bucket_key = self._default_bucket_key
        self._grad_req = grad_req
        self.for_training, self.inputs_need_grad, self.binded = for_training, inputs_need_grad, True
        if self._monitor is not None:
            self._default.install_monitor(self._monitor)

    def switch_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any = None) -> None:
        """Make ``bucket_key`` the current bucket, and bind it for these shapes if it is new."""
        if not self.binded:
            raise AssertionError("call bind before switching bucket")
        if bucket_key not in self._buckets:
            self._buckets[bucket_key] = self._bound_bucket(bucket_key, data_shapes, label_shapes)
        self._curr_bucket_key = bucket_key

    def _bound_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any) -> Module:
        module = self._make(bucket_key)
        for ours, theirs in (
            (module._param_names, self._default._param_names),
            (module._aux_names, self._default._aux_names),
        ):
            unknown = sorted(set(ours) - set(theirs))
            if unknown:
                raise MXNetError(
                    f"Bucket {bucket_key!r} has parameters {unknown} that the default bucket "
                    f"{self._default_bucket_key!r} does not have; its own are {theirs}"
                )
        module.bind(
            data_shapes,
            label_shapes,
            self.for_training,
            self.inputs_need_grad,
            shared_module=self._default,
            grad_req=self._grad_req,
        )
        for name in module._param_names:
            if module._bound().arg_dict[name] is not self._default._bound().arg_dict[name]:
                raise MXNetError(
                    f"{name} has shape {module._bound().arg_dict[name].shape} in bucket {bucket_key!r}, but "
                    f"{self._default._bound().arg_dict[name].shape} in bucket {self._default_bucket_key!r}"
                )
        if self._monitor is not None:
            module.install_monitor(self._monitor)
        return module

    # ---- parameters and optimizer, which are those of the default bucket -----------------------------------------

    def init_params(
        self,
        initializer: Any = Uniform(0.01),
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill the parameters, as :meth:`Module.init_params` does."""
        if self.params_initialized and not force_init:
            return
        self._require(bound=True)
        self._default.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        for module in self._buckets.values():
            module.params_initialized = True
        self.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of all parameters and auxiliary states, on the CPU."""
        self._require(initialized=True)
        return self._default.get_params()

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer, as :meth:`Module.init_optimizer` does for the default bucket."""
        if not self._needs_optimizer(force_init):
            return
        self._default.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        for module in self._buckets.values():
            if module is not self._default:
                module.borrow_optimizer(self._default)
        self.optimizer_initialized = True

    def state_dict(self) -> dict[str, Any]:
        """The state of the default bucket's module, whose arrays and optimizer all others use."""
        self._require(bound=True)
        return self._default.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`; ValueError if it is another network's."""
        self._require(bound=True)
        self._default.load_state_dict(state)

    # ---- steps --------------------------------------------------------------------------------------------------

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Bind the bucket of a batch that is to come; the current one stays."""
        current = self._curr_bucket_key
        self._switch_to(data_batch)
        self._curr_bucket_key = current

    def _switch_to(self, batch: Any) -> None:
        key = getattr(batch, "bucket_key", None)
        key = self._default_bucket_key if key is None else key
        self.switch_bucket(key, getattr(batch, "provide_data", None), getattr(batch, "provide_label", None))

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Switch to the bucket of the batch, and compute its outputs."""
        self._require(bound=True, initialized=True)
        self._switch_to(data_batch)
        self._curr_module.forward(data_batch, is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the last forward."""
        self._require(bound=True, initialized=True)
        self._curr_module.backward(out_grads)

    def update(self) -> None:
        """Update all trained parameters of the current bucket with the gradients of the last backward."""
        self._require(bound=True, initialized=True, optimizer=True)
        self._curr_module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[NDArray]:
        """The outputs of the last forward."""
        self._require(bound=True, initialized=True)
        return self._curr_module.get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[NDArray]:
        """Gradients of the data of the last batch, if the module was bound with ``inputs_need_grad``."""
        self._require(bound=True, initialized=True)
        return self._curr_module.get_input_grads(merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[NDArray]:
        """The state arrays of the current bucket."""
        self._require(bound=True, initialized=True)
        return self._curr_module.get_states(merge_multi_context)

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the states of the current bucket from arrays, or all to one number."""
        self._require(bound=True, initialized=True)
        self._curr_module.set_states(states, value)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs and these labels to a metric."""
        self._require(bound=True, initialized=True)
        self._curr_module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Have ``mon`` watch the executors of all buckets, also of those to come."""
        self._require(bound=True)
        self._monitor = mon
        for module in self._buckets.values():
            module.install_monitor(mon)
