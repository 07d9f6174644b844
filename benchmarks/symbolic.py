"""symbind and MXNet: the same module code drives both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .networks import NETWORKS
from .workload import LEARNING_RATE, MOMENTUM, Batch

__all__ = ["step"]


def step(framework: str, variant: str, network: str, training: bool, batch: Batch) -> Callable[[], object]:
    """One training step (forward, backward, update) or one prediction.

    ``variant`` may be ``bfloat16``: mixed precision with master weights in float32.
    """
    if framework == "mxnet":
        np.bool = bool  # type: ignore[misc]  # this version of MXNet asks for an alias that NumPy has dropped
        import mxnet as mx
    else:
        import symbind as mx
    net = NETWORKS[network](mx)
    if variant:
        net = mx.contrib.amp.convert_symbol(net, variant)
    module = mx.mod.Module(net, context=mx.cpu())
    module.bind([("data", batch.data)], [("softmax_label", batch.label)], for_training=training)
    module.init_params(mx.init.Xavier())
    data, label = batch.arrays()
    inputs = mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(label)])

    def train() -> None:
        module.forward(inputs, is_train=True)
        module.backward()
        module.update()
        mx.nd.waitall()

    def infer() -> None:
        module.forward(inputs, is_train=False)
        mx.nd.waitall()

    if not training:
        return infer
    module.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": LEARNING_RATE, "momentum": MOMENTUM})
    return train
