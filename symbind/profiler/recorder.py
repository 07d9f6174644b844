"""What a profile is made of: events with their times, and sums over all events of a name.

This page knows nothing of operators or programs: whoever runs something asks the one :data:`recorder` whether that is
to be recorded, and hands over what took how long. While nothing is recorded, asking is all it costs.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import threading
import time
from dataclasses import dataclass, fields
from typing import Any

from ..base import MXNetError, atomic_write

__all__ = ["Recorder", "Settings", "Sum", "recorder"]


@dataclass(frozen=True)
class Settings:
    """What is recorded, and where to; the keywords of :func:`symbind.profiler.set_config`.

    Nothing is written while the profiler runs: that would be what the profile shows. So ``dump_period`` is only kept.
    """

    profile_all: bool = False
    profile_symbolic: bool = True
    profile_imperative: bool = True
    profile_memory: bool = True
    profile_api: bool = True
    filename: str = "profile.json"
    continuous_dump: bool = True
    dump_period: float = 1.0
    aggregate_stats: bool = False
    profile_process: str = "worker"

    def __post_init__(self) -> None:
        if self.profile_process not in ("worker", "server"):
            raise MXNetError(f"profile_process must be 'worker' or 'server', not {self.profile_process!r}")
        if not isinstance(self.filename, (str, os.PathLike)) or not os.fspath(self.filename):
            raise MXNetError(f"filename must be the name of a file, not {self.filename!r}")

    @staticmethod
    def of(keywords: dict[str, Any]) -> Settings:
        """Settings from keywords; MXNetError for one that is unknown."""
        names = [f.name for f in fields(Settings)]
        unknown = [name for name in keywords if name not in names]
        if unknown:
            raise MXNetError(f"Cannot find argument '{unknown[0]}', possible arguments: {', '.join(names)}")
        return Settings(**keywords)


@dataclass
class Sum:
    """Count, total, least and greatest of the values of one name, and the most bytes that results took."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    greatest: float = -math.inf
    bytes: int = 0

    def add(self, value: float, size: int = 0) -> None:
        """Account for one value, of something whose results take ``size`` bytes."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.greatest = max(self.greatest, value)
        self.bytes = max(self.bytes, size)

    @property
    def average(self) -> float:
        """Mean of the values."""
        return self.total / self.count


class Recorder:
    """Collects events while it runs, and writes them as a trace.

    ``symbolic``, ``imperative``, ``memory`` and ``api`` say what is to be recorded now; they are False unless it runs,
    so that one look is enough. Times are those of :meth:`now`, in microseconds.
    """

    def __init__(self) -> None:
        self.settings = Settings()
        self.running = self.symbolic = self.imperative = self.memory = self.api = False
        self._state = "stop"
        self._paused = False
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._unwritten = False
        # By category and name; milliseconds, or bytes in memory.
        self.times: dict[str, dict[str, Sum]] = {}
        self.sizes: dict[str, Sum] = {}

    @staticmethod
    def now() -> float:
        """Microseconds of a clock that only goes forward."""
        return time.perf_counter_ns() / 1e3

    # ---- what is recorded -----------------------------------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """Take over settings; MXNetError while it runs."""
        if self._state == "run":
            raise MXNetError("The profiler runs: stop it before it is configured")
        self.settings = settings
        self._decide()

    def set_state(self, state: str) -> None:
        """Begin to record (``'run'``), or end (``'stop'``)."""
        self._state = state
        self._paused = False
        self._decide()
        if state == "stop" and self.settings.continuous_dump:
            self.dump()

    def pause(self, paused: bool) -> None:
        """Leave out what happens from now on, or no longer."""
        self._paused = paused
        self._decide()

    def _decide(self) -> None:
        settings = self.settings
        self.running = self._state == "run" and not self._paused
        for kind in ("symbolic", "imperative", "memory", "api"):
            wanted = settings.profile_all or getattr(settings, f"profile_{kind}")
            setattr(self, kind, self.running and wanted)

    # ---- recording ------------------------------------------------------------------------------------------------

    def span(self, category: str, name: str, begin: float, size: int = 0, **details: Any) -> None:
        """Something began at ``begin`` and ends now; its results take ``size`` bytes."""
        end = self.now()
        if size:
            details["bytes"] = size
        event = {"name": name, "cat": category, "ph": "X", "ts": begin, "dur": end - begin, "args": details}
        self._add(event, (end - begin) / 1e3, size)

    def value(self, category: str, name: str, value: float) -> None:
        """Something that is counted has this value now."""
        self._add({"name": name, "cat": category, "ph": "C", "ts": self.now(), "args": {name: value}}, value)

    def instant(self, category: str, name: str, scope: str) -> None:
        """Something happened; ``scope`` is how far its line is drawn: g(lobal), p(rocess) or t(hread)."""
        self._add({"name": name, "cat": category, "ph": "i", "ts": self.now(), "s": scope})

    def held(self, device: str, size: int) -> None:
        """So many bytes are held on ``device`` now."""
        name = f"Memory: {device}"
        event = {"name": name, "cat": "memory", "ph": "C", "ts": self.now(), "args": {"bytes": size}}
        self._add(event)
        if self.settings.aggregate_stats:
            with self._lock:
                self.sizes.setdefault(name, Sum()).add(size)

    def _add(self, event: dict[str, Any], value: float | None = None, size: int = 0) -> None:
        event["tid"] = threading.get_native_id()
        with self._lock:
            self._events.append(event)
            self._unwritten = True
            if value is not None and self.settings.aggregate_stats:
                category = self.times.setdefault(event["cat"], {})
                category.setdefault(event["name"], Sum()).add(value, size)

    # ---- results --------------------------------------------------------------------------------------------------

    def dump(self) -> None:
        """Write all events so far, in the Trace Event Format that Chrome and Perfetto read."""
        with self._lock:
            events = list(self._events)
            self._unwritten = False
        process = os.getpid()
        name = {"name": "process_name", "ph": "M", "pid": process, "args": {"name": "symbind"}}
        trace = {"traceEvents": [name, *({"pid": process, **event} for event in events)], "displayTimeUnit": "ms"}
        with atomic_write(self.settings.filename, "w") as file:
            json.dump(trace, file)

    def dump_rest(self) -> None:
        """Write what has not been written, at the end of the process."""
        if self._unwritten and self.settings.continuous_dump:
            self.dump()

    def reset_sums(self) -> None:
        """Begin all sums anew."""
        with self._lock:
            self.times, self.sizes = {}, {}


#: The recorder of this process.
recorder = Recorder()
atexit.register(recorder.dump_rest)
