"""Time a network side by side: ``python benchmarks/compare.py lenet --mode train``.

Every contender is a process of its own; they take turns, one at a time, for several rounds, so that a machine whose
speed drifts is unfair to none. Printed are the smallest and the median milliseconds per step, the ratio of each
contender's median to symbind's (above 1: symbind is faster), and the peak resident memory of the process.

MXNet takes part if ``MXNET_PYTHON`` names a Python that has mxnet 1.9.1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


class Contender:
    """A worker process that has built its network."""

    def __init__(self, name: str, python: str, network: str, mode: str, batch: int | None, threads: int) -> None:
        command = [python, str(HERE / "worker.py"), name, network, mode]
        if batch:
            command += ["--batch", str(batch)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent)]) if name != "mxnet" else str(HERE)
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.times: list[float] = []
        self.memory = 0.0

    def wait_until_ready(self) -> bool:
        """Whether the network was built; what went wrong is printed."""
        assert self.process.stdout is not None and self.process.stderr is not None
        for line in self.process.stdout:
            if line.strip() == "ready":
                return True
        print(f"{self.name} does not take part: {self.process.stderr.read().strip().splitlines()[-1:]}")
        return False

    def run(self, steps: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        elapsed, memory = self.process.stdout.readline().split()
        self.times.append(float(elapsed))
        self.memory = float(memory)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def compare(
    network: str, mode: str, batch: int | None, rounds: int, steps: int, threads: int, names: list[str]
) -> None:
    """Run the contest and print its table."""
    contenders = []
    for name in names:
        python = os.environ.get("MXNET_PYTHON", "") if name == "mxnet" else sys.executable
        if not python:
            continue
        contender = Contender(name, python, network, mode, batch, threads)
        if contender.wait_until_ready():
            contenders.append(contender)
        else:
            contender.close()
    try:
        for contender in contenders:
            contender.run(max(1, steps // 4))
            contender.times.clear()
        for _ in range(rounds):
            for contender in contenders:
                contender.run(steps)
    finally:
        for contender in contenders:
            contender.close()
    base = next(c for c in contenders if c.name == "symbind")
    print(f"{network}, {mode}, {threads} threads, {rounds} rounds of {steps} steps in turn")
    print(f"{'':<22}{'min ms':>10}{'median ms':>12}{'ratio':>8}{'peak MiB':>10}")
    for c in contenders:
        median = statistics.median(c.times)
        ratio = median / statistics.median(base.times)
        print(f"{c.name:<22}{min(c.times):>10.3f}{median:>12.3f}{ratio:>8.2f}{c.memory:>10.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--mode", choices=["train", "infer"], default="train")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--contenders", default="symbind,torch-eager,torch-channels_last,mxnet")
    args = parser.parse_args()
    compare(args.network, args.mode, args.batch, args.rounds, args.steps, args.threads, args.contenders.split(","))


if __name__ == "__main__":
    main()
