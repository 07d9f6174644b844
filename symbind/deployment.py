"""Trained networks that arrive as one file, and running them without labels.

The archives are those that MXNet's model server and Amazon SageMaker's built-in algorithms write: a ``model.tar.gz``
with one ``*-symbol.json``, one or more ``*.params``, and perhaps a ``*shapes.json`` that lists the inputs.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from .base import MXNetError
from .checkpoint import split_params
from .context import Context
from .graph.node import Entry, Node, post_order
from .graph.symbol import Group, Symbol, load_json
from .ndarray import NDArray, array, load_frombuffer
from .runtime.executor import Executor

__all__ = ["DeployedModel", "label_names", "load_archive", "prediction_symbol"]

Shape = tuple[int, ...]
Arrays = dict[str, NDArray]

#: Most bytes that an archive may hold uncompressed, unless the caller says otherwise.
SIZE_LIMIT = 4 * 2**30
# More files than any model has; a sign of an archive that is made to take time.
_FILE_LIMIT = 10_000


# ---- prediction without labels -------------------------------------------------------------------------------------


def prediction_symbol(symbol: Symbol, given: Collection[str]) -> Symbol:
    """What of a network for training can be computed from the variables called in ``given`` (inputs and parameters).

    Losses do not read their labels to predict, so a label that is computed gives way to a variable of its own, and
    needs no value. Outputs that still depend on variables that are not given are left out. MXNetError if none is left.
    """
    copies: dict[Node, Node] = {}
    needs: dict[Node, set[str]] = {}
    for node in post_order(symbol.entries):
        if node.is_variable:
            copies[node], needs[node] = node, {node.name} - set(given)
            continue
        labels = _labels(node)
        names = node.op.input_names(node.params)
        inputs = [Entry(copies[source], i) for source, i in node.inputs]
        for i in labels:
            if not inputs[i].node.is_variable:
                inputs[i] = Entry(Node(None, f"{node.name}_{names[i]}"))
        copies[node] = node.copy(copies, inputs)
        needs[node] = set().union(*(needs[e.node] for i, e in enumerate(node.inputs) if i not in labels))
    kept = [Symbol([Entry(copies[node], i)]) for node, i in symbol.entries if not needs[node]]
    if not kept:
        wanted = sorted(set().union(*(needs[entry.node] for entry in symbol.entries)))
        raise MXNetError(f"No output can be computed without values for {', '.join(wanted)}")
    return kept[0] if len(kept) == 1 else Group(kept)


def label_names(symbol: Symbol) -> set[str]:
    """Variables that nothing but losses uses, as labels: to predict they need no values."""
    labels: set[str] = set()
    read: set[str] = set()
    for node in post_order(symbol.entries):
        unread = _labels(node)
        for i, (source, _) in enumerate(node.inputs):
            if source.is_variable:
                (labels if i in unread else read).add(source.name)
    return labels - read


def _labels(node: Node) -> set[int]:
    """Positions of the inputs that a loss takes for its gradient alone."""
    if node.is_variable or not node.op.ignores_head_gradient:
        return set()
    return set(node.op.unread_inputs(node.params))


class DeployedModel:
    """A trained network that predicts.

    It can be unpacked, ``symbol, arg_params, aux_params = model``, into what
    :func:`~symbind.model.load_checkpoint` returns. ``input_shapes`` are the shapes of the inputs that the archive
    states, by name, 0 for a free dimension; it may be empty.
    """

    def __init__(
        self,
        symbol: Symbol,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray],
        input_shapes: Mapping[str, Shape] | None = None,
    ) -> None:
        self.symbol = symbol
        self.arg_params = dict(arg_params)
        self.aux_params = dict(aux_params)
        self.input_shapes = dict(input_shapes or {})
        self._bound: dict[Any, Executor] = {}

    def __iter__(self) -> Iterator[Any]:
        return iter((self.symbol, self.arg_params, self.aux_params))

    def bind(self, shapes: Mapping[str, Shape], ctx: Context | None = None) -> Executor:
        """An executor for prediction from inputs of these shapes, with the parameters in it."""
        symbol = prediction_symbol(self.symbol, {*shapes, *self.arg_params, *self.aux_params})
        known = {*symbol.list_arguments(), *symbol.list_auxiliary_states()}
        unknown = [name for name in shapes if name not in known]
        if unknown:
            raise MXNetError(f"The network has no input {unknown[0]}; its arguments are {symbol.list_arguments()}")
        params = {name: a for name, a in (*self.arg_params.items(), *self.aux_params.items()) if name in known}
        executor = symbol.simple_bind(
            ctx,
            grad_req="null",
            type_dict={name: a.dtype for name, a in params.items()},
            **{name: a.shape for name, a in params.items()},
            **{name: tuple(shape) for name, shape in shapes.items()},
        )
        executor.copy_params_from(self.arg_params, self.aux_params, allow_extra_params=True)
        return executor

    def predict(self, ctx: Context | None = None, **inputs: Any) -> list[np.ndarray]:
        """The outputs for inputs given by name as arrays; labels need not be given.

        Binding is done once for each combination of shapes.
        """
        values = {name: value if isinstance(value, NDArray) else array(value) for name, value in inputs.items()}
        key = (ctx, *sorted((name, value.shape) for name, value in values.items()))
        if key not in self._bound:
            self._bound[key] = self.bind({name: value.shape for name, value in values.items()}, ctx)
        return [output.asnumpy() for output in self._bound[key].forward(is_train=False, **values)]


# ---- archives ------------------------------------------------------------------------------------------------------


def load_archive(
    path: str | os.PathLike[str] | BinaryIO, epoch: int | None = None, size_limit: int = SIZE_LIMIT
) -> DeployedModel:
    """The network in a ``model.tar.gz`` (or plain ``.tar``), a path or an open file.

    Of several parameter files the one of the highest epoch is taken, or that of ``epoch``. Nothing is unpacked to
    disk, and names in the archive lead nowhere. Raises MXNetError if the archive is damaged, holds more than
    ``size_limit`` bytes, has links in place of files, or lacks a symbol or parameters.
    """
    name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else getattr(path, "name", "the archive")
    try:
        if isinstance(path, (str, os.PathLike)):
            with open(path, "rb") as file:
                members = _read_members(file, name, size_limit)
        else:
            members = _read_members(path, name, size_limit)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise MXNetError(f"Cannot read the archive {name}: {error}") from error

    symbols = [key for key in members if key.endswith("-symbol.json")]
    if len(symbols) != 1:
        raise MXNetError(f"{name} must hold one *-symbol.json, but holds {symbols or list(members) or 'nothing'}")
    prefix = symbols[0].removesuffix("-symbol.json")
    params = _choose_params(members, prefix, epoch, name)
    symbol = load_json(_text(members[symbols[0]], symbols[0], name))
    arg_params, aux_params = split_params(load_frombuffer(members[params]), f"{params} in {name}")
    return DeployedModel(symbol, arg_params, aux_params, _stated_shapes(members, name))


def _read_members(file: BinaryIO, name: str, size_limit: int) -> dict[str, bytes]:
    """The files of interest by their base names."""
    start = file.read(2)
    file.seek(0)
    members: dict[str, bytes] = {}
    total = 0
    stream: Any = gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file
    # Read as a stream: memory is only taken for bytes that really came out, whatever sizes the headers claim.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for count, member in enumerate(archive, 1):
            total += member.size
            if total > size_limit or count > _FILE_LIMIT:
                raise MXNetError(f"{name} holds more than {size_limit} bytes or {_FILE_LIMIT} files")
            key = member.name.rpartition("/")[2]
            if not key.endswith((".json", ".params")) or key.startswith("."):
                continue
            # A sparse member expands to any size without data; a link has none of its own.
            if not member.isreg() or member.issparse():
                raise MXNetError(f"{member.name} in {name} is not a plain file")
            if key in members:
                raise MXNetError(f"{name} holds two files called {key}")
            content = archive.extractfile(member)
            members[key] = b"" if content is None else content.read()
    # The check sum comes last, after the padding.
    while padding := stream.read(2**16):
        total += len(padding)
        if total > size_limit:
            raise MXNetError(f"{name} holds more than {size_limit} bytes")
    return members


def _choose_params(members: Collection[str], prefix: str, epoch: int | None, name: str) -> str:
    epochs = {}
    for key in members:
        match = re.fullmatch(re.escape(prefix) + r"(?:-(\d{1,9}))?\.params", key)
        if match:
            epochs[int(match[1] or 0)] = key
    if not epochs or (epoch is not None and epoch not in epochs):
        what = f"{prefix}-NNNN.params" if epoch is None else f"{prefix}-{epoch:04d}.params"
        raise MXNetError(f"{name} holds no {what}, only {sorted(members)}")
    return epochs[max(epochs) if epoch is None else epoch]


def _text(content: bytes, key: str, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MXNetError(f"{key} in {name} is not text in UTF-8: {error}") from error


def _stated_shapes(members: Mapping[str, bytes], name: str) -> dict[str, Shape]:
    """Shapes of the inputs from ``*shapes.json`` (``[{"name": …, "shape": […]}]``) or ``signature.json``.

    A model server's signature has ``{"inputs": [{"data_name": …, "data_shape": […]}]}``.
    """
    shapes: dict[str, Shape] = {}
    for key, content in members.items():
        if not key.endswith(("shapes.json", "signature.json")):
            continue
        try:
            document = json.loads(_text(content, key, name))
            for item in document["inputs"] if isinstance(document, dict) else document:
                input_name, dims = item.get("name", item.get("data_name")), item.get("shape", item.get("data_shape"))
                if not isinstance(input_name, str) or not all(type(n) is int and n >= 0 for n in dims):
                    raise ValueError(f"not a name and a shape: {item!r}")
                shapes[input_name] = tuple(dims)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise MXNetError(f"{key} in {name} does not list the shapes of inputs: {error}") from error
    return shapes
