"""Executor: a symbol bound to arrays. Binding decides everything; running only runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..context import Context
from ..garbage import collector_paused
from ..graph.node import Node, execution_order, post_order
from ..graph.symbol import Symbol
from ..ndarray import NDArray
from ..ndarray.memory import allocate
from ..ops.shapes import is_known, product
from ..passes.cells import cells
from ..passes.fuse import fuse
from ..passes.gradient import Gradient, build_gradient
from ..passes.infer import infer_dtypes, infer_shapes, require_complete
from ..passes.select_late import select_late
from ..profiler.recorder import recorder
from .bound import Bound, GradientTarget
from .compile import compile_program
from .engines import engine_for
from .program import Program
from .report import PlanReport, report
from .watch import Watch

__all__ = ["Executor", "MemoryPlan"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes an executor holds, and what its arena would be without sharing."""

    arguments: int
    gradients: int
    auxiliary: int
    outputs: int
    prepared: int
    arena: int
    arena_without_sharing: int
    arena_lower_bound: int

    @property
    def total(self) -> int:
        return self.arguments + self.gradients + self.auxiliary + self.outputs + self.prepared + self.arena

    def __str__(self) -> str:
        rows = [
            ("arguments", self.arguments),
            ("gradients", self.gradients),
            ("auxiliary states", self.auxiliary),
            ("outputs", self.outputs),
            ("prepared parameters", self.prepared),
            ("arena", self.arena),
            ("total", self.total),
            ("arena without sharing", self.arena_without_sharing),
            ("arena lower bound", self.arena_lower_bound),
        ]
        return "\n".join(f"{name:<22} {size / 2**20:10.3f} MiB" for name, size in rows)


