"""Memory descriptors (shape, element type, layout) and memory objects (a descriptor at an address)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any

import torch

from ...base import MXNetError
from .declarations import DataType, FormatKind, Query
from .engine import channel_block, cpu_engine
from .library import Unsupported, load

__all__ = ["MAX_DIMENSIONS", "Memory", "MemoryDesc", "dense_strides"]

MAX_DIMENSIONS = 12

_FORMAT_TAG_ANY = 1
#: By number of axes and size of the block: the layouts of images in blocks of channels.
_FORMAT_TAGS_CHANNEL_BLOCKS = {(3, 8): 69, (4, 8): 102, (5, 8): 142, (3, 16): 56, (4, 16): 78, (5, 16): 121}
_TORCH_TO_ONEDNN = {
    torch.float32: DataType.F32,
    torch.bfloat16: DataType.BF16,
    torch.float16: DataType.F16,
    torch.float64: DataType.F64,
    torch.int32: DataType.S32,
    torch.int8: DataType.S8,
    torch.uint8: DataType.U8,
}
_ONEDNN_TO_TORCH = {value: key for key, value in _TORCH_TO_ONEDNN.items()}


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a row-major array of this shape."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)


class MemoryDesc:
    """Shape, element type and layout of an array; immutable, comparable and hashable by meaning.

    The layout is *plain* (strides only), *blocked* (an outer array of small inner blocks, chosen by a
    primitive), *opaque* (known to the library alone) or *any* (left for a primitive to choose).
    """

    def __init__(self, handle: Any) -> None:
        """Take over ``handle``, which is destroyed with this object."""
        library = load()
        self.handle = library.ffi.gc(handle, library.c.dnnl_memory_desc_destroy)

    # -- making ---------------------------------------------------------------------------------------------

    @classmethod
    def plain(cls, shape: Sequence[int], dtype: torch.dtype, strides: Sequence[int] | None = None) -> MemoryDesc:
        """An array with the given strides in elements, row-major if none are given."""
        dims, code = _checked(shape, dtype)
        steps = list(dense_strides(dims) if strides is None else strides)
        if len(steps) != len(dims):
            raise MXNetError(f"oneDNN: shape {tuple(dims)} has {len(dims)} axes but strides are {steps}")
        what = f"describe a {tuple(dims)} array"
        return cls._make("create_with_strides", lambda: what, len(dims), dims, code, steps)

    @classmethod
    def any(cls, shape: Sequence[int], dtype: torch.dtype) -> MemoryDesc:
        """A shape and type whose layout the primitive chooses."""
        dims, code = _checked(shape, dtype)
        what = f"describe a {tuple(dims)} array"
        return cls._make("create_with_tag", lambda: what, len(dims), dims, code, _FORMAT_TAG_ANY)

    @classmethod
    def channel_blocks(cls, shape: Sequence[int], dtype: torch.dtype) -> MemoryDesc:
        """An image, (N, C, ...) with one to three spatial axes, in the blocks of channels that suit the CPU.

        That is ``aBcd16b`` with AVX-512 and ``aBcd8b`` without. Unsupported for other numbers of axes.
        """
        dims, code = _checked(shape, dtype)
        size = channel_block()
        tag = _FORMAT_TAGS_CHANNEL_BLOCKS.get((len(dims), size))
        if tag is None:
            raise Unsupported(f"oneDNN has no blocks of channels for {len(dims)} axes: {tuple(dims)}")
        what = f"describe {tuple(dims)} in blocks of {size} channels"
        made = cls._make("create_with_tag", lambda: what, len(dims), dims, code, tag)
        if made.blocks != ((1, size),):
            raise Unsupported(f"this oneDNN numbers its layouts in another way: {made}")
        return made

    @classmethod
    def channels_last(cls, shape: Sequence[int], dtype: torch.dtype) -> MemoryDesc:
        """An image (N, C, ...) in which the channels of a place are neighbours: ``acdb``."""
        samples, channels, *places = shape
        rank = len(shape)
        return cls.plain((samples, *places, channels), dtype).permute((0, rank - 1, *range(1, rank - 1)))

    @classmethod
    def of(cls, tensor: torch.Tensor) -> MemoryDesc:
        """The layout of a torch tensor (a scalar counts as one element)."""
        if tensor.dim() == 0:
            return cls.plain((1,), tensor.dtype)
        return cls.plain(tensor.shape, tensor.dtype, tensor.stride())

    @classmethod
    def _make(cls, function: str, action: Callable[[], str], *arguments: Any) -> MemoryDesc:
        library = load()
        out = library.ffi.new("md_t *")
        status = getattr(library.c, f"dnnl_memory_desc_{function}")(out, *arguments)
        if status:
            library.check(status, action())
        return cls(out[0])

    @classmethod
    def copy_of(cls, handle: Any) -> MemoryDesc:
        """A descriptor equal to one that something else owns."""
        return cls._make("clone", lambda: "copy a memory descriptor", handle)

    # -- deriving -------------------------------------------------------------------------------------------

    def reshape(self, shape: Sequence[int]) -> MemoryDesc:
        """The same memory seen with another shape; axes of size 1, and splits of an axis, are free."""
        if self.is_any:
            return MemoryDesc.any(shape, self.dtype)
        dims, _ = _checked(shape, self.dtype)
        return self._make("reshape", lambda: f"see {self} as {tuple(dims)}", self.handle, len(dims), dims)

    def permute(self, axes: Sequence[int]) -> MemoryDesc:
        """The same memory with its axes in another order: axis ``i`` of the result is ``axes[i]`` of this."""
        if sorted(axes) != list(range(len(self.shape))):
            raise MXNetError(f"oneDNN: {tuple(axes)} is no order of the axes of {self}")
        if self.is_any:
            return MemoryDesc.any([self.shape[axis] for axis in axes], self.dtype)
        target = [0] * len(axes)  # the library asks for each old axis where it goes
        for new, old in enumerate(axes):
            target[old] = new
        return self._make("permute_axes", lambda: f"permute {self} by {tuple(axes)}", self.handle, target)

    def slice(self, offsets: Sequence[int], shape: Sequence[int]) -> MemoryDesc:
        """The part of this memory that starts at ``offsets``; it keeps the address of the whole."""
        dims, _ = _checked(shape, self.dtype)
        return self._make(
            "create_submemory",
            lambda: f"take {tuple(dims)} at {tuple(offsets)} out of {self}",
            self.handle,
            dims,
            list(offsets),
        )

    def with_dtype(self, dtype: torch.dtype) -> MemoryDesc:
        """A plain or any layout with other elements."""
        if self.is_any:
            return MemoryDesc.any(self.shape, dtype)
        if not self.is_plain:
            raise MXNetError(f"oneDNN: the layout of {self} is its element type's own")
        return MemoryDesc.plain(self.shape, dtype, self.strides)

    # -- asking ---------------------------------------------------------------------------------------------

    def _query(self, what: Query, ctype: str) -> Any:
        library = load()
        result = library.ffi.new(ctype)
        status = library.c.dnnl_memory_desc_query(self.handle, what, result)
        if status:
            library.check(status, f"query {what.name} of a memory descriptor")
        return result[0]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        count = self._query(Query.DIMENSION_COUNT, "int *")
        return tuple(self._query(Query.DIMENSIONS, "dims_t *")[0:count]) if count else ()

    @cached_property
    def dtype(self) -> torch.dtype:
        return _ONEDNN_TO_TORCH[self._query(Query.DATA_TYPE, "int *")]

    @cached_property
    def format_kind(self) -> FormatKind:
        return FormatKind(self._query(Query.FORMAT_KIND, "int *"))

    @cached_property
    def padded_shape(self) -> tuple[int, ...]:
        """The shape with every axis rounded up to whole blocks. The elements beyond ``shape`` are zero."""
        return tuple(self._query(Query.PADDED_DIMENSIONS, "dims_t *")[0 : len(self.shape)])

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """The step, in elements, from one block (or element) of an axis to the next."""
        if self.format_kind != FormatKind.BLOCKED:
            raise MXNetError(f"oneDNN: {self} has no strides")
        return tuple(self._query(Query.STRIDES, "dims_t *")[0 : len(self.shape)])

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """The inner blocks, outermost first, as pairs (axis, size); () for plain memory."""
        if self.format_kind != FormatKind.BLOCKED:
            return ()
        count = self._query(Query.INNER_BLOCK_COUNT, "int *")
        if not count:
            return ()
        axes = self._query(Query.INNER_AXES, "dims_t *")[0:count]
        return tuple(zip(axes, self._query(Query.INNER_BLOCKS, "dims_t *")[0:count]))

    @cached_property
    def nbytes(self) -> int:
        """The bytes behind the address that belong to the array, padding and gaps included; 0 for any."""
        if self.is_any:
            return 0
        offset = self._query(Query.OFFSET, "int64_t *")
        if not offset:
            return load().c.dnnl_memory_desc_get_size(self.handle)
        # The library leaves the size of a slice open.
        last = sum((count - 1) * stride for count, stride in zip(self._block_counts(), self.strides))
        inner = math.prod(size for _, size in self.blocks)
        return (offset + last + inner) * self.dtype.itemsize

    def _block_counts(self) -> list[int]:
        """How many blocks (or elements, where it is not cut) each axis has."""
        counts = list(self.padded_shape)
        for axis, size in self.blocks:
            counts[axis] //= size
        return counts

    @property
    def is_something(self) -> bool:
        """Whether there is any memory to describe; the library describes what it does not need by nothing."""
        return self.format_kind != FormatKind.UNDEFINED and 0 not in self.shape

    @property
    def is_any(self) -> bool:
        return self.format_kind == FormatKind.ANY

    @property
    def is_plain(self) -> bool:
        """Whether strides alone describe the layout, so that torch can see it as a tensor."""
        return self.format_kind == FormatKind.BLOCKED and not self.blocks

    @cached_property
    def is_row_major(self) -> bool:
        """Whether the elements lie as in a contiguous array of the same shape.

        Blocks may do that as well: in ``aBcd16b`` of 32 channels at a single place nothing is moved.
        """
        if self.format_kind != FormatKind.BLOCKED or self.padded_shape != self.shape:
            return False
        # An axis that is cut is a number of several digits: the block, and the places in it.
        digits: list[list[tuple[int, int]]] = [
            [(count, stride)] for count, stride in zip(self._block_counts(), self.strides)
        ]
        inner = math.prod(size for _, size in self.blocks)
        for axis, size in self.blocks:
            inner //= size
            digits[axis].append((size, inner))
        expected = 1
        for count, stride in reversed([digit for axis in digits for digit in axis]):
            if count > 1 and stride != expected:
                return False
            expected *= count
        return True

    @cached_property
    def of_a_sample(self) -> Hashable:
        """Strides and blocks of all axes but the first, if what the first counts lies one behind another."""
        samples = self.shape[0]
        if self.format_kind != FormatKind.BLOCKED or any(axis == 0 for axis, _ in self.blocks):
            return None
        if self.nbytes != samples * self.strides[0] * self.dtype.itemsize:
            return None
        return self.shape[1:], self.strides, self.blocks

    @property
    def is_dense(self) -> bool:
        """Whether every byte belongs to an element, so that the memory is also one flat array."""
        return self.nbytes == math.prod(self.shape) * self.dtype.itemsize

    @cached_property
    def layout(self) -> str:
        """The layout in oneDNN's notation.

        Axes are ``abc…`` from the outermost to the innermost, in capitals where they are cut into blocks,
        followed by the inner blocks: ``acdb`` is channels last, ``aBcd16b`` has blocks of 16 channels. A star
        marks gaps.
        """
        if self.format_kind != FormatKind.BLOCKED:
            return self.format_kind.name.lower()
        blocked = {axis for axis, _ in self.blocks}
        order = sorted(range(len(self.shape)), key=lambda axis: (-self.strides[axis], axis))
        outer = "".join(_letter(axis).upper() if axis in blocked else _letter(axis) for axis in order)
        inner = "".join(f"{size}{_letter(axis)}" for axis, size in self.blocks)
        padded_bytes = math.prod(self.padded_shape) * self.dtype.itemsize
        return outer + inner + ("" if self.nbytes == padded_bytes else "*")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemoryDesc):
            return NotImplemented
        return bool(load().c.dnnl_memory_desc_equal(self.handle, other.handle))

    def __hash__(self) -> int:
        # Strides stay out: equality ignores those of axes with one entry.
        return hash((self.shape, self.dtype, self.format_kind, self.blocks))

    def __repr__(self) -> str:
        if self.format_kind == FormatKind.UNDEFINED:
            return "nothing"
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{dtype}:{self.layout}:{'x'.join(map(str, self.shape))}"


class Memory:
    """A descriptor at an address. The bytes belong to someone else, who must keep them while they are used."""

    def __init__(self, desc: MemoryDesc, address: int) -> None:
        engine = cpu_engine()
        library = engine.library
        self.desc = desc
        out = library.ffi.new("memory_t *")
        status = library.c.dnnl_memory_create(out, desc.handle, engine.handle, library.ffi.cast("void *", address))
        if status:
            library.check(status, f"place {desc} at an address")
        self.handle = library.ffi.gc(out[0], library.c.dnnl_memory_destroy)

    def move(self, address: int) -> None:
        """Point at another address; calls that are already bound to this memory follow."""
        library = load()
        status = library.c.dnnl_memory_set_data_handle(self.handle, library.ffi.cast("void *", address))
        if status:
            library.check(status, f"move {self.desc} to another address")


def _letter(axis: int) -> str:
    return "abcdefghijkl"[axis]


def _checked(shape: Sequence[int], dtype: torch.dtype) -> tuple[list[int], DataType]:
    """The shape as a list and the type's code, refusing what oneDNN would refuse less clearly."""
    dims = [int(size) for size in shape]
    if not 1 <= len(dims) <= MAX_DIMENSIONS:
        raise MXNetError(f"oneDNN takes 1 to {MAX_DIMENSIONS} axes, got shape {tuple(dims)}")
    if min(dims) < 1:
        raise MXNetError(f"oneDNN needs at least one element along every axis, got shape {tuple(dims)}")
    if dtype not in _TORCH_TO_ONEDNN:
        raise MXNetError(f"oneDNN has no element type {dtype}")
    return dims, _TORCH_TO_ONEDNN[dtype]
