"""Networks of MXNet's model zoo and of GluonCV, exported as a user would, and run with parameters made by rule.

Only the recorder builds them (they are Gluon blocks). What it stores of each is the JSON text, constants such as
anchors, and what MXNet computes; parameters and inputs are made from their names on both sides, so none is stored.
"""

from __future__ import annotations

import math
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ZOO", "ZooNetwork", "digest", "export", "filling", "infer", "parameters", "predict", "train"]


@dataclass(frozen=True)
class ZooNetwork:
    """A block of Gluon, and how it is run."""

    build: Callable[[Any, str], Any]
    shape: tuple[int, ...]
    #: Whether a step of training is recorded too.
    trains: bool = False
    #: Whether running it takes too long for the usual tests.
    slow: bool = False


def _vision(model: str, **options: Any) -> Callable[[Any, str], Any]:
    def build(mx: Any, prefix: str) -> Any:
        return mx.gluon.model_zoo.vision.get_model(model, classes=10, prefix=prefix, **options)

    return build


def _gluoncv(model: str, **options: Any) -> Callable[[Any, str], Any]:
    def build(mx: Any, prefix: str) -> Any:
        from gluoncv.model_zoo import get_model

        # Names are left to GluonCV: a prefix would be that of two blocks in one.
        return get_model(model, pretrained=False, pretrained_base=False, **options)

    return build


# As small as each allows: those that end in a pooling window of fixed size need whole images.
ZOO: dict[str, ZooNetwork] = {
    "alexnet": ZooNetwork(_vision("alexnet"), (1, 3, 63, 63)),
    "vgg11": ZooNetwork(_vision("vgg11"), (1, 3, 32, 32)),
    "squeezenet1.0": ZooNetwork(_vision("squeezenet1.0"), (1, 3, 224, 224)),
    "squeezenet1.1": ZooNetwork(_vision("squeezenet1.1"), (1, 3, 224, 224)),
    "resnet18_v1": ZooNetwork(_vision("resnet18_v1"), (2, 3, 64, 64), trains=True),
    "resnet18_v2": ZooNetwork(_vision("resnet18_v2"), (2, 3, 64, 64), trains=True),
    "mobilenet0.25": ZooNetwork(_vision("mobilenet0.25"), (2, 3, 64, 64), trains=True),
    "mobilenetv2_0.25": ZooNetwork(_vision("mobilenetv2_0.25"), (2, 3, 64, 64), trains=True),
    "densenet121": ZooNetwork(_vision("densenet121"), (1, 3, 224, 224)),
    "inceptionv3": ZooNetwork(_vision("inceptionv3"), (1, 3, 299, 299)),
    "ssd_300_mobilenet0.25": ZooNetwork(
        _gluoncv("ssd_300_mobilenet0.25_voc", anchor_alloc_size=20), (1, 3, 300, 300)
    ),
    "yolo3_mobilenet0.25": ZooNetwork(_gluoncv("yolo3_mobilenet0.25_voc"), (1, 3, 96, 128)),
}  # fmt: skip


