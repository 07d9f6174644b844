"""What the framework itself costs: time per instruction beside the kernel's own, and memory above what must be."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

import symbind as mx

from .networks import NETWORKS
from .workload import BATCHES

__all__ = ["instruction_cost", "memory"]

INSTRUCTIONS = 1000


def instruction_cost() -> tuple[float, float]:
    """Microseconds of one instruction in a bound program, and of its kernel called from a bare loop.

    The program is a chain of sines of a single number, which no rewriting can shorten.
    """
    net = mx.sym.Variable("x")
    for _ in range(INSTRUCTIONS):
        net = mx.sym.sin(net)
    executor = net.simple_bind(mx.cpu(), grad_req="null", x=(1,))
    x, y = torch.ones(1), torch.ones(1)

    def bare() -> None:
        for _ in range(INSTRUCTIONS):
            torch.sin(x, out=y)

    return _best(executor.forward) / INSTRUCTIONS, _best(bare) / INSTRUCTIONS


def memory(network: str, training: bool) -> mx.executor.MemoryPlan:
    """The memory plan of a network."""
    batch = BATCHES[network]
    request = "write" if training else "null"
    shapes = {"data": batch.data, "softmax_label": batch.label}
    return NETWORKS[network](mx).simple_bind(mx.cpu(), grad_req=request, **shapes).memory_plan()


def _best(run: Callable[[], object], runs: int = 50) -> float:
    """Microseconds of the fastest of some runs."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e6
