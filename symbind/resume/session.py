"""A training in progress: what it has come to, how that is written down, and how it goes on from there.

A session stands between a training loop and its data. The loop takes batches from it and tells when one is done; now
and then the session writes a snapshot, which is everything that the next step depends on. Without a file to write to
it only hands over batches.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base import MXNetError, _as_list
from ..generators import random_states, restore_random_states
from ..stateful import state_of
from . import file

__all__ = ["Session", "Snapshot"]

_FORMAT = 1
_FIELDS = {
    "batches", "data", "epoch", "finished", "format", "module", "parts", "randomness", "randomness before", "resets",
    "taken", "used",
}  # fmt: skip
_REMEDY = "Remove it to begin a new one"


@dataclass(frozen=True)
class Snapshot:
    """Where a training is written down, and how often.

    Parameters
    ----------
    path : the file. If it is there, training goes on from what it says.
    period : batches from one snapshot to the next; there is one after every epoch, too.
    """

    path: str | os.PathLike[str]
    period: int = 100

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)):
            raise TypeError(f"resume must be a path or a Snapshot, not {self.path!r}")
        if self.period < 1:
            raise ValueError(f"period of a Snapshot must be at least 1 batch, not {self.period}")

    @staticmethod
    def of(resume: Any) -> Snapshot | None:
        """The ``resume`` argument of a training: None, a path or a Snapshot."""
        return resume if isinstance(resume, Snapshot | None) else Snapshot(resume)


class Session:
    """One run of a training loop over ``data``.

    Parameters
    ----------
    resume : None, a path, or a :class:`Snapshot`.
    module : what is trained; its ``state_dict`` says what it has learned.
    data : its iterator. With a ``state_dict`` it is put back in its place. Any other is asked for its batches once
        more, from the last reset on, with the random numbers of that time.
    evaluation : the iterator of validation, or None.
    metric : the training metric.
    callbacks : callbacks or lists of them, of which those with a ``state_dict`` are put back too.
    """

    def __init__(
        self, resume: Any, module: Any, data: Any, evaluation: Any, metric: Any, callbacks: Sequence[Any]
    ) -> None:
        self._snapshot = Snapshot.of(resume)
        self._module = module
        self._data = data
        # Objects whose state is of the same kind, by name; those that have none are left alone.
        self._parts = {"metric": metric, "evaluation": evaluation}
        # A callback may be a method of what has the state.
        flat = [c for given in callbacks for c in _as_list(given)]
        self._parts.update({f"callback {i}": getattr(c, "__self__", c) for i, c in enumerate(flat)})
        # What an iterator that tells nothing of itself can be brought back by.
        self._resets = 0
        self._taken = 0
        self._used = False  # before the last reset
        self._behind = False
        self._randomness = random_states() if self._snapshot else {}

    # ---- data -----------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[Any]:
        """The batches that are left until the data ends."""
        for batch in self._caught_up() if self._behind else iter(self._data):
            self._taken += 1
            yield batch

    def _caught_up(self) -> Iterator[Any]:
        """The data, begun anew as it was the last time, without the batches that were taken since."""
        self._behind = False
        now = random_states()
        if self._used:
            # Some take no notice of a reset while they are at their beginning.
            next(iter(self._data), None)
        restore_random_states(self._randomness)
        if self._resets:
            self._data.reset()
        source = iter(self._data)
        for i in range(self._taken):
            if next(source, None) is None:
                raise MXNetError(f"The data ended after {i} batches; {self._taken} had been trained on already")
        restore_random_states(now)
        return source

    def reset_data(self) -> None:
        """Begin the data anew."""
        if self._snapshot:
            self._randomness = random_states()
        self._used = self._used or self._taken > 0
        self._resets += 1
        self._taken = 0
        self._data.reset()

    # ---- snapshots ------------------------------------------------------------------------------------------------

    def batch_done(self, epoch: int, done: int) -> None:
        """``done`` batches of ``epoch`` are behind; write that down if it is time to."""
        if self._snapshot and done % self._snapshot.period == 0:
            self._write(epoch, done)

    def epoch_done(self, epoch: int) -> None:
        """An epoch, with all that follows its last batch, is behind."""
        if self._snapshot:
            self._write(epoch + 1, 0)

    def finished(self, epoch: int) -> None:
        """Training has ended by itself in ``epoch``: there is nothing to go on with."""
        if self._snapshot:
            self._write(epoch, 0, finished=True)

    def _write(self, epoch: int, done: int, finished: bool = False) -> None:
        assert self._snapshot is not None
        tree = {
            "format": _FORMAT,
            "epoch": epoch,
            "batches": done,
            "finished": finished,
            "module": self._module.state_dict(),
            "data": state_of(self._data),
            "resets": self._resets,
            "taken": self._taken,
            "used": self._used,
            "randomness before": self._randomness,
            "parts": {name: state for name, part in self._parts.items() if (state := state_of(part)) is not None},
            "randomness": random_states(),
        }
        file.write(self._snapshot.path, tree)

    def restore(self, begin_epoch: int) -> tuple[int, int, bool]:
        """``(epoch, batches of it that are done, whether training has finished)``, with everything as it was then.

        Raises MXNetError for a file of something else, or of another network; nothing has changed then.
        """
        if self._snapshot is None or not Path(self._snapshot.path).exists():
            return begin_epoch, 0, False
        path = os.fspath(self._snapshot.path)
        tree = file.read(path)
        if tree.get("format") != _FORMAT or not tree.keys() >= _FIELDS:
            raise MXNetError(f"{path!r} holds no state of a training that this version can read")
        stateless = [name for name in tree["parts"] if not hasattr(self._parts.get(name), "load_state_dict")]
        if stateless:
            raise MXNetError(f"{path!r} is of another training, where {stateless[0]} had a state. {_REMEDY}")
        try:
            self._module.load_state_dict(tree["module"])
        except ValueError as error:
            raise MXNetError(f"{path!r} is of another training: {error}. {_REMEDY}") from error
        for name, state in tree["parts"].items():
            self._parts[name].load_state_dict(state)
        self._resets, self._taken, self._used = tree["resets"], tree["taken"], tree["used"]
        self._randomness = tree["randomness before"]
        if tree["data"] is not None:
            self._data.load_state_dict(tree["data"])
        else:
            self._behind = True
        restore_random_states(tree["randomness"])
        epoch, done = tree["epoch"], tree["batches"]
        logging.info('Resumed from "%s" at epoch %d, batch %d', path, epoch, done)
        return epoch, done, tree["finished"]
