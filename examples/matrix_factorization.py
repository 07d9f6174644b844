"""Matrix factorization: fill in the missing pixels of a photograph, as one would the missing ratings of films.

A rating belongs to a user and a film; here a grey value belongs to a row and a column of scikit-learn's photograph of
a temple. Each row and each column is embedded in a few numbers, and the product of the two predicts the value. It is
trained on a random half of the pixels, and tested on the other.

    python examples/matrix_factorization.py    train; a picture goes to build/matrix_factorization

Expected: the pixels that were left out are predicted with an error (root mean square) below half of their standard
deviation. The picture shows the photograph, what the network saw, and what it made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from shared import fit, parsed
from sklearn.datasets import load_sample_image

import symbind as mx


def network(rows: int, columns: int, factors: int) -> mx.sym.Symbol:
    """The inner product of a row's and a column's numbers."""
    row = mx.sym.Embedding(mx.sym.Variable("row"), input_dim=rows, output_dim=factors, name="rows")
    column = mx.sym.Embedding(mx.sym.Variable("column"), input_dim=columns, output_dim=factors, name="columns")
    return mx.sym.LinearRegressionOutput(mx.sym.sum(row * column, axis=1), mx.sym.Variable("value"), name="out")


def pixels(grey: np.ndarray, chosen: np.ndarray) -> mx.io.NDArrayIter:
    """Row, column and value of some of the pixels, given by their numbers."""
    row, column = np.unravel_index(chosen, grey.shape)
    return mx.io.NDArrayIter({"row": row, "column": column}, {"value": grey.flat[chosen]}, 512, shuffle=True)


def main(arguments: Sequence[str] | None = None) -> float:
    """Train as the command line says; the error on pixels left out, in standard deviations."""
    options = parsed(__doc__, "matrix_factorization", arguments, epochs=15, factors=16)
    grey = load_sample_image("china.jpg")[::4, ::4].mean(axis=2)
    grey = ((grey - grey.mean()) / grey.std()).astype(np.float32)
    order = np.random.permutation(grey.size)
    seen, left_out = order[: grey.size // 2], order[grey.size // 2 :]
    module = mx.mod.Module(network(*grey.shape, options.factors), data_names=["row", "column"], label_names=["value"])
    curves = fit(
        module, pixels(grey, seen), pixels(grey, left_out), mx.metric.RMSE,
        num_epoch=8 if options.short else options.epochs, optimizer="adam", optimizer_params={"learning_rate": 0.02},
        initializer=mx.init.Uniform(0.3),
    )  # fmt: skip
    params, _ = module.get_params()
    filled = params["rows_weight"].asnumpy() @ params["columns_weight"].asnumpy().T
    figure = Figure(figsize=(9, 3), layout="constrained")
    masked = np.full(grey.shape, np.nan)
    masked.flat[seen] = grey.flat[seen]
    for axes, title, image in zip(figure.subplots(1, 3), ("photograph", "seen", "filled in"), (grey, masked, filled)):
        axes.imshow(image, cmap="gray", vmin=grey.min(), vmax=grey.max())
        axes.set_title(title)
        axes.axis("off")
    figure.savefig(options.out / "filled.png", dpi=120)
    print(f"a picture is in {options.out}")
    return curves["validation"][-1]


if __name__ == "__main__":
    main()
