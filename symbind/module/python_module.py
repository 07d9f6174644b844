"""Modules written in Python, to stand in a chain beside those that have a symbol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import ndarray as nd
from ..initializer import Uniform
from ..io import DataDesc
from ..ndarray import NDArray
from .base_module import BaseModule

__all__ = ["PythonLossModule", "PythonModule"]


class PythonModule(BaseModule):
    """A module without parameters, whose computation a subclass defines.

    A subclass defines ``_compute_output_shapes`` (a list of names and shapes, from ``data_shapes``), ``forward``,
    ``backward``, ``get_outputs`` and ``get_input_grads``.

    Parameters
    ----------
    data_names, label_names, output_names : names of inputs and outputs; there may be no labels (None or empty).
    """

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ) -> None:
        super().__init__(logger)
        self._data_names = list(data_names)
        self._label_names = list(label_names or ())
        self._output_names = list(output_names)
        self._data_shapes: list[DataDesc] = []
        self._label_shapes: list[DataDesc] | None = None
        self._output_shapes: list[tuple[str, tuple[int, ...]]] = []

    @property
    def data_names(self) -> list[str]:
        """Names of the inputs that are data."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return self._output_names

    @property
    def data_shapes(self) -> list[DataDesc]:
        """Descriptions of the data inputs."""
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """Descriptions of the labels; None if the module was bound without."""
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """``(name, shape)`` of each output."""
        return self._output_shapes

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        raise NotImplementedError(f"{type(self).__name__} does not define _compute_output_shapes")

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Note the shapes of inputs and outputs. ``grad_req`` can only be ``'write'``."""
        if not self._needs_binding(force_rebind):
            return
        if grad_req != "write":
            raise AssertionError(f"Python module only support write gradient, not {grad_req!r}")
        described = _described(data_shapes, self._data_names, "data")
        labels = _described(label_shapes, self._label_names, "label") if label_shapes else None
        self._data_shapes, self._label_shapes = described, labels
        self._output_shapes = self._compute_output_shapes()
        self.for_training, self.inputs_need_grad, self.binded = for_training, inputs_need_grad, True

    def init_params(
        self,
        initializer: Any = Uniform(0.01),
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """There are no parameters to fill."""
        self.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """No parameters."""
        return {}, {}

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """There is nothing to optimize."""
        self.optimizer_initialized = True

    def state_dict(self) -> dict[str, Any]:
        """There is nothing that lasts from step to step."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is nothing to take over."""

    def update(self) -> None:
        """There is nothing to update."""

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs and these labels to a metric, if the module was bound with labels."""
        if self._label_shapes is not None:
            eval_metric.update(labels[0] if pre_sliced else labels, self.get_outputs())


def _described(shapes: Any, names: Sequence[str], kind: str) -> list[DataDesc]:
    described = [desc if isinstance(desc, DataDesc) else DataDesc(*desc) for desc in shapes]
    if [desc.name for desc in described] != list(names):
        raise AssertionError(f"{kind}_shapes {described} must be those of {kind}_names {list(names)}, in this order")
    return described


class PythonLossModule(PythonModule):
    """A loss at the end of a chain: passes scores through, and gives their gradients.

    Parameters
    ----------
    name : what the name of the output begins with.
    data_names, label_names : the name of the scores, and of the labels: lists of one.
    grad_func : from scores and labels to gradients of the scores, as an NDArray or whatever makes one. Without it, a
        subclass defines ``_backward_impl``, which sets ``_scores_grad`` from ``_scores`` and ``_labels``.
    """

    def __init__(
        self,
        name: str = "pyloss",
        data_names: Sequence[str] = ("data",),
        label_names: Sequence[str] = ("softmax_label",),
        logger: Any = logging,
        grad_func: Callable[[NDArray, NDArray], Any] | None = None,
    ) -> None:
        super().__init__(data_names, label_names, [f"{name}_output"], logger)
        if len(self._data_names) != 1 or len(self._label_names) != 1:
            raise AssertionError(
                f"PythonLossModule has one data input and one label, not {self._data_names} and {self._label_names}"
            )
        if grad_func is not None and not callable(grad_func):
            raise AssertionError(f"grad_func must be a function of scores and labels, not {grad_func!r}")
        self._name = name
        self._grad_func = grad_func
        self._scores: NDArray | None = None
        self._labels: NDArray | None = None
        self._scores_grad: NDArray | None = None

    def _compute_output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """The output is the scores."""
        return [(self._output_names[0], self._data_shapes[0].shape)]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Take the scores, and while training the labels."""
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The scores."""
        return [self._scores]

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the scores."""
        if out_grads is not None:
            raise AssertionError("For a loss module, out_grads should be None")
        if not self.for_training:
            raise AssertionError("backward needs a module that was bound with for_training=True")
        self._backward_impl()

    def _backward_impl(self) -> None:
        if self._grad_func is None:
            raise NotImplementedError("PythonLossModule needs a grad_func, or a subclass that defines _backward_impl")
        if self._scores is None or self._labels is None:
            raise AssertionError("backward follows a forward in training, with labels")
        gradient = self._grad_func(self._scores, self._labels)
        self._scores_grad = gradient if isinstance(gradient, NDArray) else nd.array(gradient)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the scores."""
        return [self._scores_grad]

    def install_monitor(self, mon: Any) -> None:
        """There is no executor to be watched."""
