"""What the machine can do: the rate of a large convolution and of large matrix products, which bounds everything else.

The same operations run on symbind's kernels and on PyTorch's, since either may have the better one for this CPU.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

import symbind as mx

__all__ = ["describe", "rates"]


def describe(threads: int) -> str:
    """The machine in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    flags: set[str] = set()
    if cpuinfo.exists():
        facts = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in facts.items()}
        model, flags = named.get("model name", model), set(named.get("flags", "").split())
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{model}, {os.cpu_count()} CPUs, {threads} threads, {', '.join(known)}"


def rates() -> dict[str, tuple[float, float]]:
    """GFLOP/s by operation, of symbind and of PyTorch; the fastest of some runs."""
    x, w = torch.randn(8, 128, 56, 56), torch.randn(128, 128, 3, 3)
    last = torch.channels_last
    x_last, w_last = x.contiguous(memory_format=last), w.contiguous(memory_format=last)
    conv = mx.sym.Convolution(mx.sym.Variable("x"), kernel=(3, 3), pad=(1, 1), num_filter=128, no_bias=True)
    a, b = torch.randn(2048, 1024), torch.randn(1024, 1024)
    dense = mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=1024, no_bias=True)
    with torch.no_grad():
        return {
            "convolution 3x3, 128 to 128 channels, 8 images of 56x56": (
                _symbind(conv, tuple(x.shape)),
                _rate(lambda: F.conv2d(x_last, w_last, padding=1), 2 * 8 * 56 * 56 * 9 * 128 * 128),
            ),
            "matrix product 2048x1024 by 1024x1024": (
                _symbind(dense, tuple(a.shape)),
                _rate(lambda: torch.mm(a, b), 2 * 2048 * 1024 * 1024),
            ),
        }


def _symbind(symbol: mx.sym.Symbol, shape: tuple[int, ...]) -> float:
    """The rate of the instruction that does the work, without conversions of layout."""
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", x=shape)
    for name, array in executor.arg_dict.items():
        array[:] = mx.nd.random.normal(shape=executor.arg_dict[name].shape)
    return max(row.gflops_per_second or 0 for row in executor.plan_report(timed_runs=10).rows)


def _rate(run: Callable[[], object], flops: int) -> float:
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return flops / best / 1e9
