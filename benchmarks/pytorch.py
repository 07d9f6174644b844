"""PyTorch: eager, in its channels_last layout, compiled, and in bfloat16 where it chooses to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import nn

from .torch_networks import NETWORKS
from .workload import LEARNING_RATE, MOMENTUM, Batch

__all__ = ["step"]


def step(framework: str, variant: str, network: str, training: bool, batch: Batch) -> Callable[[], object]:
    """One training step or one prediction; ``variant`` is eager, channels_last, compile or autocast.

    What is compiled, or computed in bfloat16, works in channels_last too: it is faster so. Compiled for inference,
    the weights are constants.
    """
    model: nn.Module = NETWORKS[network]()
    data, label = batch.arrays()
    x, y = torch.from_numpy(data), torch.from_numpy(label).long().flatten()
    if variant != "eager" and x.dim() == 4:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if batch.integers:
        x = x.long()
    model.train(training)
    run = model
    if variant == "compile":
        torch._inductor.config.freezing = not training
        run = torch.compile(model)
    precision = torch.autocast("cpu", torch.bfloat16) if variant == "autocast" else nullcontext()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, foreach=True)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision:
            loss = F.cross_entropy(run(x), y)
        loss.backward()
        optimizer.step()

    def infer() -> None:
        # Freezing works under no_grad only.
        with torch.no_grad() if variant == "compile" else torch.inference_mode(), precision:
            torch.softmax(run(x), dim=-1)

    return train if training else infer
