"""Monitor: statistics of what flows through a network while it is trained."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from .ndarray import NDArray
from .runtime.executor import Executor

__all__ = ["Monitor"]

Statistic = Callable[[NDArray], NDArray | list[NDArray]]


def _root_mean_square(array: NDArray) -> NDArray:
    return NDArray((array.tensor.float().norm() / array.size**0.5).reshape(1), array.context)


class Monitor:
    """Every ``interval`` batches, a statistic of each operator's outputs, and of arguments and auxiliary states.

    Between :meth:`tic` and :meth:`toc` the executors watched tell of the outputs of their operators as they run, and on
    the way back of the gradients of their inputs (``fc_backward_output0``, see :meth:`.Executor.set_monitor_callback`);
    toc adds what arguments and auxiliary states hold then. An executor that is watched computes every node of its
    symbol, with nothing fused or left out, and so is slower.

    Parameters
    ----------
    interval : number of batches of which the first is observed.
    stat_func : from an array to an array, or a list of arrays; default ‖x‖₂/√size.
    pattern : regular expression; only what matches it from the start of its name is observed.
    sort : whether results are sorted by name.
    monitor_all : whether operators' inputs are observed, too.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Statistic | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ) -> None:
        self.stat_func = stat_func or _root_mean_square
        self.interval = interval
        self.activated = False
        # (number of the batch, name, statistic), in the order of observation.
        self.queue: list[tuple[int, str, Any]] = []
        self.step = 0
        self.exes: list[Executor] = []
        self.re_prog = re.compile(pattern)
        self.sort = sort
        self.monitor_all = monitor_all

    def stat_helper(self, name: str | bytes, array: NDArray) -> None:
        """What executors call with each array; notes its statistic if this batch and this name are observed."""
        if isinstance(name, bytes):
            name = name.decode()
        if self.activated and self.re_prog.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def install(self, exe: Executor) -> None:
        """Watch ``exe``, which can have one monitor at a time."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self) -> None:
        """Begin a batch. To be called before forward."""
        if self.step % self.interval == 0:
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """End a batch: ``(number of the batch, name, statistic as text)`` of all that was observed in it.

        AssertionError if ``stat_func`` gave anything but arrays.
        """
        if not self.activated:
            return []
        for exe in self.exes:
            for arrays in (exe.arg_dict, exe.aux_dict):
                for name, array in arrays.items():
                    self.stat_helper(name, array)
        self.activated = False
        queue, self.queue = self.queue, []
        if self.sort:
            queue.sort(key=lambda noted: noted[1])
        return [(step, name, _text(name, statistic)) for step, name, statistic in queue]

    def toc_print(self) -> None:
        """End a batch, and log what was observed."""
        for step, name, text in self.toc():
            logging.info("Batch: %7d %-30s %s", step, name, text)


def _text(name: str, statistic: Any) -> str:
    """Each array as text, followed by a tab."""
    arrays = statistic if isinstance(statistic, list) else [statistic]
    for array in arrays:
        if not isinstance(array, NDArray):
            raise AssertionError(f"stat_func of a Monitor must return NDArrays; for {name} it gave {array!r}")
    return "".join(f"{array.asscalar() if array.shape == (1,) else array.asnumpy()!s}\t" for array in arrays)
