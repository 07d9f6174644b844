"""The CPU as oneDNN sees it: one engine and one in-order stream for the whole process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

from .library import Library, load

__all__ = ["Engine", "channel_block", "cpu_engine", "supports_bfloat16", "thread_count"]

_KIND_CPU = 1
_STREAM_IN_ORDER = 1
# Every later instruction set contains the bits of those before.
_ISA_AVX512 = 0x27
_ISA_BFLOAT16 = 0xE7  # AVX-512 with the bf16 dot product


@dataclass(frozen=True, eq=False)
class Engine:
    """The library with the engine that owns its primitives and the stream that runs them.

    Both are stateless on a CPU, so threads may share them. What must not be shared between threads that run
    at the same time is memory, scratchpads included.
    """

    library: Library
    handle: Any
    stream: Any


@functools.cache
def cpu_engine() -> Engine:
    """The engine of this process; Unavailable without the library."""
    library = load()
    engine = library.ffi.new("engine_t *")
    library.check(library.c.dnnl_engine_create(engine, _KIND_CPU, 0), "create the CPU engine")
    stream = library.ffi.new("stream_t *")
    library.check(library.c.dnnl_stream_create(stream, engine[0], _STREAM_IN_ORDER), "create a stream")
    return Engine(library, engine[0], stream[0])


def thread_count() -> int:
    """How many threads a primitive that is created now, on this thread, will use for ever.

    The number belongs into the key of whatever holds primitives. Asking has an effect that is wanted: OpenMP
    keeps the count per calling thread, and torch hands ``torch.set_num_threads`` on to a thread when it is
    asked there. A thread must therefore ask before it runs primitives that another one has created.
    """
    return torch.get_num_threads()


def channel_block() -> int:
    """How many channels the kernels for this CPU like to have together: those that fill a vector register."""
    isa = load().c.dnnl_get_effective_cpu_isa()
    return 16 if isa & _ISA_AVX512 == _ISA_AVX512 else 8


def supports_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively; oneDNN emulates it below float32's speed elsewhere."""
    isa = load().c.dnnl_get_effective_cpu_isa()
    return isa & _ISA_BFLOAT16 == _ISA_BFLOAT16
