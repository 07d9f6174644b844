"""Going on with a training that was stopped, by whatever: ``fit(..., resume="run.resume")``."""

from .session import Session, Snapshot

__all__ = ["Session", "Snapshot"]
