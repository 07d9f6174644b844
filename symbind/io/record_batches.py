"""What iterators over record files share: threads that make batches ready ahead of time.

The consumer's thread alone reads the file and decides which record goes where; each batch is then shared out among
all threads, so that even the first one comes as soon as possible. The queue is the list of batches that are promised:
it never holds more than ``prefetch_buffer``, keeps their order, and carries exceptions.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Any, NamedTuple

import torch

from ..base import MXNetError
from .file_iterator import MXDataIter
from .iterator import DataBatch, WholeBatchIter
from .record_source import RecordSource

__all__ = ["RecordBatches", "Sample"]


class Sample(NamedTuple):
    """A record that waits to be decoded."""

    number: int  # within the file, in the order of reading it or its index
    record: bytes
    chance: str  # what the generator of its augmentation is seeded with

    def random(self) -> Random:
        """A generator of its own, so that it does not matter which thread comes first."""
        return Random(self.chance)


class _Promise(NamedTuple):
    batch: DataBatch
    parts: list[Future[None]]


class RecordBatches(MXDataIter, WholeBatchIter):
    """Base of iterators over the records of a file.

    A subclass defines :meth:`new_batch` and :meth:`fill`, and calls :meth:`reset` when it is ready.

    Parameters
    ----------
    source : the records
    batch_size : int
    seed : int
        All chances of augmentation follow from it alone, whatever the number of threads.
    round_batch : bool
        The last batch is always filled up, and says so in ``pad``. If ``round_batch`` is set, the next epoch starts
        after the samples that were borrowed so, else at the beginning.
    preprocess_threads, prefetch_buffer : int
        How many threads decode, and how many batches are made ready ahead.
    """

    def __init__(
        self,
        source: RecordSource,
        batch_size: int,
        seed: int,
        round_batch: bool,
        preprocess_threads: int,
        prefetch_buffer: int,
    ) -> None:
        super().__init__(batch_size)
        if min(batch_size, preprocess_threads, prefetch_buffer) < 1:
            raise MXNetError("batch_size, preprocess_threads and prefetch_buffer must be at least 1")
        self._source = source
        self._seed = seed
        self._round_batch = round_batch
        self._prefetch = prefetch_buffer
        self._part_size = -(-batch_size // preprocess_threads)
        self._pass = source.new_pass()
        self._begun = 0  # records of that pass that came before this epoch
        self._read = 0  # records of that pass that have been read
        self._handed_out = 0  # batches of this epoch that the consumer has
        self._epoch = -1
        self._taken = 0  # samples of this epoch that were given to the threads
        self._all_taken = False
        self._fresh = True  # nothing has been taken since the beginning of the data
        self._promised: deque[_Promise] = deque()
        self._threads = _start_threads(preprocess_threads)

    def new_batch(self, samples: Sequence[Sample], pad: int) -> DataBatch:
        """An empty batch for these samples."""
        raise NotImplementedError

    def fill(self, batch: DataBatch, row: int, sample: Sample) -> None:
        """Put a decoded sample into its row; called in one of the threads."""
        raise NotImplementedError

    # ---- epochs ------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin a new epoch; see ``round_batch`` for where. What was made ready of the old one is dropped."""
        goes_on = self._round_batch and self._all_taken and not self._promised
        self._drop()
        if not (goes_on or self._fresh):
            # However far it was read ahead, the next pass has the next number.
            self._source.passes = self._number
            self._new_pass()
        self._fresh = False
        self._begin_epoch(self._epoch + 1)
        self._read_ahead()

    def _new_pass(self) -> None:
        self._pass = self._source.new_pass()
        self._read = 0

    def _begin_epoch(self, number: int) -> None:
        self._epoch = number
        self._begun = self._read
        self._number = self._source.passes
        self._taken = self._handed_out = 0
        self._all_taken = False

    def _drop(self) -> None:
        for promise in self._promised:
            for part in promise.parts:
                part.cancel()
        self._promised.clear()

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch began in which pass over the records, and how many of its batches have been taken."""
        return {"epoch": self._epoch, "pass": self._number, "begun": self._begun, "taken": self._handed_out}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._drop()
        self._fresh = False
        self._source.passes = state["pass"] - 1
        self._new_pass()
        for self._read in range(1, state["begun"] + 1):
            next(self._pass)
        self._begin_epoch(state["epoch"])
        # Read, but not decoded.
        for _ in range(state["taken"]):
            self._take()
        self._handed_out = state["taken"]
        self._read_ahead()

    def iter_next(self) -> bool:
        if not self._promised:
            self.current_batch = None
            return False
        # A batch that failed stays where it is, so that asking again fails again.
        for part in self._promised[0].parts:
            part.result()
        self.current_batch = self._promised.popleft().batch
        self._handed_out += 1
        self._read_ahead()
        return True

    def _read_ahead(self) -> None:
        """Keep the threads supplied."""
        while len(self._promised) < self._prefetch and not self._all_taken:
            try:
                samples, pad = self._take()
            except (MXNetError, OSError) as error:
                # It is the consumer's turn when all batches before have been taken.
                failed: Future[None] = Future()
                failed.set_exception(error)
                self._promised.append(_Promise(DataBatch([]), [failed]))
                self._all_taken = True
                return
            if samples:
                batch = self.new_batch(samples, pad)
                parts = [
                    self._threads.submit(self._fill_rows, batch, first, samples[first : first + self._part_size])
                    for first in range(0, len(samples), self._part_size)
                ]
                self._promised.append(_Promise(batch, parts))

    def _take(self) -> tuple[list[Sample], int]:
        """The samples of the next batch, and how many of them only fill it up; none if the epoch is over."""
        samples: list[Sample] = []
        pad = 0
        while len(samples) < self.batch_size:
            found = next(self._pass, None)
            if found is not None:
                self._read += 1
                samples.append(Sample(*found, f"{self._seed} {self._epoch} {self._taken}"))
                self._taken += 1
                pad += self._all_taken
                continue
            self._all_taken = True
            self._new_pass()
            if not samples:
                break
        return samples, pad

    def _fill_rows(self, batch: DataBatch, first: int, samples: Sequence[Sample]) -> None:
        for row, sample in enumerate(samples, first):
            try:
                self.fill(batch, row, sample)
            except MXNetError as error:
                raise MXNetError(f"Record {sample.number} of {self._source.path!r}: {error}") from error


def _start_threads(count: int) -> ThreadPoolExecutor:
    """Threads in each of which torch works alone: several images at once are better than several threads an image.

    torch keeps that number for each thread, but new threads take the one that was set last anywhere; therefore all
    threads are started now, and the number is set again for whoever comes later.
    """
    before = torch.get_num_threads()
    all_started = threading.Barrier(count)

    def start() -> None:
        torch.set_num_threads(1)
        all_started.wait()

    threads = ThreadPoolExecutor(count, "image records")
    for started in [threads.submit(start) for _ in range(count)]:
        started.result()
    torch.set_num_threads(before)
    return threads
