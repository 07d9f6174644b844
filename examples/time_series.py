"""An LSTM on a multivariate time series: brain waves, predicted one sample ahead.

The recording comes with matplotlib: four electrodes, 800 samples. A network with one LSTM layer is trained on
stretches of the first 600, by one ``RNN`` operator on whole sequences. Then it walks through the rest sample by
sample, its states carried along, and says each time what the first electrode will have next.

    python examples/time_series.py             train and predict; results go to build/time_series

Expected: the mean square error of the predictions is below that of expecting no change (1.0 in the printed units),
and below a third of the variance. The picture shows the last second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import cbook
from matplotlib.figure import Figure
from shared import draw_curves, fit, parsed

import symbind as mx

STEPS, BATCH_SIZE, KNOWN = 40, 16, 600
STATES = {"rnn.state": "RNN_state_output", "rnn.state.cell": "RNN_statecell_output"}


def recording() -> np.ndarray:
    """(800, 4), each electrode with mean 0 and variance 1."""
    with cbook.get_sample_data("eeg.dat") as file:
        waves = np.frombuffer(file.read(), float).reshape(-1, 4)
    return ((waves - waves.mean(axis=0)) / waves.std(axis=0)).astype(np.float32)


def stretches(waves: np.ndarray) -> mx.io.NDArrayIter:
    """Every fifth stretch of the recording, labelled with the first electrode one sample later."""
    starts = range(0, len(waves) - STEPS, 5)
    data = np.stack([waves[start : start + STEPS] for start in starts])
    label = np.stack([waves[start + 1 : start + STEPS + 1, 0] for start in starts])
    return mx.io.NDArrayIter(data, label, BATCH_SIZE, shuffle=True, last_batch_handle="discard", label_name="label")


def square_error() -> mx.metric.EvalMetric:
    return mx.metric.CustomMetric(lambda label, out: np.mean((label.ravel() - out.ravel()) ** 2), name="error")


def main(arguments: Sequence[str] | None = None) -> float:
    """Train and predict; the error, as a multiple of that of expecting no change."""
    options = parsed(__doc__, "time_series", arguments, epochs=40, hidden=8)
    waves = recording()
    network = mx.rnn.graph(
        num_rnn_layer=1, num_hidden=options.hidden, num_decode=1, cell_type="lstm", loss_output="linear",
        output_last_state=True, config="one-to-one",
    )  # fmt: skip
    module = mx.mod.Module(network, label_names=["label"], state_names=list(STATES))
    curves = fit(
        module, stretches(waves[:KNOWN]), stretches(waves[KNOWN:]), square_error,
        num_epoch=15 if options.short else options.epochs, optimizer="adam", initializer=mx.init.Xavier(),
        optimizer_params={"learning_rate": 0.01, "rescale_grad": 1 / (BATCH_SIZE * STEPS)},
    )  # fmt: skip
    draw_curves(options.out / "error.png", curves, "mean square error", "Brain waves, one sample ahead")

    step = mx.rnn.StepByStep(network, module.get_params()[0], STATES, data=(1, 1, 4), label=(1, 1))
    predicted = np.array([step(data=sample[None, None])[0].asscalar() for sample in waves[KNOWN:-1]])
    before, truth = waves[KNOWN:-1, 0], waves[KNOWN + 1 :, 0]
    settled = slice(STEPS // 2, None)  # it begins with a state of zeros
    error, unchanged = (float(np.mean((guess - truth)[settled] ** 2)) for guess in (predicted, before))
    print(f"error {error:.3f}, that of expecting no change {unchanged:.3f}, variance {truth.var():.3f}")

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(truth[settled], label="recorded", color="black", linewidth=1)
    axes.plot(predicted[settled], label="predicted one sample before")
    axes.set(xlabel="sample", ylabel="first electrode")
    axes.legend()
    figure.savefig(options.out / "waves.png", dpi=120)
    print(f"results are in {options.out}")
    return error / unchanged


if __name__ == "__main__":
    main()