class Executor:
    """A graph with all its memory and kernels, ready to run any number of times.

    ``arg_arrays``, ``grad_arrays`` and ``aux_arrays`` are in the symbol's list order and belong to the caller as much
    as to the executor: what is written into them is what the next :meth:`forward` reads. ``outputs`` are the same
    arrays after every run. Made by :meth:`Symbol.bind` and :meth:`Symbol.simple_bind`.
    """

    @torch.inference_mode(False)  # arrays made here are written to outside of it, too
    @collector_paused()
    def __init__(
        self,
        symbol: Symbol,
        ctx: Context,
        arg_arrays: Sequence[NDArray],
        grad_arrays: Sequence[NDArray | None],
        grad_req: Sequence[str],
        aux_arrays: Sequence[NDArray],
        shared: Executor | None = None,
    ) -> None:
        self._symbol = symbol
        self._ctx = ctx
        self._device = ctx.device
        self._arguments = symbol._variables(auxiliary=False)
        self._auxiliary = symbol._variables(auxiliary=True)
        self.arg_arrays = list(arg_arrays)
        self.grad_arrays = list(grad_arrays)
        self.aux_arrays = list(aux_arrays)
        self._reqs = list(grad_req)
        self._shared = shared
        self._watch: Watch | None = None
        self._is_train = False
        self._engine_key: Hashable = None
        self._engine = engine_for(self._device)
        self._check_arrays()
        self._differentiate()
        self._allocate_outputs()
        self._programs: dict[bool, Program] = {}
        self._prepare(False)

    # ---- binding ----------------------------------------------------------------------------------------------

    def _check_arrays(self) -> None:
        for node, array in zip((*self._arguments, *self._auxiliary), (*self.arg_arrays, *self.aux_arrays)):
            if 0 in array.shape:
                raise MXNetError(f"Cannot bind {node.name}: its shape {array.shape} holds no elements")
            if array.storage.device != self._device:
                raise MXNetError(f"Cannot bind {node.name}: it is on {array.context}, the executor on {self._ctx}")
        for node, array, grad in zip(self._arguments, self.arg_arrays, self.grad_arrays):
            if grad is not None and grad.shape != array.shape:
                raise MXNetError(
                    f"The gradient array of {node.name} has shape {grad.shape}, but the argument has {array.shape}"
                )

    def _differentiate(self) -> None:
        """The graph that is run, and that of the gradients that are asked for.

        With a monitor installed the graph is left as it is, so that every node of the symbol is really run.
        """
        wanted = [n for n, g, r in zip(self._arguments, self.grad_arrays, self._reqs) if g is not None and r != "null"]
        self._heads = list(self._symbol.entries)
        if self._watch is None:
            arrays = zip((*self._arguments, *self._auxiliary), (*self.arg_arrays, *self.aux_arrays))
            given = {node: array.shape for node, array in arrays}
            self._heads = select_late(self._heads, lambda heads: infer_shapes(execution_order(heads), given))
            self._heads = fuse(self._heads, cells(training=bool(wanted)))
        self._gradient: Gradient = build_gradient(self._heads, wanted)

    def _allocate_outputs(self) -> None:
        """Arrays for the outputs and for their gradients, once it is certain that the graph can run."""
        variables = (*self._arguments, *self._auxiliary)
        arrays = (*self.arg_arrays, *self.aux_arrays)
        order = post_order(self._symbol.entries)
        shapes: Any = infer_shapes(order, {n: a.shape for n, a in zip(variables, arrays)})
        dtypes: Any = infer_dtypes(order, {n: a.storage.dtype for n, a in zip(variables, arrays)})
        for node, array in zip(variables, arrays):
            if shapes[node][0] != array.shape:
                raise MXNetError(f"Shape of {node.name} is {array.shape}, but the graph asks for {shapes[node][0]}")
        require_complete(order, shapes, dtypes)
        self.outputs = [
            NDArray(allocate(shapes[e.node][e.index], dtypes[e.node][e.index], self._device), self._ctx)
            for e in self._symbol.entries
        ]
        self._head_gradients = [
            None if entry is None else NDArray(torch.zeros_like(output.tensor), self._ctx)
            for entry, output in zip(self._gradient.head_gradients, self.outputs)
        ]

    def _prepare(self, is_train: bool) -> Program:
        """The program for a mode, built anew if what it depends on has changed.

        With gradients one program serves both modes, because backward may follow either. Without, each mode has its
        own, made when it is first needed, and the two share an arena.
        """
        key = self._engine.key()
        if key != self._engine_key:
            self._programs.clear()
            self._engine_key = key
        program = self._programs.get(is_train)
        if program is None:
            if self._gradient.of:
                program = self._build((True, False))
                self._programs = {True: program, False: program}
            else:
                program = self._programs[is_train] = self._build((is_train,))
        return program

    @torch.inference_mode(False)
    @collector_paused()
    def _build(self, modes: Sequence[bool]) -> Program:
        """The program for some modes, from the graph as :meth:`_differentiate` left it."""
        targets = [
            GradientTarget(node, grad, request == "add")
            for node, grad, request in zip(self._arguments, self.grad_arrays, self._reqs)
            if node in self._gradient.of and grad is not None
        ]
        variables: list[tuple[Node, NDArray]] = [
            *zip(self._arguments, self.arg_arrays),
            *zip(self._auxiliary, self.aux_arrays),
            *(
                (entry.node, array)
                for entry, array in zip(self._gradient.head_gradients, self._head_gradients)
                if entry is not None and array is not None
            ),
        ]
        share = next(iter(self._programs.values()), None) or (self._shared._prepare(False) if self._shared else None)
        program, self._arranged_heads = compile_program(
            Bound(self._heads, self._gradient.of, variables, self.outputs, targets),
            self._engine,
            self._device,
            modes,
            rewrite=self._watch is None,
            share=None if share is None else share.arena,
        )
        return program

    # ---- running ----------------------------------------------------------------------------------------------

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Compute the outputs from what the argument arrays hold; keywords are copied into the arguments first.

        Raises TypeError for a keyword that is no argument, ValueError for an array of another shape.
        """
        if kwargs:
            self._copy_inputs(kwargs)
        self._is_train = bool(is_train)
        program = self._prepare(self._is_train)
        program.refresh()
        if self._watch is not None:
            self._watch.forward(program, self._engine, self._is_train)
        elif recorder.running:
            self._run_recorded(program, "forward")
        else:
            for call in program.forward[self._is_train]:
                call()
        return self.outputs

    def _copy_inputs(self, values: Mapping[str, Any]) -> None:
        arguments = self.arg_dict
        for name, value in values.items():
            if name not in arguments:
                raise TypeError(f"Unknown argument {name}; the arguments are {list(arguments)}")
            if not isinstance(value, (NDArray, np.ndarray)):
                raise ValueError(f"only accept keyword argument of NDArrays and numpy.ndarray, got {name}={value!r}")
            if tuple(value.shape) != arguments[name].shape:
                raise ValueError(
                    f"Shape not match! Argument {name}, need: {arguments[name].shape}, received: {tuple(value.shape)}"
                )
        for name, value in values.items():
            source = value.tensor if isinstance(value, NDArray) else torch.from_numpy(np.ascontiguousarray(value))
            arguments[name].tensor.copy_(source)

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Compute the gradients of the last forward into ``grad_arrays`` as ``grad_req`` says.

        ``out_grads`` are the gradients of the outputs: an array, a list, or a dict by output name. Losses need none:
        a list may have None for them, and ends after the last output that is no loss.
        """
        self._take_head_gradients(out_grads)
        ran = self._programs.get(self._is_train)
        program = self._prepare(self._is_train)
        if program is not ran:
            # Built anew, for another number of threads: what forward had left went with the old one.
            self.forward(self._is_train)
        program.renew()
        if self._watch is not None:
            self._watch.backward(program, self._engine, self._is_train, self._gradient.names)
        elif recorder.running:
            self._run_recorded(program, "backward")
        else:
            for call in program.backward[self._is_train]:
                call()

    def _run_recorded(self, program: Program, phase: str) -> None:
        """Run a phase while the profiler runs."""
        begin = recorder.now()
        program.run_recorded(phase, self._is_train, recorder)
        if recorder.api:
            recorder.span("executor", phase, begin, heads=", ".join(self._symbol.list_outputs()))
        if recorder.memory:
            recorder.held(f"{self._ctx.device_type}/{self._ctx.device_id}", self.memory_plan().total)

    def _take_head_gradients(self, out_grads: Any) -> None:
        needed = [i for i, array in enumerate(self._head_gradients) if array is not None]
        if out_grads is None:
            if needed:
                raise MXNetError(
                    "Because the last operator is not Loss function, head_gradient is required when calling backward. "
                    f"Outputs that need one: {[self._symbol.list_outputs()[i] for i in needed]}. If you are attempting "
                    "to minimize the output as an objective, please modify your network and pass it through the "
                    "make_loss symbol."
                )
            return
        if isinstance(out_grads, (NDArray, np.ndarray)):
            out_grads = [out_grads]
        elif isinstance(out_grads, dict):
            out_grads = [out_grads.get(name) for name in self._symbol.list_outputs()]
        if len(out_grads) > len(self.outputs):
            raise MXNetError(f"backward got {len(out_grads)} head gradients for {len(self.outputs)} outputs")
        for name, value, target in zip_longest(self._symbol.list_outputs(), out_grads, self._head_gradients):
            if target is None:
                continue
            if value is None:
                raise MXNetError(f"The head gradient of output {name} is required")
            source = value.tensor if isinstance(value, NDArray) else torch.as_tensor(np.asarray(value))
            if tuple(source.shape) != target.shape:
                raise MXNetError(
                    f"The head gradient of {name} has shape {tuple(source.shape)}, expected {target.shape}"
                )
            target.tensor.copy_(source)

    # ---- looking inside ----------------------------------------------------------------------------------------

    def set_monitor_callback(
        self, callback: Callable[[bytes, NDArray], None] | None, monitor_all: bool = False
    ) -> None:
        """Have ``callback(name, array)`` called with every inner value of each run; None to stop.

        Forward shows the outputs of the operators, and with ``monitor_all`` their inputs too. Backward shows what each
        operator's inputs get from it: ``fc_backward_output0`` for the first of ``fc``, ``act_backward_output`` for the
        only one of ``act``; and the sums where a value is used more than once, ``sum_grad_output``. What is not
        computed is not shown: gradients that ``grad_req`` does not need, or that are passed on as they are.

        The program is rebuilt so that every node of the symbol is really computed, and again when the callback is taken
        away.
        """
        self._watch = None if callback is None else Watch(self._symbol, callback, monitor_all, self._ctx)
        self._differentiate()
        self._programs.clear()
        self._prepare(False)

    @property
    def arg_dict(self) -> dict[str, NDArray]:
        """Argument arrays by name."""
        return {node.name: array for node, array in zip(self._arguments, self.arg_arrays)}

    @property
    def grad_dict(self) -> dict[str, NDArray | None]:
        """Gradient arrays by argument name; None where none was asked for."""
        return {node.name: array for node, array in zip(self._arguments, self.grad_arrays)}

    @property
    def aux_dict(self) -> dict[str, NDArray]:
        """Auxiliary state arrays by name."""
        return {node.name: array for node, array in zip(self._auxiliary, self.aux_arrays)}

    @property
    def output_dict(self) -> dict[str, NDArray]:
        """Output arrays by name."""
        return dict(zip(self._symbol.list_outputs(), self.outputs))

    @property
    def _grad_req(self) -> dict[str, str]:
        return {node.name: req for node, req in zip(self._arguments, self._reqs)}

    def memory_plan(self) -> MemoryPlan:
        """What this executor holds in memory, exactly, by kind."""

        def total(arrays: Sequence[NDArray | None]) -> int:
            return sum(a.storage.numel() * a.storage.element_size() for a in arrays if a is not None)

        program = self._prepare(self._is_train)
        plan = program.plan
        return MemoryPlan(
            total(self.arg_arrays),
            total(self.grad_arrays),
            total(self.aux_arrays),
            total(self.outputs) + total(self._head_gradients),
            program.prepared_bytes,
            plan.arena_bytes,
            plan.unshared_bytes,
            plan.lower_bound,
        )

    def plan_report(self, timed_runs: int = 0, is_train: bool | None = None) -> PlanReport:
        """Every instruction of the program with its kernel, layouts, bytes and operations.

        With ``timed_runs`` the program is run that often on what its arrays hold now, and the fastest run of each
        instruction is added: milliseconds and GFLOP/s. ``is_train`` defaults to the mode of the last forward.
        """
        mode = self._is_train if is_train is None else is_train
        program = self._prepare(mode)
        program.refresh()
        return report(program, mode, timed_runs)

    def debug_str(self) -> str:
        """The symbol's listing and the memory it was given."""
        total = self.memory_plan().total
        return f"{self._symbol.debug_str()}Total {total // 2**20} MB allocated\nTotal 0 TempSpace resource requested\n"

    def get_optimized_symbol(self) -> Symbol:
        """The forward graph as it really runs."""
        return Symbol(self._arranged_heads)

    # ---- parameters and other shapes --------------------------------------------------------------------------

    def copy_params_from(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy values into arguments and auxiliary states by name, casting to their types.

        ValueError for a name the executor does not have, unless ``allow_extra_params``; nothing is copied then.
        """
        pairs = []
        for values, own, kind in (
            (arg_params, self.arg_dict, "arguments"),
            (aux_params or {}, self.aux_dict, "auxiliary states"),
        ):
            for name, array in values.items():
                if name in own:
                    if tuple(array.shape) != own[name].shape:
                        raise ValueError(
                            f"{name} has shape {tuple(array.shape)}, but the executor has {own[name].shape}"
                        )
                    pairs.append((own[name], array))
                elif not allow_extra_params:
                    raise ValueError(f'Find name "{name}" that is not in the {kind}')
        for target, source in pairs:
            target.tensor.copy_(source.tensor)

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Shape) -> Executor:
        """An executor for other input shapes that shares the arrays whose shapes stay.

        Arrays that shrink keep their memory; one that would grow needs ``allow_up_sizing``; one that changes without
        being named in ``kwargs`` needs ``partial_shaping``.
        """
        order = post_order(self._symbol.entries)
        known = {n.name for n in self._arguments}
        for name in kwargs:
            if name not in known:
                raise MXNetError(f"reshape got shape of unknown argument {name}; the arguments are {sorted(known)}")
        given = {n: tuple(kwargs[n.name]) for n in self._arguments if n.name in kwargs}
        shapes = infer_shapes(order, given)

        def resized(node: Node, array: NDArray | None, name: str) -> NDArray | None:
            shape = shapes[node][0]
            if array is None or shape == array.shape:
                return array
            if not is_known(shape):
                raise MXNetError(f"Cannot decide the shape of {name} from {kwargs}")
            if node.name not in kwargs and not partial_shaping:
                raise MXNetError(
                    f"Shape of unspecified array {name} changed from {array.shape} to {shape}. This can cause the new "
                    "executor to not share parameters with the old one. Please check for error in the network. If this "
                    "is intended, set partial_shaping=True to suppress this warning."
                )
            size = product(shape)
            if size <= array.size:
                return NDArray(array.tensor.reshape(-1)[:size].view(shape), array.context)
            if not allow_up_sizing:
                raise MXNetError(
                    f"New shape of {name}: {shape} is larger than original {array.shape}. First making a big executor "
                    "and then down sizing it is more efficient than the reverse. If you really want to up size, set "
                    "allow_up_sizing=True to enable allocation of new arrays."
                )
            return NDArray(torch.zeros(shape, dtype=array.storage.dtype, device=self._device), array.context)

        args = [resized(n, a, f"arg: {n.name}") for n, a in zip(self._arguments, self.arg_arrays)]
        grads = [resized(n, a, f"gradient of arg: {n.name}") for n, a in zip(self._arguments, self.grad_arrays)]
        auxes = [resized(n, a, f"aux: {n.name}") for n, a in zip(self._auxiliary, self.aux_arrays)]
        return Executor(self._symbol, self._ctx, args, grads, self._reqs, auxes, shared=self)  # type: ignore[arg-type]
