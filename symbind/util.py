"""``mx.util``: questions that programs for every version of MXNet ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .base import MXNetError

__all__ = [
    "get_gpu_count", "get_gpu_memory", "getenv", "is_np_array", "is_np_shape", "makedirs", "np_array", "np_shape",
    "set_np_shape", "setenv",
]  # fmt: skip


def makedirs(d: str) -> None:
    """Make a folder and those above it, unless it is there."""
    os.makedirs(os.path.expanduser(d), exist_ok=True)


def get_gpu_count() -> int:
    """Number of GPUs."""
    return torch.cuda.device_count()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Free and total bytes of a GPU."""
    return torch.cuda.mem_get_info(gpu_dev_id)


def getenv(name: str) -> str | None:
    """An environment variable; None if there is none."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Set an environment variable, or remove it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


# ---- NumPy's semantics, which are never in force ---------------------------------------------------------------------


def is_np_shape() -> bool:
    """Whether 0 is a size like any other; no, it is an unknown one."""
    return False


def is_np_array() -> bool:
    """Whether operators make arrays as NumPy's; no."""
    return False


def set_np_shape(active: bool) -> bool:
    """Leave NumPy's shapes out of force; MXNetError if they are to be in force. Returns whether they were."""
    if active:
        raise MXNetError("There are no NumPy semantics here: a 0 in a shape is an unknown size")
    return False


@contextmanager
def np_shape(active: bool = True) -> Iterator[None]:
    """A block with or without NumPy's shapes; MXNetError for with."""
    set_np_shape(active)
    yield


@contextmanager
def np_array(active: bool = True) -> Iterator[None]:
    """A block with or without arrays as NumPy's; MXNetError for with."""
    if active:
        raise MXNetError("There are no NumPy arrays of MXNet here: mx.nd has the arrays")
    yield
