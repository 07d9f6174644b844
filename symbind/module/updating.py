"""How gradients become new weights: in a key-value store, or on every device, with a store or without one to sum them.

Weights and gradients come as lists over parameters of lists over devices; a parameter that is not trained has None for
its gradients. MXNet has these functions in ``mx.model``, where modules that people have written themselves find them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import kvstore as kv
from ..ndarray import NDArray

__all__ = ["create_kvstore", "initialize_kvstore", "update_params", "update_params_on_kvstore"]

# Parameters larger than this are not updated in a store that is local to all devices, but on each of them.
_LARGEST_IN_STORE = 16 * 2**20

ByDevice = Sequence[Sequence[NDArray]]
MaybeByDevice = Sequence[Sequence[NDArray | None]]


def create_kvstore(kvstore: Any, num_device: int, arg_params: Mapping[str, NDArray]) -> tuple[Any, bool]:
    """The store to use, if any, and whether parameters are updated in it.

    ``kvstore`` is None, a store, or the name of one, which has nothing to do for a single device.
    """
    if kvstore is None or (isinstance(kvstore, str) and num_device == 1):
        return None, False
    if not isinstance(kvstore, str):
        return kvstore, kvstore.is_capable(kv.KVStoreBase.OPTIMIZER)
    small = all(array.size <= _LARGEST_IN_STORE for array in arg_params.values())
    return kv.create(kvstore), small or kvstore != "local"


def initialize_kvstore(
    kvstore: Any,
    param_arrays: ByDevice,
    arg_params: Mapping[str, NDArray],
    param_names: Sequence[str],
    update_on_kvstore: bool,
) -> None:
    """Have a store hold the parameters, and if it is there that they are updated, the devices what it holds."""
    for name, arrays in zip(param_names, param_arrays, strict=True):
        if update_on_kvstore:
            kvstore.broadcast(name, arg_params[name], out=list(arrays))
        else:
            kvstore.init(name, arg_params[name])


def update_params_on_kvstore(
    param_arrays: ByDevice, grad_arrays: MaybeByDevice, kvstore: Any, param_names: Sequence[str]
) -> None:
    """Give the gradients to a store that has the optimizer, and copy what comes of it to every device."""
    trained = _trained(grad_arrays)
    names = [param_names[i] for i in trained]
    kvstore.push(names, [grad_arrays[i] for i in trained])
    kvstore.pull(names, [param_arrays[i] for i in trained])


def update_params(
    param_arrays: ByDevice,
    grad_arrays: MaybeByDevice,
    updater: Any,
    num_device: int,
    kvstore: Any = None,
    param_names: Sequence[str] | None = None,
) -> None:
    """Update the weights on every device, after a store, if there is one, has summed the gradients of all.

    To the updater parameter ``i`` on device ``k`` is number ``i * num_device + k``. A store knows parameters by their
    names, or their positions if none are given.
    """
    trained = _trained(grad_arrays)
    weights, grads = [param_arrays[i] for i in trained], [grad_arrays[i] for i in trained]
    if not trained:
        return
    if kvstore is not None:
        keys = [i if param_names is None else param_names[i] for i in trained]
        kvstore.push(keys, grads)
        kvstore.pull(keys, grads)
    for k in range(num_device):
        # One call for all is what optimizers are fast with.
        updater([i * num_device + k for i in trained], [grad[k] for grad in grads], [weight[k] for weight in weights])


def _trained(grad_arrays: MaybeByDevice) -> list[int]:
    return [i for i, grads in enumerate(grad_arrays) if grads[0] is not None]
