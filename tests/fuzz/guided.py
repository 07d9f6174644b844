"""Inputs chosen by the code that they reach: ``python -m fuzz.guided TARGET [--count N]``.

What libFuzzer mutates is not the file but the numbers that :mod:`.mutation` draws, so that every input has the
structure of its format and coverage decides what happens to it.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["BytesRandom", "main"]


class BytesRandom(Random):
    """Draws from bytes, and when they are used up from a generator that they seed."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._stream = io.BytesIO(data)

    def getrandbits(self, k: int, /) -> int:
        count = -(-k // 8)
        taken = self._stream.read(count)
        if len(taken) < count:
            return super().getrandbits(k)
        return int.from_bytes(taken, "little") >> (8 * count - k)

    def random(self) -> float:
        return self.getrandbits(53) / 2**53


def main() -> None:
    """Runs libFuzzer, which ends the process: after ``--count`` inputs, or with an error at the first finding."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.guided", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--count", type=int, default=100_000, help="how many inputs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("../build/fuzz"), help="folder for findings")
    options = parser.parse_args()

    import atheris

    # Imported only here, so that all of it is watched.
    with atheris.instrument_imports(include=["symbind"]):
        from .targets import TARGETS
    if options.target not in TARGETS:
        parser.error(f"unknown target {options.target}; there are {', '.join(TARGETS)}")
    target: Any = TARGETS[options.target]
    corpus = options.out / f"corpus-{options.target}"
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [sys.argv[0], f"-runs={options.count}", f"-artifact_prefix={options.out}/", "-max_len=256", str(corpus)],
        lambda data: target.read(target.make(BytesRandom(data))),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
