"""Offline allocation: buffers with known lifetimes and sizes get fixed offsets in one arena.

Two buffers may share bytes exactly if they are never live at the same step. Finding the smallest arena is NP-hard
(it is dynamic storage allocation); classic heuristics are within a few per cent on real networks, and the best result
of some is taken.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["ALIGNMENT", "Allocation", "Lifetime", "allocate", "live_bytes_bound"]

# A cache line, and the widest vector register: every buffer starts on one.
ALIGNMENT = 64

# Placing in any order compares a buffer with all placed ones, which is quadratic; larger problems are placed in time
# order.
PLACE_BY_SIZE_LIMIT = 4000

#: An arena that exceeds the bound by less than this factor is not improved any more.
GOOD_ENOUGH = 1.01


class Lifetime(NamedTuple):
    """A buffer that holds ``size`` bytes from step ``first`` to step ``last``, both included."""

    first: int
    last: int
    size: int


class Allocation(NamedTuple):
    """One offset per buffer, and the bytes the arena needs."""

    offsets: list[int]
    total: int


def allocate(buffers: Sequence[Lifetime]) -> Allocation:
    """Offsets such that no two buffers that are live together overlap."""
    best = _place_in_time(buffers)
    if len(buffers) > PLACE_BY_SIZE_LIMIT:
        return best
    bound = live_bytes_bound(buffers)
    for placed in _attempts(buffers, bound):
        best = min(best, placed, key=lambda result: result.total)
        if best.total <= GOOD_ENOUGH * bound:
            break
    return best


def _attempts(buffers: Sequence[Lifetime], bound: int) -> Iterator[Allocation]:
    """Placements in several orders: none is the best on every network.

    Large buffers come first, those that live long the earlier the more they weigh. What an order leaves above the
    bound is then placed before everything else, and so on.
    """
    for weight, repairs in ((0.0, 1), (0.3, 1), (1.0, 4)):
        order = sorted(
            range(len(buffers)),
            key=lambda i: (-buffers[i].size * (buffers[i].last - buffers[i].first + 1) ** weight, buffers[i].first),
        )
        placed = _place_in_order(buffers, order)
        yield placed
        for _ in range(repairs):
            above = {i for i in order if placed.offsets[i] + _aligned(buffers[i].size) > bound}
            order.sort(key=lambda i: i not in above)
            placed = _place_in_order(buffers, order)
            yield placed


def live_bytes_bound(buffers: Sequence[Lifetime]) -> int:
    """The largest sum of sizes live at one step: no arena can be smaller."""
    change: dict[int, int] = {}
    for buffer in buffers:
        size = _aligned(buffer.size)
        change[buffer.first] = change.get(buffer.first, 0) + size
        change[buffer.last + 1] = change.get(buffer.last + 1, 0) - size
    live = peak = 0
    for step in sorted(change):
        live += change[step]
        peak = max(peak, live)
    return peak


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _place_in_order(buffers: Sequence[Lifetime], order: Sequence[int]) -> Allocation:
    """Each into the tightest gap between those already placed that live at the same time."""
    offsets = [0] * len(buffers)
    first = np.array([b.first for b in buffers], dtype=np.int64)
    last = np.array([b.last for b in buffers], dtype=np.int64)
    ends = np.zeros(len(buffers), dtype=np.int64)
    starts = np.zeros(len(buffers), dtype=np.int64)
    placed = np.zeros(len(buffers), dtype=bool)
    total = 0
    for i in order:
        size = _aligned(buffers[i].size)
        rivals = np.flatnonzero(placed & (first <= last[i]) & (last >= first[i]))
        rivals = rivals[np.argsort(starts[rivals], kind="stable")]
        # Where what lies below each rival ends, and behind the last of them all.
        below = np.concatenate(([0], np.maximum.accumulate(ends[rivals])))
        gaps = starts[rivals] - below[:-1]
        wide_enough = np.flatnonzero(gaps >= size)
        offset = int(below[wide_enough[gaps[wide_enough].argmin()]] if len(wide_enough) else below[-1])
        offsets[i], starts[i], ends[i], placed[i] = offset, offset, offset + size, True
        total = max(total, offset + size)
    return Allocation(offsets, total)


def _place_in_time(buffers: Sequence[Lifetime]) -> Allocation:
    """In order of birth, each into the tightest free block; the dead give their bytes back."""
    offsets = [0] * len(buffers)
    free = _FreeList()
    deaths = sorted(range(len(buffers)), key=lambda i: buffers[i].last)
    dead = 0
    for i in sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].size)):
        while dead < len(deaths) and buffers[deaths[dead]].last < buffers[i].first:
            gone = deaths[dead]
            free.give_back(offsets[gone], _aligned(buffers[gone].size))
            dead += 1
        offsets[i] = free.take(_aligned(buffers[i].size))
    return Allocation(offsets, free.end)


class _FreeList:
    """Free blocks below ``end``, disjoint, never adjacent, sorted by offset."""

    def __init__(self) -> None:
        self.end = 0
        self.starts: list[int] = []
        self.sizes: list[int] = []

    def take(self, size: int) -> int:
        best = None
        for k, block in enumerate(self.sizes):
            if block >= size and (best is None or block < self.sizes[best]):
                best = k
        if best is not None:
            start = self.starts[best]
            if self.sizes[best] == size:
                del self.starts[best], self.sizes[best]
            else:
                self.starts[best] += size
                self.sizes[best] -= size
            return start
        if self.starts and self.starts[-1] + self.sizes[-1] == self.end:
            # The last free block touches the end: grow the arena by what is missing only.
            start = self.starts.pop()
            self.sizes.pop()
        else:
            start = self.end
        self.end = start + size
        return start

    def give_back(self, start: int, size: int) -> None:
        if size == 0:
            return
        k = bisect.bisect_left(self.starts, start)
        if k < len(self.starts) and start + size == self.starts[k]:
            size += self.sizes[k]
            del self.starts[k], self.sizes[k]
        if k > 0 and self.starts[k - 1] + self.sizes[k - 1] == start:
            self.sizes[k - 1] += size
        else:
            self.starts.insert(k, start)
            self.sizes.insert(k, size)
