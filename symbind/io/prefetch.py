"""PrefetchingIter: batches made ready in the background while the last one is being used."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..base import MXNetError
from ..stateful import state_of
from .iterator import DataBatch, DataDesc, DataIter, WholeBatchIter

__all__ = ["PrefetchingIter"]


class PrefetchingIter(WholeBatchIter):
    """Reads one or more iterators ahead, each in a thread of its own, and joins their batches.

    Parameters
    ----------
    iters : DataIter or list of DataIter
        They must be of equal length. From now on they belong to this object; nobody else may touch them.
    rename_data, rename_label : list of dict, optional
        For each iterator a dict from its names to those that this one provides.
    depth : int
        How many batches each thread is ahead at most.

    An exception in a thread is raised by :meth:`next` in the place of the batch that could not be made, and again by
    each further call until :meth:`reset`. Raises MXNetError if one iterator ends before another or their batches
    differ in ``pad``.
    """

    def __init__(
        self,
        iters: DataIter | Sequence[DataIter],
        rename_data: Sequence[Mapping[str, str]] | None = None,
        rename_label: Sequence[Mapping[str, str]] | None = None,
        depth: int = 2,
    ) -> None:
        self.iters: list[DataIter] = [iters] if isinstance(iters, DataIter) else list(iters)
        if not self.iters:
            raise ValueError("PrefetchingIter needs at least one iterator")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        self.n_iter = len(self.iters)
        self.rename_data = rename_data
        self.rename_label = rename_label
        self.provide_data = _joined([i.provide_data for i in self.iters], rename_data, "rename_data")
        self.provide_label = _joined([i.provide_label for i in self.iters], rename_label, "rename_label")
        super().__init__(self.provide_data[0][1][0])
        self._readers = [_Reader(iterator, depth) for iterator in self.iters]
        self._taken = 0

    def reset(self) -> None:
        """Drop what was read ahead, reset all iterators and start reading again."""
        self._taken = 0
        for reader in self._readers:
            reader.reset()

    def close(self) -> None:
        """Stop the threads. It is not needed: they also end with this object."""
        for reader in self._readers:
            reader.close()

    def iter_next(self) -> bool:
        read = [reader.next() for reader in self._readers]
        batches = [batch for batch in read if batch is not None]
        if not batches:
            return False
        self._taken += 1
        if len(batches) < len(read):
            raise MXNetError(
                f"Iterators of PrefetchingIter must be of equal length, but iterator {read.index(None)} ended "
                f"before iterator {next(i for i, batch in enumerate(read) if batch is not None)}"
            )
        first = batches[0]
        if any(batch.pad != first.pad for batch in batches):
            raise MXNetError(
                f"Iterators of PrefetchingIter must pad alike, but their batches have pad "
                f"{', '.join(str(batch.pad) for batch in batches)}"
            )
        pairs = list(zip(batches, self.iters))
        self.current_batch = DataBatch(
            [array for batch in batches for array in batch.data or ()],
            [array for batch in batches for array in batch.label or ()],
            first.pad,
            first.index,
            first.bucket_key,
            # A batch may be of another shape than its iterator says: bucketing.
            _joined([b.provide_data or i.provide_data for b, i in pairs], self.rename_data, "rename_data"),
            _joined([b.provide_label or i.provide_label for b, i in pairs], self.rename_label, "rename_label"),
        )
        return True

    def state_dict(self) -> dict[str, Any] | None:
        """Where the iterators stood at the last reset, and how many batches have been taken since."""
        begun = [reader.begun for reader in self._readers]
        return None if None in begun else {"begun": begun, "taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for reader, begun in zip(self._readers, state["begun"], strict=True):
            reader.begin_at(begun, state["taken"])
        self._taken = state["taken"]


class _Reader:
    """One thread that is up to ``depth`` batches ahead of whoever calls :meth:`next`.

    Only the thread touches the iterator. The queue is the list of promises that it has been given: it never holds
    more than ``depth``, keeps their order, and carries exceptions.
    """

    def __init__(self, iterator: DataIter, depth: int) -> None:
        self._depth = depth
        self._source = _Source(iterator)
        # A pool of one thread, which ends when the pool is collected or the process exits.
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._promised: deque[Future[DataBatch | None]] = deque()
        # Where the iterator stands before it is read ahead: a place that its consumer can be brought back to.
        self.begun = state_of(iterator)
        self._read_ahead()

    def _read_ahead(self) -> None:
        while len(self._promised) < self._depth:
            self._promised.append(self._thread.submit(self._source.next))

    def next(self) -> DataBatch | None:
        """The next batch, None at the end of the epoch."""
        batch = self._promised[0].result()
        self._promised.popleft()
        self._read_ahead()
        return batch

    def reset(self) -> None:
        self._drop()
        self.begun = self._thread.submit(self._source.reset).result()
        self._read_ahead()

    def begin_at(self, begun: dict[str, Any], taken: int) -> None:
        """Stand ``taken`` batches after the state ``begun`` of the iterator."""
        self._drop()
        self.begun = begun
        self._thread.submit(self._source.begin_at, begun, taken).result()
        self._read_ahead()

    def _drop(self) -> None:
        for promise in self._promised:
            promise.cancel()
        self._promised.clear()

    def close(self) -> None:
        self._promised.clear()
        self._thread.shutdown(cancel_futures=True)


class _Source:
    """An iterator that is not asked again after its end: some start over if they are."""

    def __init__(self, iterator: DataIter) -> None:
        self._iterator = iterator
        self._ended = False

    def next(self) -> DataBatch | None:
        if self._ended:
            return None
        self._ended = True  # unless a batch follows: also if the iterator fails
        try:
            batch = self._iterator.next()
        except StopIteration:
            return None
        self._ended = False
        return batch

    def reset(self) -> dict[str, Any] | None:
        """Begin anew; returns where the iterator stands then."""
        self._iterator.reset()
        self._ended = False
        return state_of(self._iterator)

    def begin_at(self, begun: dict[str, Any], taken: int) -> None:
        self._iterator.load_state_dict(begun)
        self._ended = False
        for _ in range(taken):
            self.next()


def _joined(
    provided: Sequence[Sequence[Any]], renames: Sequence[Mapping[str, str]] | None, argument: str
) -> list[DataDesc]:
    """The descriptions of all iterators in one list, under their new names."""
    descriptions = [[d if isinstance(d, DataDesc) else DataDesc(*d) for d in each] for each in provided]
    if renames is None:
        return [d for each in descriptions for d in each]
    if len(renames) != len(provided):
        raise ValueError(f"{argument} has {len(renames)} dicts for {len(provided)} iterators")
    joined = []
    for rename, each in zip(renames, descriptions):
        for d in each:
            if d.name not in rename:
                raise ValueError(f"{argument} has no new name for {d.name!r}; it has {sorted(rename)}")
            joined.append(DataDesc(rename[d.name], d.shape, d.dtype, d.layout))
    return joined
