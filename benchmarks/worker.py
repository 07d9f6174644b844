"""One contender of a benchmark, in a process of its own: builds a network, then times steps when told to.

Started by ``compare.py``. Reads a number of steps per line from standard input, runs them, and answers with
milliseconds per step and the peak resident memory so far in MiB.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

Step = Callable[[], object]
LEARNING_RATE = 0.05


def batch_of(data: tuple[int, ...], label: tuple[int, ...], classes: int, integers: int) -> tuple:
    rng = np.random.RandomState(0)
    values = rng.randint(0, integers, data) if integers else rng.randn(*data)
    return values.astype(np.float32), rng.randint(0, classes, label).astype(np.float32)


def symbolic(framework: str, network: str, training: bool, batch: int | None) -> Step:
    """A step of symbind or MXNet: the same module code drives both."""
    if framework == "mxnet":
        np.bool = bool  # this version of MXNet asks for an alias that NumPy has dropped
        import mxnet as mx
    else:
        import symbind as mx
    from networks import WORKLOADS

    work = WORKLOADS[network](mx, **({"batch": batch} if batch else {}))
    module = mx.mod.Module(work.symbol, context=mx.cpu())
    module.bind([("data", work.data)], [("softmax_label", work.label)], for_training=training)
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": LEARNING_RATE, "momentum": work.momentum})
    data, label = batch_of(work.data, work.label, work.classes, work.integer_data)
    inputs = mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(label)])

    def train() -> None:
        module.forward(inputs, is_train=True)
        module.backward()
        module.update()
        mx.nd.waitall()

    def infer() -> None:
        module.forward(inputs, is_train=False)
        mx.nd.waitall()

    return train if training else infer


def torch_step(variant: str, network: str, training: bool, batch: int | None) -> Step:
    """A step of PyTorch: eager, channels_last, or compiled."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch_networks import NETWORKS

    spec = NETWORKS[network](**({"batch": batch} if batch else {}))
    model: nn.Module = spec.model
    data, label = batch_of(spec.data, spec.label, spec.classes, spec.integer_data)
    x, y = torch.from_numpy(data), torch.from_numpy(label).long().flatten()
    if variant == "channels_last" and x.dim() == 4:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if spec.integer_data:
        x = x.long()
    model.train(training)
    run = torch.compile(model) if variant == "compile" else model
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=spec.momentum, foreach=True)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(run(x), y).backward()
        optimizer.step()

    def infer() -> None:
        with torch.inference_mode():
            torch.softmax(run(x), dim=-1)

    return train if training else infer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender")
    parser.add_argument("network")
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("--batch", type=int)
    args = parser.parse_args()
    framework, _, variant = args.contender.partition("-")
    training = args.mode == "train"
    if framework == "torch":
        step = torch_step(variant or "eager", args.network, training, args.batch)
    else:
        step = symbolic(framework, args.network, training, args.batch)
    for _ in range(3):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        start = time.perf_counter()
        for _ in range(count):
            step()
        elapsed = (time.perf_counter() - start) / count * 1e3
        print(elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


if __name__ == "__main__":
    main()
