"""The metric protocol: what a metric is, how one is named, and how several are one.

A metric accumulates over batches. Each keeps two accounts of the same kind: the *local* one, which
``reset_local`` empties (the Speedometer does so after each line it prints), and the *global* one, which only
``reset`` empties (the epoch's result is read from it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy

from ..registry import registry_of
from ..stateful import Stateful

__all__ = [
    "AveragedMetric", "CompositeEvalMetric", "EvalMetric", "alias", "as_numpy", "check_label_shapes", "create",
    "each_pair", "register",
]  # fmt: skip


def as_numpy(array: Any) -> numpy.ndarray:
    """The values of an NDArray, or of anything NumPy understands."""
    return array.asnumpy() if hasattr(array, "asnumpy") else numpy.asarray(array)


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """``(labels, preds)`` after checking that they have equal lengths, or with ``shape`` equal shapes.

    With ``wrap`` a single array becomes a list of one. Raises ValueError if they do not match.
    """
    seen = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if seen[0] != seen[1]:
        raise ValueError(f"Shape of labels {seen[0]} does not match shape of predictions {seen[1]}")
    if wrap:
        labels, preds = _as_list(labels), _as_list(preds)
    return labels, preds


def each_pair(labels: Any, preds: Any) -> Iterator[tuple[numpy.ndarray, numpy.ndarray]]:
    """Each label with the output that predicts it; ValueError if there are not as many of the one as of the other."""
    labels, preds = check_label_shapes(labels, preds, wrap=True)
    return zip(map(as_numpy, labels), map(as_numpy, preds))


def _as_list(arrays: Any) -> Any:
    return [arrays] if hasattr(arrays, "shape") else arrays


class EvalMetric(Stateful):
    """Base class of all metrics.

    A subclass defines :meth:`update`, which calls :meth:`_add` with what a batch contributes; the value of
    the metric is ``sum_metric / num_inst``.

    Parameters
    ----------
    name : how the value is called in logs.
    output_names, label_names : which outputs and labels :meth:`update_dict` uses; None means all, in order.
    kwargs : further settings, kept for :meth:`get_config`. ``has_global_stats=True`` says that the metric
        keeps the global account; without it the ``global`` getters return the local one.
    """

    def __init__(
        self,
        name: str,
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = str(name)
        self.output_names = output_names
        self.label_names = label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """The settings, such that ``create(json.dumps(config))`` makes an equal metric."""
        return {
            **self._kwargs,
            "metric": type(self).__name__,
            "name": self.name,
            "output_names": self.output_names,
            "label_names": self.label_names,
        }

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Account for a batch given by name; ``output_names`` and ``label_names`` select and order."""
        preds = [pred[name] for name in self.output_names] if self.output_names is not None else pred.values()
        labels = [label[name] for name in self.label_names] if self.label_names is not None else label.values()
        self.update(list(labels), list(preds))

    def update(self, labels: Any, preds: Any) -> None:
        """Account for a batch: lists of NDArrays or NumPy arrays, one per label and output."""
        raise NotImplementedError(f"{type(self).__name__} must define update(labels, preds)")

    def _add(self, total: float, count: float) -> None:
        """Enter ``total`` over ``count`` instances into both accounts."""
        # A Python float: a float32 sum would lose counts above 2**24, and NumPy scalars print their type.
        total = float(total)
        self.sum_metric += total
        self.num_inst += count
        self.global_sum_metric += total
        self.global_num_inst += count

    def reset(self) -> None:
        """Empty both accounts."""
        self.global_num_inst: float = 0
        self.global_sum_metric = 0.0
        self.reset_local()

    def reset_local(self) -> None:
        """Empty the local account."""
        self.num_inst: float = 0
        self.sum_metric = 0.0

    def get(self) -> tuple[Any, Any]:
        """``(name, value)`` since the last ``reset_local``; the value is nan if nothing was accounted."""
        return self.name, self._value(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """``(name, value)`` since the last ``reset``."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._value(self.global_sum_metric, self.global_num_inst)

    @staticmethod
    def _value(total: float, count: float) -> float:
        return total / count if count else math.nan

    def get_name_value(self) -> list[tuple[str, float]]:
        """The local value or values as ``[(name, value), …]``."""
        return _pairs(self.get())

    def get_global_name_value(self) -> list[tuple[str, float]]:
        """The global value or values as ``[(name, value), …]``."""
        return _pairs(self.get_global())


def _pairs(named: tuple[Any, Any]) -> list[tuple[str, float]]:
    names, values = (part if isinstance(part, list) else [part] for part in named)
    return list(zip(names, values))


class AveragedMetric(EvalMetric):
    """A score of statistics of the samples, averaged in one of two ways.

    With ``average='macro'`` the value is the mean of the scores of the batches, with ``'micro'`` the score of the
    statistics of all batches together, which both accounts keep. ``statistics`` makes empty ones; they have a
    ``reset``.
    """

    def __init__(
        self,
        statistics: Callable[[], Any],
        name: str,
        output_names: list[str] | None,
        label_names: list[str] | None,
        average: str,
    ) -> None:
        if average not in ("macro", "micro"):
            raise ValueError(f"{name}: average must be 'macro' or 'micro', got {average!r}")
        self.average = average
        self._local = statistics()
        self._global = statistics()
        super().__init__(name, output_names, label_names, average=average, has_global_stats=True)

    def reset(self) -> None:
        self._global.reset()
        super().reset()

    def reset_local(self) -> None:
        self._local.reset()
        super().reset_local()


_REGISTRY = registry_of(EvalMetric, "metric")
register = _REGISTRY.register
alias = _REGISTRY.alias


def create(metric: Any, *args: Any, **kwargs: Any) -> EvalMetric:
    """A metric from a name, a configuration, a function ``f(label, pred)``, a metric, or a list of these.

    Further arguments go to the metric's constructor (for a list: to each).
    """
    if isinstance(metric, list):
        return CompositeEvalMetric([create(child, *args, **kwargs) for child in metric])
    if callable(metric):
        return _REGISTRY.create("custommetric", metric, *args, **kwargs)
    return _REGISTRY.create(metric, *args, **kwargs)


@alias("composite")
@register
class CompositeEvalMetric(EvalMetric):
    """Several metrics updated together; ``get`` returns the lists of their names and values."""

    def __init__(
        self,
        metrics: Iterable[Any] | None = None,
        name: str = "composite",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        self.metrics = [create(metric) for metric in metrics or ()]
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def add(self, metric: Any) -> None:
        """Append a metric, or what :func:`create` can make one of."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> EvalMetric:
        """The metric at ``index``; ValueError if there is none."""
        try:
            return self.metrics[index]
        except IndexError:
            raise ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}") from None

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        label = _select(label, self.label_names)
        pred = _select(pred, self.output_names)
        for metric in self.metrics:
            metric.update_dict(label, pred)

    def update(self, labels: Any, preds: Any) -> None:
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        for metric in self.metrics:
            metric.reset()

    def reset_local(self) -> None:
        for metric in self.metrics:
            metric.reset_local()

    def get(self) -> tuple[list[str], list[float]]:
        return _unzip(pair for metric in self.metrics for pair in metric.get_name_value())

    def get_global(self) -> tuple[list[str], list[float]]:
        return _unzip(pair for metric in self.metrics for pair in metric.get_global_name_value())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "metrics": [metric.get_config() for metric in self.metrics]}


def _select(arrays: Mapping[str, Any], names: Sequence[str] | None) -> Mapping[str, Any]:
    if names is None:
        return arrays
    return {name: array for name, array in arrays.items() if name in names}


def _unzip(pairs: Iterable[tuple[str, float]]) -> tuple[list[str], list[float]]:
    pairs = list(pairs)
    return [name for name, _ in pairs], [value for _, value in pairs]
