"""One contender of a benchmark, in a process of its own: builds a network, then times steps when told to.

Started by :mod:`benchmarks.compare`. Says ``bound`` when the network is built and ``ready`` when it has run once, then
reads a number of steps per line from standard input, runs them, and answers with milliseconds per step and the peak
resident memory so far in MiB.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .workload import BATCHES, Batch

Step = Callable[[], object]


def build(contender: str, network: str, training: bool, batch: Batch) -> Step:
    """The step of a contender; ``framework-variant`` is its name. Frameworks are imported here, one per process."""
    framework, _, variant = contender.partition("-")
    if framework in ("symbind", "mxnet"):
        from .symbolic import step
    elif framework == "torch":
        from .pytorch import step
    elif framework in ("onnxruntime", "openvino"):
        from .exported import step
    else:
        raise SystemExit(f"Unknown contender {contender!r}")
    return step(framework, variant, network, training, batch)


def peak_mib() -> float:
    """Peak resident memory of this process (getrusage's figure is at least that of the process that started it)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender")
    parser.add_argument("network", choices=list(BATCHES))
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("--batch", type=int)
    args = parser.parse_args()
    step = build(args.contender, args.network, args.mode == "train", BATCHES[args.network].of(args.batch))
    print("bound", flush=True)
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        start = time.perf_counter()
        for _ in range(count):
            step()
        elapsed = (time.perf_counter() - start) / count * 1e3
        print(elapsed, peak_mib(), flush=True)


if __name__ == "__main__":
    main()
