"""The child of a long run, which makes the inputs and reads them."""

from __future__ import annotations

import faulthandler
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from traceback import extract_tb

from .contract import Violation
from .targets import TARGETS

__all__ = ["content", "work"]


def content(name: str, seed: str, number: int) -> bytes:
    """The input of that number."""
    return TARGETS[name].make(Random(f"{seed}/{name}/{number}"))


def work(name: str, seed: str, number: int, count: int, answers: Connection) -> None:
    """Read the inputs from ``number`` on, and say of each how it ended and, if it did harm, where."""
    faulthandler.enable()
    for i in range(number, count):
        try:
            answers.send((TARGETS[name].read(content(name, seed, i)), None))
        except Violation as error:
            frames = extract_tb((error.__cause__ or error).__traceback__)
            place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[::-1][:4])
            answers.send((str(error)[:200], place))
