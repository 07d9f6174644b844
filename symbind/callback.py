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

try:
    from tqdm.auto import tqdm
except ImportError:
    tqdm = None

__all__ = [
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
