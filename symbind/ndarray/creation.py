"""Arrays from numbers, from other arrays, and from other libraries' memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..context import Context, current_context
from ..dtype import as_torch, name_of
from . import sparse
from .conversion import as_tensor
from .functions import invoke
from .memory import allocate
from .ndarray import NDArray

__all__ = [
    "arange", "array", "concatenate", "empty", "eye", "from_dlpack", "from_numpy", "full", "histogram", "linspace",
    "moveaxis", "onehot_encode", "ones", "split_v2", "to_dlpack_for_read", "to_dlpack_for_write", "waitall", "zeros",
]  # fmt: skip

ShapeLike = int | Sequence[int]


# ---- from values ---------------------------------------------------------------------------------------------------


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A new array with the values of ``source_array``: an NDArray, or whatever NumPy makes an array of.

    The type is ``dtype`` if given, that of an NDArray source, and float32 for everything else, NumPy arrays of other
    types included. Of a sparse array, scipy's included, it is a sparse copy. Raises TypeError if the source is no array
    of numbers.
    """
    if getattr(source_array, "stype", "default") != "default" or hasattr(source_array, "tocsr"):
        return sparse.array(source_array, ctx, dtype)
    context = ctx or current_context()
    if isinstance(source_array, NDArray):
        wanted = source_array.tensor.dtype if dtype is None else as_torch(dtype)
        return NDArray(source_array.tensor.to(context.device, wanted, copy=True), context)
    wanted = as_torch("float32" if dtype is None else dtype)
    return NDArray(as_tensor(source_array, wanted, context.device), context)


def empty(
    shape: ShapeLike, ctx: Context | None = None, dtype: Any = None, stype: str | None = None
) -> NDArray:
    """An array whose values are whatever was in memory. Unlike :func:`zeros` it may have no elements."""
    if stype not in (None, "default"):
        return sparse.empty(stype, shape, ctx, dtype)
    context = ctx or current_context()
    wanted = as_torch("float32" if dtype is None else dtype)
    return NDArray(allocate(_sizes(shape), wanted, context.device), context)


def full(
    shape: ShapeLike, val: Any, ctx: Context | None = None, dtype: Any = None, out: NDArray | None = None
) -> NDArray:
    """``val`` (a number, or an array that broadcasts) everywhere, in ``out`` or in a new array."""
    result = empty(shape, ctx, dtype) if out is None else out
    result[:] = val
    return result


def zeros(
    shape: ShapeLike, ctx: Context | None = None, dtype: Any = None, stype: str | None = None,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """All zeros, in ``out`` or in a new array.

    MXNetError for a shape without dimensions or with a 0, which elsewhere means "unknown".
    """
    if stype not in (None, "default"):
        return sparse.zeros(stype, _sizes(shape), ctx, dtype)
    return full(_known_sizes(shape), 0, ctx, dtype, out)


def ones(
    shape: ShapeLike, ctx: Context | None = None, dtype: Any = None, out: NDArray | None = None
) -> NDArray:
    """All ones, in ``out`` or in a new array. MXNetError for shapes as in :func:`zeros`."""
    return full(_known_sizes(shape), 1, ctx, dtype, out)


def _sizes(shape: ShapeLike) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else shape
    listed = isinstance(sizes, (Sequence, np.ndarray))
    if not listed or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sizes):
        raise MXNetError(f"A shape is a tuple of sizes, not {shape!r}")
    return tuple(map(int, sizes))


def _known_sizes(shape: ShapeLike) -> tuple[int, ...]:
    sizes = _sizes(shape)
    if not sizes or 0 in sizes:
        raise MXNetError(f"Cannot create an array of shape {sizes}: 0 stands for an unknown dimension")
    return sizes


# ---- sequences -----------------------------------------------------------------------------------------------------


