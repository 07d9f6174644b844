"""Text as batches: words as numbers, and sentences of about the same length together."""

from __future__ import annotations

import random
import warnings
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ..io import DataBatch, DataDesc, DataIter
from ..ndarray import array

__all__ = ["BucketSentenceIter", "encode_sentences"]


def encode_sentences(
    sentences: Iterable[Iterable[Hashable]],
    vocab: dict[Any, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Hashable = "\n",
    start_label: int = 0,
    unknown_token: Hashable | None = None,
) -> tuple[list[list[int]], dict[Any, int]]:
    """``(sentences as lists of numbers, vocabulary)``.

    Without ``vocab`` one is made: words get the numbers from ``start_label`` on in the order in which they come, but
    never ``invalid_label``, which belongs to ``invalid_key``. With one, a word that is not in it becomes
    ``unknown_token``, which is added to it if need be; without that it is an AssertionError.
    """
    growing = vocab is None
    vocab = {invalid_key: invalid_label} if vocab is None else vocab
    taken = {invalid_label} if growing else {invalid_label, *vocab.values()}
    next_label = start_label

    def number(word: Hashable) -> int:
        nonlocal next_label
        if word not in vocab:
            if not growing:
                if unknown_token is None:
                    raise AssertionError(f"Unknown token {word}")
                word = unknown_token
            if word not in vocab:
                while next_label in taken:
                    next_label += 1
                vocab[word] = next_label
                taken.add(next_label)
        return vocab[word]

    return [[number(word) for word in sentence] for sentence in sentences], vocab


class BucketSentenceIter(DataIter):
    """Batches of sentences for a language model: each label is the next word of the same sentence.

    A sentence goes into the smallest bucket that is at least as long, filled up with ``invalid_label``; those longer
    than every bucket are left out, with a warning, as are in each epoch the last sentences of a bucket that do not
    fill a batch. Batches carry their bucket's length as ``bucket_key``. Their order comes from the generator of
    ``random``, that of the sentences from ``numpy.random``.

    Parameters
    ----------
    sentences : lists of numbers, as from :func:`encode_sentences`.
    batch_size : int
    buckets : lengths; default every length that at least ``batch_size`` sentences have.
    invalid_label : what fills up sentences, and follows the last word.
    data_name, label_name : names of the variables.
    dtype : type of the batches.
    layout : ``'NT'`` for (batch, time), ``'TN'`` for (time, batch).

    Raises ValueError for another layout, and if there is no bucket.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: Sequence[int] | None = None,
        invalid_label: int = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: Any = "float32",
        layout: str = "NT",
    ) -> None:
        super().__init__(batch_size)
        if layout not in ("NT", "TN"):
            raise ValueError(f"Invalid layout {layout}: Must be NT (batch major) or TN (time major)")
        if not buckets:
            counts = np.bincount(np.array([len(sentence) for sentence in sentences], int))
            buckets = [length for length, count in enumerate(counts) if length and count >= batch_size]
        if not buckets:
            raise ValueError(
                f"There is no bucket: none of the {len(sentences)} sentences has a length that {batch_size} "
                "(the batch size) of them have"
            )
        self.buckets = sorted(buckets)
        self.default_bucket_key = max(self.buckets)
        self.invalid_label = invalid_label
        self.data_name = data_name
        self.label_name = label_name
        self.dtype = dtype
        self.layout = layout
        self.major_axis = layout.index("N")
        self.data = self._sorted(sentences)
        self.provide_data = [self._description(data_name, self.default_bucket_key)]
        self.provide_label = [self._description(label_name, self.default_bucket_key)]
        # (bucket, first row) of every batch.
        self.idx = [
            (i, row) for i, rows in enumerate(self.data) for row in range(0, len(rows) - batch_size + 1, batch_size)
        ]
        self.reset()

    def _sorted(self, sentences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """For each bucket its sentences as rows, filled up."""
        rows: list[list[np.ndarray]] = [[] for _ in self.buckets]
        discarded = 0
        for sentence in sentences:
            bucket = bisect_left(self.buckets, len(sentence))
            if bucket == len(self.buckets):
                discarded += 1
                continue
            row = np.full(self.buckets[bucket], self.invalid_label, self.dtype)
            row[: len(sentence)] = sentence
            rows[bucket].append(row)
        if discarded:
            warnings.warn(f"discarded {discarded} sentences longer than the largest bucket.", stacklevel=3)
        return [np.array(kept, self.dtype).reshape(-1, length) for kept, length in zip(rows, self.buckets)]

    def _description(self, name: str, length: int) -> DataDesc:
        shape = (self.batch_size, length) if self.major_axis == 0 else (length, self.batch_size)
        return DataDesc(name, shape, layout=self.layout)

    def reset(self) -> None:
        """Begin a new epoch: shuffle the batches, and the sentences of each bucket."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        for rows in self.data:
            np.random.shuffle(rows)

    def state_dict(self) -> dict[str, Any]:
        """The order of batches and sentences, and the place in it."""
        return {"curr_idx": self.curr_idx, "idx": self.idx, "data": self.data}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at that place; ValueError if there are other buckets."""
        shapes = [[rows.shape for rows in data] for data in (self.data, state["data"])]
        if shapes[0] != shapes[1]:
            raise ValueError(f"The sentences are {shapes[1]} in their buckets there, but {shapes[0]} here")
        self.curr_idx, self.idx, self.data = state["curr_idx"], state["idx"], state["data"]

    def next(self) -> DataBatch:
        if self.curr_idx == len(self.idx):
            raise StopIteration
        bucket, first = self.idx[self.curr_idx]
        self.curr_idx += 1
        data = self.data[bucket][first : first + self.batch_size]
        label = np.full_like(data, self.invalid_label)
        label[:, :-1] = data[:, 1:]
        if self.major_axis == 1:
            data, label = data.T, label.T
        length = self.buckets[bucket]
        return DataBatch(
            [array(data, dtype=self.dtype)],
            [array(label, dtype=self.dtype)],
            pad=0,
            bucket_key=length,
            provide_data=[self._description(self.data_name, length)],
            provide_label=[self._description(self.label_name, length)],
        )
