"""Arrays that keep only a part of their elements; all others are zero.

Both kinds are NDArrays: whatever has no use for their storage reads :attr:`tensor`, which makes the dense values each
time. What can be done with the stored elements alone is in :mod:`.sparse_operators`.

Stored elements have *keys*: the numbers of rows in a row_sparse array, the numbers of elements, row by row, in a csr
array. That is all in which the two differ to an operator that looks at one element at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from ..base import MXNetError, NotSupportedForSparseNDArray
from ..context import Context
from ..dtype import as_numpy, as_torch
from ..ops.shapes import product
from .arithmetic import is_number, scalar_operator
from .conversion import as_tensor
from .memory import allocate
from .ndarray import NDArray

__all__ = ["BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "compressed"]


class BaseSparseNDArray(NDArray):
    """What the two kinds have in common: a shape, and the stored elements."""

    __slots__ = ("_shape", "_stored")

    def __init__(self, stored: torch.Tensor, shape: Sequence[int], ctx: Context | None = None) -> None:
        # NDArray's own place for values stays empty for ever.
        super().__init__(stored, ctx)
        self._tensor = None
        self._stored = stored
        self._shape = tuple(map(int, shape))
        if product(max(n, 1) for n in self._shape) >= 2**62:
            raise MXNetError(f"An array of shape {self._shape} has more elements than can be numbered")

    # ---- what each kind says of itself -------------------------------------------------------------------------

    @classmethod
    def from_dense(cls, tensor: torch.Tensor, ctx: Context) -> Self:
        """An array of what is not zero in ``tensor``."""
        raise NotImplementedError

    @property
    def indices(self) -> NDArray:
        """Numbers that say which elements are stored."""
        raise NotImplementedError

    def keys(self) -> torch.Tensor:
        """Keys of what is stored, in the order in which it is stored."""
        raise NotImplementedError

    def with_keys(self, keys: torch.Tensor, stored: torch.Tensor) -> Self:
        """An array of the same shape that stores ``stored`` under ``keys``, which increase."""
        raise NotImplementedError

    def _take_over(self, other: Any) -> None:
        """Store what ``other`` stores, which is of the same kind, shape and type."""
        raise NotImplementedError

    def _dense(self) -> torch.Tensor:
        raise NotImplementedError

    # ---- as an NDArray -----------------------------------------------------------------------------------------

    @property
    def tensor(self) -> torch.Tensor:
        """The dense values, made anew; writing to them changes nothing here (see :meth:`assign`)."""
        return self._dense()

    @property
    def storage(self) -> torch.Tensor:
        return self._dense()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def size(self) -> int:
        return product(self._shape)

    @property
    def dtype(self) -> Any:
        return as_numpy(self._stored.dtype)

    @property
    def data(self) -> NDArray:
        """The stored elements, on the same memory."""
        return NDArray(self._stored, self.context)

    def __repr__(self) -> str:
        return f"\n<{type(self).__name__} {'x'.join(map(str, self.shape))} @{self.context}>"

    def gather(self, keys: torch.Tensor) -> torch.Tensor:
        """What is stored under each of ``keys``, and zeros where nothing is."""
        own, order = self.keys().sort()
        places = torch.searchsorted(own, keys).clamp_(max=max(len(own) - 1, 0))
        result = self._stored.new_zeros((len(keys), *self._stored.shape[1:]))
        if len(own):
            found = own[places] == keys
            result[found] = self._stored[order[places[found]]]
        return result

    def assign(self, values: torch.Tensor) -> None:
        """Take over dense values: those that are not zero are stored."""
        if tuple(values.shape) != self.shape:
            raise MXNetError(f"An array of shape {tuple(values.shape)} does not fit one of shape {self.shape}")
        self._take_over(self.from_dense(values.to(self._stored), self.context))

    def tostype(self, stype: str) -> NDArray:
        """A copy in another storage; ValueError from one sparse storage to the other."""
        if stype == self.stype:
            return self.copy()
        if stype != "default":
            raise ValueError(f"cast_storage from {self.stype} to {stype} is not supported")
        return NDArray(self._dense(), self.context)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        wanted = as_torch(dtype)
        return self if wanted == self._stored.dtype and not copy else self._converted(wanted, self.context)

    def _converted(self, dtype: torch.dtype, ctx: Context) -> Self:
        """A copy of another type or in another place."""
        raise NotImplementedError

    def copyto(self, other: NDArray | Context) -> NDArray:
        if isinstance(other, Context):
            return self._converted(self._stored.dtype, other)
        if isinstance(other, BaseSparseNDArray) and other is not self:
            if type(other) is not type(self):
                raise TypeError(f"copyto does not support destination NDArray stype {other.stype}")
            if other.shape != self.shape:
                raise MXNetError(f"copyto: an array of shape {self.shape} does not fit one of shape {other.shape}")
            other._take_over(self._converted(other._stored.dtype, other.context))
            return other
        return super().copyto(other)

    def as_in_context(self, context: Context) -> NDArray:
        return self if context == self.context else self.copyto(context)

    def detach(self) -> NDArray:
        return self.copy()

    def __setitem__(self, key: Any, value: Any) -> None:
        """``x[:] = value`` with an array or a number; ValueError for any other key."""
        if key != slice(None):
            raise ValueError(f"{type(self).__name__} only supports [:] for assignment")
        if is_number(value):
            self.assign(torch.full(self.shape, float(value)))
        elif isinstance(value, BaseSparseNDArray) and type(value) is type(self):
            value.copyto(self)
        else:
            self.assign(value.tensor if isinstance(value, NDArray) else as_tensor(value))

    def _combined(self, function: str, other: Any, reverse: bool = False, out: torch.Tensor | None = None) -> NDArray:
        from .functions import invoke  # operators are made of arrays

        if isinstance(other, NDArray) and other.shape == self.shape and function in _PAIRS:
            result = invoke(_PAIRS[function], *((other, self) if reverse else (self, other)))
        elif is_number(other):
            result = invoke(scalar_operator(function, reverse), self, scalar=float(other))
        elif not isinstance(other, NDArray):
            raise TypeError(f"type {type(other)} not supported: an operand must be an NDArray or a number")
        else:
            result = invoke(f"broadcast_{function}", *((other, self) if reverse else (self, other)))
        if out is None:
            return result
        self[:] = result
        return self

    def __iadd__(self, other: Any) -> Any:
        return self._combined("add", other, out=self._stored)

    def __isub__(self, other: Any) -> Any:
        return self._combined("sub", other, out=self._stored)

    def __imul__(self, other: Any) -> Any:
        return self._combined("mul", other, out=self._stored)

    def __itruediv__(self, other: Any) -> Any:
        return self._combined("div", other, out=self._stored)

    def __abs__(self) -> NDArray:
        from .functions import invoke

        return invoke("abs", self)

    def reshape(self, *shape: Any, **kwargs: Any) -> NDArray:
        """Refused: no memory here has the array's shape."""
        raise NotSupportedForSparseNDArray(self.reshape, None, *shape)

    def __reduce__(self) -> tuple[Any, ...]:
        from .save_load import from_bytes, to_bytes

        return from_bytes, (to_bytes(self),)


