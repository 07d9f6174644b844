"""SVRG: stochastic gradient descent with variance-reduced gradients.

Every few epochs the parameters w are kept as s, and the mean m of the gradients of all batches at s is computed. From
then on the gradient of a batch is ::

    g(w) - g(s) + m

Its expectation is that of g(w), but as w and s are close to each other, so are g(w) and g(s), and what remains of the
noise of one batch is small. Learning rates can be larger then, and need not shrink.

Johnson and Zhang, Accelerating Stochastic Gradient Descent using Predictive Variance Reduction, NIPS 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...base import MXNetError
from ...graph.symbol import Symbol
from ...module import Module
from ...ndarray import NDArray

__all__ = ["SVRGModule"]


class SVRGModule(Module):
    """A module whose :meth:`update` uses variance-reduced gradients. Each step costs two forwards and two backwards.

    Parameters
    ----------
    symbol, and all other arguments of :class:`~symbind.module.Module`.
    update_freq : after how many epochs of :meth:`fit` the full gradients are computed anew. Loops of one's own call
        :meth:`update_full_grads`.

    Raises TypeError if ``update_freq`` is no integer, ValueError if it is not positive.
    """

    def __init__(self, symbol: Symbol, *args: Any, update_freq: int | None = None, **kwargs: Any) -> None:
        if not isinstance(update_freq, int):
            raise TypeError(f"update_freq must be an integer number of epochs, got {update_freq!r}")
        if update_freq <= 0:
            raise ValueError(f"update_freq must be a positive number of epochs, got {update_freq}")
        super().__init__(symbol, *args, **kwargs)
        self.update_freq = update_freq
        self._snapshot = Module(symbol, *args, **kwargs)
        # The mean gradient of each parameter on each context, and whether it has been computed.
        self._means: list[list[NDArray | None]] = []
        self._has_means = False

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Module | None = None,
        grad_req: Any = "write",
    ) -> None:
        """Make the executors. ValueError unless gradients are written: of sums no difference can be taken."""
        if grad_req != "write":
            raise ValueError(f"SVRGModule needs the gradients of one batch: grad_req must be 'write', got {grad_req!r}")
        fresh = force_rebind or not self.binded
        super().bind(data_shapes, label_shapes, for_training, inputs_need_grad, force_rebind, shared_module, grad_req)
        if fresh and for_training:
            self._snapshot.bind(data_shapes, label_shapes, force_rebind=True)
            self._means = [[None if g is None else g.copy() for g in grads] for grads in self._gradients]
            self._has_means = False

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        super().reshape(data_shapes, label_shapes)
        if self.for_training:
            self._snapshot.reshape(data_shapes, label_shapes)

    def update_full_grads(self, train_data: Any) -> None:
        """Keep the parameters as they are now, and compute the mean gradient of all batches of ``train_data`` at them.

        A last batch that is filled up counts for the part that is not. The iterator is reset before, not after.
        MXNet adds the mean that it had before to the gradients of the next pass; here each pass begins with zero.
        """
        self._require(bound=True, initialized=True)
        self._snapshot.set_params(*self.get_params())
        for means in self._means:
            for mean in means:
                if mean is not None:
                    mean[:] = 0
        count = 0.0
        train_data.reset()
        for batch in train_data:
            self._snapshot.forward(batch, is_train=True)
            self._snapshot.backward()
            count += 1 - (batch.pad or 0) / batch.data[0].shape[0]
            for mean, gradient in self._pairs(self._snapshot._gradients):
                mean += gradient
        if not count:
            raise ValueError("There are no batches to compute the full gradients of")
        for means in self._means:
            for mean in means:
                if mean is not None:
                    mean /= count
        self._has_means = True

    def _pairs(self, gradients: list[list[NDArray | None]]) -> list[tuple[NDArray, NDArray]]:
        """Each mean gradient with what ``gradients`` has for the same parameter on the same context."""
        return [
            (mean, gradient)
            for means, own in zip(self._means, gradients, strict=True)
            for mean, gradient in zip(means, own, strict=True)
            if mean is not None and gradient is not None
        ]

    def _begin_epoch(self, epoch: int, train_data: Any) -> bool:
        due = epoch % self.update_freq == 0 or not self._has_means
        if due:
            self.update_full_grads(train_data)
        return due

    # ---- steps --------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        super().forward(data_batch, is_train)
        if self._has_means and (self.for_training if is_train is None else is_train):
            self._snapshot.forward(data_batch, is_train=True)

    def backward(self, out_grads: Any = None) -> None:
        super().backward(out_grads)
        if self._has_means:
            self._snapshot.backward(out_grads)

    def update(self) -> None:
        """Update all trained parameters with the gradients of the last backward, less their noise.

        MXNetError before the first :meth:`update_full_grads`.
        """
        if not self._has_means:
            raise MXNetError("There are no full gradients: call update_full_grads first")
        for (mean, gradient), (_, before) in zip(self._pairs(self._gradients), self._pairs(self._snapshot._gradients)):
            gradient -= before
            gradient += mean
        super().update()

    # ---- to go on with a training -------------------------------------------------------------------------------

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._snapshot.params_initialized = self._has_means = True

    def _lasting_arrays(self) -> dict[str, NDArray]:
        arrays = super()._lasting_arrays()
        arrays.update({f"snapshot:{name}": array for name, array in self._snapshot._lasting_arrays().items()})
        for name, means in zip(self._param_names, self._means):
            arrays.update({f"{k}:mean:{name}": mean for k, mean in enumerate(means) if mean is not None})
        return arrays
