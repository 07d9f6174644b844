"""A plan made runnable: every value a fixed array, every step a call without arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import torch

from ..base import MXNetError
from ..generators import generator
from ..graph.node import Entry, Node
from ..ndarray.laid_out import LaidOut
from ..ndarray.memory import write_count
from ..ops.kernels import nothing, sequence
from ..ops.operator import Environment, Kernel
from ..ops.shapes import product
from ..passes.layout import Arranged
from ..passes.plan import InArena, Kept, Plan, Step, Store
from ..profiler.recorder import Recorder
from .arena import ArenaMemory
from .bound import Places
from .engine import Engine, Implementation
from .resident import EngineOrder

__all__ = ["Instruction", "Program"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Instruction:
    """One step of a program: the call, and what it came from."""

    call: Kernel
    step: Step
    implementation: Implementation | None = None


class _Preparation:
    """A call that is repeated only when one of the arrays it comes from has been written to.

    torch counts the writes to every tensor and its views; that is what tells.
    """

    def __init__(self, call: Kernel, sources: Sequence[torch.Tensor]) -> None:
        self._call = call
        self._sources = list(sources)
        self._seen: list[object] | None = None

    def run_if_stale(self) -> None:
        versions = [write_count(source) for source in self._sources]
        if versions != self._seen:
            self._call()
            self._seen = versions


class Program:
    """The two phases of a bound graph, each once for training and once for inference.

    ``forward[is_train]`` and ``backward[is_train]`` are lists of calls; operators that do the same in both modes are
    the same call in both lists. ``modes`` limits which are built. ``hoisted`` nodes, in independent parts, run before
    that when parameters have changed, by a plan of their own, in the same arena: nothing of a run is left there then.
    """

    def __init__(
        self,
        plan: Plan,
        places: Places,
        shapes: Mapping[Node, list[Shape]],
        dtypes: Mapping[Node, list[torch.dtype]],
        arranged: Arranged,
        device: torch.device,
        modes: Sequence[bool],
        share: ArenaMemory | None,
        hoisted: Sequence[Sequence[Node]],
        preparation: Plan,
    ) -> None:
        self.plan = plan
        self._residents = places.residents
        plans = [preparation, plan]
        self.arena = ArenaMemory(max(p.arena_bytes for p in plans), device, share)
        self._places = {entry: place for p in plans for entry, place in p.places.items()}
        self._workspaces = {node: offset for p in plans for node, offset in p.workspaces.items()}
        self._kept = dict(places.tensors)
        self._shapes, self._dtypes = shapes, dtypes
        self._implementations, self._layouts = arranged.implementations, arranged.layouts
        self._arrays: dict[Entry, torch.Tensor] = {}
        self._inference = Environment(False, device, generator(device))
        self._preparations = self._prepare_parameters(hoisted, preparation)
        self.instructions: dict[str, dict[bool, list[Instruction]]] = {"forward": {}, "backward": {}}
        for phase, steps in (("forward", plan.forward), ("backward", plan.backward)):
            built: dict[int, Instruction | None] = {}
            for mode in modes:
                env = Environment(mode, device, generator(device))
                for i, step in enumerate(steps):
                    if i not in built or (isinstance(step, Node) and step.op.mode_dependent):
                        built[i] = self._instruction(step, env)
                self.instructions[phase][mode] = [x for x in built.values() if x is not None]
        self.forward = {mode: self._calls(listed) for mode, listed in self.instructions["forward"].items()}
        hand_over = [gradient.hand_over for gradient in places.resident_gradients]
        self.backward = {
            mode: [*self._calls(listed), *hand_over] for mode, listed in self.instructions["backward"].items()
        }

    def _calls(self, instructions: Sequence[Instruction]) -> list[Kernel]:
        """What is called in a run.

        Kernels that are not torch's write to the caller's arrays without torch noticing. It is told in the end: another
        program may go by its counts, see :class:`_Preparation`.
        """
        steps = [i.step for i in instructions if isinstance(i.step, Node)]
        entries = [Entry(node, i) for node in steps for i in range(node.num_outputs)]
        written = [self.array(entry) for entry in entries if isinstance(self.plan.places[entry], Kept)]
        calls = [instruction.call for instruction in instructions]
        return [*calls, partial(torch.autograd.graph.increment_version, written)] if written else calls

    def _prepare_parameters(self, hoisted: Sequence[Sequence[Node]], plan: Plan) -> list[_Preparation]:
        """Arrays for what the program reads of the hoisted nodes, and calls that run them if a variable has changed."""
        env = self._inference
        for entry in {place.key for place in plan.places.values() if isinstance(place, Kept)}:
            if isinstance(entry, Entry):
                self._kept[Kept(entry)] = torch.zeros(
                    self._size(entry), dtype=self._dtypes[entry.node][entry.index], device=env.device
                )
        steps: dict[Node, list[Step]] = {}
        for step in plan.forward:
            steps.setdefault(step if isinstance(step, Node) else step.entry.node, []).append(step)
        result = []
        for part in hoisted:
            instructions = [self._instruction(step, env) for node in part for step in steps[node]]
            variables = {source for node in part for source, _ in node.inputs if source.is_variable}
            calls = [i.call for i in instructions if i is not None]
            result.append(_Preparation(sequence(calls), [self._kept[Kept(v)] for v in variables]))
        return result

    def refresh(self) -> None:
        """Take in variables that lie elsewhere, and prepare again what comes from those written to since last time."""
        for resident in self._residents:
            resident.enter()
        for preparation in self._preparations:
            preparation.run_if_stale()

    def renew(self) -> None:
        """Take in what was written to such variables since :meth:`refresh`: the way back reads them too."""
        for resident in self._residents:
            resident.renew()

    @property
    def prepared_bytes(self) -> int:
        """Bytes of the values that are kept from run to run."""
        return sum(a.numel() * a.element_size() for kept, a in self._kept.items() if isinstance(kept.key, Entry))

    def array(self, entry: Entry) -> torch.Tensor:
        """The array that holds ``entry`` when its step has run (later steps may reuse the memory).

        A value in a layout of its own comes as a flat array of all the bytes that the layout takes.
        """
        found = self._arrays.get(entry)
        if found is None:
            found = self._view(entry, (self._size(entry),)) if entry in self._layouts else self._plain(entry)
            self._arrays[entry] = found
        return found

    def output_bytes(self, node: Node) -> int:
        """Bytes of all outputs of a node."""
        arrays = [self.array(Entry(node, i)) for i in range(node.num_outputs)]
        return sum(a.numel() * a.element_size() for a in arrays)

    def _size(self, entry: Entry) -> int:
        """How many elements of its type the value takes, padding of its layout included."""
        layout = self._layouts.get(entry)
        if layout is None:
            return product(self._shapes[entry.node][entry.index])
        return -(-layout.nbytes // self._dtypes[entry.node][entry.index].itemsize)

    def _plain(self, entry: Entry) -> torch.Tensor:
        """The memory of ``entry`` seen in its plain shape, whatever its layout."""
        return self._view(entry, self._shapes[entry.node][entry.index])

    def _view(self, entry: Entry, shape: Shape) -> torch.Tensor:
        place = Kept(entry.node) if entry.node.is_variable else self._places[entry]
        if isinstance(place, InArena):
            return self.arena.view(place.offset, shape, self._dtypes[entry.node][entry.index])
        return self._kept[place].view(shape)

    def plain(self, entry: Entry, engine: Engine) -> torch.Tensor:
        """``entry`` for somebody to look at: its own memory, or a copy if it has a layout of its own."""
        layout = self._layouts.get(entry)
        array = self.array(entry)
        if layout is None:
            return array
        return LaidOut(array, EngineOrder(engine, layout), self._shapes[entry.node][entry.index]).plain()

    def run_watched(
        self, phase: str, is_train: bool, before: Callable[[Node], None], after: Callable[[Node], None]
    ) -> None:
        """Run a phase, calling ``before`` and ``after`` with each node: what it reads may be gone when it has run."""
        done = {id(i.step): i for i in self.instructions[phase][is_train]}
        for step in self.plan.forward if phase == "forward" else self.plan.backward:
            if isinstance(step, Node):
                before(step)
            instruction = done.get(id(step))
            if instruction is not None:
                instruction.call()
            if isinstance(step, Node):
                after(step)
        calls = (self.forward if phase == "forward" else self.backward)[is_train]
        for call in calls[len(done) :]:
            call()

    def run_recorded(self, phase: str, is_train: bool, recorder: Recorder) -> None:
        """Run a phase, and have each instruction recorded."""
        device = self._inference.device
        instructions = self.instructions[phase][is_train]
        calls = (self.forward if phase == "forward" else self.backward)[is_train]
        # What follows the instructions among the calls is not worth an event.
        for call, instruction in zip_longest(calls, instructions):
            begin = recorder.now()
            call()
            if instruction is None or not recorder.symbolic:
                continue
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            step, implementation = instruction.step, instruction.implementation
            if isinstance(step, Node) and implementation is not None:
                size, kernel = self.output_bytes(step), implementation.name
                recorder.span("operator", step.op.name, begin, size, node=step.name, kernel=kernel, phase=phase)
            elif isinstance(step, Store):
                verb = "add" if step.accumulate else "copy"
                size = self.array(step.entry).nbytes
                recorder.span("operator", verb, begin, size, node=step.entry.name, kernel="torch", phase=phase)

    def _instruction(self, step: Step, env: Environment) -> Instruction | None:
        if isinstance(step, Store):
            source, target = self.array(step.entry), self._kept[step.target]
            call = partial(target.add_ if step.accumulate else target.copy_, source.view(target.shape))
            return Instruction(call, step)
        unread = step.op.unread_inputs(step.params)
        # Of an input that is not read the kernel wants shape and type, not the content.
        inputs = [self._plain(e) if i in unread else self.array(e) for i, e in enumerate(step.inputs)]
        outputs = [self.array(Entry(step, i)) for i in range(step.num_outputs)]
        implementation = self._implementations[step]
        workspace = None
        if step in self._workspaces:
            workspace = self.arena.view(self._workspaces[step], (implementation.workspace,), torch.uint8)
        try:
            call = implementation.kernel(inputs, outputs, workspace, env)  # type: ignore[assignment]
        except (NotImplementedError, RuntimeError) as error:
            shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
            raise MXNetError(f"No kernel for node {step.name} ({step.op.name}) on inputs {shapes}: {error}") from error
        return None if call is nothing else Instruction(call, step, implementation)
