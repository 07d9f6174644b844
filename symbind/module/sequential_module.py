"""SequentialModule: modules in a chain, each fed with the outputs of the one before."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from ..initializer import Uniform
from ..ndarray import NDArray
from .base_module import BaseModule

__all__ = ["SequentialModule"]


class SequentialModule(BaseModule):
    """A chain of modules that is itself a module.

    Made empty and filled by :meth:`add`. Gradients flow backwards through the chain: what a module gives as gradients
    of its inputs are those of the outputs of the one before.
    """

    META_TAKE_LABELS = "take_labels"
    META_AUTO_WIRING = "auto_wiring"

    def __init__(self, logger: Any = logging) -> None:
        super().__init__(logger)
        self._modules: list[BaseModule] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None

    def add(self, module: BaseModule, **kwargs: Any) -> SequentialModule:
        """Put ``module`` at the end; returns the chain, so that calls can be chained as well.

        Parameters
        ----------
        module : not bound yet.
        take_labels : whether it is given the labels of each batch, and counts in metrics.
        auto_wiring : whether outputs of the module before are its data in order, whatever they are called; otherwise
            their names must be those of its data.
        """
        for key in kwargs:
            if key not in (self.META_TAKE_LABELS, self.META_AUTO_WIRING):
                raise AssertionError(f'Unknown meta "{key}", a typo? Known are take_labels and auto_wiring')
        self._modules.append(module)
        self._metas.append(kwargs)
        # The chain is another one now.
        self.binded = self.params_initialized = self.optimizer_initialized = False
        return self

    def _takes_labels(self) -> list[BaseModule]:
        return [module for module, meta in zip(self._modules, self._metas) if meta.get(self.META_TAKE_LABELS)]

    # ---- what it is ---------------------------------------------------------------------------------------------

    @property
    def data_names(self) -> list[str]:
        """Names of the data inputs of the first module."""
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs of the last module."""
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> Any:
        """Descriptions of the data inputs of the first module."""
        self._require(bound=True)
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> Any:
        """Descriptions of the labels; None if no module takes them."""
        self._require(bound=True)
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """``(name, shape)`` of each output of the last module."""
        self._require(bound=True)
        return self._modules[-1].output_shapes

    # ---- binding ------------------------------------------------------------------------------------------------

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
        """Bind each module for the shapes that the one before puts out."""
        if not self._needs_binding(force_rebind):
            return
        if inputs_need_grad and not for_training:
            raise AssertionError("inputs_need_grad needs for_training=True")
        if shared_module is not None:
            raise AssertionError("Shared module is not supported")
        if not self._modules:
            raise AssertionError("Attempting to bind an empty SequentialModule")
        shapes = data_shapes
        for i, (module, meta) in enumerate(zip(self._modules, self._metas)):
            if meta.get(self.META_AUTO_WIRING):
                names = module.data_names
                if len(names) != len(shapes):
                    raise ValueError(
                        f"auto_wiring needs an output for each input: module {i} takes {names}, but is given {shapes}"
                    )
                shapes = [(name, desc[1]) for name, desc in zip(names, shapes)]
            module.bind(
                shapes,
                label_shapes if meta.get(self.META_TAKE_LABELS) else None,
                for_training,
                # All but the first must pass gradients on.
                for_training and (inputs_need_grad or i > 0),
                force_rebind,
                None,
                grad_req,
            )
            shapes = module.output_shapes
        self._label_shapes = label_shapes if self._takes_labels() else None
        self.for_training, self.inputs_need_grad, self.binded = for_training, inputs_need_grad, True

    # ---- parameters and optimizers ------------------------------------------------------------------------------

    def init_params(
        self,
        initializer: Any = Uniform(0.01),
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill the parameters of each module, which must not share names.

        AssertionError for a name that two modules have. Names that none has are left out.
        """
        if self.params_initialized and not force_init:
            return
        self._require(bound=True)
        owners: dict[str, int] = {}
        for i, module in enumerate(self._modules):
            module.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
            for params in module.get_params():
                for name in params:
                    if name in owners:
                        raise AssertionError(
                            f'Duplicated parameter names: name "{name}" in layer {i} ({type(module)}) is already used '
                            f"in layer {owners[name]} ({type(self._modules[owners[name]])})."
                        )
                    owners[name] = i
        self.params_initialized = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of the parameters and auxiliary states of all modules."""
        self._require(bound=True, initialized=True)
        arg_params: dict[str, NDArray] = {}
        aux_params: dict[str, NDArray] = {}
        for module in self._modules:
            args, auxes = module.get_params()
            arg_params.update(args)
            aux_params.update(auxes)
        return arg_params, aux_params

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make an optimizer for each module."""
        if not self._needs_optimizer(force_init):
            return
        for module in self._modules:
            module.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        self.optimizer_initialized = True

    def state_dict(self) -> dict[str, Any]:
        """The states of all modules."""
        self._require(bound=True, initialized=True, optimizer=True)
        return {"modules": [module.state_dict() for module in self._modules]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`; ValueError if it is another chain's."""
        self._require(bound=True, initialized=True, optimizer=True)
        given = state.get("modules", ())
        if len(given) != len(self._modules):
            raise ValueError(f"there are {len(given)} modules in the chain there, but {len(self._modules)} here")
        for module, own in zip(self._modules, given):
            module.load_state_dict(own)

    # ---- steps --------------------------------------------------------------------------------------------------

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run the chain on a batch."""
        self._require(bound=True, initialized=True)
        batch = copy.copy(data_batch)
        for module in self._modules:
            module.forward(batch, is_train)
            batch.data = module.get_outputs()
            batch.provide_data = None

    def backward(self, out_grads: Any = None) -> None:
        """Compute the gradients of the last forward, from the last module to the first."""
        self._require(bound=True, initialized=True)
        for module in reversed(self._modules):
            module.backward(out_grads)
            if module is not self._modules[0]:
                out_grads = module.get_input_grads()

    def update(self) -> None:
        """Update the parameters of each module."""
        self._require(bound=True, initialized=True, optimizer=True)
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[NDArray]:
        """The outputs of the last module."""
        self._require(bound=True, initialized=True)
        return self._modules[-1].get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[NDArray]:
        """Gradients of the data, if the chain was bound with ``inputs_need_grad``."""
        self._require(bound=True, initialized=True)
        if not self.inputs_need_grad:
            raise AssertionError("Bind with inputs_need_grad=True to have gradients of the inputs")
        return self._modules[0].get_input_grads(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Add the outputs of each module that takes labels, and these labels, to a metric."""
        self._require(bound=True, initialized=True)
        for module in self._takes_labels():
            module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Have ``mon`` watch each module."""
        self._require(bound=True)
        for module in self._modules:
            module.install_monitor(mon)