_PAIRS = {"add": "elemwise_add", "sub": "elemwise_sub", "mul": "elemwise_mul", "div": "elemwise_div"}


class RowSparseNDArray(BaseSparseNDArray):
    """An array of which some rows (slices along the first axis) are stored, in ``data``, with their numbers in
    ``indices``; usual for gradients of large tables."""

    __slots__ = ("_rows",)

    def __init__(self, rows: torch.Tensor, numbers: torch.Tensor, shape: Sequence[int], ctx: Context | None = None):
        super().__init__(rows, shape, ctx)
        self._rows = numbers

    stype = property(lambda self: "row_sparse", doc="How the elements are stored.")

    @classmethod
    def from_dense(cls, tensor: torch.Tensor, ctx: Context) -> RowSparseNDArray:
        if not tensor.dim():
            raise MXNetError("An array without dimensions has no rows")
        (numbers,) = tensor.flatten(1).ne(0).any(1).nonzero(as_tuple=True) if tensor.dim() > 1 else tensor.nonzero().T
        return cls(tensor[numbers], numbers, tensor.shape, ctx)

    @property
    def indices(self) -> NDArray:
        """Numbers of the rows that are stored, int64."""
        return NDArray(self._rows, self.context)

    def keys(self) -> torch.Tensor:
        return self._rows

    def with_keys(self, keys: torch.Tensor, stored: torch.Tensor) -> RowSparseNDArray:
        return RowSparseNDArray(stored, keys, self.shape, self.context)

    def _take_over(self, other: RowSparseNDArray) -> None:
        self._stored, self._rows = other._stored, other._rows

    def _dense(self) -> torch.Tensor:
        dense = allocate(self.shape, self._stored.dtype, self._stored.device).zero_()
        dense[self._rows] = self._stored
        return dense

    def _converted(self, dtype: torch.dtype, ctx: Context) -> RowSparseNDArray:
        stored = self._stored.to(ctx.device, dtype, copy=True)
        return RowSparseNDArray(stored, self._rows.to(ctx.device, copy=True), self.shape, ctx)

    def __getitem__(self, key: Any) -> RowSparseNDArray:
        """``x[:]``, the array itself; ValueError for any other key."""
        if key != slice(None):
            raise ValueError(f"RowSparseNDArray only supports [:], not [{key!r}]; see tostype('default')")
        return self

    def retain(self, indices: Any) -> RowSparseNDArray:
        """The rows with these numbers, in that order; zeros where nothing is stored."""
        from .functions import invoke

        return invoke("_sparse_retain", self, indices if isinstance(indices, NDArray) else _numbers(indices, self))


def _numbers(values: Any, like: BaseSparseNDArray) -> NDArray:
    return NDArray(as_tensor(values, torch.int64, like._stored.device), like.context)


