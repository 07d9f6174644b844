"""``mx.executor_manager``: how a batch is shared among contexts, for modules that people have written themselves."""

from __future__ import annotations

from collections.abc import Sequence

from .module.executor_group import DataParallelExecutorGroup, share_out

__all__ = ["DataParallelExecutorGroup"]


def _split_input_slice(batch_size: int, work_load_list: Sequence[float]) -> list[slice]:
    """The samples of each context; ValueError if there are too few for all."""
    return share_out(batch_size, work_load_list)
