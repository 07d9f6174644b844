"""Classify real images with a network that is loaded from files, and see what it looks at.

Networks trained on millions of images cannot be shipped with an example. A small one of the same kind (convolutions,
batch normalization, branches that are concatenated) is trained on pieces of the two photographs that come with
scikit-learn, a Chinese temple and a flower, and saved. From then on everything is as with a downloaded network: load
the files, cut the middle square of a photograph, resize it, subtract the mean image, predict. Last, the network is
applied to every place of a picture made of both, which shows where it sees which.

    python examples/classify_image.py          train, load, classify; results go to build/classify_image

Expected: both photographs, which the network never saw as a whole, are told right, with a probability above 0.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from shared import parsed
from sklearn.datasets import load_sample_image

import symbind as mx

PIECE, SIZE = 160, 48
NAMES = "temple", "flower"


def network() -> mx.sym.Symbol:
    """Two branches, as in Szegedy et al., "Going deeper with convolutions" (2014)."""

    def unit(data: mx.sym.Symbol, filters: int, kernel: int, name: str) -> mx.sym.Symbol:
        net = mx.sym.Convolution(
            data, num_filter=filters, kernel=(kernel, kernel), pad=(kernel // 2, kernel // 2), name=f"conv_{name}"
        )
        return mx.sym.Activation(mx.sym.BatchNorm(net, name=f"bn_{name}"), act_type="relu", name=f"relu_{name}")

    net = mx.sym.Pooling(unit(mx.sym.Variable("data"), 12, 7, "first"), kernel=(4, 4), stride=(4, 4), pool_type="max")
    net = mx.sym.Concat(unit(net, 8, 1, "1x1"), unit(net, 8, 3, "3x3"), name="concat")
    net = mx.sym.Pooling(net, kernel=(1, 1), global_pool=True, pool_type="avg", name="global_pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=2, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def resized(piece: np.ndarray) -> np.ndarray:
    """A piece of a photograph as the network wants it: small, channels first."""
    small = mx.image.imresize(mx.nd.array(piece, dtype="uint8"), SIZE, SIZE).asnumpy()
    return small.transpose(2, 0, 1).astype(np.float32)


def train(prefix: Path, pieces: int, epochs: int) -> None:
    """Train on random pieces and write symbol, parameters and mean image to files."""
    images, labels = [], []
    for label, name in enumerate(("china.jpg", "flower.jpg")):
        photograph = load_sample_image(name)
        for _ in range(pieces):
            top, left = (np.random.randint(0, side - PIECE) for side in photograph.shape[:2])
            images.append(resized(photograph[top : top + PIECE, left : left + PIECE]))
            labels.append(label)
    mean = np.mean(images, axis=0)
    module = mx.mod.Module(network())
    module.fit(
        mx.io.NDArrayIter(np.array(images) - mean, np.array(labels), 20, shuffle=True),
        num_epoch=epochs, optimizer="adam", initializer=mx.init.Xavier(),
    )  # fmt: skip
    module.save_checkpoint(str(prefix), epochs)
    mx.nd.save(f"{prefix}_mean.nd", {"mean_img": mx.nd.array(mean)})


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Train, load and classify; the probability of the truth for each photograph."""
    options = parsed(__doc__, "classify_image", arguments, epochs=8)
    epochs = 4 if options.short else options.epochs
    prefix = options.out / "temple_or_flower"
    train(prefix, pieces=40 if options.short else 200, epochs=epochs)

    symbol, arg_params, aux_params = mx.model.load_checkpoint(str(prefix), epochs)
    mean = mx.nd.load(f"{prefix}_mean.nd")["mean_img"].asnumpy()
    module = mx.mod.Module(symbol, label_names=None)
    module.bind([("data", (1, 3, SIZE, SIZE))], for_training=False)
    # Without label names the label counts as a parameter, which no file has.
    module.set_params(arg_params, aux_params, allow_missing=True)

    def predict(piece: np.ndarray) -> np.ndarray:
        return module.predict(mx.nd.array(resized(piece)[None] - mean)).asnumpy()[0]

    right = []
    for truth, name in enumerate(("china.jpg", "flower.jpg")):
        photograph = load_sample_image(name)
        height, width, _ = photograph.shape
        left = (width - height) // 2
        probabilities = predict(photograph[:, left : left + height])
        right.append(float(probabilities[truth]))
        print(f"{name}: {NAMES[probabilities.argmax()]}, probability {probabilities.max():.3f}")

    both = np.hstack([load_sample_image("china.jpg")[:, 50:370], load_sample_image("flower.jpg")[:, 150:470]])
    down, across = (range(0, side - PIECE + 1, 60 if options.short else 20) for side in both.shape[:2])
    seen = [[predict(both[y : y + PIECE, x : x + PIECE])[1] for x in across] for y in down]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, title in zip(figure.subplots(1, 2), ("both side by side", "how likely a flower, place by place")):
        axes.set_title(title)
        axes.axis("off")
    figure.axes[0].imshow(both)
    drawn = figure.axes[1].imshow(seen, vmin=0, vmax=1, cmap="coolwarm", aspect="auto")
    figure.colorbar(drawn)
    figure.savefig(options.out / "seen.png", dpi=100)
    print(f"results are in {options.out}")
    return right


if __name__ == "__main__":
    main()
