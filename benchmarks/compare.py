"""Time a network side by side: ``python -m benchmarks.compare lenet --mode train``.

Every contender is a process of its own; they take turns, one at a time, for several rounds, so that a machine whose
speed drifts is unfair to none. Printed are the smallest and the median milliseconds per step, the ratio of each
contender's smallest to symbind's (above 1: symbind is faster), the seconds from the start of the process until the
network is bound and until its first step is done, and the peak resident memory of the process.

MXNet takes part if ``MXNET_PYTHON`` names a Python that has mxnet 1.9.1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CONTENDERS", "Result", "compare", "table"]

ROOT = Path(__file__).parent.parent

CONTENDERS = {
    "train": ("symbind", "torch-eager", "torch-channels_last", "torch-compile", "mxnet"),
    "infer": ("symbind", "torch-eager", "torch-channels_last", "torch-compile", "onnxruntime", "openvino", "mxnet"),
}


@dataclass
class Result:
    """What one contender has shown."""

    name: str
    bound_seconds: float = 0.0
    first_step_seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def best(self) -> float:
        return min(self.milliseconds)


class Contender:
    """A worker process that has built its network and run one step; SystemExit with what it said if it could not."""

    def __init__(self, name: str, network: str, mode: str, batch: int | None, threads: int) -> None:
        python = os.environ["MXNET_PYTHON"] if name == "mxnet" else sys.executable
        command = [python, "-m", "benchmarks.worker", name, network, mode]
        if batch:
            command += ["--batch", str(batch)]
        self.result = Result(name)
        start = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        self._await("bound")
        self.result.bound_seconds = time.perf_counter() - start
        self._await("ready")
        self.result.first_step_seconds = time.perf_counter() - start

    def _await(self, word: str) -> None:
        assert self.process.stdout is not None and self.process.stderr is not None
        for line in self.process.stdout:
            if line.strip() == word:
                return
        said = self.process.stderr.read().strip().splitlines()
        self.close()
        raise SystemExit(f"{self.result.name} does not take part: {said[-1] if said else 'no reason given'}")

    def run(self, steps: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        elapsed, memory = self.process.stdout.readline().split()
        self.result.milliseconds.append(float(elapsed))
        self.result.peak_mib = float(memory)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def compare(
    network: str,
    mode: str,
    names: Sequence[str],
    batch: int | None = None,
    rounds: int = 7,
    steps: int = 20,
    threads: int = os.cpu_count() or 1,
) -> list[Result]:
    """Let the contenders called ``names`` run in turn; those that cannot are left out, and why is printed."""
    contenders: list[Contender] = []
    try:
        for name in names:
            if name == "mxnet" and "MXNET_PYTHON" not in os.environ:
                continue
            try:
                contenders.append(Contender(name, network, mode, batch, threads))
            except SystemExit as reason:
                print(reason, file=sys.stderr)
        for contender in contenders:
            contender.run(max(1, steps // 4))
            contender.result.milliseconds.clear()
        for _ in range(rounds):
            for contender in contenders:
                contender.run(steps)
    finally:
        for contender in contenders:
            contender.close()
    return [contender.result for contender in contenders]


def table(results: Sequence[Result]) -> str:
    """The results in Markdown. The ratio is to the first of them."""
    lines = [
        "| contender | min ms | median ms | ratio | bound s | first step s | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results:
        ratio = r.best / results[0].best
        median = statistics.median(r.milliseconds)
        lines.append(
            f"| {r.name:<19} | {r.best:8.3f} | {median:8.3f} | {ratio:5.2f} "
            f"| {r.bound_seconds:5.2f} | {r.first_step_seconds:5.2f} | {r.peak_mib:5.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--mode", choices=list(CONTENDERS), default="train")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--contenders", help="names with commas between them, the one to compare with first")
    args = parser.parse_args()
    names = args.contenders.split(",") if args.contenders else CONTENDERS[args.mode]
    results = compare(args.network, args.mode, names, args.batch, args.rounds, args.steps, args.threads)
    print(f"{args.network}, {args.mode}, {args.threads} threads, {args.rounds} rounds of {args.steps} steps in turn\n")
    print(table(results))


if __name__ == "__main__":
    main()
