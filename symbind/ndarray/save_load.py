"""The ``.params`` file: a list of arrays, with or without names, as MXNet reads and writes it.

Everything is little endian. A file is ``uint64 0x112, uint64 0``, ``uint64 n`` and n arrays, ``uint64 m`` (0 or n)
and m names, each ``uint64 length`` and UTF-8 bytes. An array is one of

=== ============== ====================================================================================
V0  (no magic)     ``uint32 ndim``, ndim × ``uint32``; place; ``int32 dtype``; elements
V1  ``F993FAC8``   shape; place; ``int32 dtype``; elements
V2  ``F993FAC9``   ``int32 storage``; [stored shape]; shape; place; ``int32 dtype``; [for each index array ``int32
                   dtype``, shape]; elements; [elements of each index array]
V3  ``F993FACA``   as V2, but a shape without dimensions is one number
=== ============== ====================================================================================

with shape = ``int32 ndim``, ndim × ``int64``, and place = ``int32 device type, int32 device number``. Brackets are
there for sparse storage only (1: row_sparse with row numbers, 2: csr with row starts and column numbers). In V2 an
array without dimensions ends after its shape and is no array at all; it is read as one without elements.

Arrays are written as V2, byte for byte as MXNet does; only an array without dimensions, which V2 cannot hold, as V3.

A file may be damaged or made to do damage: every count is checked against the bytes that are left before memory is
taken for it, and errors name the file, the array and the byte.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Mapping, Sequence
from typing import IO, NoReturn

import numpy as np
import torch

from ..base import MXNetError, atomic_write
from ..context import Context, num_gpus
from ..dtype import CODES, from_code, to_code
from ..ops.shapes import product
from .ndarray import NDArray
from .sparse_array import BaseSparseNDArray, CSRNDArray, RowSparseNDArray

__all__ = ["from_bytes", "load", "load_frombuffer", "save", "to_bytes"]

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _ROW_SPARSE, _CSR = 0, 1, 2
_MAX_DIMENSIONS = 32
"""As many as NumPy ever had; more are a sign of damage, long before they run out of the file."""


# ---- writing -------------------------------------------------------------------------------------------------------


def save(fname: str | os.PathLike[str], data: NDArray | Sequence[NDArray] | Mapping[str, NDArray]) -> None:
    """Write an array, a list of arrays or a dict of arrays by name to the file ``fname``, which appears whole.

    :func:`load` gives a list or a dict back. TypeError for anything else.
    """
    if not isinstance(fname, (str, os.PathLike)):
        raise TypeError(f"fname required to be a string, not {fname!r}")
    names: list[str] = []
    if isinstance(data, NDArray):
        arrays = [data]
    elif isinstance(data, Mapping):
        names, arrays = list(data), list(data.values())
    elif isinstance(data, (list, tuple)):
        arrays = list(data)
    else:
        raise TypeError(f"data needs to be an NDArray, a dict of str to NDArray or a list of NDArrays, not {data!r}")
    if not all(isinstance(n, str) for n in names) or not all(isinstance(a, NDArray) for a in arrays):
        raise TypeError("save only accept dict str->NDArray or list of NDArray")
    with atomic_write(fname) as file:
        file.write(struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays)))
        for array in arrays:
            _write_array(file, array)
        file.write(struct.pack("<Q", len(names)))
        for name in names:
            encoded = name.encode()
            file.write(struct.pack("<Q", len(encoded)) + encoded)


def to_bytes(array: NDArray) -> bytes:
    """One array as it stands in a file."""
    buffer = io.BytesIO()
    _write_array(buffer, array)
    return buffer.getvalue()


def _write_array(file: IO[bytes], array: NDArray) -> None:
    magic = _V2 if array.ndim else _V3
    indices: list[torch.Tensor] = []
    if isinstance(array, BaseSparseNDArray):
        stored = array.data.tensor
        indices = [array.indptr.tensor] if isinstance(array, CSRNDArray) else []
        indices.append(array.indices.tensor)
        file.write(struct.pack("<Ii", magic, len(indices)) + _shape_bytes(stored.shape))
    else:
        stored = array.tensor
        file.write(struct.pack("<Ii", magic, _DENSE))
    place = (array.context.device_typeid, array.context.device_id)
    file.write(_shape_bytes(array.shape) + struct.pack("<iii", *place, to_code(stored.dtype)))
    for index in indices:
        file.write(struct.pack("<i", to_code(index.dtype)) + _shape_bytes(index.shape))
    for part in (stored, *indices):
        file.write(_bytes_of(part.cpu()).data)


def _shape_bytes(shape: Sequence[int]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


def _bytes_of(tensor: torch.Tensor) -> np.ndarray:
    """The memory of a CPU tensor as a flat array of bytes."""
    return tensor.view(-1).view(torch.uint8).numpy()


# ---- reading -------------------------------------------------------------------------------------------------------


def load(fname: str | os.PathLike[str]) -> list[NDArray] | dict[str, NDArray]:
    """The arrays of a file: a dict if they have names, otherwise a list.

    An array from a GPU goes there again if this machine has it, otherwise to ``cpu(0)``. Raises MXNetError if there
    is no such file or it is damaged; then nothing is loaded.
    """
    if not isinstance(fname, (str, os.PathLike)):
        raise TypeError(f"fname required to be a string, not {fname!r}")
    try:
        with open(fname, "rb") as file:
            return _Reader(file, os.fstat(file.fileno()).st_size, os.fspath(fname)).read_list()
    except OSError as error:
        raise MXNetError(f"Cannot read {os.fspath(fname)}: {error.strerror}") from error


def load_frombuffer(buf: bytes | bytearray | memoryview) -> list[NDArray] | dict[str, NDArray]:
    """As :func:`load`, from the bytes of a file."""
    return _reader_of(buf).read_list()


def from_bytes(buf: bytes | bytearray | memoryview) -> NDArray:
    """The inverse of :func:`to_bytes`; also what MXNet puts into pickles of arrays."""
    reader = _reader_of(buf)
    array = reader.read_array()
    reader.expect_end()
    return array


def _reader_of(buf: bytes | bytearray | memoryview) -> _Reader:
    try:
        size = memoryview(buf).nbytes
    except TypeError:
        raise TypeError(f"Arrays are loaded from bytes, not from {type(buf).__name__}") from None
    return _Reader(io.BytesIO(buf), size, "the buffer")


class _Reader:
    """Reads a stream of known size and never asks for memory that the bytes left do not account for."""

    def __init__(self, stream: IO[bytes], size: int, name: str) -> None:
        self.stream = stream
        self.size = size
        self.name = name
        self.offset = 0
        self.part = "header"

    def fail(self, problem: str, offset: int | None = None) -> NoReturn:
        raise MXNetError(f"{self.name}, {self.part}, byte {self.offset if offset is None else offset}: {problem}")

    def require(self, count: int, what: str) -> None:
        if count > self.size - self.offset:
            self.fail(f"{what} needs {count} bytes, but {self.size - self.offset} are left")

    def take(self, count: int, what: str) -> bytes:
        self.require(count, what)
        data = self.stream.read(count)
        if len(data) != count:
            self.fail("the file became shorter while it was read")
        self.offset += count
        return data

    def numbers(self, format: str, what: str) -> tuple[int, ...]:
        """Little-endian numbers by :mod:`struct` format."""
        return struct.unpack("<" + format, self.take(struct.calcsize("<" + format), what))

    def expect_end(self) -> None:
        if self.offset != self.size:
            self.fail(f"{self.size - self.offset} bytes are left after the end")

    # ---- the list ------------------------------------------------------------------------------------------------

    def read_list(self) -> list[NDArray] | dict[str, NDArray]:
        magic, _ = self.numbers("QQ", "the header")
        if magic != _LIST_MAGIC:
            self.fail(f"this is no file of arrays: it starts with {magic:#x} instead of {_LIST_MAGIC:#x}", 0)
        (count,) = self.numbers("Q", "the number of arrays")
        # The shortest array is the twelve bytes of a V2 without dimensions.
        self.require(12 * count, f"a list of {count} arrays")
        arrays = []
        for i in range(count):
            self.part = f"array {i}"
            arrays.append(self.read_array())
        self.part = "names"
        (named,) = self.numbers("Q", "the number of names")
        if named not in (0, count):
            self.fail(f"there are {named} names for {count} arrays", self.offset - 8)
        names: dict[str, NDArray] = {}
        for i in range(named):
            self.part = f"name of array {i}"
            start = self.offset
            name = self.read_name()
            if name in names:
                self.fail(f"the name {name!r} is there twice", start)
            names[name] = arrays[i]
        self.expect_end()
        return names if named else arrays

    def read_name(self) -> str:
        (length,) = self.numbers("Q", "the length of a name")
        data = self.take(length, "a name")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            self.fail(f"a name is not UTF-8: {error.reason}", self.offset - length + error.start)

    # ---- one array -----------------------------------------------------------------------------------------------

    def read_array(self) -> NDArray:
        (magic,) = self.numbers("I", "an array")
        storage = _DENSE
        stored_shape: tuple[int, ...] | None = None
        if magic in (_V2, _V3):
            (storage,) = self.numbers("i", "the storage type")
            if storage not in (_DENSE, _ROW_SPARSE, _CSR):
                self.fail(f"unknown storage type {storage}", self.offset - 4)
            if storage != _DENSE:
                stored_shape = self.read_shape("q")
            shape = self.read_shape("q", may_be_unknown=magic == _V3)
        elif magic == _V1:
            shape = self.read_shape("q")
        else:
            shape = self.read_shape("I", ndim=magic)
        if shape is None or (magic == _V2 and not shape):
            return NDArray(torch.empty(0))
        if magic not in (_V2, _V3) and not shape:
            self.fail("an array of this version cannot be without dimensions", self.offset - 4)
        context = self.read_context()
        dtype = self.read_dtype()
        if storage != _DENSE:
            return self.read_sparse(storage, stored_shape or (), shape, dtype).as_in_context(context)
        return NDArray(self.read_elements(shape, dtype).to(context.device), context)

    def read_shape(self, kind: str, ndim: int | None = None, may_be_unknown: bool = False) -> tuple[int, ...] | None:
        """A shape of dimensions of :mod:`struct` type ``kind``; None if it is stated to be unknown (ndim -1)."""
        if ndim is None:
            (ndim,) = self.numbers("i", "the number of dimensions")
        if ndim == -1 and may_be_unknown:
            return None
        if not 0 <= ndim <= _MAX_DIMENSIONS:
            self.fail(f"an array cannot have {ndim} dimensions", self.offset - 4)
        shape = self.numbers(f"{ndim}{kind}", "a shape")
        if shape and min(shape) < 0:
            self.fail(f"shape {shape} has a negative dimension", self.offset - 8 * ndim)
        return shape

    def read_context(self) -> Context:
        code, number = self.numbers("ii", "a device")
        if code not in Context.devtype2str or number < 0:
            self.fail(f"unknown device (type {code}, number {number})", self.offset - 8)
        context = Context.from_device_type_code(code, number)
        return Context("cpu", 0) if context.device_type == "gpu" and number >= num_gpus() else context

    def read_dtype(self) -> torch.dtype:
        (code,) = self.numbers("i", "an element type")
        if code not in CODES:
            self.fail(f"unknown element type {code}", self.offset - 4)
        return from_code(code)

    def read_elements(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        length = product(shape) * dtype.itemsize
        self.require(length, f"an array of shape {shape}")
        if product(max(n, 1) for n in shape) > 2**40:
            # An array without elements needs no bytes, but torch cannot count such strides.
            self.fail(f"shape {shape} is too large")
        # The bytes go from the file to where they stay; a bool may hold no byte but 0 and 1.
        tensor = torch.empty(shape, dtype=torch.uint8 if dtype == torch.bool else dtype)
        if self.stream.readinto(_bytes_of(tensor).data) != length:  # type: ignore[attr-defined]
            self.fail("the file became shorter while it was read")
        self.offset += length
        return tensor.ne(0) if dtype == torch.bool else tensor

    def read_sparse(
        self, storage: int, stored_shape: tuple[int, ...], shape: tuple[int, ...], dtype: torch.dtype
    ) -> BaseSparseNDArray:
        """A sparse array; what it holds is in proportion to its bytes, whatever its shape says."""
        headers = [(self.read_dtype(), self.read_shape("q") or ()) for _ in range(storage)]
        elements = self.read_elements(stored_shape, dtype)
        indices = []
        for index_dtype, index_shape in headers:
            if index_dtype not in (torch.int64, torch.int32) or len(index_shape) != 1:
                self.fail(f"an index array of {index_dtype} and shape {index_shape}")
            indices.append(self.read_elements(index_shape, index_dtype).long())
        if product(max(n, 1) for n in shape) > 2**60:
            self.fail(f"shape {shape} is too large")
        if storage == _ROW_SPARSE:
            return self.row_sparse(elements, indices[0], shape)
        return self.csr(elements, indices[0], indices[1], shape)

    def row_sparse(self, rows: torch.Tensor, numbers: torch.Tensor, shape: tuple[int, ...]) -> RowSparseNDArray:
        if not shape or tuple(rows.shape) != (len(numbers), *shape[1:]):
            self.fail(f"rows of shape {tuple(rows.shape)} and {len(numbers)} row numbers make no array of {shape}")
        self.check_indices(numbers, shape[0], "row number")
        return RowSparseNDArray(rows, numbers, shape)

    def csr(
        self, values: torch.Tensor, starts: torch.Tensor, columns: torch.Tensor, shape: tuple[int, ...]
    ) -> CSRNDArray:
        if len(shape) != 2 or values.dim() != 1 or len(values) != len(columns) or len(starts) != shape[0] + 1:
            seen = f"values of shape {tuple(values.shape)}, {len(columns)} columns and {len(starts)} row starts"
            self.fail(f"{seen} make no csr array of shape {shape}")
        self.check_indices(starts, len(values) + 1, "row start")
        self.check_indices(columns, shape[1], "column number")
        counts = starts.diff()
        if starts[0] != 0 or starts[-1] != len(values) or (len(counts) and counts.min() < 0):
            self.fail(f"the row starts of a csr array must grow from 0 to {len(values)}")
        return CSRNDArray(values, columns, starts, shape)

    def check_indices(self, indices: torch.Tensor, size: int, what: str) -> None:
        if len(indices) and not (indices.min() >= 0 and indices.max() < size):
            self.fail(f"a {what} is not in 0..{size - 1}")
