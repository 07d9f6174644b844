"""One small file for many tiny arrays: nested dicts and lists whose arrays live in one flat block per dtype.

An ``.npz`` with a member per array spends a few hundred bytes of headers on each; thousands of arrays of a dozen
numbers would be mostly headers. Here an archive has one member per dtype plus ``index``, a JSON text in which
``{"dtype": …, "shape": …, "at": …}`` stands for each array.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np

__all__ = ["read", "write"]

_MARK = "__array__"


def write(path: str | os.PathLike[str], record: Any) -> None:
    """Write ``record`` (dicts, lists, strings, numbers, None and arrays) to ``path``."""
    blocks: dict[str, list[np.ndarray]] = {}
    lengths: dict[str, int] = {}

    def strip(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = value.dtype.name
            entry = {_MARK: name, "shape": list(value.shape), "at": lengths.get(name, 0)}
            blocks.setdefault(name, []).append(value.ravel())
            lengths[name] = entry["at"] + value.size
            return entry
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [strip(item) for item in value]
        return value

    index = json.dumps(strip(record), separators=(",", ":"))
    members = {name: np.concatenate(parts) for name, parts in blocks.items()}
    np.savez_compressed(path, index=np.frombuffer(index.encode(), np.uint8), **members)


def read(path: str | os.PathLike[str]) -> Any:
    """What :func:`write` was given; tuples come back as lists."""
    with np.load(path, allow_pickle=False) as members:
        blocks = {name: members[name] for name in members.files}

    def restore(entry: dict[str, Any]) -> Any:
        if _MARK not in entry:
            return entry
        start, shape = entry["at"], entry["shape"]
        return blocks[entry[_MARK]][start : start + math.prod(shape)].reshape(shape)

    return json.loads(blocks["index"].tobytes().decode(), object_hook=restore)
