"""Who reads files from elsewhere: for each, how to make a damaged file and how to read it."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import symbind as mx
from symbind import nd, recordio
from symbind.checkpoint import split_params
from symbind.cli import main
from symbind.deployment import load_archive
from symbind.optimizer.states import load_states

from . import seeds
from .contract import obey
from .mutation import damaged_bytes, damaged_graph

__all__ = ["TARGETS", "Target"]

#: Bytes that a network may need to be bound here; what needs more must be refused before the memory is taken.
BINDING = 512 * 2**20


@dataclass(frozen=True)
class Target:
    """``make`` draws the content of a damaged file, ``read`` has it read and returns how that ended."""

    make: Callable[[Random], bytes]
    read: Callable[[bytes], str]


def _make_graph(rng: Random) -> bytes:
    return damaged_graph(rng.choice(seeds.graphs()), rng).encode("utf-8", "surrogatepass")


def _read_graph(data: bytes) -> str:
    """Load, and if that goes well do everything else that looks at a symbol without computing."""
    text = data.decode("utf-8", "surrogatepass")
    loaded: list[Any] = []
    ended = obey(lambda: loaded.append(_quietly(mx.sym.load_json, text)), len(data))
    if not loaded:
        return ended
    rng = Random(zlib.crc32(data))
    symbol = loaded[0]
    names = symbol.list_inputs()
    given = {name: _random_shape(rng) for name in names if rng.random() < 0.4} if rng.random() < 0.7 else {}
    for step in (
        symbol.tojson, symbol.debug_str, symbol.attr_dict, symbol.list_outputs,
        lambda: _quietly(symbol.infer_shape_partial, **given),
        lambda: _quietly(symbol.infer_type),
    ):  # fmt: skip
        ended = obey(step, len(data))
    return f"loaded, {ended}"


def _random_shape(rng: Random) -> tuple[int, ...]:
    return tuple(rng.choice((0, 1, 2, 3, 4, 7, 10**6, 2**31)) for _ in range(rng.randrange(6)))


def _read_and_check(data: bytes) -> str:
    """``symbind check``: the graph is bound, if it can be."""
    rng = Random(zlib.crc32(data))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m-symbol.json")
        with open(path, "wb") as file:
            file.write(data)
        arguments = ["check", path]
        if rng.random() < 0.8:
            shape = tuple(rng.choice((1, 2, 3, 4, 7)) for _ in range(rng.randint(1, 4)))
            arguments += ["--shape", f"data={','.join(map(str, shape))}"]
        return obey(lambda: _quietly(_refuse_failure, arguments), len(data), BINDING)


def _refuse_failure(arguments: list[str]) -> None:
    if main(arguments):
        raise mx.MXNetError("refused")


def _make_params(rng: Random) -> bytes:
    return damaged_bytes(rng.choice(seeds.params()), rng, seeds.params())


def _read_params(data: bytes) -> str:
    def read() -> None:
        arrays = nd.load_frombuffer(data)
        if isinstance(arrays, dict):
            split_params(arrays, "the buffer")

    return obey(read, len(data))


def _make_states(rng: Random) -> bytes:
    return damaged_bytes(rng.choice(seeds.states()), rng, seeds.states())


def _make_records(rng: Random) -> bytes:
    return damaged_bytes(rng.choice(seeds.records()), rng, seeds.records())


def _read_records(data: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".rec") as file:
        file.write(data)
        file.flush()

        def read() -> None:
            with recordio.MXRecordIO(file.name, "r") as records:
                while (record := records.read()) is not None:
                    with contextlib.suppress(mx.MXNetError):
                        recordio.unpack(record)

        obey(lambda: recordio.record_offsets(file.name), len(data))
        return obey(read, len(data))


def _make_archive(rng: Random) -> bytes:
    files = dict(rng.choice(seeds.archives()))
    if rng.random() < 0.7:
        name = rng.choice(sorted(files))
        if name.endswith("symbol.json"):
            files[name] = damaged_graph(files[name].decode(), rng).encode("utf-8", "surrogatepass")
        else:
            files[name] = damaged_bytes(files[name], rng)
        return seeds.packed(files, rng.random() < 0.5)
    return damaged_bytes(seeds.packed(files, rng.random() < 0.5), rng)


def _read_archive(data: bytes) -> str:
    return obey(lambda: _quietly(load_archive, io.BytesIO(data)), len(data))


def _quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    nowhere = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


TARGETS = {
    "graph": Target(_make_graph, _read_graph),
    "check": Target(_make_graph, _read_and_check),
    "params": Target(_make_params, _read_params),
    "states": Target(_make_states, lambda data: obey(lambda: _quietly(load_states, data), len(data))),
    "records": Target(_make_records, _read_records),
    "archive": Target(_make_archive, _read_archive),
}
