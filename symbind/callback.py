"""Callbacks for training: checkpoints at the end of an epoch, progress and metrics after a batch.

An epoch callback is called as ``f(epoch, symbol, arg_params, aux_params)``; a batch callback is called with one
object that has ``epoch``, ``nbatch``, ``eval_metric`` and ``locals``. What they return is ignored.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from .checkpoint import save_checkpoint
from .learning_curve import LearningCurve
from .stateful import Stateful

try:
    from tqdm.auto import tqdm
except ImportError:
    tqdm = None

__all__ = [
    "EarlyStopping",
    "LearningCurve",
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "StopTraining",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]


class StopTraining(Exception):
    """Raised by a callback to end training; what it says is logged, and ``fit`` returns."""


def do_checkpoint(prefix: str, period: int = 1) -> Callable[[int, Any, Any, Any], None]:
    """An epoch callback that saves ``<prefix>-symbol.json`` and ``<prefix>-<epoch>.params``.

    Every ``period`` epochs; the files of the first epoch (epoch 0) are numbered 0001.
    """
    period = max(1, int(period))

    def callback(epoch: int, symbol: Any, arg_params: Any, aux_params: Any) -> None:
        if (epoch + 1) % period == 0:
            save_checkpoint(prefix, epoch + 1, symbol, arg_params, aux_params)

    return callback


def module_checkpoint(
    mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False
) -> Callable[..., None]:
    """An epoch callback that calls ``mod.save_checkpoint`` every ``period`` epochs.

    Unlike :func:`do_checkpoint` it can save the optimizer's states too, as ``<prefix>-<epoch>.states``.
    """
    period = max(1, int(period))

    def callback(epoch: int, symbol: Any = None, arg_params: Any = None, aux_params: Any = None) -> None:
        if (epoch + 1) % period == 0:
            mod.save_checkpoint(prefix, epoch + 1, save_optimizer_states)

    return callback


def log_train_metric(period: int, auto_reset: bool = False) -> Callable[[Any], None]:
    """A batch callback that logs the training metric every ``period`` batches.

    ``Iter[<epoch>] Batch[<nbatch>] Train-<name>=<value>``; with ``auto_reset`` each value covers only the
    batches since the last one.
    """

    def callback(param: Any) -> None:
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return callback


class Speedometer:
    """A batch callback that logs speed and metric every ``frequent`` batches.

    ``Epoch[<epoch>] Batch [<from>-<to>]\\tSpeed: <v> samples/sec\\t<name>=<value>…``. With ``auto_reset`` the
    metric covers these batches only, otherwise all since the epoch began. The first call of an epoch starts
    the clock and logs nothing.
    """

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True) -> None:
        self.batch_size = batch_size
        self.frequent = frequent
        self.auto_reset = auto_reset
        self.init = False
        self.tic = 0.0
        self.last_count = 0

    def __call__(self, param: Any) -> None:
        count = param.nbatch
        if count < self.last_count:  # a new epoch
            self.init = False
        self.last_count = count
        if not self.init:
            self.init = True
            self.tic = time.time()
            return
        if count % self.frequent:
            return
        elapsed = time.time() - self.tic
        speed = self.frequent * self.batch_size / elapsed if elapsed else math.inf
        if param.eval_metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, count, speed)
        else:
            pairs = param.eval_metric.get_name_value()
            first = 0
            if self.auto_reset:
                first = count - self.frequent
                param.eval_metric.reset_local()
            message = "Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + "\t%s=%f" * len(pairs)
            logging.info(message, param.epoch, first, count, speed, *(part for pair in pairs for part in pair))
        self.tic = time.time()


class ProgressBar:
    """A batch callback that shows how much of an epoch of ``total`` batches is done.

    A tqdm bar where tqdm is installed; otherwise a line ``[====----] 50%`` of ``length`` signs in the log.
    """

    def __init__(self, total: int, length: int = 80) -> None:
        self.total = total
        self.bar_len = length
        self._bar: Any = None

    def __call__(self, param: Any) -> None:
        if tqdm is None:
            self._log(param.nbatch)
        else:
            self._draw(param.epoch, param.nbatch)

    def _log(self, count: int) -> None:
        filled = round(self.bar_len * count / self.total)
        percent = math.ceil(100.0 * count / self.total)
        logging.info("[%s] %s%s\r", "=" * filled + "-" * (self.bar_len - filled), percent, "%")

    def _draw(self, epoch: int, count: int) -> None:
        if self._bar is None or count < self._bar.n:
            self._close()
            self._bar = tqdm(total=self.total, ncols=self.bar_len, desc=f"Epoch[{epoch}]")
        self._bar.update(count - self._bar.n)
        if count >= self.total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class LogValidationMetricsCallback:
    """An evaluation callback that logs ``Epoch[<epoch>] Validation-<name>=<value>``."""

    def __call__(self, param: Any) -> None:
        if param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)


# Of these metrics, and of those that count how often something was right, more is better.
_RISING = ("accuracy", "f1", "mcc", "pcc", "pearsonr", "top_k_accuracy")


class EarlyStopping(Stateful):
    """An evaluation callback that ends training when validation has not become better for some epochs.

    >>> module.fit(train, eval_data=valid, eval_end_callback=mx.callback.EarlyStopping(patience=3), ...)

    Parameters
    ----------
    patience : epochs without improvement after which training ends.
    monitor : name of the metric; default the first.
    min_delta : what an improvement is at least.
    mode : ``'min'`` or ``'max'``, whether less or more is better; ``'auto'`` tells by the name of the metric.
    restore_best : whether the module is left with the parameters of its best epoch.

    ``best`` and ``best_epoch`` say what was best, and when. Prechelt, "Early Stopping - But When?", 1998.
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str | None = None,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, not {patience}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', not {mode!r}")
        self.patience = patience
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.mode = mode
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_epoch = -1
        self._best_params: tuple[dict[str, Any], dict[str, Any]] | None = None

    def __call__(self, param: Any) -> None:
        values = dict(param.eval_metric.get_global_name_value())
        name = next(iter(values)) if self.monitor is None else self.monitor
        if name not in values:
            raise ValueError(f"There is no metric {name!r} to stop by; there are {', '.join(map(repr, values))}")
        module = param.locals["self"]
        if self._is_better(name, values[name]):
            self.best, self.best_epoch = values[name], param.epoch
            if self.restore_best:
                self._best_params = module.get_params()
        elif param.epoch - self.best_epoch >= self.patience:
            if self._best_params is not None:
                module.set_params(*self._best_params)
            raise StopTraining(f"{name} has not been better than {self.best:f} since epoch {self.best_epoch}")

    def _is_better(self, name: str, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        rising = name.startswith(_RISING) if self.mode == "auto" else self.mode == "max"
        return value - self.best > self.min_delta if rising else self.best - value > self.min_delta
