"""Finding and loading oneDNN, Intel's open-source library of neural-network kernels for CPUs (Apache-2.0).

Nothing is looked for when this module is imported: :func:`load` does the work at its first call, and
:func:`available` says whether it succeeds. The library is the one of the wheel ``onednn-cpu-gomp`` (Linux,
x86-64), or the file that the environment variable ``SYMBIND_ONEDNN`` names. It is called through cffi's ABI
mode, so that nothing is compiled at installation.
"""

from __future__ import annotations

import importlib.metadata
import os
import threading
from dataclasses import dataclass
from typing import Any

from ...base import MXNetError
from .declarations import PROTOTYPES, Status

__all__ = ["Library", "Unavailable", "Unsupported", "available", "load", "unavailable_reason"]

PATH_VARIABLE = "SYMBIND_ONEDNN"
_WHEEL = "onednn-cpu-gomp"
_FILE = "libdnnl.so.3"
_MAJOR, _MINIMUM_MINOR = 3, 2


class Unavailable(MXNetError):
    """oneDNN is not installed, or is not a version that the declarations fit."""


class Unsupported(MXNetError):
    """oneDNN has no implementation of what was asked for; another engine has to do it."""


@dataclass(frozen=True)
class Library:
    """The loaded library: ``c`` has its functions, ``ffi`` makes the values that they take."""

    path: str
    version: tuple[int, int, int]
    ffi: Any
    c: Any

    def check(self, status: int, action: str) -> None:
        """Raise Unsupported or MXNetError, naming ``action``, if ``status`` is not success."""
        if status == Status.SUCCESS:
            return
        if status == Status.UNIMPLEMENTED:
            raise Unsupported(f"oneDNN has no implementation to {action}")
        known = status in Status.__members__.values()
        name = Status(status).name.lower().replace("_", " ") if known else f"status {status}"
        raise MXNetError(f"oneDNN failed to {action}: {name}")


def find() -> str:
    """The path of the library's file. Unavailable says what was looked for."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        if not os.path.isfile(named):
            raise Unavailable(f"{PATH_VARIABLE} is {named!r}, which is not a file")
        return named
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        reason = f"oneDNN is not installed: no package {_WHEEL}, and {PATH_VARIABLE} is not set"
        raise Unavailable(reason) from None
    for file in files:
        if file.name == _FILE and os.path.isfile(path := os.path.realpath(str(file.locate()))):
            return path
    raise Unavailable(f"the package {_WHEEL} is installed but its {_FILE} is missing")


def _open(path: str) -> Library:
    try:
        import cffi
    except ImportError:
        raise Unavailable("oneDNN needs the package cffi, which is not installed") from None
    # torch brings the OpenMP runtime that both shall share: two in one process would fight for the cores.
    import torch  # noqa: F401

    ffi = cffi.FFI()
    ffi.cdef(PROTOTYPES)
    try:
        c = ffi.dlopen(path)
        version = c.dnnl_version()
    except (OSError, AttributeError) as error:
        raise Unavailable(f"{path} cannot be used as oneDNN: {error}") from None
    found = (version.major, version.minor, version.patch)
    if version.major != _MAJOR or version.minor < _MINIMUM_MINOR:
        seen = ".".join(map(str, found))
        raise Unavailable(f"{path} is oneDNN {seen}; expected {_MAJOR}.x from {_MAJOR}.{_MINIMUM_MINOR} on")
    return Library(path, found, ffi, c)


# One library, or one reason why there is none, per process: values of two cffi instances do not mix.
_lock = threading.Lock()
_outcome: Library | Unavailable | None = None


def _resolve() -> Library | Unavailable:
    global _outcome
    if _outcome is None:
        with _lock:
            if _outcome is None:
                try:
                    _outcome = _open(find())
                except Unavailable as error:
                    _outcome = error
    return _outcome


def load() -> Library:
    """The library, loaded at the first call. Raises Unavailable where :func:`available` is False."""
    outcome = _resolve()
    if isinstance(outcome, Unavailable):
        raise Unavailable(str(outcome))
    return outcome


def available() -> bool:
    """Whether :func:`load` succeeds."""
    return isinstance(_resolve(), Library)


def unavailable_reason() -> str | None:
    """Why :func:`available` is False, in a sentence; None where it is True."""
    outcome = _resolve()
    return str(outcome) if isinstance(outcome, Unavailable) else None
