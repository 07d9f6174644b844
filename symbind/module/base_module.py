"""BaseModule: training, scoring and prediction in terms of a few steps that each kind of module defines."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import metric as metrics
from .. import ndarray as nd
from ..base import MXNetError
from ..callback import StopTraining
from ..checkpoint import refuse_unknown, split_params
from ..graph.symbol import Symbol
from ..initializer import Uniform
from ..io import DataBatch, as_data_iter
from ..ndarray import NDArray
from ..resume import Session, Snapshot

__all__ = ["BaseModule", "BatchEndParam", "as_list", "check_input_names", "notify"]


class BatchEndParam(NamedTuple):
    """What a batch callback is given: ``locals`` are the variables of the loop that calls it."""

    epoch: int
    nbatch: int
    eval_metric: Any
    locals: Any


def as_list(value: Any) -> list[Any]:
    """None as no items, a list or tuple as its items, anything else as one."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


class BaseModule:
    """What all modules share.

    A subclass defines ``bind``, ``init_params``, ``init_optimizer``, ``forward``, ``backward``, ``update``,
    ``get_outputs``, ``get_input_grads``, ``get_params``, ``update_metric`` and the properties that describe shapes;
    everything else follows. The life of a module is bind, init_params, init_optimizer, then steps; each stage needs
    the one before, and says so.
    """

    def __init__(self, logger: Any = logging) -> None:
        self.logger = logger
        self.binded = False
        self.for_training = False
        self.inputs_need_grad = False
        self.params_initialized = False
        self.optimizer_initialized = False
        self._symbol: Symbol | None = None

    # ---- what a subclass defines ------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs that are data."""
        raise NotImplementedError

    @property
    def label_names(self) -> list[str]:
        """Names of the labels; MXNet's usual one where a module does not tell."""
        return ["softmax_label"]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        raise NotImplementedError

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the data inputs, as :meth:`bind` was given them."""
        raise NotImplementedError

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels; None if the module was bound without."""
        raise NotImplementedError

    @property
    def output_shapes(self) -> Any:
        """``(name, shape)`` of each output."""
        raise NotImplementedError

    @property
    def symbol(self) -> Symbol | None:
        """The symbol of this module, if it has one."""
        return self._symbol

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
        """Make ready to compute on inputs of these shapes; a second time only with ``force_rebind``."""
        raise NotImplementedError

    def init_params(
        self,
        initializer: Any = None,
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill every parameter: from those given, or by ``initializer``. A second time only with ``force_init``."""
        raise NotImplementedError

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer, by name with ``optimizer_params`` or ready-made."""
        raise NotImplementedError

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Compute the outputs for a batch; ``is_train`` defaults to what the module was bound for."""
        raise NotImplementedError

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the last forward; ``out_grads`` are those of outputs that are no losses."""
        raise NotImplementedError

    def update(self) -> None:
        """Update all parameters with the gradients of the last backward."""
        raise NotImplementedError

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward."""
        raise NotImplementedError

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Gradients of the data, if the module was bound with ``inputs_need_grad``."""
        raise NotImplementedError

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of all parameters and of all auxiliary states, by name."""
        raise NotImplementedError

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the last outputs and these labels to a metric; ``pre_sliced`` labels come context by context."""
        raise NotImplementedError

    def install_monitor(self, mon: Any) -> None:
        """Have ``mon`` watch the executors."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """All that the next step of training depends on, beside the batch, as plain values and arrays."""
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`; ValueError if it is another network's."""
        raise NotImplementedError

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """Values of the state inputs; modules without any give an empty list."""
        self._require(bound=True, initialized=True)
        return []

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set the state inputs; modules without any take nothing."""
        self._require(bound=True, initialized=True)
        if states or value:
            raise MXNetError(f"{type(self).__name__} has no states to set")

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Called with the next batch before its forward; modules that switch executors override it."""

    # ---- parameters ---------------------------------------------------------------------------------------------

    def set_params(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray],
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Assign parameters by name; RuntimeError for one that is not given, unless ``allow_missing``.

        What the network does not have is left out: the parameters of a whole network fit a part of it. But if
        parameters may be missing as well, such a name may be a misspelt one, so that it is a ValueError then, unless
        ``allow_extra``.
        """
        if allow_missing and not allow_extra and self.symbol is not None:
            refuse_unknown(self.symbol, arg_params, aux_params)
        self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)

    def save_params(self, fname: str) -> None:
        """Write all parameters to one file, under ``arg:`` and ``aux:`` names."""
        arg_params, aux_params = self.get_params()
        values = {f"arg:{k}": v for k, v in arg_params.items()}
        values.update({f"aux:{k}": v for k, v in aux_params.items()})
        nd.save(fname, values)

    def load_params(self, fname: str) -> None:
        """Read parameters written by :meth:`save_params`; ValueError for a name without ``arg:`` or ``aux:``."""
        self.set_params(*split_params(nd.load(fname), fname))

    # ---- the loops ----------------------------------------------------------------------------------------------

    def forward_backward(self, data_batch: Any) -> None:
        """Forward in training mode, then backward."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        score_end_callback: Any = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
    ) -> list[tuple[str, float]]:
        """Run over ``eval_data`` (at most ``num_batch`` batches) and return the metric as (name, value) pairs.

        ``eval_data`` is an iterator, or anything that :func:`~symbind.io.as_data_iter` makes one of.
        """
        self._require(bound=True, initialized=True)
        eval_data = self._data_iter(eval_data)
        if reset:
            eval_data.reset()
        eval_metric = metrics.create(eval_metric)
        eval_metric.reset()
        count = 0
        for nbatch, batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(batch, sparse_row_id_fn)
            self.forward(batch, is_train=False)
            self._update_metric_of(eval_metric, batch)
            notify(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            count += 1
        notify(score_end_callback, BatchEndParam(epoch, count, eval_metric, locals()))
        return eval_metric.get_global_name_value()

    def iter_predict(
        self, eval_data: Any, num_batch: int | None = None, reset: bool = True, sparse_row_id_fn: Any = None
    ) -> Iterator[tuple[list[NDArray], int, Any]]:
        """Yield ``(outputs, batch number, batch)`` for each batch; rows that only pad a batch are cut off.

        The outputs are the executor's own arrays, overwritten by the next batch.
        """
        self._require(bound=True, initialized=True)
        eval_data = self._data_iter(eval_data)
        if reset:
            eval_data.reset()
        for nbatch, batch in enumerate(eval_data):
            if nbatch == num_batch:
                return
            self.prepare(batch, sparse_row_id_fn)
            self.forward(batch, is_train=False)
            pad = batch.pad or 0
            yield [out[0 : out.shape[0] - pad] for out in self.get_outputs()], nbatch, batch

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """Outputs for all of ``eval_data``: an array, which is a single batch, an iterator, or anything that
        :func:`~symbind.io.as_data_iter` makes one of.

        With ``merge_batches`` the batches of each output are joined; a single output then comes as one array unless
        ``always_output_list``. Without, the result is a list of lists, one per batch.
        """
        self._require(bound=True, initialized=True)
        if isinstance(eval_data, (NDArray, np.ndarray)):
            array = eval_data if isinstance(eval_data, NDArray) else nd.array(eval_data)
            self.forward(DataBatch([array]), is_train=False)
            return self.get_outputs()[0]
        try:
            eval_data = self._data_iter(eval_data)
        except TypeError as error:
            raise ValueError(f"eval_data must be of type NDArray or DataIter. {error}") from error
        batches = [
            [out.copy() for out in outputs]
            for outputs, _, _ in self.iter_predict(eval_data, num_batch, reset, sparse_row_id_fn)
        ]
        if not batches or not merge_batches:
            return batches
        if len({len(outputs) for outputs in batches}) != 1:
            raise ValueError(
                "Cannot merge batches, as num of outputs is not the same in mini-batches. Maybe bucketing is used?"
            )
        merged = [nd.concatenate(list(parts)) for parts in zip(*batches)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
        initializer: Any = Uniform(0.01),
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Any = None,
        resume: str | os.PathLike[str] | Snapshot | None = None,
    ) -> None:
        """Train for epochs ``begin_epoch`` to ``num_epoch``, binding and initializing as needed.

        ``train_data`` and ``eval_data`` are iterators, or anything that :func:`~symbind.io.as_data_iter` makes one of.
        After each epoch the training metric, the time it took and the validation metric are logged, and
        ``epoch_end_callback(epoch, symbol, arg_params, aux_params)`` is called; after each batch
        ``batch_end_callback(BatchEndParam)``. A callback ends training by raising
        :class:`~symbind.callback.StopTraining`.

        ``resume`` is a file, or a :class:`~symbind.resume.Snapshot` with a file. Every so many batches everything
        that the next batch depends on is written to it. If the process ends, by whatever, the same call made again
        goes on from there, and comes to the same weights, to the bit, as if nothing had happened. An iterator of
        one's own must give the same batches again after the same :meth:`reset` with the same random numbers, or have
        a ``state_dict``.
        """
        if num_epoch is None:
            raise AssertionError("please specify number of epochs")
        train_data = self._data_iter(train_data, shuffle=True)
        self.bind(
            data_shapes=train_data.provide_data,
            label_shapes=train_data.provide_label,
            for_training=True,
            force_rebind=force_rebind,
        )
        if eval_data is not None:
            eval_data = self._data_iter(eval_data)
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(
            initializer=initializer,
            arg_params=arg_params,
            aux_params=aux_params,
            allow_missing=allow_missing,
            force_init=force_init,
        )
        self.init_optimizer(kvstore=kvstore, optimizer=optimizer, optimizer_params=optimizer_params)
        eval_metric = metrics.create(eval_metric)
        if validation_metric is None:
            validation_metric = eval_metric

        callbacks = (epoch_end_callback, batch_end_callback, eval_end_callback, eval_batch_end_callback)
        session = Session(resume, self, train_data, eval_data, eval_metric, callbacks)
        first_epoch, done, finished = session.restore(begin_epoch)
        if finished:
            return

        for epoch in range(first_epoch, num_epoch):
            tic = time.time()
            if not done:
                eval_metric.reset()
                if self._begin_epoch(epoch, train_data):
                    session.reset_data()
            try:
                for nbatch, batch in enumerate(session.batches(), done):
                    if monitor is not None:
                        monitor.tic()
                    self.prepare(batch, sparse_row_id_fn)
                    self.forward_backward(batch)
                    self.update()
                    self._update_metric_of(eval_metric, batch)
                    if monitor is not None:
                        monitor.toc_print()
                    notify(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                    session.batch_done(epoch, nbatch + 1)
                done = 0
                for name, value in eval_metric.get_global_name_value():
                    self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, value)
                self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)

                params = self.get_params()
                for callback in as_list(epoch_end_callback):
                    callback(epoch, self.symbol, *params)
                if eval_data is not None:
                    result = self.score(
                        eval_data,
                        validation_metric,
                        score_end_callback=eval_end_callback,
                        batch_end_callback=eval_batch_end_callback,
                        epoch=epoch,
                    )
                    for name, value in result:
                        self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, value)
            except StopTraining as reason:
                self.logger.info("Epoch[%d] Training stopped: %s", epoch, reason)
                session.finished(epoch)
                return
            session.reset_data()
            session.epoch_done(epoch)

    def _begin_epoch(self, epoch: int, train_data: Any) -> bool:
        """What a kind of module does before an epoch of :meth:`fit`, and whether it has used ``train_data`` for it."""
        return False

    def _data_iter(self, data: Any, shuffle: bool = False) -> Any:
        """``data`` as an iterator, in batches of the size that the module is bound for."""
        names, batch_size = self.data_names, None
        if self.binded and self.data_shapes:
            # Batches are taken in the order that was bound.
            names, batch_size = [desc[0] for desc in self.data_shapes], self.data_shapes[0][1][0]
        return as_data_iter(data, names, self.label_names, batch_size, shuffle)

    def _update_metric_of(self, eval_metric: Any, batch: Any) -> None:
        """Update with a batch's labels; a list of batches has its labels sliced already."""
        if isinstance(batch, list):
            self.update_metric(eval_metric, [b.label for b in batch], pre_sliced=True)
        else:
            self.update_metric(eval_metric, batch.label)

    def _needs_binding(self, force_rebind: bool) -> bool:
        """Whether :meth:`bind` has something to do. Warns if it is asked to twice."""
        if self.binded and not force_rebind:
            self.logger.warning("Already bound, ignoring bind()")
            return False
        return True

    def _needs_optimizer(self, force_init: bool) -> bool:
        """Whether :meth:`init_optimizer` has something to do. Warns if it is asked to twice."""
        self._require(bound=True, initialized=True)
        if self.optimizer_initialized and not force_init:
            self.logger.warning("optimizer already initialized, ignoring...")
            return False
        return True

    def _require(self, bound: bool = False, initialized: bool = False, optimizer: bool = False) -> None:
        """AssertionError saying which step is missing."""
        name = type(self).__name__
        if bound and not self.binded:
            raise AssertionError(f"{name} is not bound yet: call bind() first")
        if initialized and not self.params_initialized:
            raise AssertionError(f"{name} has no parameters yet: call init_params() or set_params() first")
        if optimizer and not self.optimizer_initialized:
            raise AssertionError(f"{name} has no optimizer yet: call init_optimizer() first")


def notify(callbacks: Any, param: BatchEndParam) -> None:
    """Call one callback, or each of a list."""
    for callback in as_list(callbacks):
        callback(param)


def check_input_names(symbol: Symbol, names: Sequence[str], kind: str, throw: bool) -> None:
    """Complain about a name that is no argument of the symbol: ValueError, or a warning if not ``throw``."""
    arguments = symbol.list_arguments()
    for name in names:
        if name in arguments:
            continue
        candidates = [a for a in arguments if not a.endswith(("_weight", "_bias", "_gamma", "_beta"))]
        message = (
            f"\033[91mYou created Module with Module(..., {kind}_names={list(names)}) but input with name '{name}' is "
            "not found in symbol.list_arguments(). Did you mean one of:\n\t" + "\n\t".join(candidates) + "\033[0m"
        )
        if throw:
            raise ValueError(message)
        warnings.warn(message, stacklevel=4)
