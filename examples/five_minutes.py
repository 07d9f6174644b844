"""Two networks in five minutes: one that tells tumours apart, and one that predicts how a disease goes on.

The first is a perceptron made and trained in one call, on the breast cancer data of scikit-learn (W. Street et al.,
1993: 30 measures of cell nuclei). The second is a single neuron on the diabetes data (B. Efron et al., 2004: 10
measures of patients), which is linear regression; the result is compared with the exact solution.

    python examples/five_minutes.py            train both; a picture goes to build/five_minutes

Expected: more than 96 % of the 169 tumours kept for the test are told right; the error of the neuron is within 2 % of
that of the exact solution. The picture shows predictions against the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from shared import parsed
from sklearn.datasets import load_breast_cancer, load_diabetes

import symbind as mx


def scaled(x: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and variance 1."""
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)


def tumours(epochs: int) -> float:
    """Train a perceptron with ten hidden neurons; the share of test samples it tells right."""
    x, y = load_breast_cancer(return_X_y=True)
    x = scaled(x)
    model = mx.mlp(
        x[:400], y[:400], hidden_node=10, out_node=2, out_activation="softmax",
        num_epoch=epochs, numpy_batch_size=15, learning_rate=0.07, momentum=0.9, eval_metric="acc",
    )  # fmt: skip
    predicted = model.predict(x[400:]).argmax(axis=1)
    print("predicted \\ true   malignant  benign")
    for answer, name in enumerate(("malignant", "benign")):
        counts = [int(((predicted == answer) & (y[400:] == truth)).sum()) for truth in (0, 1)]
        print(f"{name:>16}   {counts[0]:9d}  {counts[1]:6d}")
    return float((predicted == y[400:]).mean())


def disease(epochs: int, picture: Path) -> float:
    """Train a neuron; its root mean square error, as a multiple of that of the exact solution."""
    x, y = load_diabetes(return_X_y=True)
    x, y = scaled(x), scaled(y)
    net = mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1))
    model = mx.model.FeedForward.create(
        net, x, y, num_epoch=epochs, numpy_batch_size=20, learning_rate=0.01, momentum=0.9, eval_metric="rmse"
    )
    predicted = model.predict(x).ravel()
    exact = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(y, predicted, ".", alpha=0.6)
    axes.axline((0, 0), slope=1, color="grey", linewidth=1)
    axes.set(xlabel="true", ylabel="predicted", title="Progression of diabetes after a year")
    figure.savefig(picture, dpi=120)
    return float(np.sqrt(((predicted - y) ** 2).mean() / ((exact - y) ** 2).mean()))


def main(arguments: Sequence[str] | None = None) -> tuple[float, float]:
    """Run both as the command line says; their results."""
    options = parsed(__doc__, "five_minutes", arguments, epochs=20)
    epochs = 5 if options.short else options.epochs
    warnings.filterwarnings("ignore", message="mxnet.model.FeedForward has been deprecated")
    accuracy = tumours(epochs)
    print(f"told right: {accuracy:.1%}")
    error = disease(5 * epochs, options.out / "disease.png")
    print(f"error of the neuron: {error:.3f} times that of the exact solution")
    print(f"a picture is in {options.out}")
    return accuracy, error


if __name__ == "__main__":
    main()
