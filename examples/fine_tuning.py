"""Fine-tuning: a network that knows seven digits learns the other three from thirty examples.

A convolutional network is trained on the digits from 0 to 6 of scikit-learn and saved. Its body, up to the layer
``flatten``, gets a new head for 7, 8 and 9, and is trained on ten examples of each; so is a network that begins with
nothing.

    python examples/fine_tuning.py             train all; results go to build/fine_tuning

Expected: after 15 epochs the fine-tuned network is right on more than 85 % of all other 7s, 8s and 9s, more often than
the one that begins with nothing. The picture shows both learning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from shared import draw_curves, fit, parsed
from sklearn.datasets import load_digits

import symbind as mx

Samples = tuple[np.ndarray, np.ndarray]


def network(classes: int) -> mx.sym.Symbol:
    net = mx.sym.Variable("data")
    for i, filters in enumerate((16, 32)):
        net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=filters, no_bias=True, name=f"conv{i}")
        net = mx.sym.Activation(mx.sym.BatchNorm(net, name=f"bn{i}"), act_type="relu", name=f"relu{i}")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=classes, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def digits(first: int, last: int) -> Samples:
    """The digits of some classes, which are numbered from 0."""
    images, labels = load_digits(return_X_y=True)
    chosen = np.flatnonzero((labels >= first) & (labels <= last))
    return images[chosen].reshape(-1, 1, 8, 8) / 16, labels[chosen] - first


def main(arguments: Sequence[str] | None = None) -> float:
    """Train and fine-tune; the accuracy of the fine-tuned network on digits it has not seen."""
    options = parsed(__doc__, "fine_tuning", arguments, epochs=15)
    prefix = str(options.out / "seven_digits")
    known = mx.mod.Module(network(7))
    known.fit(
        mx.io.NDArrayIter(*digits(0, 6), 50, shuffle=True), num_epoch=5, initializer=mx.init.Xavier(),
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
    )  # fmt: skip
    known.save_checkpoint(prefix, 5)

    symbol, arg_params, aux_params = mx.model.load_checkpoint(prefix, 5)
    body = symbol.get_internals()["flatten_output"]
    head = mx.sym.FullyConnected(body, num_hidden=3, name="fc1")
    tuned = mx.sym.SoftmaxOutput(head, name="softmax")
    kept = {name: value for name, value in arg_params.items() if not name.startswith("fc1")}

    images, labels = digits(7, 9)
    few = np.concatenate([np.flatnonzero(labels == digit)[:10] for digit in range(3)])
    rest = np.setdiff1d(np.arange(len(labels)), few)
    curves = {}
    for name, net, given in (
        ("body trained before", tuned, {"arg_params": kept, "aux_params": aux_params, "allow_missing": True}),
        ("from nothing", network(3), {}),
    ):
        print(name)
        curves[name] = fit(
            mx.mod.Module(net), mx.io.NDArrayIter(images[few], labels[few], 10, shuffle=True),
            mx.io.NDArrayIter(images[rest], labels[rest], 50), mx.metric.Accuracy,
            num_epoch=5 if options.short else options.epochs, optimizer_params={"learning_rate": 0.01},
            initializer=mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2), **given,
        )["validation"]  # fmt: skip
    draw_curves(options.out / "accuracy.png", curves, "accuracy", "7, 8 and 9, from ten examples of each")
    print(f"results are in {options.out}")
    return curves["body trained before"][-1]


if __name__ == "__main__":
    main()
