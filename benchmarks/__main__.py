"""All benchmarks, as a page of Markdown: ``python -m benchmarks --out build/benchmarks.md``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch

from . import framework, machine
from .compare import CONTENDERS, compare, table
from .workload import BATCHES

# Training steps that take about half a second.
STEPS = {"mlp": 400, "lenet": 40, "char_lstm": 5, "resnet50": 1}
# Predictions one at a time are a workload of their own, and so is training in mixed precision.
SINGLE = ("resnet50",)
HALF = {"resnet50": ("symbind-bfloat16", "torch-autocast")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(BATCHES), help="names with commas between them")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks.md"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks = args.networks.split(",")
    page = []
    contests = _contests(networks, args.rounds, args.threads)
    for section in chain(_machine(args.threads), contests, _framework(networks)):
        print(section, flush=True)
        page.append(section)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(page))


def _machine(threads: int) -> Iterator[str]:
    yield f"# Benchmarks\n\n{machine.describe(threads)}; torch {torch.__version__}\n"
    yield "| GFLOP/s of | symbind | PyTorch |\n|---|---:|---:|"
    for name, (ours, theirs) in machine.rates().items():
        yield f"| {name} | {ours:.0f} | {theirs:.0f} |"


def _contests(networks: list[str], rounds: int, threads: int) -> Iterator[str]:
    for network in networks:
        for mode, names in CONTENDERS.items():
            batches = [None, 1] if mode == "infer" and network in SINGLE else [None]
            for batch in batches:
                results = compare(network, mode, names, batch, rounds, _steps(network, mode, batch), threads)
                size = batch or BATCHES[network].data[0]
                yield f"\n## {network}, {mode}, batch {size}\n\n{table(results)}"
        if network in HALF:
            results = compare(network, "train", HALF[network], None, rounds, STEPS[network], threads)
            yield f"\n## {network}, train in bfloat16, batch {BATCHES[network].data[0]}\n\n{table(results)}"


def _steps(network: str, mode: str, batch: int | None) -> int:
    """Steps that take about half a second, inference being a third of training: enough to forget the one before."""
    count = STEPS[network] * (3 if mode == "infer" else 1)
    return count if batch is None else count * BATCHES[network].data[0] // batch


def _framework(networks: list[str]) -> Iterator[str]:
    program, kernel = framework.instruction_cost()
    yield (
        f"\n## The framework\n\nOne instruction of a bound program takes {program:.2f} µs, its kernel from a bare loop "
        f"{kernel:.2f} µs.\n"
    )
    yield "| planned MiB | arena | lower bound | ratio | without sharing | all |\n|---|---:|---:|---:|---:|---:|"
    for network in networks:
        for training in (True, False):
            plan = framework.memory(network, training)
            mib = [size / 2**20 for size in (plan.arena, plan.arena_lower_bound)]
            rest = [size / 2**20 for size in (plan.arena_without_sharing, plan.total)]
            yield (
                f"| {network}, {'train' if training else 'infer'} | {mib[0]:.1f} | {mib[1]:.1f} "
                f"| {mib[0] / max(mib[1], 1e-9):.3f} | {rest[0]:.1f} | {rest[1]:.1f} |"
            )


if __name__ == "__main__":
    main()
