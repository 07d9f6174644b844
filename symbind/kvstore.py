"""Key-value stores: where the parts of a training that run on several devices meet.

Each device pushes its gradients under the parameter's key; the store sums them, and either keeps the sum or hands it to
an updater together with the value it holds. Each device then pulls that value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import optimizer as opt
from .base import MXNetError, _as_list, atomic_write
from .ndarray import NDArray
from .ndarray.sparse import RowSparseNDArray

__all__ = ["KVStore", "KVStoreBase", "create"]

Key = int | str
Updater = Callable[[Any, Any, Any], None]


class KVStoreBase:
    """What a store offers; :meth:`register` makes a class of one's own known to :func:`create` by its name."""

    OPTIMIZER = "optimizer"
    kv_registry: dict[str, type] = {}

    @staticmethod
    def register(klass: type) -> type:
        """Make ``klass`` known as its name in lower case; usable as a decorator."""
        KVStoreBase.kv_registry[klass.__name__.lower()] = klass
        return klass

    @property
    def type(self) -> str:
        """The name by which it was created."""
        raise NotImplementedError

    @property
    def rank(self) -> int:
        """Number of this process among those that train together."""
        raise NotImplementedError

    @property
    def num_workers(self) -> int:
        """How many processes train together."""
        raise NotImplementedError

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store can run the optimizer (``'optimizer'``); ValueError for any other question."""
        raise NotImplementedError

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Hold ``value`` under a new ``key``, and copy it into every array of ``out``."""
        raise NotImplementedError

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Push ``value``, then pull into ``out``, or into ``value`` itself if there is none."""
        raise NotImplementedError

    def assign(self, key: Any, value: Any) -> None:
        """Hold a copy of ``value`` in place of what is held; no updater is asked."""
        raise NotImplementedError

    def set_optimizer(self, optimizer: opt.Optimizer) -> None:
        """Have ``optimizer`` update what the store holds with what is pushed."""
        raise NotImplementedError


class KVStore(KVStoreBase):
    """The store of one process, in memory.

    Keys are integers or strings, not both in one store; in place of a key there may be a list, and then a list of
    values. A value is an array or a list of arrays, one per device. The values that are held lie where the first array
    lay that was given for the key.
    """

    def __init__(self, name: str = "local") -> None:
        self._name = name
        self._held: dict[Key, NDArray] = {}
        self._updater: Updater | None = None

    @property
    def type(self) -> str:
        """The name by which it was created."""
        return self._name

    @property
    def rank(self) -> int:
        """0: there is one process."""
        return 0

    @property
    def num_workers(self) -> int:
        """1: there is one process."""
        return 1

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store can run the optimizer (``'optimizer'``): yes; ValueError for any other question."""
        if capability.lower() != KVStoreBase.OPTIMIZER:
            raise ValueError(f"Unknown capability: {capability}")
        return True

    # ---- values -------------------------------------------------------------------------------------------------

    def init(self, key: Any, value: Any) -> None:
        """Hold a copy of ``value`` under a key, which must be new."""
        for name, arrays in _pairs(key, value):
            self._check_kind(name)
            if name in self._held:
                raise MXNetError(f"duplicate init of key {name}. Please double check if you already called init for it")
            self._held[name] = arrays[0].copy()

    def assign(self, key: Any, value: Any) -> None:
        """Hold a copy of ``value`` in place of what is held; no updater is asked."""
        for name, arrays in _pairs(key, value):
            arrays[0].copyto(self._find(name))

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Sum the arrays of each value; the sum replaces what is held, or is given to the updater."""
        names, sums, held = [], [], []
        for name, arrays in _pairs(key, value):
            stored = self._find(name)
            for array in arrays:
                if array.shape != stored.shape:
                    raise MXNetError(f"The value of {name} has shape {stored.shape}, but {array.shape} was pushed")
            names.append(name)
            sums.append(_sum(arrays, stored))
            held.append(stored)
        if self._updater is None:
            for total, stored in zip(sums, held):
                stored.assign(total.tensor)
        elif isinstance(self._updater, opt.Updater):
            # One call for all is what optimizers are fast with.
            self._updater(names, sums, held)
        else:
            for triple in zip(names, sums, held):
                self._updater(*triple)

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Copy what is held into each array of ``out``; with ``ignore_sparse``, not what is held sparsely."""
        if out is None:
            raise ValueError("pull needs out, the arrays to copy into")
        for name, arrays in _pairs(key, out):
            stored = self._find(name)
            if ignore_sparse and stored.stype != "default":
                continue
            for array in arrays:
                if array.shape != stored.shape:
                    raise MXNetError(f"The value of {name} has shape {stored.shape}, but out has {array.shape}")
                array.assign(stored.tensor)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Push ``value``, then pull into ``out``, or into ``value`` itself if there is none."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority)

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Hold ``value`` under a new ``key``, and copy it into every array of ``out``."""
        self.init(key, value)
        self.pull(key, out, priority)

    def row_sparse_pull(self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None) -> None:
        """Copy some rows of what is held into row_sparse arrays: those that ``row_ids`` names.

        ``row_ids`` is an array of row numbers, or a list of one for each array of ``out``. Of several keys there are
        lists of these. ValueError if there are no numbers, or an array of ``out`` is not row_sparse.
        """
        if out is None or row_ids is None:
            raise ValueError("row_sparse_pull needs out, the arrays to copy into, and row_ids, the rows to copy")
        for (name, arrays), (_, numbers) in zip(_pairs(key, out), _pairs(key, row_ids), strict=True):
            held = self._find(name)
            if len(numbers) not in (1, len(arrays)):
                raise ValueError(f"{len(arrays)} arrays of {name} need as many arrays of row numbers")
            stored = held if isinstance(held, RowSparseNDArray) else held.tostype("row_sparse")
            for array, wanted in zip(arrays, numbers * len(arrays)):
                if not isinstance(array, RowSparseNDArray):
                    raise ValueError(f"row_sparse_pull fills row_sparse arrays, but {name} is given {array.stype}")
                rows = NDArray(wanted.tensor.long().unique())
                stored.retain(rows).copyto(array)  # type: ignore[attr-defined]

    def _find(self, name: Key) -> NDArray:
        self._check_kind(name)
        if name not in self._held:
            raise MXNetError(f"key {name} doesn't exist. Did you init?")
        return self._held[name]

    def _check_kind(self, name: Key) -> None:
        if not isinstance(name, Key):
            raise TypeError(f"A key must be an int or a str, not {name!r}")
        first = next(iter(self._held), name)
        if isinstance(first, str) != isinstance(name, str):
            raise MXNetError(f"Mixed key types are not allowed: {name!r} beside {first!r}")

    # ---- optimizer ----------------------------------------------------------------------------------------------

    def set_optimizer(self, optimizer: opt.Optimizer) -> None:
        """Have ``optimizer`` update what the store holds with what is pushed."""
        self._set_updater(opt.get_updater(optimizer))

    def _set_updater(self, updater: Updater) -> None:
        """Have ``updater(key, pushed sum, held value)`` change the held value in place."""
        self._updater = updater

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the optimizer's states, and with ``dump_optimizer`` the optimizer, to a file."""
        with atomic_write(fname) as handle:
            handle.write(self._optimizing_updater().get_states(dump_optimizer))

    def load_optimizer_states(self, fname: str) -> None:
        """Read the optimizer's states from a file."""
        updater = self._optimizing_updater()
        with open(fname, "rb") as handle:
            updater.set_states(handle.read())

    def _optimizing_updater(self) -> opt.Updater:
        if not isinstance(self._updater, opt.Updater):
            raise AssertionError("This store has no optimizer: call set_optimizer first")
        return self._updater

    def set_gradient_compression(self, compression_params: Mapping[str, Any]) -> None:
        """Refused: in one process nothing is gained by it."""
        raise MXNetError(f"Gradient compression is not supported for this type of kvstore: {self.type}")

    def _barrier(self) -> None:
        """Wait for all processes, of which there is one."""