def filling(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers for the parameter or input ``name`` that keep the values of a network near one.

    Weights have the variance 2 / fan-in (He et al. 2015, https://arxiv.org/abs/1502.01852), variances and scales are
    near one, biases and means near zero. The last layers of YOLO are given less, since their outputs are exponents.
    """
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith(("gamma", "var")):
        low, high = 0.5, 1.5
    elif name.endswith(("beta", "bias", "mean")):
        low, high = -0.2, 0.2
    else:
        high = math.sqrt(3 if len(shape) < 2 or name == "data" else 6 / math.prod(shape[1:]))
        high *= 0.02 if "yolooutput" in name else 1
        low = -high
    return random.uniform(low, high, shape).astype("float32")


def export(mx: Any, name: str) -> tuple[str, dict[str, np.ndarray]]:
    """The text of the symbol file which MXNet writes for a network, and its constants."""
    network = ZOO[name]
    block = network.build(mx, f"{name}_")
    block.initialize()
    block.hybridize()
    block(mx.nd.zeros(network.shape))
    constants = {
        key: parameter.data().asnumpy()
        for key, parameter in block.collect_params().items()
        if isinstance(parameter, mx.gluon.Constant)
    }
    with tempfile.TemporaryDirectory() as folder:
        block.export(f"{folder}/net")
        text = Path(f"{folder}/net-symbol.json").read_text(encoding="utf-8")
    return text, constants


def infer(symbol: Any, network: ZooNetwork) -> dict[str, Any]:
    """The shapes of arguments and auxiliary states, and of every value inside."""
    internals = symbol.get_internals()
    arguments, inner, auxiliary = internals.infer_shape(data=network.shape)
    return {
        "arguments": [[name, list(shape)] for name, shape in zip(symbol.list_arguments(), arguments)],
        "internals": [[name, list(shape)] for name, shape in zip(internals.list_outputs(), inner)],
        "auxiliary": [[name, list(shape)] for name, shape in zip(symbol.list_auxiliary_states(), auxiliary)],
    }


def _bind(
    mx: Any,
    symbol: Any,
    network: ZooNetwork,
    constants: Mapping[str, np.ndarray],
    grad_req: str = "null",
    dtype: str = "float32",
) -> Any:
    # Every type is given, because Gluon has written float32 into the variables.
    types = dict.fromkeys(symbol.list_inputs(), dtype)
    executor = symbol.simple_bind(mx.cpu(), grad_req=grad_req, type_dict=types, data=network.shape)
    for arrays in (executor.arg_dict, executor.aux_dict):
        for name, array in arrays.items():
            array[:] = mx.nd.array(constants[name] if name in constants else filling(name, array.shape), dtype=dtype)
    return executor


def predict(mx: Any, symbol: Any, network: ZooNetwork, constants: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs in inference."""
    return [array.asnumpy() for array in _bind(mx, symbol, network, constants).forward(is_train=False)]


def train(
    mx: Any, symbol: Any, network: ZooNetwork, constants: Mapping[str, np.ndarray], dtype: str = "float64"
) -> dict[str, dict[str, np.ndarray]]:
    """Digests of outputs, gradients and states of one step in training.

    It is recorded in float64: in float32 there is always a rectifier whose input rounds to the other side of zero,
    and in layers as small as these it can be felt.
    """
    executor = _bind(mx, symbol, network, constants, "write", dtype)
    outputs = executor.forward(is_train=True)
    heads = [filling(f"head {i}", output.shape) for i, output in enumerate(outputs)]
    executor.backward([mx.nd.array(head, dtype=dtype) for head in heads])
    mx.nd.waitall()
    arrays = {
        "outputs": dict(zip(symbol.list_outputs(), outputs)),
        "gradients": executor.grad_dict,
        "states": executor.aux_dict,
    }
    return {part: {name: digest(a.asnumpy()) for name, a in named.items()} for part, named in arrays.items()}


def digest(array: np.ndarray) -> np.ndarray:
    """A large array in a few numbers: its norm, two sums with random signs, which feel any change, and some elements.

    All have the magnitude of the norm.
    """
    flat = array.astype("float64").ravel()
    signs = np.random.RandomState(flat.size).choice([-1.0, 1.0], (2, flat.size))
    some = flat[:: max(1, flat.size // 4)][:4] * math.sqrt(flat.size)
    return np.concatenate([[np.linalg.norm(flat)], signs @ flat, some])


def parameters(record: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Arguments (without the data) and auxiliary states of a recorded network, as its checkpoint would hold them."""
    constants, shapes = record["constants"], record["shapes"]
    arguments, states = (
        {name: constants[name] if name in constants else filling(name, tuple(shape)) for name, shape in shapes[part]}
        for part in ("arguments", "auxiliary")
    )
    del arguments["data"]
    return arguments, states
