"""Files as MXNet writes them: arrays, checkpoints with optimizer states; and what they must hold.

The functions that write run in MXNet only; the functions that read run in both systems.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from .networks import filling

__all__ = ["FOLDER", "OPTIMIZERS", "continue_training", "read_arrays", "train", "write_arrays"]

FOLDER = Path(__file__).parent / "files"

# Arrays by name and dtype, for the files of arrays.
DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


def write_arrays(mx: Any) -> None:
    """Array files: a dict, a list, one without anything, and the two older layouts, written by hand."""
    arrays = {dtype: mx.nd.array(np.arange(6).reshape(2, 3) % 4, dtype=dtype) for dtype in DTYPES}
    arrays |= {"arg:scalar": mx.nd.array([1.5]), "aux:deep": mx.nd.array(np.arange(24.0).reshape(2, 3, 1, 4))}
    mx.nd.save(str(FOLDER / "dict.params"), arrays)
    mx.nd.save(str(FOLDER / "list.params"), [arrays["float32"], arrays["int32"]])
    sparse = mx.nd.sparse.csr_matrix((np.float32([1, 2, 3]), [0, 2, 1], [0, 2, 2, 3]), shape=(3, 4))
    rows = mx.nd.sparse.row_sparse_array((np.float32([[1, 2], [3, 4]]), [1, 3]), shape=(5, 2))
    mx.nd.save(str(FOLDER / "sparse.params"), {"csr": sparse, "row_sparse": rows})

    numbers = np.arange(6, dtype="<f4")
    context_and_type = struct.pack("<iii", 1, 0, 0)
    oldest = struct.pack("<III", 2, 2, 3) + context_and_type + numbers.tobytes()
    older = struct.pack("<Iiqq", 0xF993FAC8, 2, 2, 3) + context_and_type + numbers.tobytes()
    for version, array in (("v0", oldest), ("v1", older)):
        text = struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<QQ", 1, 4) + b"arg_"
        (FOLDER / f"{version}.params").write_bytes(text)


def read_arrays(mx: Any, name: str) -> dict[str, np.ndarray] | list[np.ndarray]:
    """The content of an array file; sparse arrays as dense ones."""
    loaded = mx.nd.load(str(FOLDER / name))
    if isinstance(loaded, dict):
        return {key: array.asnumpy() for key, array in sorted(loaded.items())}
    return [array.asnumpy() for array in loaded]


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01},
    "adam": {"learning_rate": 0.05},
}


def _network(mx: Any) -> Any:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, no_bias=True, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def _batch(mx: Any, step: int) -> Any:
    data = mx.nd.array(filling(f"data {step}", (4, 6)))
    return mx.io.DataBatch([data], [mx.nd.array(filling(f"label {step}", (4,)))])


def _predict(module: Any, batch: Any) -> np.ndarray:
    module.forward(batch, is_train=False)
    return module.get_outputs()[0].asnumpy()


def _step(mx: Any, module: Any, step: int) -> None:
    module.forward_backward(_batch(mx, step))
    module.update()
    mx.nd.waitall()  # MXNet lets one read moving averages before the pending backward pass has written them


def _parameters(module: Any) -> dict[str, np.ndarray]:
    arguments, states = module.get_params()
    return {name: array.asnumpy() for name, array in sorted({**arguments, **states}.items())}


def train(mx: Any, optimizer: str) -> None:
    """Train three steps and write the checkpoint ``<optimizer>-0003.*``."""
    module = mx.mod.Module(_network(mx), context=mx.cpu())
    module.bind([("data", (4, 6))], [("softmax_label", (4,))])
    shapes = dict(zip(module.symbol.list_arguments(), module.symbol.infer_shape(data=(4, 6))[0]))
    arguments = {name: mx.nd.array(filling(name, shapes[name])) for name in module._param_names}
    module.init_params(arg_params=arguments, allow_missing=True)
    module.init_optimizer(optimizer=optimizer, optimizer_params=OPTIMIZERS[optimizer])
    for step in range(3):
        _step(mx, module, step)
    module.save_checkpoint(str(FOLDER / optimizer), 3, save_optimizer_states=True)


def continue_training(mx: Any, optimizer: str) -> dict[str, Any]:
    """Load the checkpoint, predict, train two more steps, predict again."""
    module = mx.mod.Module.load(str(FOLDER / optimizer), 3, load_optimizer_states=True)
    module.bind([("data", (4, 6))], [("softmax_label", (4,))])
    module.init_optimizer(optimizer=optimizer, optimizer_params=OPTIMIZERS[optimizer])
    loaded, predicted = _parameters(module), _predict(module, _batch(mx, 0))
    for step in (3, 4):
        _step(mx, module, step)
    return {
        "loaded": loaded,
        "predicted": predicted,
        "trained": _parameters(module),
        "predicted after training": _predict(module, _batch(mx, 0)),
    }