def _pairs(key: Any, value: Any) -> list[tuple[Key, list[NDArray]]]:
    """Each key with its arrays."""
    if not isinstance(key, (list, tuple)):
        return [(key, _arrays(key, value))]
    if not isinstance(value, (list, tuple)) or len(value) != len(key):
        raise ValueError(f"{len(key)} keys need a list of as many values, not {value!r}")
    return [(k, _arrays(k, v)) for k, v in zip(key, value)]


def _arrays(key: Any, value: Any) -> list[NDArray]:
    arrays = list(_as_list(value))
    if not arrays or not all(isinstance(array, NDArray) for array in arrays):
        raise TypeError(f"The value of {key!r} must be an NDArray or a list of them, not {value!r}")
    return arrays


def _sum(arrays: list[NDArray], stored: NDArray) -> NDArray:
    """The sum of ``arrays``, where ``stored`` is. A single array is not copied: it is only read."""
    total = arrays[0].as_in_context(stored.context)
    if len(arrays) > 1:
        total = total.copy()
        for array in arrays[1:]:
            total += array.as_in_context(total.context)
    return total


def create(name: str = "local") -> KVStoreBase:
    """The store of that name: one that was registered, or else (``'local'``, ``'device'`` …) one of this process.

    Raises TypeError for anything but a str, MXNetError for a distributed store, which needs servers.
    """
    if not isinstance(name, str):
        raise TypeError("name must be a string")
    if name.lower() in KVStoreBase.kv_registry:
        return KVStoreBase.kv_registry[name.lower()]()
    if "dist" in name:
        raise MXNetError(f"kvstore {name!r} needs a cluster of parameter servers; there is one process: use 'local'")
    return KVStore(name)
