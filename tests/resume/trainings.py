"""Small trainings that depend on everything a snapshot must keep: random numbers, momentum, schedules, shuffling.

As a program it trains once, and may be killed at any moment: ``python -m tests.resume.trainings NAME SNAPSHOT RESULT``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import symbind as mx

SAMPLES, FEATURES, CLASSES, BATCH, EPOCHS = 90, 6, 3, 16, 4
Params = dict[str, np.ndarray]


def samples() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.RandomState(3)
    x = chance.randn(SAMPLES, FEATURES).astype("float32")
    return x, (x @ chance.randn(FEATURES, CLASSES)).argmax(1).astype("float32")


def network() -> mx.sym.Symbol:
    """With dropout, which draws random numbers, and batch normalization, which has auxiliary states."""
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=8, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn", fix_gamma=False)
    net = mx.sym.Dropout(mx.sym.Activation(net, act_type="tanh"), p=0.3)
    net = mx.sym.FullyConnected(net, num_hidden=CLASSES, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def shuffled(**settings: Any) -> mx.io.NDArrayIter:
    return mx.io.NDArrayIter(*samples(), BATCH, shuffle=True, **settings)


class Draws(mx.io.DataIter):
    """An iterator that says nothing of where it stands; its epochs follow from NumPy's random numbers."""

    def __init__(self) -> None:
        super().__init__(BATCH)
        self.provide_data = [mx.io.DataDesc("data", (BATCH, FEATURES))]
        self.provide_label = [mx.io.DataDesc("softmax_label", (BATCH,))]
        self.reset()

    def reset(self) -> None:
        self.chance = np.random.RandomState(np.random.randint(2**31))
        self.left = 6

    def next(self) -> mx.io.DataBatch:
        if not self.left:
            raise StopIteration
        self.left -= 1
        x, y = samples()
        rows = self.chance.randint(SAMPLES, size=BATCH)
        return mx.io.DataBatch([mx.nd.array(x[rows])], [mx.nd.array(y[rows])])


def schedule() -> mx.lr_scheduler.LRScheduler:
    return mx.lr_scheduler.FactorScheduler(step=5, factor=0.7, base_lr=0.1)


def result(params: tuple[dict, dict]) -> Params:
    return {name: array.asnumpy() for kind in params for name, array in kind.items()}


def trained(module: Any, data: Any, optimizer: str = "sgd", **settings: Any) -> Params:
    module.fit(data, num_epoch=EPOCHS, optimizer=optimizer, initializer=mx.init.Xavier(), **settings)
    return result(module.get_params())


def momentum(**settings: Any) -> Params:
    options = {"momentum": 0.9, "lr_scheduler": schedule(), "wd": 1e-3}
    return trained(mx.mod.Module(network()), shuffled(), optimizer_params=options, **settings)


def nadam(**settings: Any) -> Params:
    """Its states are beside the parameters', and samples roll over from epoch to epoch."""
    data = shuffled(last_batch_handle="roll_over")
    options = {"learning_rate": 0.01}
    return trained(mx.mod.Module(network()), data, "nadam", optimizer_params=options, **settings)


def prefetched(**settings: Any) -> Params:
    data = mx.io.ResizeIter(mx.io.PrefetchingIter(shuffled()), 4)
    return trained(mx.mod.Module(network()), data, "adam", **settings)


def unknown_iterator(**settings: Any) -> Params:
    return trained(mx.mod.Module(network()), Draws(), "rmsprop", eval_data=shuffled(), **settings)


def torch_loader(**settings: Any) -> Params:
    """Shuffled by torch's own random numbers, from which it draws when it is asked for its first batch."""
    torch.manual_seed(1)
    data = TensorDataset(*(torch.from_numpy(array) for array in samples()))
    return trained(mx.mod.Module(network()), DataLoader(data, BATCH, shuffle=True), "adam", **settings)


def two_contexts(**settings: Any) -> Params:
    """The optimizer runs in a store, and each context has auxiliary states of its own."""
    module = mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(1)])
    return trained(module, shuffled(), optimizer_params={"momentum": 0.9, "lr_scheduler": schedule()}, **settings)


def chain(**settings: Any) -> Params:
    first = mx.sym.Dropout(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=8, name="fc1"), p=0.2)
    second = mx.sym.FullyConnected(mx.sym.var("hidden"), num_hidden=CLASSES, name="fc2")
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(first, label_names=None))
    module.add(mx.mod.Module(mx.sym.SoftmaxOutput(second, name="softmax"), data_names=["hidden"]),
               take_labels=True, auto_wiring=True)  # fmt: skip
    return trained(module, shuffled(), optimizer_params={"momentum": 0.9}, **settings)


def buckets(**settings: Any) -> Params:
    chance = np.random.RandomState(5)
    sentences = [chance.randint(1, 12, size=length).tolist() for length in chance.choice([3, 5, 6], size=70)]
    data = mx.rnn.BucketSentenceIter(sentences, 8, buckets=[3, 6], invalid_label=0)

    def generate(length: int) -> tuple[mx.sym.Symbol, list[str], list[str]]:
        embedded = mx.sym.Embedding(mx.sym.var("data"), input_dim=12, output_dim=5, name="embed")
        cell = mx.rnn.LSTMCell(6, prefix="lstm_")
        outputs, _ = cell.unroll(length, embedded, merge_outputs=True)
        scores = mx.sym.FullyConnected(mx.sym.reshape(outputs, shape=(-1, 6)), num_hidden=12, name="pred")
        label = mx.sym.reshape(mx.sym.var("softmax_label"), shape=(-1,))
        return mx.sym.SoftmaxOutput(scores, label, name="softmax"), ["data"], ["softmax_label"]

    module = mx.mod.BucketingModule(generate, data.default_bucket_key)
    return trained(module, data, "adam", eval_metric=mx.metric.Perplexity(0), **settings)


def feed_forward(**settings: Any) -> Params:
    """Epochs of five batches, which end in the middle of the data."""
    model = mx.model.FeedForward(network(), num_epoch=EPOCHS, epoch_size=5, numpy_batch_size=BATCH, momentum=0.9)
    model.fit(*samples(), **settings)
    return result((model.arg_params, model.aux_params))


TRAININGS: dict[str, Callable[..., Params]] = {
    training.__name__: training
    for training in (
        momentum, nadam, prefetched, unknown_iterator, torch_loader, two_contexts, chain, buckets, feed_forward,
    )
}  # fmt: skip


def begin() -> None:
    """The random numbers that every training starts from."""
    random.seed(1)
    np.random.seed(1)
    mx.random.seed(1)
    mx.name.NameManager().__enter__()


def main(name: str, snapshot: str, target: str) -> None:
    begin()

    def report(param: Any) -> None:
        print(param.epoch, param.nbatch, flush=True)

    resume = mx.resume.Snapshot(snapshot, period=1)
    np.savez(target, **TRAININGS[name](resume=resume, batch_end_callback=report))


if __name__ == "__main__":
    main(*sys.argv[1:])
