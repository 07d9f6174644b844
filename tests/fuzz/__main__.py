"""Long runs: ``python -m fuzz [TARGET ...] --count N``, in the folder ``tests``.

Every input has a number and is made from it alone, so a finding can be made again with ``--only NUMBER``. Inputs are
read in a child process; if one brings it down, that is a finding too, and the next child goes on behind it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from .targets import TARGETS
from .worker import content, work

#: Shares of the inputs, where no targets are chosen.
SHARES = {"graph": 0.4, "check": 0.1, "params": 0.35, "states": 0.05, "records": 0.05, "archive": 0.05}
#: On the clock. The contract counts processor time; this is for readers that wait for ever.
PATIENCE = 60
#: After so many findings a run ends; there is something to be mended first.
ENOUGH = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 only if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all if none is given")
    parser.add_argument("--count", type=int, default=100_000, help="how many inputs in all (default: %(default)s)")
    parser.add_argument("--seed", default="0", help="another seed gives other inputs (default: %(default)s)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make and read only this input of the target")
    parser.add_argument("--out", type=Path, default=Path("../build/fuzz"), help="folder for findings")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown targets {sorted(unknown)}")
    names = options.targets or list(TARGETS)
    if options.only is not None:
        if len(options.targets) != 1:
            parser.error("choose one target for --only")
        data = content(names[0], options.seed, options.only)
        print(data if names[0] not in ("graph", "check") else data.decode("utf-8", "replace"))
        print(TARGETS[names[0]].read(data))
        return 0
    whole = sum(SHARES[name] for name in names)
    findings = [_run(name, options.seed, round(options.count * SHARES[name] / whole), options.out) for name in names]
    return 1 if any(findings) else 0


def _run(name: str, seed: str, count: int, out: Path) -> int:
    """Read ``count`` inputs; returns how many did harm."""
    began = time.monotonic()
    ends: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    number = 0
    while number < count and findings.total() < ENOUGH:
        receiver, sender = get_context("spawn").Pipe(duplex=False)
        child = get_context("spawn").Process(target=work, args=(name, seed, number, count, sender))
        child.start()
        sender.close()
        while True:
            try:
                end, place = receiver.recv() if receiver.poll(PATIENCE) else ("no answer", "")
            except EOFError:
                child.join()
                end, place = ("done", "") if number == count else (f"exit status {child.exitcode}", "")
            if end == "done":
                break
            if place is not None:
                findings[f"{end} {place}"] += 1
                if findings[f"{end} {place}"] == 1:
                    out.mkdir(parents=True, exist_ok=True)
                    (out / f"{name}-{seed}-{number}").write_bytes(content(name, seed, number))
                    print(f"{name} {number}: {end} {place}", flush=True)
            else:
                ends[end] += 1
            number += 1
            if place == "":
                child.kill()
                break
    seconds = time.monotonic() - began
    print(f"{name}: {number} inputs in {seconds:.0f} s, {findings.total()} did harm; ended {dict(ends.most_common())}")
    return findings.total()


if __name__ == "__main__":
    sys.exit(main())
