"""The size of the caches: what the system says, and nothing where there is none to speak of."""

from pathlib import Path

import torch

from symbind.runtime.cache import cache_bytes


def test_a_part_of_the_largest_cache_of_the_processor():
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    largest = max((int(size.removesuffix("K")) * 1024 for size in sizes), default=0)
    assert cache_bytes(torch.device("cpu")) == largest // 3


def test_devices_look_after_themselves():
    assert cache_bytes(torch.device("cuda", 0)) == 0
