"""symbind and MXNet: the same module code drives both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .networks import NETWORKS
from .workload import LEARNING_RATE, MOMENTUM, Batch

__all__ = ["step"]


def step(framework: str, variant: str, network: str, training: bool, batch: Batch) -> Callable[[], object]:
    """One training step (forward, backward, update) or one prediction."""
    if framework == "mxnet":
        np.bool = bool  # type: ignore[misc]  # this version of MXNet asks for an alias that NumPy has dropped
        import mxnet as mx
    else:
        import symbind as mx
    module = mx.mod.Module(NETWORKS[network](mx), context=mx.cpu())
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
