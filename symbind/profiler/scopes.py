"""Parts of the user's own program in a profile: stretches of time, counters and marks."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from .recorder import recorder

__all__ = ["Counter", "Domain", "Event", "Frame", "Marker", "Task"]

# How far the line of a mark is drawn in a trace: through everything, the process, or the thread.
_SCOPES = {"global": "g", "process": "p", "thread": "t", "task": "t", "marker": "t"}


class Domain:
    """A category of tasks, frames, counters and marks."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def new_task(self, name: str) -> Task:
        """A task of this domain."""
        return Task(self, name)

    def new_frame(self, name: str) -> Frame:
        """A frame of this domain."""
        return Frame(self, name)

    def new_counter(self, name: str, value: int | None = None) -> Counter:
        """A counter of this domain."""
        return Counter(self, name, value)

    def new_marker(self, name: str) -> Marker:
        """A marker of this domain."""
        return Marker(self, name)


class _Stretch:
    """From :meth:`start` to :meth:`stop`; or a ``with`` block."""

    def __init__(self, category: str, name: str) -> None:
        self.name = name
        self._category = category
        self._begin: float | None = None

    def start(self) -> None:
        """Begin."""
        self._begin = recorder.now()

    def stop(self) -> None:
        """End; it is recorded if the profiler runs. Nothing has happened if it was not begun."""
        if self._begin is not None and recorder.running:
            recorder.span(self._category, self.name, self._begin)
        self._begin = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def __str__(self) -> str:
        return self.name


class Task(_Stretch):
    """A piece of work of one thread."""

    def __init__(self, domain: Domain, name: str) -> None:
        super().__init__(domain.name, name)


class Frame(_Stretch):
    """One of many alike: a step, a picture."""

    def __init__(self, domain: Domain, name: str) -> None:
        super().__init__(f"{domain.name},frame", name)


class Event(_Stretch):
    """A stretch of time that belongs to no domain."""

    def __init__(self, name: str) -> None:
        super().__init__("event", name)


class Counter:
    """A number that changes in the course of time."""

    def __init__(self, domain: Domain, name: str, value: int | None = None) -> None:
        self.name = name
        self._domain = domain
        self._value = 0
        if value is not None:
            self.set_value(value)

    def set_value(self, value: int) -> None:
        """Set the number."""
        self._value = int(value)
        if recorder.running:
            recorder.value(self._domain.name, self.name, self._value)

    def increment(self, delta: int = 1) -> None:
        """Add ``delta``."""
        self.set_value(self._value + int(delta))

    def decrement(self, delta: int = 1) -> None:
        """Subtract ``delta``."""
        self.set_value(self._value - int(delta))

    def __iadd__(self, delta: int) -> Counter:
        self.increment(delta)
        return self

    def __isub__(self, delta: int) -> Counter:
        self.decrement(delta)
        return self

    def __str__(self) -> str:
        return self.name


class Marker:
    """A moment."""

    def __init__(self, domain: Domain, name: str) -> None:
        self.name = name
        self.domain = domain

    def mark(self, scope: str = "process") -> None:
        """Now. ``scope`` is ``'global'``, ``'process'``, ``'thread'``, ``'task'`` or ``'marker'``."""
        if scope not in _SCOPES:
            raise ValueError(f"scope of a mark must be one of {', '.join(_SCOPES)}, not {scope!r}")
        if recorder.running:
            recorder.instant(f"{self.domain.name},instant_marker", self.name, _SCOPES[scope])
