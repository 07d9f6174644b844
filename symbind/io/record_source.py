"""The records of a file, in order or shuffled, as often as wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from ..base import MXNetError
from ..recordio import read_index, read_record, record_offsets

__all__ = ["RecordSource"]

MEGABYTE = 1 << 20


class RecordSource:
    """A record file, or one of several parts of it.

    Parameters
    ----------
    path : str
    index_path : str
        The index of the file; empty to do without, which costs reading through it once where offsets are needed.
    shuffle, seed : bool, int
        A new order for each pass.
    num_parts, part_index : int
        Only this part of so many.
    chunk_megabytes, chunk_seed : int
        Keep the records of so many megabytes together, and visit these chunks in random order: on a disk that turns,
        reading is then mostly sequential. 0 does without, and so does a file with an index.

    ``passes`` counts them; the order of each follows from its number.

    Raises MXNetError if a file cannot be read or there are no records.
    """

    def __init__(
        self,
        path: str,
        index_path: str = "",
        shuffle: bool = False,
        seed: int = 0,
        num_parts: int = 1,
        part_index: int = 0,
        chunk_megabytes: int = 0,
        chunk_seed: int = 0,
    ) -> None:
        if not 0 <= part_index < num_parts:
            raise MXNetError(f"part_index must lie in [0, num_parts), got {part_index} of {num_parts}")
        self.path = path
        self._shuffle = shuffle
        self._seed = seed
        self._chunk_seed = chunk_seed
        self._chunk_size = 0 if index_path else chunk_megabytes * MEGABYTE
        self.passes = 0
        self._offsets: list[int] | None = None
        self._first = 0
        try:
            self._size = os.path.getsize(path)
            if index_path:
                self._offsets = list(read_index(index_path, str).values())
            elif shuffle or num_parts > 1 or self._chunk_size:
                self._offsets = record_offsets(path)
        except OSError as error:
            raise MXNetError(f"Cannot read {error.filename!r}: {error.strerror}") from error
        if self._offsets is not None:
            part_size = -(-len(self._offsets) // num_parts)
            self._first = part_index * part_size
            self._offsets = self._offsets[self._first : self._first + part_size]
        if not self._size or self._offsets == []:
            raise MXNetError(f"{path!r} holds no records" + (f" for part {part_index}" if num_parts > 1 else ""))

    def new_pass(self) -> Iterator[tuple[int, bytes]]:
        """Number and content of each record; each time a new order if it is random."""
        self.passes += 1
        return self._in_file_order() if self._offsets is None else self._by_offset(self._offsets, self.passes)

    def _in_file_order(self) -> Iterator[tuple[int, bytes]]:
        with open(self.path, "rb") as file:
            yield from enumerate(iter(lambda: read_record(file, self._size), None))

    def _by_offset(self, offsets: list[int], number: int) -> Iterator[tuple[int, bytes]]:
        order = self._order(np.array(offsets), number)
        with open(self.path, "rb") as file:
            for position in order.tolist():
                if not 0 <= offsets[position] < self._size:
                    raise MXNetError(
                        f"The index places record {self._first + position} at byte {offsets[position]} of "
                        f"{self.path!r}, which has {self._size}"
                    )
                file.seek(offsets[position])
                record = read_record(file, self._size)
                assert record is not None  # the offset lies before the end
                yield self._first + position, record

    def _order(self, offsets: np.ndarray, number: int) -> np.ndarray:
        chunks = [np.arange(len(offsets))]
        if self._chunk_size:
            ends = np.flatnonzero(np.diff((offsets - offsets[0]) // self._chunk_size)) + 1
            chunks = np.split(chunks[0], ends)
            visited = np.random.default_rng([self._chunk_seed % 2**64, number]).permutation(len(chunks))
            chunks = [chunks[i] for i in visited]
        if self._shuffle:
            rng = np.random.default_rng([self._seed % 2**64, number])
            chunks = [rng.permutation(chunk) for chunk in chunks]
        return np.concatenate(chunks)
