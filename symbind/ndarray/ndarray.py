"""The array of the imperative API."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from ..context import Context
from ..dtype import as_numpy, as_torch, name_of
from ..graph import registry
from ..graph.node import Entry
from ..ops.shapes import product
from .arithmetic import Number, combine, is_number, scalar_operator
from .conversion import as_tensor
from .indexing import fill, read, write
from .laid_out import LaidOut, Order, is_shared
from .recording import is_recorded, leaves, make_leaf, mode, record_named, refuse_update

__all__ = ["NDArray"]

GRAD_REQS = ("null", "write", "add")


class NDArray:
    """An array of numbers of one type on one device: a torch tensor with MXNet's manners.

    ``tensor`` is contiguous and never part of torch's own differentiation. Arrays that share memory come from basic
    indexing of a contiguous part (``x[1]``, ``x[2:5]``), :meth:`reshape`, :meth:`detach`, and the zero-copy
    conversions; everything else copies. While a program trains an array it may keep the content in another order, see
    :mod:`symbind.ndarray.laid_out`.

    Parameters
    ----------
    tensor : the values; taken as they are, without a copy.
    ctx : the context the array says it is on; that of the tensor's device if None.

    Raises ValueError if the tensor is not contiguous, MXNetError if arrays cannot have its element type.
    """

    __slots__ = ("__weakref__", "_entry", "_home", "_tensor", "context", "laid_out")

    # NumPy leaves operators with one NumPy operand to this class.
    __array_priority__ = 1000.0
    __hash__ = object.__hash__

    def __init__(self, tensor: torch.Tensor, ctx: Context | None = None) -> None:
        if not tensor.is_contiguous():
            raise ValueError(f"NDArray needs a contiguous tensor, got strides {tensor.stride()}")
        as_torch(tensor.dtype)
        self._tensor: torch.Tensor | None = tensor.detach() if tensor.requires_grad else tensor
        #: The content, while that is not ``tensor``; :meth:`lay_out` sets it.
        self.laid_out: LaidOut | None = None
        self._home: weakref.ref[LaidOut] | None = None
        if ctx is None:
            device = tensor.device
            ctx = Context("gpu", device.index or 0) if device.type == "cuda" else Context("cpu", 0)
        self.context = ctx
        # The value that the array is in a recorded graph.
        self._entry: Entry | None = None

    # ---- where its values are ----------------------------------------------------------------------------------

    @property
    def tensor(self) -> torch.Tensor:
        """The values row by row, to be read and written; brought into that order first if they lie in another."""
        if self._tensor is None:
            assert self.laid_out is not None
            self._tensor, self.laid_out = self.laid_out.plain(), None
        return self._tensor

    @property
    def storage(self) -> torch.Tensor:
        """The values as they lie in memory now: ``tensor``, or flat in :attr:`order`."""
        return self.tensor if self.laid_out is None else self.laid_out.elements

    @property
    def order(self) -> Order | None:
        """The order that the values lie in now; None is row by row."""
        return None if self.laid_out is None else self.laid_out.order

    @property
    def home(self) -> LaidOut | None:
        """``laid_out``, also if that was before, as long as somebody keeps it."""
        if self.laid_out is None and self._home is not None:
            return self._home()
        return self.laid_out

    def lay_out(self, content: LaidOut) -> bool:
        """Have ``content``, which holds the array's values, take the place of ``tensor``.

        That is refused if anybody else looks at the memory of ``tensor``. Otherwise it is given back.
        """
        self._home = weakref.ref(content)
        if self._tensor is None:
            self.laid_out = content
            return True
        holder, self.laid_out, self._tensor = [self._tensor], content, None
        if is_shared(holder):
            self._tensor, self.laid_out = holder[0], None
        return self._tensor is None

    def lie_in(self, order: Order | None) -> torch.Tensor:
        """The storage, after the values were brought into ``order`` if they lie in another."""
        if order is not None and self.order != order:
            self.laid_out, self._tensor = LaidOut.of(self.tensor, order), None
        return self.tensor if order is None else self.storage

    def _values(self) -> torch.Tensor:
        """The values row by row, to be read at once: a copy if they lie in another order, where they stay."""
        return self.tensor if self.laid_out is None else self.laid_out.plain()

    # ---- what it is --------------------------------------------------------------------------------------------

    @property
    def ctx(self) -> Context:
        """The same as ``context``."""
        return self.context

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of all axes."""
        return tuple(self.tensor.shape) if self.laid_out is None else self.laid_out.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.storage.numel()

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def dtype(self) -> type[np.generic]:
        """The NumPy type of the elements, such as ``numpy.float32`` (also for bfloat16, which NumPy lacks)."""
        return as_numpy(self.storage.dtype)

    @property
    def stype(self) -> str:
        """How the elements are stored."""
        return "default"

    @property
    def T(self) -> NDArray:
        """A copy with the axes reversed."""
        reversed_axes = self.tensor.permute(*reversed(range(self.ndim)))
        result = NDArray(reversed_axes.clone(memory_format=torch.contiguous_format), self.context)
        record_named("transpose", [self], result)
        return result

    def __repr__(self) -> str:
        return f"\n{self.asnumpy()}\n<NDArray {'x'.join(map(str, self.shape))} @{self.context}>"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of an NDArray without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")
        return bool(self.size and self.tensor.item())

    # ---- values out, copies ------------------------------------------------------------------------------------

    def asnumpy(self) -> np.ndarray:
        """The values as a new NumPy array, which may be written."""
        values = self._values()
        tensor = values.float() if values.dtype == torch.bfloat16 else values
        return (tensor.clone() if tensor.device.type == "cpu" and tensor is self._tensor else tensor.cpu()).numpy()

    def asscalar(self) -> np.generic:
        """The one element as a NumPy scalar; ValueError if there are more or none."""
        if self.size != 1:
            raise ValueError(f"The current array is not a scalar: its shape is {self.shape}")
        return self.dtype(self.tensor.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("NDArray.__array__ always makes a copy; see __dlpack__ for shared memory")
        array = self.asnumpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def copy(self) -> NDArray:
        """A copy on the same context."""
        return self.copyto(self.context)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> NDArray:
        return self.copy()

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Write the values into ``other``, converted to its type, or into a new array on that context.

        Returns the array that was written. MXNetError if the shapes differ, TypeError for any other ``other``.
        """
        if isinstance(other, Context):
            values = self._values()
            result = NDArray(values.to(other.device, copy=values is self._tensor), other)
            record_named("_copy", [self], result)
            return result
        if not isinstance(other, NDArray):
            raise TypeError(f"copyto does not support type {type(other)}")
        if other is self:
            warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
        elif other.shape != self.shape:
            raise MXNetError(f"copyto: an array of shape {self.shape} does not fit one of shape {other.shape}")
        else:
            refuse_update(other)
            other.assign(self._values())
            record_named("Cast", [self], other, dtype=name_of(other.tensor.dtype))
        return other

    def assign(self, values: torch.Tensor) -> None:
        """Take over ``values``, a tensor of the array's shape, converted to its type and brought to its device."""
        self.tensor.copy_(values)

    def astype(self, dtype: Any, copy: bool = True) -> NDArray:
        """The values in another type; a copy also for the same type, unless ``copy`` is false."""
        wanted = as_torch(dtype)
        if wanted == self.storage.dtype and not copy:
            return self
        values = self._values()
        result = NDArray(values.to(wanted, copy=values is self._tensor), self.context)
        record_named("Cast", [self], result, dtype=name_of(wanted))
        return result

    def as_in_context(self, context: Context) -> NDArray:
        """The array itself if it is on ``context``, otherwise a copy there."""
        return self if context == self.context else self.copyto(context)

    def tostype(self, stype: str) -> NDArray:
        """A copy in the storage ``'default'``, ``'row_sparse'``, or ``'csr'``; ValueError if that is not for it."""
        if stype == "default":
            return self.copy()
        from .sparse_array import compressed  # sparse arrays are NDArrays

        return compressed(self.tensor, stype, self.context)

    def wait_to_read(self) -> None:
        """Return when the values are there. Only work on a GPU goes on in the background."""
        if self.tensor.is_cuda:
            torch.cuda.synchronize(self.tensor.device)

    def reshape(self, *shape: Any, reverse: bool = False, **kwargs: Any) -> NDArray:
        """The same memory under another shape, given as one tuple, as several numbers, or by ``shape=``.

        Beside sizes there are codes: 0 keeps a dimension, -1 is whatever remains, -2 keeps all further dimensions,
        -3 merges two, and -4 splits one into the two numbers that follow. With ``reverse`` they are read from the
        right. Raises MXNetError if the shape does not fit.
        """
        if kwargs.keys() - {"shape"}:
            unknown = ", ".join(kwargs.keys() - {"shape"})
            raise TypeError(f"Got unknown keywords in reshape: {unknown}. Accepted are 'shape' and 'reverse'.")
        wanted = kwargs.get("shape", shape[0] if len(shape) == 1 else shape)
        wanted = tuple(map(index, wanted if isinstance(wanted, Sequence) else (wanted,)))
        if not wanted:
            raise ValueError("Shape must be provided.")
        if product(wanted) != self.size or min(wanted) <= 0:
            wanted = _decode_shape(self.shape, wanted, reverse)
        result = NDArray(self.tensor.view(wanted), self.context)
        record_named("Reshape", [self], result, shape=wanted)
        return result

    # ---- parts -------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> NDArray:
        """A part of the array, by NumPy's rules; see :mod:`symbind.ndarray.indexing`."""
        result = NDArray(read(self.tensor, key), self.context)
        if mode.recording and is_recorded(self):
            # Whatever the key is, the part is these elements of the whole.
            positions = torch.arange(self.size, device=self.tensor.device).view(self.shape)
            taken = NDArray(read(positions, key), self.context)
            record_named("take", [self.reshape(-1), taken], result, axis=0, mode="clip")
        return result

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write a number, or anything that makes an array and broadcasts to the part, into a part of the array."""
        refuse_update(self)
        if isinstance(value, NDArray):
            write(self.tensor, key, value.tensor)
        elif is_number(value):
            fill(self.tensor, key, value)
        elif isinstance(value, (np.ndarray, list, tuple, range)):
            write(self.tensor, key, as_tensor(value))
        else:
            raise TypeError(f"NDArray does not support assignment with non-array-like object of {type(value)}")

    # ---- gradients ---------------------------------------------------------------------------------------------

    @property
    def grad(self) -> NDArray | None:
        """The gradient buffer that :meth:`attach_grad` made, or None."""
        leaf = None if self._entry is None else leaves.get(self._entry.node)
        return None if leaf is None else leaf.gradient

    def attach_grad(self, grad_req: str = "write", stype: str | None = None) -> None:
        """Make a gradient buffer of zeros, which :meth:`backward` of what is computed from here on fills.

        ``grad_req`` says whether gradients overwrite it (``'write'``), add to it, or stay away (``'null'``). If the
        array was computed from others, gradients end here. Every buffer is dense, whatever ``stype``.
        """
        if grad_req not in GRAD_REQS:
            raise ValueError(f"grad_req must be one of {GRAD_REQS}, not {grad_req!r}")
        make_leaf(self, NDArray(torch.zeros_like(self.tensor), self.context), grad_req)

    def detach(self) -> NDArray:
        """The same memory as a constant: no gradient goes through it."""
        return NDArray(self.tensor, self.context)

    def backward(self, out_grad: NDArray | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Compute the gradients of this array; see :func:`symbind.autograd.backward`."""
        from ..autograd import backward  # autograd is a room above arrays

        backward([self], [out_grad], retain_graph, train_mode)

    # ---- to and from other libraries ---------------------------------------------------------------------------

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.tensor.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self.tensor.__dlpack_device__()

    def to_dlpack_for_read(self) -> Any:
        """A DLPack capsule of the memory, which the receiver must not write."""
        self.wait_to_read()
        return torch.utils.dlpack.to_dlpack(self.tensor)

    def to_dlpack_for_write(self) -> Any:
        """A DLPack capsule of the memory, which the receiver may write."""
        return self.to_dlpack_for_read()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.asnumpy(), name_of(self.tensor.dtype), str(self.context))

    # ---- arithmetic --------------------------------------------------------------------------------------------

    def _combined(self, function: str, other: Any, reverse: bool = False, out: torch.Tensor | None = None) -> NDArray:
        """``function(self, other)``, or the other way round. TypeError unless ``other`` is an array or a number."""
        if isinstance(other, NDArray):
            operand: torch.Tensor | Number = other.tensor
        elif is_number(other):
            operand = other
        else:
            raise TypeError(f"type {type(other)} not supported: an operand must be an NDArray or a number")
        if out is not None:
            refuse_update(self)
            if mode.recording and isinstance(other, NDArray) and is_recorded(other):
                # What the array held before is an operand, of which the gradient may need the numbers.
                result = self.copy()._combined(function, other, reverse)
                self.tensor.copy_(result.tensor)
                self._entry = result._entry
                return self
        left, right = (operand, self.tensor) if reverse else (self.tensor, operand)
        combined = combine(function, left, right, out)
        if out is not None:
            return self
        result = NDArray(combined, self.context)
        if isinstance(other, NDArray):
            record_named(f"broadcast_{function}", [other, self] if reverse else [self, other], result)
        else:
            record_named(scalar_operator(function, reverse), [self], result, scalar=float(other))
        return result

    def __add__(self, other: Any) -> NDArray:
        return self._combined("add", other)

    __radd__ = __add__

    def __iadd__(self, other: Any) -> NDArray:
        return self._combined("add", other, out=self.tensor)

    def __sub__(self, other: Any) -> NDArray:
        return self._combined("sub", other)

    def __rsub__(self, other: Any) -> NDArray:
        return self._combined("sub", other, reverse=True)

    def __isub__(self, other: Any) -> NDArray:
        return self._combined("sub", other, out=self.tensor)

    def __mul__(self, other: Any) -> NDArray:
        return self._combined("mul", other)

    __rmul__ = __mul__

    def __imul__(self, other: Any) -> NDArray:
        return self._combined("mul", other, out=self.tensor)

    def __truediv__(self, other: Any) -> NDArray:
        return self._combined("div", other)

    def __rtruediv__(self, other: Any) -> NDArray:
        return self._combined("div", other, reverse=True)

    def __itruediv__(self, other: Any) -> NDArray:
        return self._combined("div", other, out=self.tensor)

    def __mod__(self, other: Any) -> NDArray:
        return self._combined("mod", other)

    def __rmod__(self, other: Any) -> NDArray:
        return self._combined("mod", other, reverse=True)

    def __imod__(self, other: Any) -> NDArray:
        return self._combined("mod", other, out=self.tensor)

    def __pow__(self, other: Any) -> NDArray:
        return self._combined("power", other)

    def __rpow__(self, other: Any) -> NDArray:
        return self._combined("power", other, reverse=True)

    def __neg__(self) -> NDArray:
        return self._combined("mul", -1)

    def __abs__(self) -> NDArray:
        result = NDArray(self.tensor.abs(), self.context)
        record_named("abs", [self], result)
        return result

    def __eq__(self, other: object) -> NDArray:  # type: ignore[override]
        return self._combined("equal", other)

    def __ne__(self, other: object) -> NDArray:  # type: ignore[override]
        return self._combined("not_equal", other)

    def __gt__(self, other: Any) -> NDArray:
        return self._combined("greater", other)

    def __ge__(self, other: Any) -> NDArray:
        return self._combined("greater_equal", other)

    def __lt__(self, other: Any) -> NDArray:
        return self._combined("lesser", other)

    def __le__(self, other: Any) -> NDArray:
        return self._combined("lesser_equal", other)


@lru_cache(maxsize=4096)
def _decode_shape(shape: tuple[int, ...], codes: tuple[int, ...], reverse: bool) -> tuple[int, ...]:
    """What the codes of :meth:`NDArray.reshape` make of ``shape``."""
    operator: Any = registry.find("Reshape")
    params = operator.parse({"shape": str(codes), "reverse": str(reverse)})
    _, (decoded,) = operator.infer_shape(params, [shape], [None])
    if product(decoded) != product(shape):
        raise MXNetError(f"Cannot reshape array of shape {shape} into shape {codes}")
    return decoded


def _unpickle(values: np.ndarray, dtype: str, place: str) -> NDArray:
    context = Context.from_string(place)
    return NDArray(torch.tensor(values, dtype=as_torch(dtype), device=context.device), context)
