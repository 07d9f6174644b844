"""What a program does and what it costs, instruction by instruction, for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..graph.node import Node
from .program import Instruction, Program

__all__ = ["PlanReport", "Row", "report"]


@dataclass(frozen=True)
class Row:
    """One instruction. ``milliseconds`` is None unless the program was timed."""

    phase: str
    name: str
    operator: str
    implementation: str
    layouts: str
    bytes: int
    flops: int
    is_reference: bool
    milliseconds: float | None = None

    @property
    def gflops_per_second(self) -> float | None:
        """Floating-point operations over time; None where one of them is not known."""
        if self.milliseconds and self.flops:
            return self.flops / self.milliseconds / 1e6
        return None


@dataclass(frozen=True)
class PlanReport:
    """The instructions of a program in running order."""

    rows: Sequence[Row]

    @property
    def references(self) -> list[Row]:
        """Instructions that run on a plain loop, far slower than the machine could do them."""
        return [row for row in self.rows if row.is_reference]

    @property
    def conversions(self) -> list[Row]:
        """Instructions that only change a layout."""
        return [row for row in self.rows if row.operator == "_convert_layout"]

    def __str__(self) -> str:
        lines = [f"{'phase':<9}{'node':<40}{'kernel':<34}{'layouts':<30}{'MiB':>9}{'MFLOP':>10}{'ms':>9}{'GFLOP/s':>9}"]
        for row in self.rows:
            mark = " (slow: a plain loop)" if row.is_reference else ""
            ms = "" if row.milliseconds is None else f"{row.milliseconds:.3f}"
            rate = "" if row.gflops_per_second is None else f"{row.gflops_per_second:.1f}"
            lines.append(
                f"{row.phase:<9}{row.name[:38]:<40}{row.implementation[:32]:<34}{row.layouts[:28]:<30}"
                f"{row.bytes / 2**20:>9.3f}{row.flops / 1e6:>10.1f}{ms:>9}{rate:>9}{mark}"
            )
        if self.rows and self.rows[0].milliseconds is not None:
            lines.append(f"{'total':<132}{sum(row.milliseconds or 0 for row in self.rows):>9.3f}")
        return "\n".join(lines)


def report(program: Program, is_train: bool, timed_runs: int = 0) -> PlanReport:
    """The report of one mode of ``program``; ``timed_runs`` runs of it are timed."""
    phases = [(phase, modes[is_train]) for phase, modes in program.instructions.items()]
    times = _times([i for _, instructions in phases for i in instructions], timed_runs)
    rows = [
        _row(program, phase, instruction, times.get(id(instruction)))
        for phase, instructions in phases
        for instruction in instructions
    ]
    return PlanReport(rows)


def _times(instructions: Sequence[Instruction], runs: int) -> dict[int, float]:
    """Milliseconds of the fastest run of each instruction."""
    best: dict[int, float] = {}
    for _ in range(runs):
        for instruction in instructions:
            start = time.perf_counter()
            instruction.call()
            elapsed = (time.perf_counter() - start) * 1e3
            best[id(instruction)] = min(best.get(id(instruction), elapsed), elapsed)
    return best


def _row(program: Program, phase: str, instruction: Instruction, milliseconds: float | None) -> Row:
    step, implementation = instruction.step, instruction.implementation
    if not isinstance(step, Node):
        array = program.array(step.entry)
        verb = "add" if step.accumulate else "copy"
        size = array.numel() * array.element_size()
        return Row(phase, f"{verb} {step.entry.name}", verb, "torch", "", size, 0, False, milliseconds)
    assert implementation is not None
    layouts = {
        str(layout): None for layout in (*implementation.input_layouts, *implementation.output_layouts) if layout
    }
    return Row(
        phase,
        step.name,
        step.op.name,
        implementation.name,
        ", ".join(layouts),
        program.output_bytes(step),
        implementation.flops,
        implementation.is_reference,
        milliseconds,
    )
