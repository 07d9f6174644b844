"""The garbage collector, told not to look where there is nothing to find."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """No search for garbage inside the block, if there was one before.

    Python searches whenever many objects have been made. Importing torch and binding a network make hundreds of
    thousands, and nearly all stay: the searches take a quarter of the time and find nothing. Of two threads inside such
    blocks the first to leave lets the search begin again for both.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


if "torch" not in sys.modules:
    with collector_paused():
        import torch as torch
    # What modules are made of stays for good: later searches pass over it too.
    gc.freeze()
