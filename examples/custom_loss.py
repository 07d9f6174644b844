"""A loss of one's own: predict not the middle but a range, by two quantiles.

``MakeLoss`` makes a loss of any formula. Here it is that of quantile regression, q max(e, 0) + (1 - q) max(-e, 0) for
an error e, whose minimum is the value that the truth stays below with probability q (R. Koenker and G. Bassett, 1978).
One network predicts a low and a high quantile for the patients of scikit-learn's diabetes data; every fifth patient
is kept for the test. Predictions come from inside the trained network, as the output of a loss symbol is the loss.

    python examples/custom_loss.py             train; a picture goes to build/custom_loss

Expected: asked for the range from 10 % to 90 %, about 80 % of the test patients are inside it (at least 65 %, and at
most 95 %). The picture shows the ranges and the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from shared import parsed
from sklearn.datasets import load_diabetes

import symbind as mx

LOW, HIGH = 0.1, 0.9


def network() -> mx.sym.Symbol:
    """A small network with two outputs, and the sum of their quantile losses."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=14, name="fc1")
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="tanh"), num_hidden=2, name="range")
    label = mx.sym.Variable("label")
    losses = []
    for quantile, predicted in zip((LOW, HIGH), mx.sym.split(net, num_outputs=2, axis=1, squeeze_axis=True)):
        error = label - predicted
        losses.append(quantile * mx.sym.relu(error) + (1 - quantile) * mx.sym.relu(-error))
    return mx.sym.MakeLoss(losses[0] + losses[1], name="quantile_loss")


def draw(path: Path, ranges: np.ndarray, truth: np.ndarray) -> None:
    order = ranges.mean(axis=1).argsort()
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.vlines(range(len(order)), *ranges[order].T, color="tab:blue", alpha=0.4, label=f"{LOW:.0%} to {HIGH:.0%}")
    axes.plot(truth[order], "k.", markersize=4, label="true")
    axes.set(xlabel="patient", ylabel="progression of diabetes (scaled)")
    axes.legend()
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> float:
    """Train as the command line says; the share of test patients within their range."""
    options = parsed(__doc__, "custom_loss", arguments, epochs=60)
    x, y = load_diabetes(return_X_y=True)
    x, y = ((values - values.mean(axis=0)) / values.std(axis=0) for values in (x, y))
    test = np.arange(len(x)) % 5 == 0
    loss = network()
    module = mx.mod.Module(loss, label_names=["label"])
    module.fit(
        mx.io.NDArrayIter(x[~test], y[~test], 30, shuffle=True, label_name="label"),
        num_epoch=20 if options.short else options.epochs, eval_metric=mx.metric.Loss(), optimizer="adam",
        optimizer_params={"learning_rate": 0.005}, initializer=mx.init.Xavier(),
    )  # fmt: skip
    predictor = mx.mod.Module(loss.get_internals()["range_output"], label_names=None)
    predictor.bind([("data", (int(test.sum()), 10))], for_training=False)
    predictor.set_params(*module.get_params())
    ranges = predictor.predict(mx.nd.array(x[test])).asnumpy()
    inside = float(((ranges[:, 0] < y[test]) & (y[test] < ranges[:, 1])).mean())
    print(f"{inside:.0%} of {test.sum()} patients are within the range from {LOW:.0%} to {HIGH:.0%}")
    draw(options.out / "ranges.png", ranges, y[test])
    print(f"a picture is in {options.out}")
    return inside


if __name__ == "__main__":
    main()
