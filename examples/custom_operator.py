"""An operator of one's own, in Python: hard negatives only.

A softmax loss whose gradient is zero for samples that are told right with confidence already, so that learning is
spent on the hard ones (A. Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
Mining", 2016). It is written with arrays, registered by name, and used in a network like any other operator; as it is
a loss, no gradient comes from above (``need_top_grad=False``).

    python examples/custom_operator.py         train on digits; results go to build/custom_operator

Expected: right on more than 95 % of the digits kept for validation, although in the end only few samples of a batch
are still learnt from. The picture shows how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from shared import draw_curves, fit, parsed
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import symbind as mx

Arrays = list[mx.nd.NDArray]
hard_samples: list[float] = []  # in each batch of training


class HardSoftmax(mx.operator.CustomOp):
    """Softmax; its gradient is that of cross entropy for samples whose class has less than ``threshold``, else 0."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def forward(self, is_train: bool, req: list[str], in_data: Arrays, out_data: Arrays, aux: Arrays) -> None:
        self.assign(out_data[0], req[0], mx.nd.softmax(in_data[0]))

    def backward(
        self, req: list[str], out_grad: Arrays, in_data: Arrays, out_data: Arrays, in_grad: Arrays, aux: Arrays
    ) -> None:
        probabilities, label = out_data[0], in_data[1]
        hard = mx.nd.pick(probabilities, label) < self.threshold
        hard_samples.append(float(hard.mean().asscalar()))
        gradient = probabilities - mx.nd.one_hot(label, probabilities.shape[1])
        self.assign(in_grad[0], req[0], gradient * hard.reshape((-1, 1)))
        self.assign(in_grad[1], req[1], mx.nd.zeros_like(label))


@mx.operator.register("hard_softmax")
class HardSoftmaxProp(mx.operator.CustomOpProp):
    """What the graph has to know of it."""

    def __init__(self, threshold: str = "0.9") -> None:
        super().__init__(need_top_grad=False)
        self.threshold = float(threshold)  # keywords arrive as text

    def list_arguments(self) -> list[str]:
        return ["data", "label"]

    def infer_shape(self, in_shape: list) -> tuple[list, list, list]:
        return [in_shape[0], in_shape[0][:1]], [in_shape[0]], []

    def create_operator(self, ctx: Any, shapes: list, dtypes: list) -> HardSoftmax:
        return HardSoftmax(self.threshold)


def main(arguments: Sequence[str] | None = None) -> float:
    """Train as the command line says; the accuracy of validation."""
    options = parsed(__doc__, "custom_operator", arguments, epochs=15)
    hard_samples.clear()
    images, labels = load_digits(return_X_y=True)
    x, valid_x, y, valid_y = train_test_split(images / 16, labels, test_size=0.2, stratify=labels, random_state=0)
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=64)
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="relu"), num_hidden=10)
    net = mx.sym.Custom(data=net, op_type="hard_softmax", threshold=0.9, name="softmax")
    curves = fit(
        mx.mod.Module(net), mx.io.NDArrayIter(x, y, 50, shuffle=True), mx.io.NDArrayIter(valid_x, valid_y, 50),
        mx.metric.Accuracy, num_epoch=8 if options.short else options.epochs, initializer=mx.init.Xavier(),
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
    )  # fmt: skip
    of_epochs = [float(np.mean(part)) for part in np.array_split(hard_samples, len(curves["training"]))]
    draw_curves(options.out / "curves.png", {**curves, "samples learnt from": of_epochs}, "share", "Hard samples only")
    print(f"learnt from {of_epochs[0]:.0%} of the samples in the first epoch, from {of_epochs[-1]:.0%} in the last")
    print(f"results are in {options.out}")
    return curves["validation"][-1]


if __name__ == "__main__":
    main()
