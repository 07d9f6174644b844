"""How large the processor's caches are."""

from __future__ import annotations

import functools
from pathlib import Path

import torch

__all__ = ["cache_bytes"]


def cache_bytes(device: torch.device) -> int:
    """What a kernel should read and write at most to find it near the processor; 0 where that is not known.

    A third of the largest cache: parameters want some, too, and so may other processes. (ResNet-50 was fastest so.)
    """
    return _largest_cache() // 3 if device.type == "cpu" else 0


@functools.cache
def _largest_cache() -> int:
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):  # Linux only
        try:
            sizes.append(int(path.read_text().strip().removesuffix("K")) * 1024)
        except (OSError, ValueError):
            continue
    return max(sizes)
