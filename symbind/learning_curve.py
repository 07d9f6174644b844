"""Learning curves: the metrics of training and validation, epoch by epoch, as a picture."""

from __future__ import annotations

import os
from typing import Any

from .base import atomic_write
from .stateful import Stateful

__all__ = ["LearningCurve"]


class LearningCurve(Stateful):
    """Callbacks that note the metrics of every epoch, and draw them.

    >>> curve = mx.callback.LearningCurve("curve.png")
    >>> module.fit(..., batch_end_callback=curve.after_batch, eval_end_callback=curve.after_evaluation)

    ``training`` and ``validation`` are dicts from the name of a metric to a dict from epoch to value. Of an epoch that
    is not over yet ``training`` has the value so far. A training that is resumed has the whole curve.

    Parameters
    ----------
    path : file that is drawn anew after each validation, if given; its suffix says the format.
    title : what stands above the picture.

    Drawing needs matplotlib: ``pip install 'symbind[plot]'``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, title: str = "") -> None:
        self._path = None if path is None else os.fspath(path)
        self._title = title
        self.training: dict[str, dict[int, float]] = {}
        self.validation: dict[str, dict[int, float]] = {}

    def after_batch(self, param: Any) -> None:
        """A batch callback."""
        self._note(self.training, param)

    def after_evaluation(self, param: Any) -> None:
        """An evaluation callback."""
        self._note(self.validation, param)
        if self._path is not None:
            self.save(self._path)

    @staticmethod
    def _note(curves: dict[str, dict[int, float]], param: Any) -> None:
        for name, value in param.eval_metric.get_global_name_value():
            curves.setdefault(name, {})[param.epoch] = float(value)

    def draw(self) -> Any:
        """A matplotlib figure with one picture for each metric."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        names = list({**self.training, **self.validation})
        figure = Figure(figsize=(6 * max(1, len(names)), 4), layout="constrained")
        figure.suptitle(self._title)
        for i, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), i + 1)
            for label, mark, curves in (("training", "o-", self.training), ("validation", "s-", self.validation)):
                points = curves.get(name, {})
                if points:
                    axes.plot([epoch + 1 for epoch in points], list(points.values()), mark, label=label)
            axes.set(xlabel="epoch", ylabel=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        return figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file."""
        suffix = os.path.splitext(path)[1].removeprefix(".") or "png"
        with atomic_write(path) as file:
            self.draw().savefig(file, dpi=150, format=suffix)

    def state_dict(self) -> dict[str, Any]:
        """The points of all curves."""
        return {"training": self.training, "validation": self.validation}
