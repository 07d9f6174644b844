"""Train LeNet on real handwritten digits, save it, and check the saved network in a new process.

The digits are the 1797 scans of 8x8 pixels that ship inside scikit-learn (Optical Recognition of Handwritten Digits,
E. Alpaydin and C. Kaynak, UCI 1998), enlarged to 20x20 and framed to 28x28 as those of MNIST are. A fifth of them is
set aside first; it serves only to measure accuracy, and nothing is chosen by it. The rest is trained on, each digit
once as it is and three times shifted a little. The network is that of LeCun et al., "Gradient-based learning applied to
document recognition" (1998), in the variant MXNet's tutorials use.

    python examples/digits_lenet.py                     train; results go to build/demo
    python examples/digits_lenet.py --evaluate PREFIX   only load a checkpoint and print its validation accuracy

Expected: a validation accuracy above 0.98 after six epochs, which take a few seconds, and the same one from the saved
network. The network and its learning curve are drawn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import symbind as mx
from symbind.base import atomic_write

# The 360 digits set aside make whole batches, so that none counts twice in their accuracy.
BATCH_SIZE = 40
EPOCHS = 6
SHIFTED_COPIES = 3
FARTHEST_SHIFT = 2
SEED = 7


def lenet() -> mx.sym.Symbol:
    """Two convolutions and two fully connected layers."""
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50), start=1):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{i}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.FullyConnected(net, num_hidden=500, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def digits() -> tuple[mx.io.NDArrayIter, mx.io.NDArrayIter]:
    """Iterators over training and validation digits of shape (1, 28, 28), with pixels in [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    images = zoom(images.reshape(-1, 8, 8) / 16, (1, 2.5, 2.5), order=1)
    images = np.pad(images, ((0, 0), (4, 4), (4, 4)))[:, None]
    train_x, valid_x, train_y, valid_y = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=SEED
    )
    shifted = [shift_at_random(train_x, seed) for seed in range(SHIFTED_COPIES)]
    train_x = np.concatenate([train_x, *shifted])
    train_y = np.tile(train_y, 1 + SHIFTED_COPIES)
    return (
        mx.io.NDArrayIter(train_x, train_y, BATCH_SIZE, shuffle=True),
        mx.io.NDArrayIter(valid_x, valid_y, BATCH_SIZE),
    )


def shift_at_random(images: np.ndarray, seed: int) -> np.ndarray:
    """Each image moved by up to ``FARTHEST_SHIFT`` pixels in both directions; the frame is wide enough for that."""
    shifts = np.random.RandomState(seed).randint(-FARTHEST_SHIFT, FARTHEST_SHIFT + 1, (len(images), 2))
    return np.stack([np.roll(image, shift, axis=(1, 2)) for image, shift in zip(images, shifts)])


def train(out: Path) -> float:
    """Train, print what happens, write all results to ``out``; returns the validation accuracy."""
    np.random.seed(SEED)
    mx.random.seed(SEED)
    training, validation = digits()
    net = lenet()
    shapes = {d.name: d.shape for d in training.provide_data + training.provide_label}
    mx.viz.print_summary(net, {"data": shapes["data"]}, line_length=88)
    with atomic_write(out / "network.svg", "w") as file:
        file.write(mx.viz.to_svg(net, shapes, title="LeNet"))
    print(f"\nmemory of a training step of {BATCH_SIZE} digits\n{net.simple_bind(mx.cpu(), **shapes).memory_plan()}\n")

    steps = EPOCHS * -(-training.num_data // BATCH_SIZE)
    bar = tqdm(total=steps, unit="step", desc="training")
    curve = mx.callback.LearningCurve(out / "learning_curve.png", title="LeNet on handwritten digits")

    def report(step) -> None:
        training, validation = (curves["accuracy"][step.epoch] for curves in (curve.training, curve.validation))
        bar.write(
            f"epoch {step.epoch + 1:2d}   training accuracy {training:.4f}   validation accuracy {validation:.4f}"
        )

    module = mx.mod.Module(net, context=mx.cpu())
    start = time.perf_counter()
    module.fit(
        training,
        eval_data=validation,
        eval_metric="acc",
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.05, "momentum": 0.9, "wd": 1e-4},
        initializer=mx.init.Xavier(),
        num_epoch=EPOCHS,
        batch_end_callback=[curve.after_batch, lambda _: bar.update()],
        eval_end_callback=[curve.after_evaluation, report],
    )
    seconds = time.perf_counter() - start
    bar.close()
    print(f"\ntrained in {seconds:.1f} s")
    module.save_checkpoint(str(out / "lenet"), EPOCHS)
    return curve.validation["accuracy"][EPOCHS - 1]


def evaluate(prefix: str) -> float:
    """Validation accuracy of a saved network."""
    _, validation = digits()
    module = mx.mod.Module.load(prefix, EPOCHS)
    module.bind(validation.provide_data, validation.provide_label, for_training=False)
    return dict(module.score(validation, "acc"))["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train LeNet on handwritten digits.")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for the results")
    parser.add_argument("--evaluate", metavar="PREFIX", help="load this checkpoint instead of training")
    arguments = parser.parse_args()
    if arguments.evaluate:
        print(f"{evaluate(arguments.evaluate):.4f}")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    accuracy = train(arguments.out)
    again = subprocess.run(
        [sys.executable, __file__, "--evaluate", str(arguments.out / "lenet")],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.strip()  # fmt: skip
    print(f"validation accuracy of the checkpoint, loaded in a new process: {again}")
    print(f"results are in {arguments.out}")
    if again != f"{accuracy:.4f}":
        sys.exit(f"the loaded network differs from the trained one, which had {accuracy:.4f}")


if __name__ == "__main__":
    main()
