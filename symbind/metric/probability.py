"""Metrics of predicted probabilities: how probable the model found the labelled class."""

from __future__ import annotations

import math
from typing import Any

import numpy

from .metric import EvalMetric, alias, check_label_shapes, each_pair, register

__all__ = ["CrossEntropy", "NegativeLogLikelihood", "Perplexity"]


class _MeanNegativeLog(EvalMetric):
    """The mean over samples of ``−ln(p[label] + eps)``; predictions are ``(samples, classes)`` probabilities."""

    def __init__(
        self,
        eps: float,
        name: str,
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(name, output_names, label_names, eps=eps, has_global_stats=True)
        self.eps = eps

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            label = label.ravel()
            check_label_shapes(label, pred)
            probability = pred[numpy.arange(len(label)), label.astype("int64")]
            self._add(-numpy.log(probability + self.eps).sum(), len(label))


@alias("ce")
@register
class CrossEntropy(_MeanNegativeLog):
    """Cross entropy of the predicted distribution and the labels: the mean of ``−ln(p[label] + eps)``."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@alias("nll_loss")
@register
class NegativeLogLikelihood(_MeanNegativeLog):
    """Negative log-likelihood of the labels: the mean of ``−ln(p[label] + eps)``."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "nll-loss",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
class Perplexity(EvalMetric):
    """``exp`` of the mean of ``−ln max(p[label], 1e−10)`` over the samples whose label is not ``ignore_label``.

    Predictions are probabilities with the classes along ``axis`` (which must be the last one); the labels may
    have any shape with as many elements as there are distributions. Labels outside the classes count as the
    nearest class. ``ignore_label=None`` ignores nothing.
    """

    def __init__(
        self,
        ignore_label: int | None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(name, output_names, label_names, ignore_label=ignore_label, axis=axis, has_global_stats=True)
        self.ignore_label = ignore_label
        self.axis = axis

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            classes = pred.shape[-1]
            if self.axis not in (-1, pred.ndim - 1) or label.size * classes != pred.size:
                raise ValueError(
                    f"{self.name}: shape mismatch: labels {label.shape} vs. predictions {pred.shape} with the "
                    f"classes along axis {self.axis}; the classes must be the last axis, with one label for each "
                    "position before it"
                )
            label = label.ravel()
            chosen = label.astype("int64").clip(0, classes - 1)
            probability = pred.reshape(-1, classes)[numpy.arange(label.size), chosen]
            if self.ignore_label is not None:
                probability = probability[label != self.ignore_label]
            self._add(-numpy.log(numpy.maximum(probability, 1e-10)).sum(), probability.size)

    @staticmethod
    def _value(total: float, count: float) -> float:
        return math.exp(total / count) if count else math.nan
