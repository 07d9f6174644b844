"""Metrics of predicted numbers: how far they are from the labels, and how they correlate with them."""

from __future__ import annotations

import math
from typing import Any

import numpy

from ..stateful import Stateful
from .metric import AveragedMetric, EvalMetric, alias, check_label_shapes, each_pair, register

__all__ = ["MAE", "MSE", "RMSE", "PearsonCorrelation"]


class _BatchError(EvalMetric):
    """The mean over *batches* of an error of the batch; one-dimensional arrays count as columns."""

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            label = label.reshape(-1, 1) if label.ndim == 1 else label
            pred = pred.reshape(-1, 1) if pred.ndim == 1 else pred
            self._add(self._error(label - pred), 1)

    def _error(self, difference: numpy.ndarray) -> float:
        raise NotImplementedError


@register
class MAE(_BatchError):
    """Mean absolute error: the mean over batches of ``mean |label − pred|``."""

    def __init__(
        self, name: str = "mae", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def _error(self, difference: numpy.ndarray) -> float:
        return numpy.abs(difference).mean()


@register
class MSE(_BatchError):
    """Mean squared error: the mean over batches of ``mean (label − pred)²``."""

    def __init__(
        self, name: str = "mse", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def _error(self, difference: numpy.ndarray) -> float:
        return numpy.square(difference).mean()


@register
class RMSE(_BatchError):
    """Root mean squared error: the mean over batches of ``√ mean (label − pred)²``."""

    def __init__(
        self, name: str = "rmse", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def _error(self, difference: numpy.ndarray) -> float:
        return math.sqrt(numpy.square(difference).mean())


class _Moments(Stateful):
    """Means, squared deviations and co-deviation of two series, updated batch by batch.

    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
    1979: stable, unlike sums of squares, when the mean is large against the deviations.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.mean_x = self.mean_y = self.square_x = self.square_y = self.product = 0.0

    def add(self, x: numpy.ndarray, y: numpy.ndarray) -> None:
        if x.size == 0:
            return
        mean_x, mean_y = float(x.mean()), float(y.mean())
        delta_x, delta_y = mean_x - self.mean_x, mean_y - self.mean_y
        total = self.count + x.size
        weight = self.count * x.size / total
        self.square_x += float(numpy.square(x - mean_x).sum()) + weight * delta_x**2
        self.square_y += float(numpy.square(y - mean_y).sum()) + weight * delta_y**2
        self.product += float(((x - mean_x) * (y - mean_y)).sum()) + weight * delta_x * delta_y
        self.mean_x += delta_x * x.size / total
        self.mean_y += delta_y * x.size / total
        self.count = total

    @property
    def correlation(self) -> float:
        scale = math.sqrt(self.square_x) * math.sqrt(self.square_y)
        return self.product / scale if scale else math.nan


@alias("pearsonr")
@register
class PearsonCorrelation(AveragedMetric):
    """Pearson's correlation of labels and predictions of equal shape; nan where one of them is constant.

    With ``average='macro'`` the value is the mean of the correlations of the batches, with ``'micro'`` the
    correlation of all elements together.
    """

    def __init__(
        self,
        name: str = "pearsonr",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(_Moments, name, output_names, label_names, average)

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            check_label_shapes(label, pred, shape=True)
            label, pred = label.astype("float64").ravel(), pred.astype("float64").ravel()
            batch = _Moments()
            for moments in (batch, self._local, self._global):
                moments.add(label, pred)
            self._add(batch.correlation, 1)

    def get(self) -> tuple[str, float]:
        if self.average == "macro":
            return super().get()
        return self.name, self._local.correlation

    def get_global(self) -> tuple[str, float]:
        if self.average == "macro":
            return super().get_global()
        return self.name, self._global.correlation
