"""Metrics of a user's making: a function of label and prediction, or an output that is a loss already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from .metric import EvalMetric, as_numpy, check_label_shapes, register

__all__ = ["Caffe", "CustomMetric", "Loss", "Torch", "np"]


@register
class Loss(EvalMetric):
    """The mean of all elements of the outputs; labels are not looked at. For nets whose output is a loss."""

    def __init__(
        self, name: str = "loss", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        for pred in [preds] if hasattr(preds, "shape") else preds:
            pred = as_numpy(pred)
            self._add(pred.sum(), pred.size)


@register
class Torch(Loss):
    """:class:`Loss` under the name ``torch``."""

    def __init__(
        self, name: str = "torch", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """:class:`Loss` under the name ``caffe``."""

    def __init__(
        self, name: str = "caffe", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names)


@register
class CustomMetric(EvalMetric):
    """The mean over batches of ``feval(label, pred)``, called with NumPy arrays.

    Parameters
    ----------
    feval : returns the value of the batch, or ``(sum, count)`` to weigh it by ``count`` instances.
    name : default: the function's name, ``custom(<lambda>)`` for a lambda.
    allow_extra_outputs : if set there may be more outputs than labels; the first ones are used.
    """

    def __init__(
        self,
        feval: Callable[[numpy.ndarray, numpy.ndarray], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        if name is None:
            name = getattr(feval, "__name__", type(feval).__name__)
            name = f"custom({name})" if "<" in name else name
        super().__init__(name, output_names, label_names, has_global_stats=True)
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, wrap=True)
        for pred, label in zip(preds, labels):
            value = self._feval(as_numpy(label), as_numpy(pred))
            total, count = value if isinstance(value, tuple) else (value, 1)
            self._add(total, count)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("CustomMetric cannot be serialized: it holds a Python function")


def np(
    numpy_feval: Callable[[numpy.ndarray, numpy.ndarray], Any],
    name: str | None = None,
    allow_extra_outputs: bool = False,
) -> CustomMetric:
    """A :class:`CustomMetric` of a function of NumPy arrays."""
    return CustomMetric(numpy_feval, name, allow_extra_outputs)