def arange(
    start: float, stop: float | None = None, step: float = 1.0, repeat: int = 1, infer_range: bool | None = None,
    ctx: Context | None = None, dtype: Any = None,
) -> NDArray:  # fmt: skip
    """``start, start + step, …`` before ``stop``, each ``repeat`` times; with one argument, from 0 to it.

    ``infer_range`` is accepted and means nothing for arrays. MXNetError if there is no such number.
    """
    if stop is None:
        start, stop = 0, start
    return _create("_arange", ctx, dtype, start=start, stop=stop, step=step, repeat=repeat)


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, ctx: Context | None = None, dtype: Any = None
) -> NDArray:
    """``num`` numbers spaced evenly from ``start`` to ``stop``, which is the last one if ``endpoint``."""
    context = ctx or current_context()
    wanted = as_torch("float32" if dtype is None else dtype)
    numbers = np.linspace(start, stop, num, endpoint)
    return NDArray(as_tensor(numbers, wanted, context.device), context)


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Ones on diagonal ``k`` of an N by M array (``M = 0``: square), zeros elsewhere."""
    return _create("_eye", ctx, dtype, N=N, M=M, k=k)


def _create(operator: str, ctx: Context | None, dtype: Any, **params: Any) -> NDArray:
    wanted = as_torch("float32" if dtype is None else dtype)
    return invoke(operator, ctx=ctx or current_context(), dtype=name_of(wanted), **params)


# ---- from arrays ---------------------------------------------------------------------------------------------------


def concatenate(arrays: Sequence[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """The arrays one after the other along ``axis``; a single one is returned itself if ``always_copy`` is false.

    They must agree in type and in all other dimensions: MXNetError.
    """
    if not isinstance(arrays, (list, tuple)) or not all(isinstance(a, NDArray) for a in arrays) or not arrays:
        raise TypeError(f"concatenate takes a list of NDArrays, not {arrays!r}")
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return invoke("Concat", *arrays, dim=axis)


def moveaxis(tensor: NDArray, source: int | Sequence[int], destination: int | Sequence[int]) -> NDArray:
    """A copy with the axes ``source`` moved to the places ``destination``, the others kept in order.

    Raises ValueError if the two differ in number, name an axis twice, or one that is not there.
    """
    origins, targets = _axes(source, tensor.ndim, "source"), _axes(destination, tensor.ndim, "destination")
    if len(origins) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [axis for axis in range(tensor.ndim) if axis not in origins]
    for target, origin in sorted(zip(targets, origins)):
        order.insert(target, origin)
    return invoke("transpose", tensor, axes=tuple(order))


def _axes(axes: int | Sequence[int], rank: int, what: str) -> list[int]:
    given = [axes] if isinstance(axes, int) else list(axes)
    for axis in given:
        if not -rank <= axis < rank:
            raise ValueError(f"{what} axis {axis} is out of range for an array of {rank} dimensions")
    normalized = [axis % rank for axis in given]
    if len(set(normalized)) != len(normalized):
        raise ValueError(f"repeated axis in {what} {given}")
    return normalized


def split_v2(
    ary: NDArray, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> NDArray | list[NDArray]:
    """Cut ``ary`` along ``axis`` into that many equal sections, or before each of the given indices."""
    cuts: dict[str, Any]
    if isinstance(indices_or_sections, int):
        cuts = {"indices": (), "sections": indices_or_sections}
    else:
        cuts = {"indices": (0, *indices_or_sections)}
    return invoke("_split_v2", ary, axis=axis, squeeze_axis=squeeze_axis, **cuts)


def histogram(
    a: NDArray, bins: int | NDArray = 10, range: tuple[float, float] | None = None
) -> list[NDArray]:
    """How many values of ``a`` fall into each bin, and the edges of the bins.

    ``bins`` is the number of equal bins in ``range``, or an array of edges. Without a ``range``, that of the values
    is taken, and the counts come as float32.
    """
    if isinstance(bins, NDArray):
        return invoke("_histogram", a, bins)
    if range is None:
        return [array(part, a.context) for part in np.histogram(a.asnumpy(), bins)]
    return invoke("_histogram", a, bin_cnt=bins, range=range)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Fill row ``i`` of ``out`` with zeros and a 1 at ``indices[i]`` (none if that is out of range).

    MXNetError unless ``indices`` has one dimension and ``out`` as many rows.
    """
    if indices.ndim != 1 or out.ndim != 2 or len(indices) != len(out):
        raise MXNetError(f"onehot_encode: indices of shape {indices.shape} do not fit out of shape {out.shape}")
    columns = torch.arange(out.shape[1], device=out.tensor.device)
    out.tensor.copy_(columns == indices.tensor.to(torch.int64)[:, None])
    return out


# ---- from and to other libraries -----------------------------------------------------------------------------------


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True) -> NDArray:
    """An array of the same type; with ``zero_copy`` on the same memory, which NumPy may then no longer write.

    Raises TypeError if it is no NumPy array, ValueError if its memory is not in C order.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy takes a NumPy array, not {type(ndarray).__name__}")
    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    if not ndarray.flags.c_contiguous:
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    as_torch(ndarray.dtype)
    if not ndarray.flags.writeable:
        # An NDArray can be written; memory that is read-only must not become reachable through one.
        return array(ndarray, dtype=ndarray.dtype)
    result = NDArray(torch.from_numpy(ndarray))
    ndarray.flags.writeable = False
    return result


def from_dlpack(dlpack: Any) -> NDArray:
    """An array on the memory of a DLPack capsule, or of any object with ``__dlpack__``. ValueError if it has gaps."""
    return NDArray(torch.utils.dlpack.from_dlpack(dlpack))


def to_dlpack_for_read(data: NDArray) -> Any:
    """See :meth:`NDArray.to_dlpack_for_read`."""
    return data.to_dlpack_for_read()


def to_dlpack_for_write(data: NDArray) -> Any:
    """See :meth:`NDArray.to_dlpack_for_write`."""
    return data.to_dlpack_for_write()


def waitall() -> None:
    """Return when all work in the background is done (only GPUs have any)."""
    if torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)
