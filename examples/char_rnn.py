"""Train a character-level language model with the fused RNN operator, then write text with it, step by step.

The text is the part of Python's own documentation that ``help()`` shows (``pydoc_data.topics``). Its last tenth is set
aside and measures the perplexity: two to the number of bits that the model needs for a character, on average. (Topics
quote each other, so that some of it is known from before.) To train, whole sequences go through one ``RNN`` operator.
To write, the same parameters are bound for a single step, and the states that come out are fed back in.

    python examples/char_rnn.py            train; results go to build/char_rnn

Expected: a validation perplexity below 4.2 after ten epochs, which take about a minute; guessing each character by its
frequency alone has a perplexity of 25. Written step by step, the scores of a sequence are those of the whole sequence
to within 1e-5. The learning curve is drawn into ``perplexity.png``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from shared import draw_curves, fit, parsed

import symbind as mx

SEQUENCE = 64
BATCH_SIZE = 32
EMBEDDED = 32
UNREADABLE = "\ufffd"  # for characters that are not ASCII
TEMPERATURE = 0.6  # below 1 sharpens the distribution from which characters are drawn
SEED = 5


class Model:
    """The network: an embedding, LSTM layers in one operator, and a softmax over the characters."""

    def __init__(self, characters: Sequence[str], hidden: int, layers: int) -> None:
        self.characters = list(characters)
        self.hidden = hidden
        self.cell = mx.rnn.FusedRNNCell(hidden, layers, mode="lstm", get_next_state=True, prefix="lstm_")

    def scores(self, length: int, begin_state: list | None = None) -> tuple[mx.sym.Symbol, list[mx.sym.Symbol]]:
        """A score for each character as the next one after each of ``length``, and the states then."""
        count = len(self.characters)
        embedded = mx.sym.Embedding(mx.sym.var("data"), input_dim=count, output_dim=EMBEDDED, name="embed")
        outputs, states = self.cell.unroll(length, embedded, begin_state=begin_state, merge_outputs=True)
        outputs = mx.sym.Reshape(outputs, shape=(-1, self.hidden))
        return mx.sym.FullyConnected(outputs, num_hidden=count, name="decode"), states

    def to_train(self) -> mx.sym.Symbol:
        """The network with its loss."""
        label = mx.sym.Reshape(mx.sym.var("label"), shape=(-1,))
        return mx.sym.SoftmaxOutput(self.scores(SEQUENCE)[0], label, name="loss")

    def encode(self, text: str) -> np.ndarray:
        """The characters of ``text`` as numbers."""
        numbers = {character: number for number, character in enumerate(self.characters)}
        return np.array([numbers.get(character, numbers[UNREADABLE]) for character in text], np.float32)

    def step_by_step(self, params: dict[str, mx.nd.NDArray]) -> mx.rnn.StepByStep:
        """The network for one character at a time; it gives the scores of the next."""
        self.cell.reset()
        begin = self.cell.begin_state(func=mx.sym.Variable)
        scores, states = self.scores(1, begin)
        becomes = {state.name: after for state, after in zip(begin, states)}
        return mx.rnn.StepByStep(scores, params, becomes, data=(1, 1))

    def write(self, params: dict[str, mx.nd.NDArray], start: str, length: int) -> str:
        """``start`` and ``length`` more characters, drawn from the sharpened distribution."""
        network = self.step_by_step(params)
        text, coming = start, list(self.encode(start))
        for _ in range(length):
            for number in coming:
                [output] = network(data=np.array([[number]], np.float32))
            scores = output.asnumpy()[0].astype(np.float64) / TEMPERATURE
            likelihoods = np.exp(scores - scores.max())
            coming = [np.random.choice(len(self.characters), p=likelihoods / likelihoods.sum())]
            text += self.characters[coming[0]]
        return text


def batches(numbers: np.ndarray) -> mx.io.NDArrayIter:
    """Sequences, each labelled with itself one character later."""
    count = (len(numbers) - 1) // SEQUENCE
    data = numbers[: count * SEQUENCE].reshape(count, SEQUENCE)
    label = numbers[1 : count * SEQUENCE + 1].reshape(count, SEQUENCE)
    return mx.io.NDArrayIter(data, label, BATCH_SIZE, shuffle=True, last_batch_handle="discard", label_name="label")


def frequency_perplexity(train: np.ndarray, valid: np.ndarray, characters: int) -> float:
    """The perplexity of guessing each character by its frequency, with one more of each to be safe."""
    counts = np.bincount(train.astype(int), minlength=characters) + 1.0
    return float(2 ** -np.log2(counts / counts.sum())[valid.astype(int)].mean())


def greatest_difference(model: Model, params: dict[str, mx.nd.NDArray], numbers: np.ndarray) -> float:
    """Between the scores of a sequence as a whole and step by step, relative to the largest score."""
    scores, _ = model.scores(len(numbers))
    executor = scores.simple_bind(mx.cpu(), grad_req="null", data=(1, len(numbers)))
    executor.copy_params_from(params)
    whole = executor.forward(data=numbers[None])[0].asnumpy()
    network = model.step_by_step(params)
    steps = np.stack([network(data=np.array([[number]], np.float32))[0].asnumpy()[0] for number in numbers])
    return float(np.abs(steps - whole).max() / np.abs(whole).max())


def train(epochs: int, hidden: int, layers: int, out: Path, most: int | None = None) -> tuple[float, float]:
    """Train on the text (at most ``most`` characters); the validation perplexity, and how far steps differ."""
    text = "\n".join(topics[name] for name in sorted(topics))[:most]
    model = Model([*sorted({c for c in text if c.isascii()}), UNREADABLE], hidden, layers)
    numbers = model.encode(text)
    cut = len(numbers) * 9 // 10
    data, valid = batches(numbers[:cut]), batches(numbers[cut:])
    print(
        f"{cut} characters to train on, {len(numbers) - cut} to validate with, {len(model.characters)} different ones"
    )
    guessing = frequency_perplexity(numbers[:cut], numbers[cut:], len(model.characters))
    print(f"perplexity of guessing by frequency: {guessing:.1f}")

    curves = fit(
        mx.mod.Module(model.to_train(), label_names=["label"]),
        data,
        valid,
        lambda: mx.metric.Perplexity(ignore_label=None),
        optimizer="adam",
        optimizer_params={"learning_rate": 0.005, "clip_gradient": 5.0},
        initializer=mx.init.Xavier(),
        epoch_end_callback=[mx.rnn.do_rnn_checkpoint(model.cell, str(out / "char_rnn"), period=epochs)],
        num_epoch=epochs,
    )
    _, params, _ = mx.rnn.load_rnn_checkpoint(model.cell, str(out / "char_rnn"), epochs)
    title = "Characters of the Python language reference"
    draw_curves(out / "perplexity.png", curves, "perplexity", title, ylim=(1, None))
    print(model.write(params, "The ", 300))
    difference = greatest_difference(model, params, numbers[cut : cut + SEQUENCE])
    print(f"greatest difference between steps and the whole sequence: {difference:.1e}")
    print(f"results are in {out}")
    return curves["validation"][-1], difference


def main(arguments: Sequence[str] | None = None) -> tuple[float, float]:
    """Train as the command line says; the validation perplexity, and how far steps differ from the whole."""
    options = parsed(__doc__, "char_rnn", arguments, seed=SEED, epochs=10, hidden=128, layers=1)
    if options.short:
        return train(4, 48, 1, options.out, 60_000)
    return train(options.epochs, options.hidden, options.layers, options.out)


if __name__ == "__main__":
    main()
