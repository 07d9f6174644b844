"""What every reader of files owes to whoever calls it, and the measuring of it."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import symbind as mx

__all__ = ["ALLOWED", "SECONDS", "SLACK", "Violation", "obey"]

ALLOWED = (mx.MXNetError, ValueError, TypeError)
#: Most processor time for one file. Time on the clock would depend on who else uses the machine.
SECONDS = 1.0
#: Memory that may be taken beside twice the size of the file: what the interpreter itself needs now and then.
SLACK = 16 * 2**20


class Violation(AssertionError):
    """A reader broke the contract."""


class _OutOfTime(BaseException):
    """Raised inside the reader; no ``except Exception`` there can hide it."""


def obey(read: Callable[[], Any], size: int, memory: int | None = None) -> str:
    """Call ``read``, which reads a file of ``size`` bytes; returns how it ended: ``'ok'`` or the name of the error.

    Raises :class:`Violation` if it ends in any other error, takes more than :data:`SECONDS`, or asks the system for
    more than ``memory`` bytes (by default twice the size, and :data:`SLACK`).
    """
    allowance = 2 * size + SLACK if memory is None else memory
    try:
        with _limited_time(), _limited_memory(allowance):
            read()
    except ALLOWED as error:
        return type(error).__name__
    except _OutOfTime:
        raise Violation(f"no end within {SECONDS} s") from None
    except MemoryError as error:
        raise Violation(f"more than {allowance} bytes for a file of {size}") from error
    except Exception as error:
        raise Violation(f"{type(error).__name__}: {error}") from error
    return "ok"


@contextmanager
def _limited_time() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


@contextmanager
def _limited_memory(growth: int) -> Iterator[None]:
    """Let the address space grow by no more than that, so that a larger request fails wherever it is made.

    This sees every allocator, torch's and NumPy's as well as Python's, and also memory that is taken but not touched.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + growth, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
