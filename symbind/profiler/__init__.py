"""``mx.profiler``: what took how long, operator by operator.

>>> mx.profiler.set_config(profile_all=True, aggregate_stats=True, filename="trace.json")
>>> mx.profiler.set_state("run")
>>> # ... forward, backward, arithmetic ...
>>> mx.profiler.set_state("stop")
>>> print(mx.profiler.dumps())  # a table of all operators
>>> mx.profiler.dump()  # and every single run of them, for chrome://tracing or ui.perfetto.dev

Of a bound network each instruction of its program is an event, with the node it came from, the kernel that ran it and
the bytes of its results; the forward and backward pass around them are events of category ``executor``.
"""

from __future__ import annotations

import warnings
from typing import Any

from .recorder import Settings, recorder
from .scopes import Counter, Domain, Event, Frame, Marker, Task
from .table import SORT_KEYS, as_json, as_table

__all__ = [
    "Counter", "Domain", "Event", "Frame", "Marker", "Task", "dump", "dump_profile", "dumps", "pause",
    "profiler_set_config", "profiler_set_state", "resume", "set_config", "set_state",
]  # fmt: skip


def set_config(**kwargs: Any) -> None:
    """Say what is to be recorded. Whatever is not given takes its default.

    Parameters
    ----------
    filename : the trace file; default ``profile.json``.
    profile_all : everything.
    profile_symbolic, profile_imperative : operators of bound networks; those called on arrays. Default both.
    profile_memory : bytes that executors hold. Default yes.
    profile_api : forward and backward passes as a whole. Default yes.
    aggregate_stats : add up what :func:`dumps` prints. Default no.
    continuous_dump : write the file when recording stops and at the end of the process (default), not only by
        :func:`dump`.
    dump_period : accepted; what is recorded is never disturbed by writing in between.
    profile_process : ``'worker'`` or ``'server'``; there are no servers.

    Raises MXNetError for any other keyword, and while the profiler runs.
    """
    recorder.configure(Settings.of(kwargs))


def set_state(state: str = "stop", profile_process: str = "worker") -> None:
    """Begin to record (``'run'``) or end (``'stop'``); KeyError for any other state."""
    if state not in ("run", "stop"):
        raise KeyError(state)
    recorder.set_state(state)


def pause(profile_process: str = "worker") -> None:
    """Leave out what happens from now on."""
    recorder.pause(True)


def resume(profile_process: str = "worker") -> None:
    """Go on recording after a :func:`pause`."""
    recorder.pause(False)


def dump(finished: bool = True, profile_process: str = "worker") -> None:
    """Write the trace file; ``finished`` also ends recording."""
    if finished:
        recorder.set_state("stop")
    recorder.dump()


def dumps(reset: bool = False, format: str = "table", sort_by: str = "total", ascending: bool = False) -> str:
    """The sums so far, as a ``'table'`` or as ``'json'``; nothing unless ``aggregate_stats`` is set.

    Entries are sorted by ``'total'``, ``'avg'``, ``'min'``, ``'max'`` or ``'count'``; ``reset`` begins all sums anew.
    The last column of the table is what the results of one run took at most.
    """
    if format not in ("table", "json"):
        raise AssertionError(f"Invalid value provided for format: {format}. Support: 'table', 'json'")
    if sort_by not in SORT_KEYS:
        raise AssertionError(f"Invalid value provided for sort_by: {sort_by}. Support: {', '.join(SORT_KEYS)}")
    if not recorder.settings.aggregate_stats:
        return ""
    show = as_table if format == "table" else as_json
    text = show(recorder.times, recorder.sizes, sort_by, ascending)
    if reset:
        recorder.reset_sums()
    return text


# ---- the names of earlier versions ----------------------------------------------------------------------------------


def _deprecated(successor: str) -> None:
    warnings.warn(f"This function is deprecated. Please use profiler.{successor}() instead", stacklevel=3)


def profiler_set_config(mode: str = "symbolic", filename: str = "profile.json") -> None:
    """Deprecated: :func:`set_config` with ``profile_<mode>=True``."""
    _deprecated("set_config")
    set_config(**{f"profile_{mode}": True, "filename": filename})


def profiler_set_state(state: str = "stop") -> None:
    """Deprecated: :func:`set_state`."""
    _deprecated("set_state")
    set_state(state)


def dump_profile() -> None:
    """Deprecated: :func:`dump`."""
    _deprecated("dump")
    dump(True)
