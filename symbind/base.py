"""Errors that every room of the package may raise, and the one way files are written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

__all__ = [
    "MXNetError", "NotImplementedForSymbol", "NotSupportedForSparseNDArray", "atomic_write", "integer_types",
    "mx_real_t", "numeric_types", "py_str", "string_types",
]  # fmt: skip

#: The type of numbers where nothing says otherwise, and what counts as a number or a text.
mx_real_t = np.float32
integer_types = (int, np.int32, np.int64)
numeric_types = (float, int, np.generic)
string_types = (str,)


def py_str(text: bytes) -> str:
    """Bytes, such as the names that a monitor is given, as text."""
    return text.decode("utf-8")


def _as_list(value: Any) -> Any:
    """``value`` if it is a list or a tuple, otherwise a list of it. Scripts of MXNet import it under this name."""
    return value if isinstance(value, (list, tuple)) else [value]


class MXNetError(RuntimeError):
    """The error of every failed operation on symbols, executors and arrays (MXNet's name is kept)."""


class NotImplementedForSymbol(MXNetError):
    """Raised by methods that only make sense on an array when they are called on a Symbol."""

    def __init__(self, function: object, alias: str | None = None, *args: object) -> None:
        name = getattr(function, "__name__", str(function))
        message = f"Function {name}"
        if alias:
            message += f" (namely operator {alias!r})"
        if args:
            message += " with arguments ({})".format(", ".join(type(a).__name__ for a in args))
        super().__init__(message + " is not implemented for Symbol and only available in NDArray.")


class NotSupportedForSparseNDArray(MXNetError):
    """Raised by methods of dense arrays when they are called on a sparse one."""

    def __init__(self, function: object, alias: str | None = None, *args: object) -> None:
        name = alias or getattr(function, "__name__", str(function))
        kinds = ", ".join(type(a).__name__ for a in args)
        super().__init__(f"Function {name} with arguments ({kinds}) is not supported for SparseNDArray")


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO]:
    """Open ``path`` for writing so that it appears whole or not at all.

    The bytes go to a temporary file in the same directory, which is flushed to disk and renamed over
    ``path`` when the block ends; if the block raises, or the process dies, ``path`` keeps its old content.
    """
    path = os.fspath(path)
    directory, base = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{base}.", suffix=".tmp", dir=directory or ".")
    try:
        with os.fdopen(descriptor, mode) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        # mkstemp creates private files; give the result the permissions an ordinary open() would.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
