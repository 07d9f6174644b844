"""Devices: where an array lives and a program runs.

A :class:`Context` is a name such as ``gpu(1)``; it can be written down on any machine. Only using it needs the
device: :attr:`Context.device` gives the torch device, or raises if this machine has none.
"""

from __future__ import annotations

import re
import threading

import torch

from .base import MXNetError

__all__ = [
    "Context", "cpu", "cpu_pinned", "cpu_shared", "current_context", "gpu", "gpu_memory_info", "num_gpus",
    "set_default_context",
]  # fmt: skip


class _Entered(threading.local):
    """The default context of this thread, and on top of it those entered by ``with``, innermost last."""

    def __init__(self) -> None:
        self.stack = [Context("cpu", 0)]


class _HasDefault(type):
    """Gives the class, not its instances, the attribute ``default_ctx``."""

    @property
    def default_ctx(cls) -> Context:
        return current_context()

    @default_ctx.setter
    def default_ctx(cls, ctx: Context) -> None:
        _entered.stack[-1] = ctx


class Context(metaclass=_HasDefault):
    """A device: ``Context("cpu", 0)``, or a copy of another context.

    ``with ctx:`` makes it the default of this thread for arrays created inside the block. Contexts of one type
    and number are equal. All ``cpu(i)`` share the machine's one memory, but arrays remember which they were
    given. ``Context.default_ctx`` is the default itself, and may be set. ValueError for an unknown type.
    """

    __slots__ = ("device_id", "device_typeid")
    device_id: int
    device_typeid: int

    #: Device types by the codes that files use, and back.
    devtype2str = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    devstr2type = {name: code for code, name in devtype2str.items()}

    def __init__(self, device_type: str | Context, device_id: int = 0) -> None:
        if isinstance(device_type, Context):
            device_id = device_type.device_id
            device_type = device_type.device_type
        if device_type not in self.devstr2type:
            raise ValueError(f"Unknown device type {device_type!r}; expected one of {', '.join(self.devstr2type)}")
        self.device_typeid = self.devstr2type[device_type]
        self.device_id = int(device_id)

    @classmethod
    def from_device_type_code(cls, code: int, device_id: int = 0) -> Context:
        """The context that a file means by ``code``; ValueError if there is no such device type."""
        if code not in cls.devtype2str:
            raise ValueError(f"Unknown device type code {code}; expected one of {sorted(cls.devtype2str)}")
        return cls(cls.devtype2str[code], device_id)

    @classmethod
    def from_string(cls, text: str) -> Context:
        """The inverse of ``str``: ``"gpu(1)"``; MXNetError for any other text."""
        match = re.fullmatch(r"(\w+)\((-?\d+)\)", text)
        if match is None or match[1] not in cls.devstr2type:
            raise MXNetError(f"Invalid context string {text!r}; expected a device and its number, as in 'cpu(0)'")
        return cls(match[1], int(match[2]))

    @property
    def device_type(self) -> str:
        """``'cpu'``, ``'gpu'``, ``'cpu_pinned'`` or ``'cpu_shared'``."""
        return self.devtype2str[self.device_typeid]

    @property
    def device(self) -> torch.device:
        """The torch device behind this context; MXNetError if this machine does not have it."""
        if self.device_type != "gpu":
            return torch.device("cpu")
        count = num_gpus()
        if not 0 <= self.device_id < count:
            reason = f"only {count} GPU(s) found" if count else "no CUDA device, or torch was built without CUDA"
            raise MXNetError(f"{self} is not available: {reason}")
        return torch.device("cuda", self.device_id)

    def empty_cache(self) -> None:
        """Give memory that is held in reserve but holds no array back to the GPU; does nothing elsewhere."""
        device = self.device
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.empty_cache()

    def __enter__(self) -> Context:
        _entered.stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _entered.stack.pop()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return (self.device_typeid, self.device_id) == (other.device_typeid, other.device_id)

    def __hash__(self) -> int:
        return hash((self.device_typeid, self.device_id))

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"


_entered = _Entered()


def cpu(device_id: int = 0) -> Context:
    """The machine's memory. Any number may be given; all mean the same memory."""
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """A CUDA device. Arrays on it need the device to be there; the name does not."""
    return Context("gpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """Memory for fast copies to a GPU; kept in the machine's ordinary memory here."""
    return Context("cpu_pinned", device_id)


def cpu_shared(device_id: int = 0) -> Context:
    """Memory that processes share; kept in the machine's ordinary memory here."""
    return Context("cpu_shared", device_id)


def num_gpus() -> int:
    """How many CUDA devices this process can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """``(free, total)`` memory of a GPU in bytes; MXNetError without that GPU."""
    return torch.cuda.mem_get_info(gpu(device_id).device)


def current_context() -> Context:
    """The context of the innermost ``with ctx:`` of this thread, or its default, ``cpu(0)``."""
    return _entered.stack[-1]


def set_default_context(ctx: Context) -> None:
    """Make ``ctx`` what :func:`current_context` is in this thread outside of every ``with``."""
    if not isinstance(ctx, Context):
        raise TypeError(f"The default context must be a Context such as {cpu()}, not {ctx!r}")
    _entered.stack[0] = ctx
