"""Metrics of predicted classes: how often, and in which way, the predicted class is the labelled one."""

from __future__ import annotations

import math
from typing import Any

import numpy

from ..stateful import Stateful
from .metric import AveragedMetric, EvalMetric, alias, check_label_shapes, each_pair, register

__all__ = ["F1", "MCC", "PCC", "Accuracy", "TopKAccuracy"]


@alias("acc")
@register
class Accuracy(EvalMetric):
    """The share of samples whose predicted class is the labelled one.

    Labels hold class numbers. Predictions are scores with the classes along ``axis``, or, if they have the
    shape of the labels, class numbers too.
    """

    def __init__(
        self,
        axis: int = 1,
        name: str = "accuracy",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(name, output_names, label_names, axis=axis, has_global_stats=True)
        self.axis = axis

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            if pred.shape != label.shape:
                if not -pred.ndim <= self.axis < pred.ndim:
                    raise ValueError(
                        f"{self.name}: predictions of shape {pred.shape} have no axis {self.axis} of classes "
                        f"for labels of shape {label.shape}"
                    )
                pred = pred.argmax(axis=self.axis)
            label, pred = label.astype("int32").ravel(), pred.astype("int32").ravel()
            check_label_shapes(label, pred)
            self._add((pred == label).sum(), len(label))


@alias("top_k_accuracy", "top_k_acc")
@register
class TopKAccuracy(EvalMetric):
    """The share of samples whose labelled class is among the ``top_k`` best scored ones.

    Predictions are ``(samples, classes)`` scores. The name gets the suffix ``_<top_k>``.
    """

    def __init__(
        self,
        top_k: int = 1,
        name: str = "top_k_accuracy",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        if top_k <= 1:
            raise ValueError(f"Please use Accuracy if top_k is no more than 1, got top_k={top_k}")
        suffix = f"_{top_k}"
        # A name that comes from get_config has the suffix already.
        name = name if name.endswith(suffix) else name + suffix
        super().__init__(name, output_names, label_names, top_k=top_k, has_global_stats=True)
        self.top_k = top_k

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            if pred.ndim != 2:
                raise ValueError(f"{self.name}: predictions must be (samples, classes), got shape {pred.shape}")
            label = label.astype("int32").ravel()
            check_label_shapes(label, pred)
            k = min(self.top_k, pred.shape[1])
            best = numpy.argpartition(pred.astype("float32"), -k)[:, -k:]
            self._add((best == label[:, None]).sum(), len(label))


class _BinaryCounts(Stateful):
    """True and false positives and negatives, and the scores that are functions of them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.true_pos = self.false_pos = self.true_neg = self.false_neg = 0

    def add(self, label: numpy.ndarray, predicted: numpy.ndarray) -> None:
        self.true_pos += int((predicted & label).sum())
        self.false_pos += int((predicted & ~label).sum())
        self.true_neg += int((~predicted & ~label).sum())
        self.false_neg += int((~predicted & label).sum())

    @property
    def total(self) -> int:
        return self.true_pos + self.false_pos + self.true_neg + self.false_neg

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, ``2·TP / (2·TP + FP + FN)``; 0 if undefined."""
        wrong = self.false_pos + self.false_neg
        return 2 * self.true_pos / (2 * self.true_pos + wrong) if self.true_pos else 0.0

    @property
    def mcc(self) -> float:
        """Matthews' coefficient ``(TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN))``, empty factors left out."""
        factors = (
            self.true_pos + self.false_pos,
            self.true_pos + self.false_neg,
            self.true_neg + self.false_pos,
            self.true_neg + self.false_neg,
        )
        scale = math.prod(factor for factor in factors if factor)
        return (self.true_pos * self.true_neg - self.false_pos * self.false_neg) / math.sqrt(scale)


class _BinaryMetric(AveragedMetric):
    """A score of the confusion counts of two classes.

    Labels are 0 or 1, predictions ``(samples, 2)`` scores. With ``average='macro'`` the value is the mean of
    the scores of the batches, with ``'micro'`` the score of all samples together.
    """

    _score: str

    def __init__(
        self,
        name: str,
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(_BinaryCounts, name, output_names, label_names, average)

    def update(self, labels: Any, preds: Any) -> None:
        batch = _BinaryCounts()
        for label, pred in each_pair(labels, preds):
            label = label.astype("int32").ravel()
            check_label_shapes(label, pred)
            if len(numpy.unique(label)) > 2:
                raise ValueError(f"{type(self).__name__} currently only supports binary classification.")
            predicted = pred.argmax(axis=1) == 1
            for counts in (batch, self._local, self._global):
                counts.add(label == 1, predicted)
        if self.average == "macro":
            self._add(getattr(batch, self._score), 1)
        else:
            # The accounts hold score × samples, so that their quotient is the score of all samples.
            self.num_inst = self._local.total
            self.sum_metric = getattr(self._local, self._score) * self.num_inst
            self.global_num_inst = self._global.total
            self.global_sum_metric = getattr(self._global, self._score) * self.global_num_inst


@register
class F1(_BinaryMetric):
    """The harmonic mean of precision and recall of class 1."""

    _score = "f1"

    def __init__(
        self,
        name: str = "f1",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)


@register
class MCC(_BinaryMetric):
    """Matthews' correlation coefficient of two classes: 1 all right, 0 as good as chance, −1 all wrong.

    Matthews, "Comparison of the predicted and observed secondary structure of T4 phage lysozyme", 1975.
    """

    _score = "mcc"

    def __init__(
        self,
        name: str = "mcc",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)


@register
class PCC(EvalMetric):
    """Matthews' coefficient for any number of classes, over all samples: Pearson's correlation of the
    indicator variables of label and prediction.

    ``cov(x, y) / √(cov(x, x)·cov(y, y))`` from the confusion matrix, which grows as classes are met. nan while
    all labels, or all predictions, are one class. Gorodkin, "Comparing two K-category assignments by a
    K-category correlation coefficient", 2004.
    """

    def __init__(
        self,
        name: str = "pcc",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        self._local = numpy.zeros((2, 2), dtype="int64")
        self._global = self._local.copy()
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        for label, pred in each_pair(labels, preds):
            if pred.shape != label.shape:
                pred = pred.argmax(axis=1)
            label, pred = label.astype("int64").ravel(), pred.astype("int64").ravel()
            check_label_shapes(label, pred)
            classes = max(len(self._global), 1 + int(max(label.max(initial=0), pred.max(initial=0))))
            batch = numpy.bincount(pred * classes + label, minlength=classes**2).reshape(classes, classes)
            grow = (0, classes - len(self._global))
            self._local = numpy.pad(self._local, (grow, grow)) + batch
            self._global = numpy.pad(self._global, (grow, grow)) + batch
        self.num_inst += 1
        self.global_num_inst += 1

    def get(self) -> tuple[str, float]:
        return self.name, self._coefficient(self._local)

    def get_global(self) -> tuple[str, float]:
        return self.name, self._coefficient(self._global)

    @staticmethod
    def _coefficient(confusion: numpy.ndarray) -> float:
        confusion = confusion.astype("float64")
        samples, predicted, labelled = confusion.sum(), confusion.sum(axis=1), confusion.sum(axis=0)
        cov_xx = (predicted * (samples - predicted)).sum()
        cov_yy = (labelled * (samples - labelled)).sum()
        if cov_xx == 0 or cov_yy == 0:
            return math.nan
        cov_xy = (confusion.diagonal() * samples - predicted * labelled).sum()
        return float(cov_xy / math.sqrt(cov_xx * cov_yy))

    def reset(self) -> None:
        self._global = numpy.zeros_like(self._global)
        super().reset()

    def reset_local(self) -> None:
        self._local = numpy.zeros_like(self._local)
        super().reset_local()
