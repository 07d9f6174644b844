"""Good files of every kind, as small as they come: what the fuzzers damage."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from golden import archive
from golden.legacy import ALIASES, GRAPHS, alias_graph
from ndarray.recorded import FILES
from ops.samples import CALLS

import symbind as mx
from symbind import nd, recordio

__all__ = ["archives", "graphs", "packed", "params", "records", "states"]

GOLDEN = Path(__file__).parent.parent / "golden"


@cache
def graphs() -> tuple[str, ...]:
    """Whole networks, what old versions wrote, and every operator in a graph of its own."""
    whole = [record["json"] for record in archive.read(GOLDEN / "networks.npz").values()]
    old = [*GRAPHS.values(), *map(alias_graph, ALIASES)]
    return (*[text for text in (*whole, *old) if len(text) < 20_000], *map(_lone, CALLS))


def _lone(call: object) -> str:
    """One operator between variables that state their shapes."""
    inputs = [
        {"op": "null", "name": f"x{i}", "attrs": {"__shape__": str(tuple(shape))}, "inputs": []}
        for i, shape in enumerate(call.sample.shapes)  # type: ignore[attr-defined]
    ]
    count = len(inputs)
    node = {
        "op": call.operator.name, "name": "node", "attrs": call.attrs,  # type: ignore[attr-defined]
        "inputs": [[i, 0, 0] for i in range(count)],
    }  # fmt: skip
    return json.dumps(
        {
            "nodes": [*inputs, node], "arg_nodes": list(range(count)), "node_row_ptr": list(range(count + 2)),
            "heads": [[count, 0, 0]], "attrs": {"mxnet_version": ["int", 10901]},
        }
    )  # fmt: skip


@cache
def params() -> tuple[bytes, ...]:
    """Files of arrays, of all versions and storages."""
    return tuple(FILES.values())


@cache
def states() -> tuple[bytes, ...]:
    """Files of optimizer states, in several protocols of pickle."""
    files = []
    for name, options in (("sgd", {"momentum": 0.9}), ("adam", {}), ("ftrl", {})):
        optimizer = mx.optimizer.create(name, **options)
        updater = mx.optimizer.get_updater(optimizer)
        for index in range(2):
            updater(index, nd.ones((2, 3)), nd.ones((2, 3)))
        files += [updater.get_states(False), updater.get_states(True)]
    plain = {0: None, 1: (np.arange(3, dtype="float32"), np.float64(2)), "w": [1, 2.5, "é", b"\0"]}
    return (*files, *(pickle.dumps(plain, protocol) for protocol in range(5)))


@cache
def records() -> tuple[bytes, ...]:
    """Record files: plain records, image records, and one whose payload holds the magic number."""
    magic = struct.pack("<I", 0xCED7230A)
    image = recordio.pack(recordio.IRHeader(0, 3.0, 7, 0), b"picture")
    boxes = recordio.pack(recordio.IRHeader(0, [1.0, 2.0, 3.0], 8, 0), b"")
    files = []
    for payloads in ([b"", b"a", b"abcd"], [image, boxes], [magic * 3, b"x" * 4 + magic + b"yz"]):
        buffer = io.BytesIO()
        for payload in payloads:
            recordio.write_record(buffer, payload)
        files.append(buffer.getvalue())
    return tuple(files)


@cache
def archives() -> tuple[dict[str, bytes], ...]:
    """The files in model archives, by name."""
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(net, name="bn"), name="softmax")
    shapes, _, states = net.infer_shape(data=(1, 4))
    arrays = {
        **{f"arg:{n}": nd.ones(s) for n, s in zip(net.list_arguments(), shapes) if not n.endswith(("data", "label"))},
        **{f"aux:{n}": nd.ones(s) for n, s in zip(net.list_auxiliary_states(), states)},
    }
    with tempfile.TemporaryDirectory() as folder:
        nd.save(f"{folder}/x", arrays)
        weights = Path(f"{folder}/x").read_bytes()
    symbol = net.tojson().encode()
    stated = json.dumps([{"name": "data", "shape": [0, 4]}]).encode()
    signature = json.dumps({"inputs": [{"data_name": "data", "data_shape": [1, 4]}]}).encode()
    return (
        {"m-symbol.json": symbol, "m-0001.params": weights, "m-0002.params": weights, "m-shapes.json": stated},
        {"m-symbol.json": symbol, "m-0000.params": weights, "signature.json": signature},
    )


def packed(files: dict[str, bytes], compressed: bool) -> bytes:
    """The files as an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archived:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archived.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1) if compressed else buffer.getvalue()


