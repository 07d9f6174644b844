"""The model API of the early days: checkpoint functions, and FeedForward, a network with ``fit`` and ``predict``."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from . import metric as metrics
from .base import MXNetError
from .callback import LogValidationMetricsCallback, StopTraining
from .checkpoint import load_checkpoint, load_params, refuse_unknown, save_checkpoint
from .context import Context, cpu
from .deployment import DeployedModel, load_archive
from .graph.symbol import Symbol
from .initializer import Uniform
from .io import NDArrayIter, as_data_iter
from .io.adapt import is_array
from .module import BucketingModule, Module
from .module.base_module import BatchEndParam, as_list, notify
from .module.updating import create_kvstore as _create_kvstore  # noqa: F401  # MXNet's place and names for these
from .module.updating import initialize_kvstore as _initialize_kvstore  # noqa: F401
from .module.updating import update_params as _update_params  # noqa: F401
from .module.updating import update_params_on_kvstore as _update_params_on_kvstore  # noqa: F401
from .ndarray import NDArray
from .resume import Session, Snapshot

__all__ = [
    "BatchEndParam",
    "DeployedModel",
    "FeedForward",
    "load_archive",
    "load_checkpoint",
    "load_params",
    "save_checkpoint",
]


class FeedForward:
    """A network and its parameters, trained and used with arrays or iterators.

    Data inputs are recognised by names that end in ``data``, labels by ``label``. Deprecated in favour of
    :class:`~symbind.module.Module`, on which it is built.

    Parameters
    ----------
    symbol : the network, with a loss as its head for training; or, for iterators whose batches have a
        ``bucket_key``, a function from that key to the network.
    ctx : where it is trained; of several contexts each has a part of every batch. Predictions run on the first.
    num_epoch : epochs to train; ``epoch_size`` batches make an epoch if given, else the data once.
    optimizer : name or instance; further keywords are its parameters.
    initializer : for parameters that ``arg_params`` and ``aux_params`` do not give.
    numpy_batch_size : batch size for arrays.
    allow_extra_params : whether given parameters may include some that the network does not have.
    begin_epoch : number of the first epoch.
    """

    def __init__(
        self,
        symbol: Symbol | Callable[[Hashable], Symbol],
        ctx: Context | Sequence[Context] | None = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = Uniform(0.01),
        numpy_batch_size: int = 128,
        arg_params: Mapping[str, NDArray] | None = None,
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        warnings.warn(
            "mxnet.model.FeedForward has been deprecated. Please use mxnet.mod.Module instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.sym_gen = None if isinstance(symbol, Symbol) else symbol
        self.symbol = symbol if isinstance(symbol, Symbol) else None
        self.ctx: list[Context] = [ctx or cpu()] if isinstance(ctx, Context | None) else list(ctx)
        self.num_epoch = num_epoch
        self.epoch_size = epoch_size
        self.optimizer = optimizer
        self.initializer = initializer
        self.numpy_batch_size = numpy_batch_size
        self.arg_params = arg_params
        self.aux_params = aux_params
        self.allow_extra_params = allow_extra_params
        self.begin_epoch = begin_epoch
        self.kwargs = kwargs
        if self.symbol is not None:
            _refuse_duplicates(self.symbol)

    def _network(self) -> Symbol:
        """The network; of a function of buckets, that of the largest, which is known once it was trained."""
        if self.symbol is None:
            raise MXNetError("This model is a function of buckets: fit it before it is used")
        return self.symbol

    # ---- training -----------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        monitor: Any = None,
        eval_end_callback: Any = LogValidationMetricsCallback(),
        eval_batch_end_callback: Any = None,
        resume: str | os.PathLike[str] | Snapshot | None = None,
    ) -> None:
        """Train on an array (with labels ``y``) or an iterator; ``eval_data`` is an iterator or a pair of arrays.

        ``work_load_list`` says how much of a batch each context has, as numbers to be compared. ``resume`` is as in
        :meth:`.Module.fit`: a file from which a training that was stopped goes on.
        """
        logger = logger or logging
        if self.num_epoch is None:
            raise AssertionError("num_epoch must be given to train")
        train = self._training_iterator(X, y)
        evaluation = self._evaluation_iterator(eval_data)
        if self.sym_gen is not None:
            if not hasattr(train, "default_bucket_key"):
                raise TypeError(
                    "A function of buckets needs batches that say which bucket they are for, as those of "
                    f"BucketSentenceIter do; {type(train).__name__} has no default_bucket_key"
                )
            self.symbol = self.sym_gen(train.default_bucket_key)
            _refuse_duplicates(self.symbol)
        module = self._module_to_train(train, work_load_list)
        if monitor is not None:
            module.install_monitor(monitor)
        module.init_params(
            self.initializer,
            self.arg_params,
            self.aux_params,
            allow_missing=True,
            force_init=True,
        )
        module.init_optimizer(kvstore, self.optimizer, self.kwargs)
        eval_metric = metrics.create(eval_metric)
        logger.info("Start training with %s", str(self.ctx))
        callbacks = (epoch_end_callback, batch_end_callback, eval_end_callback, eval_batch_end_callback)
        session = Session(resume, module, train, evaluation, eval_metric, callbacks)
        session.reset_data()
        first_epoch, done, finished = session.restore(self.begin_epoch)
        for epoch in range(first_epoch, first_epoch if finished else self.num_epoch):
            tic = time.time()
            if not done:
                eval_metric.reset()
            try:
                self._train_epoch(module, session, eval_metric, epoch, done, batch_end_callback, monitor, logger)
                done = 0
                logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
                self.arg_params, self.aux_params = module.get_params()
                for callback in as_list(epoch_end_callback):
                    callback(epoch, self.symbol, self.arg_params, self.aux_params)
                if evaluation is not None:
                    module.score(
                        evaluation,
                        eval_metric,
                        batch_end_callback=eval_batch_end_callback,
                        score_end_callback=eval_end_callback,
                        epoch=epoch,
                    )
            except StopTraining as reason:
                logger.info("Epoch[%d] Training stopped: %s", epoch, reason)
                session.finished(epoch)
                break
            session.epoch_done(epoch)
        # A callback may have set others, and a training that is not gone on with has made none here.
        self.arg_params, self.aux_params = module.get_params()

    def _train_epoch(
        self,
        module: Any,
        session: Session,
        eval_metric: Any,
        epoch: int,
        nbatch: int,
        callbacks: Any,
        monitor: Any,
        logger: Any,
    ) -> None:
        """What is left of an epoch of which ``nbatch`` batches are done."""
        if nbatch and self.epoch_size is not None and nbatch >= self.epoch_size:
            return  # the training ended between the last batch and what follows an epoch
        while True:
            for batch in session.batches():
                if monitor is not None:
                    monitor.tic()
                module.forward_backward(batch)
                module.update()
                if monitor is not None:
                    monitor.toc_print()
                module.update_metric(eval_metric, batch.label)
                nbatch += 1
                notify(callbacks, BatchEndParam(epoch, nbatch, eval_metric, locals()))
                session.batch_done(epoch, nbatch)
                if self.epoch_size is not None and nbatch >= self.epoch_size:
                    return
            logger.info("Epoch[%d] Resetting Data Iterator", epoch)
            session.reset_data()
            if self.epoch_size is None:
                return

    def _module_to_train(self, train: Any, work_load_list: Sequence[float] | None) -> Module | BucketingModule:
        data_names, label_names = ([desc[0] for desc in kind] for kind in (train.provide_data, train.provide_label))
        settings: dict[str, Any] = {"context": self.ctx, "work_load_list": work_load_list}
        module: Module | BucketingModule
        if self.sym_gen is None:
            module = Module(self._network(), data_names, label_names, **settings)
        else:
            sym_gen = self.sym_gen
            key = train.default_bucket_key
            module = BucketingModule(lambda key: (sym_gen(key), data_names, label_names), key, **settings)
        module.bind(train.provide_data, train.provide_label)
        return module

    # ---- using it -----------------------------------------------------------------------------------------------

    def predict(self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True) -> Any:
        """Outputs for all rows of ``X``, as NumPy arrays; with ``return_data`` also the data and labels."""
        data = self._prediction_iterator(X)
        module = self._ready_module(data)
        if reset:
            data.reset()
        rows: list[list[list[np.ndarray]]] = [[], [], []]
        for outputs, _, batch in module.iter_predict(data, num_batch, reset=False):
            kept = outputs[0].shape[0]
            rows[0].append([out.asnumpy() for out in outputs])
            if return_data:
                rows[1].append([x[0:kept].asnumpy() for x in batch.data])
                rows[2].append([x[0:kept].asnumpy() for x in batch.label])
        merged = [[np.concatenate(parts) for parts in zip(*kind)] for kind in rows]
        single = [kind[0] if len(kind) == 1 else kind for kind in merged]
        return tuple(single) if return_data else single[0]

    def score(
        self,
        X: Any,
        eval_metric: Any = "acc",
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        reset: bool = True,
    ) -> float:
        """The metric over an iterator with labels."""
        data = self._prediction_iterator(X)
        result = self._ready_module(data).score(data, eval_metric, num_batch, batch_end_callback, reset=reset)
        return result[0][1]

    def _ready_module(self, data: Any) -> Module:
        if self.arg_params is None:
            raise MXNetError("This model has no parameters yet: fit it, load it, or give arg_params")
        symbol = self._network()
        arguments = symbol.list_arguments()
        # Labels that nobody provides are inputs all the same, not parameters.
        labels = [desc[0] for desc in data.provide_label or ()] or [n for n in arguments if n.endswith("label")]
        data_names = [desc[0] for desc in data.provide_data]
        module = Module(symbol, data_names, [name for name in labels if name in arguments], context=self.ctx[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing label is what prediction is about
            module.bind(data.provide_data, data.provide_label or None, for_training=False)
        if not self.allow_extra_params:
            refuse_unknown(symbol, self.arg_params, self.aux_params)
        module.init_params(self.initializer, self.arg_params, self.aux_params or {})
        return module

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, prefix: str, epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Write a checkpoint; ``epoch`` defaults to ``num_epoch``."""
        epoch = self.num_epoch if epoch is None else epoch
        if epoch is None:
            raise AssertionError("epoch must be given: num_epoch is not set")
        save_checkpoint(prefix, epoch, self._network(), self.arg_params or {}, self.aux_params or {}, remove_amp_cast)

    @staticmethod
    def load(prefix: str, epoch: int, ctx: Any = None, **kwargs: Any) -> FeedForward:
        """The model of a checkpoint, ready to predict or to go on training from ``epoch``."""
        symbol, arg_params, aux_params = load_checkpoint(prefix, epoch)
        return FeedForward(symbol, ctx=ctx, arg_params=arg_params, aux_params=aux_params, begin_epoch=epoch, **kwargs)

    @staticmethod
    def create(
        symbol: Symbol | Callable[[Hashable], Symbol],
        X: Any,
        y: Any = None,
        ctx: Any = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = Uniform(0.01),
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        eval_end_callback: Any = LogValidationMetricsCallback(),
        eval_batch_end_callback: Any = None,
        **kwargs: Any,
    ) -> FeedForward:
        """Make a model and fit it; keywords are the optimizer's parameters."""
        model = FeedForward(
            symbol,
            ctx=ctx,
            num_epoch=num_epoch,
            epoch_size=epoch_size,
            optimizer=optimizer,
            initializer=initializer,
            **kwargs,
        )
        model.fit(
            X,
            y,
            eval_data,
            eval_metric,
            epoch_end_callback,
            batch_end_callback,
            kvstore,
            logger,
            work_load_list,
            None,
            eval_end_callback,
            eval_batch_end_callback,
        )
        return model

    # ---- arrays as iterators ------------------------------------------------------------------------------------

    def _training_iterator(self, X: Any, y: Any) -> Any:
        if not isinstance(X, (np.ndarray, NDArray)):
            if y is None or hasattr(X, "provide_data"):
                return self._iterator(X, shuffle=True)
            if not is_array(X):
                raise TypeError(f"X must be a DataIter, numpy.ndarray or NDArray, not {type(X).__name__}")
            return self._iterator((X, y), shuffle=True)
        if y is None:
            raise ValueError("y must be specified when X is numpy.ndarray")
        y = y.asnumpy() if isinstance(y, NDArray) else np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y.ravel()
        if y.ndim != 1:
            raise ValueError(f"Label must be 1D or 2D (with 2nd dimension being 1), not of shape {y.shape}")
        if len(X) != len(y):
            raise ValueError(f"The numbers of data points ({len(X)}) and labels ({len(y)}) are not equal")
        size = min(X.shape[0], self.numpy_batch_size)
        return NDArrayIter(X, y, size, shuffle=True, last_batch_handle="roll_over", label_name=self._label_name())

    def _prediction_iterator(self, X: Any) -> Any:
        if not isinstance(X, (np.ndarray, NDArray)):
            return self._iterator(X)
        return NDArrayIter(X, None, min(X.shape[0], self.numpy_batch_size), shuffle=False)

    def _evaluation_iterator(self, data: Any) -> Any:
        if data is None:
            return None
        if isinstance(data, tuple) or (isinstance(data, list) and len(data) == 2):
            if len(data) != 2 or data[0] is None:
                raise ValueError("eval_data must be an iterator or a pair (data, labels)")
            if data[1] is None:  # an iterator, which has labels of its own
                return self._iterator(data[0])
            X, y = (np.asarray(part.asnumpy() if isinstance(part, NDArray) else part) for part in data)
            size = min(len(X), self.numpy_batch_size)
            return NDArrayIter(X, y.ravel(), size, label_name=self._label_name())
        return self._iterator(data)

    def _iterator(self, data: Any, shuffle: bool = False) -> Any:
        names = () if self.symbol is None else self.symbol.list_arguments()
        data_names = [name for name in names if name.endswith("data")] or ["data"]
        return as_data_iter(data, data_names, [self._label_name()], self.numpy_batch_size, shuffle)

    def _label_name(self) -> str:
        names = () if self.symbol is None else self.symbol.list_arguments()
        return next((name for name in names if name.endswith("label")), "softmax_label")


def _refuse_duplicates(symbol: Symbol) -> None:
    names = symbol.list_arguments()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f'Find duplicated argument name "{twice[0]}", please make the weight name non-duplicated(using name '
            f"arguments), arguments are {names}"
        )