class CSRNDArray(BaseSparseNDArray):
    """A matrix of which some elements are stored, row by row: ``data``, the column of each in ``indices``, and in
    ``indptr`` where each row starts (compressed sparse rows). Rows are cut out without looking at the others."""

    __slots__ = ("_columns", "_starts")

    def __init__(
        self,
        values: torch.Tensor,
        columns: torch.Tensor,
        starts: torch.Tensor,
        shape: Sequence[int],
        ctx: Context | None = None,
    ) -> None:
        super().__init__(values, shape, ctx)
        self._columns, self._starts = columns, starts

    stype = property(lambda self: "csr", doc="How the elements are stored.")

    @classmethod
    def from_dense(cls, tensor: torch.Tensor, ctx: Context) -> CSRNDArray:
        if tensor.dim() != 2:
            raise ValueError(
                f"To convert to a CSR, the NDArray should be 2 Dimensional. Current shape is {tuple(tensor.shape)}"
            )
        rows, columns = tensor.nonzero(as_tuple=True)
        return cls(tensor[rows, columns], columns, _starts_of(rows, tensor.shape[0]), tensor.shape, ctx)

    @property
    def indices(self) -> NDArray:
        """Column of each stored element, int64."""
        return NDArray(self._columns, self.context)

    @property
    def indptr(self) -> NDArray:
        """Where each row starts among the stored elements, and where the last one ends, int64."""
        return NDArray(self._starts, self.context)

    def rows(self) -> torch.Tensor:
        """Row of each stored element."""
        numbers = torch.arange(self.shape[0], device=self._starts.device)
        return numbers.repeat_interleave(self._starts.diff())

    def keys(self) -> torch.Tensor:
        return self.rows() * self.shape[1] + self._columns

    def with_keys(self, keys: torch.Tensor, stored: torch.Tensor) -> CSRNDArray:
        width = max(self.shape[1], 1)
        starts = _starts_of(keys // width, self.shape[0])
        return CSRNDArray(stored, keys % width, starts, self.shape, self.context)

    def _take_over(self, other: CSRNDArray) -> None:
        self._stored, self._columns, self._starts = other._stored, other._columns, other._starts

    def _dense(self) -> torch.Tensor:
        dense = allocate(self.shape, self._stored.dtype, self._stored.device).zero_()
        dense[self.rows(), self._columns] = self._stored
        return dense

    def _converted(self, dtype: torch.dtype, ctx: Context) -> CSRNDArray:
        columns, starts = (part.to(ctx.device, copy=True) for part in (self._columns, self._starts))
        return CSRNDArray(self._stored.to(ctx.device, dtype, copy=True), columns, starts, self.shape, ctx)

    def asscipy(self) -> Any:
        """A copy as ``scipy.sparse.csr_matrix``; ImportError without scipy."""
        from scipy.sparse import csr_matrix

        parts = (self.data.asnumpy(), self.indices.asnumpy(), self.indptr.asnumpy())
        return csr_matrix(parts, shape=self.shape, dtype=self.dtype)

    def take(self, numbers: torch.Tensor) -> CSRNDArray:
        """The rows with these numbers, in that order."""
        counts = self._starts.diff()[numbers]
        starts = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        # Position in the result, moved by how far the row it belongs to has moved.
        moved = (self._starts[:-1][numbers] - starts[:-1]).repeat_interleave(counts)
        places = torch.arange(len(moved), device=moved.device) + moved
        return CSRNDArray(
            self._stored[places], self._columns[places], starts, (len(numbers), self.shape[1]), self.context
        )

    def __getitem__(self, key: Any) -> CSRNDArray:
        """Row ``key``, as a matrix of one row, or the rows of a slice without steps; ValueError for any other key."""
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        if isinstance(key, int):
            if not -len(self) <= key < len(self):
                raise IndexError(f"Row {key} is out of range for {len(self)} rows")
            key = slice(key % len(self), key % len(self) + 1)
        if not isinstance(key, slice):
            raise ValueError(f"CSRNDArray takes a number or a slice of rows, not [{key!r}]")
        if key.step not in (None, 1):
            raise ValueError("CSRNDArray only supports continuous slicing on axis 0")
        start, stop, _ = key.indices(len(self))
        return self.take(torch.arange(start, max(start, stop), device=self._starts.device))


def _starts_of(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Where each of ``count`` rows starts, from the row of each element; these increase."""
    return torch.searchsorted(rows, torch.arange(count + 1, device=rows.device))


def compressed(tensor: torch.Tensor, stype: str, ctx: Context) -> NDArray:
    """A copy of ``tensor`` in a storage. ValueError if that is not for it, or unknown."""
    if stype == "default":
        return NDArray(tensor.clone(), ctx)
    kinds: dict[str, type[BaseSparseNDArray]] = {"csr": CSRNDArray, "row_sparse": RowSparseNDArray}
    if stype not in kinds:
        raise ValueError(f"Unknown storage type {stype!r}; expected 'default', 'row_sparse' or 'csr'")
    return kinds[stype].from_dense(tensor, ctx)
