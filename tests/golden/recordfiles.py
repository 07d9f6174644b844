"""Record files as MXNet writes them, and what is in them.

The functions run in both systems: MXNet's run makes the files that are kept beside this module, ours must make the
same bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FOLDER", "LABELS", "PAYLOADS", "write_records"]

FOLDER = Path(__file__).parent / "recordfiles"

MAGIC = struct.pack("<I", 0xCED7230A)

# Every length modulo four, and the magic number at the beginning, the end, twice, and where it does not count.
PAYLOADS = [
    b"",
    b"a",
    b"ab",
    b"abc",
    b"abcd",
    MAGIC,
    MAGIC + MAGIC,
    b"abcd" + MAGIC + b"efg",
    b"abc" + MAGIC + b"efgh",
    b"abcdefgh" + MAGIC,
    b"abcd" + MAGIC[:3],
    MAGIC + b"ab" + MAGIC + b"cd" + MAGIC,
]

LABELS = [3.0, [1.0, 2.0, 3.0], np.float32([[4, 5]]), 7]


def write_records(mx: Any, folder: Path) -> None:
    """``plain.rec`` with the payloads; ``indexed.rec`` and ``indexed.idx`` with packed labels."""
    plain = mx.recordio.MXRecordIO(str(folder / "plain.rec"), "w")
    for payload in PAYLOADS:
        plain.write(payload)
    plain.close()
    indexed = mx.recordio.MXIndexedRecordIO(str(folder / "indexed.idx"), str(folder / "indexed.rec"), "w")
    for i, label in enumerate(LABELS):
        indexed.write_idx(10 * i, mx.recordio.pack(mx.recordio.IRHeader(5, label, i, 2 * i), b"image %d" % i))
    indexed.close()
