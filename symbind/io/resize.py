"""ResizeIter: epochs of another length."""

from __future__ import annotations

from typing import Any

from ..stateful import state_of
from .iterator import DataIter, WholeBatchIter

__all__ = ["ResizeIter"]


class ResizeIter(WholeBatchIter):
    """Another iterator with an epoch of exactly ``size`` batches; it is started again whenever it runs out.

    Parameters
    ----------
    data_iter : DataIter
    size : int
        Batches in an epoch.
    reset_internal : bool
        Whether :meth:`reset` also resets ``data_iter``; if not, an epoch goes on where the last one stopped.
    """

    def __init__(self, data_iter: DataIter, size: int, reset_internal: bool = True) -> None:
        super().__init__(data_iter.batch_size)
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self) -> None:
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        if self.cur >= self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True

    def state_dict(self) -> dict[str, Any] | None:
        inner = state_of(self.data_iter)
        return None if inner is None else {"cur": self.cur, "data_iter": inner}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.data_iter.load_state_dict(state["data_iter"])
        self.cur = state["cur"]
