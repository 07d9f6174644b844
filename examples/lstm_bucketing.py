"""Train a language model on sentences of different lengths, one network per length over the same parameters.

The text is the language reference that comes with Python itself (``pydoc_data.topics``, which ``help()`` shows), cut
into sentences of words and punctuation marks. A tenth of the sentences is set aside first and measures the perplexity:
two to the number of bits that the model needs for a word, on average. The network is that of MXNet's tutorial on
bucketing: an embedding, LSTM layers and a softmax over the vocabulary, unrolled for as many words as a bucket has.

    python examples/lstm_bucketing.py            train; results go to build/lstm_bucketing

Expected: a validation perplexity below 50 after ten epochs, which take less than a minute; guessing each word by its
frequency alone has a perplexity of 225. The learning curve is drawn into ``perplexity.png``.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from shared import draw_curves, fit, parsed

import symbind as mx

BUCKETS = [10, 20, 30, 45, 60]
BATCH_SIZE = 32
UNKNOWN = "<unknown>"
RAREST = 3  # words that come less often are unknown
PADDING = 0
TEMPERATURE = 0.6  # below 1 sharpens the distribution from which words are drawn
SEED = 3

Sentences = list[list[str]]


def sentences() -> tuple[Sentences, Sentences]:
    """Sentences to train on and to validate with. Topics quote each other; no sentence is in both."""
    text = re.sub(r"\s+", " ", " ".join(topics[name] for name in sorted(topics)))
    unique = dict.fromkeys(re.split(r"(?<=[.:;!?]) ", text.lower()))
    words = [re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9_*=-]", sentence) for sentence in unique]
    words = [sentence for sentence in words if 4 <= len(sentence) <= BUCKETS[-1]]
    random.Random(SEED).shuffle(words)
    held_out = len(words) // 10
    return words[held_out:], words[:held_out]


def encode(train: Sentences, valid: Sentences) -> tuple[list[list[int]], list[list[int]], dict[str, int]]:
    """The sentences as numbers, and the vocabulary."""
    counts = Counter(word for sentence in train for word in sentence)
    known = [[word if counts[word] >= RAREST else UNKNOWN for word in sentence] for sentence in train]
    numbers, vocabulary = mx.rnn.encode_sentences(known, invalid_label=PADDING, start_label=1)
    return numbers, mx.rnn.encode_sentences(valid, vocab=vocabulary, unknown_token=UNKNOWN)[0], vocabulary


def unigram_perplexity(train: list[list[int]], valid: list[list[int]], words: int) -> float:
    """The perplexity of guessing each word but the first by its frequency, with one more of each to be safe."""
    counts = np.bincount([word for sentence in train for word in sentence], minlength=words) + 1.0
    bits = -np.log2(counts / counts.sum())
    return float(2 ** np.mean([bits[word] for sentence in valid for word in sentence[1:]]))


class LanguageModel:
    """The networks: unrolled over a bucket to train, and for a single word to write text."""

    def __init__(self, words: int, hidden: int, layers: int) -> None:
        self.words = words
        self.hidden = hidden
        self.stack = mx.rnn.SequentialRNNCell()
        for layer in range(layers):
            self.stack.add(mx.rnn.LSTMCell(num_hidden=hidden, prefix=f"lstm_l{layer}_"))
            self.stack.add(mx.rnn.DropoutCell(0.2))

    def scores(self, length: int, begin_state: list | None = None) -> tuple[mx.sym.Symbol, list[mx.sym.Symbol]]:
        """A score for each word as the next one, after each of ``length`` words, and the states then."""
        embed = mx.sym.Embedding(mx.sym.var("data"), input_dim=self.words, output_dim=self.hidden, name="embed")
        outputs, states = self.stack.unroll(length, embed, begin_state=begin_state, merge_outputs=True)
        outputs = mx.sym.Reshape(outputs, shape=(-1, self.hidden))
        return mx.sym.FullyConnected(outputs, num_hidden=self.words, name="pred"), states

    def for_bucket(self, length: int) -> tuple[mx.sym.Symbol, tuple[str], tuple[str]]:
        """The network to train on sentences of ``length`` words; padding is no word to be learnt."""
        label = mx.sym.Reshape(mx.sym.var("softmax_label"), shape=(-1,))
        scores, _ = self.scores(length)
        loss = mx.sym.SoftmaxOutput(scores, label, use_ignore=True, ignore_label=PADDING, name="softmax")
        return loss, ("data",), ("softmax_label",)

    def write(self, params: dict[str, mx.nd.NDArray], vocabulary: dict[str, int], start: Sequence[str]) -> str:
        """``start``, continued to the end of the sentence word by word, states carried along.

        Words are drawn from the model's distribution, sharpened so that unlikely ones hardly come.
        """
        self.stack.reset()
        begin = self.stack.begin_state(func=mx.sym.Variable)
        scores, states = self.scores(1, begin)
        becomes = {state.name: after for state, after in zip(begin, states)}
        network = mx.rnn.StepByStep(scores, params, becomes, data=(1, 1))
        spelled = {number: word for word, number in vocabulary.items()}
        text = list(start)
        for at in range(BUCKETS[-1]):
            [output] = network(data=np.array([[vocabulary[text[at]]]], np.float32))
            if at < len(text) - 1:
                continue
            logits = output.asnumpy()[0].astype(np.float64) / TEMPERATURE
            logits[[PADDING, vocabulary[UNKNOWN]]] = -np.inf
            likelihoods = np.exp(logits - logits.max())
            text.append(spelled[np.random.choice(self.words, p=likelihoods / likelihoods.sum())])
            if text[-1] in ".:;!?":
                break
        return " ".join(text)


def train(epochs: int, hidden: int, layers: int, out: Path, most: int | None = None) -> float:
    """Train on the sentences (at most ``most``), save and draw into ``out``; returns the validation perplexity."""
    train_words, valid_words = sentences()
    train_numbers, valid_numbers, vocabulary = encode(train_words[:most], valid_words)
    words = len(vocabulary)
    print(f"{len(train_numbers)} sentences to train on, {len(valid_numbers)} to validate with, {words} words")
    print(f"perplexity of guessing by frequency: {unigram_perplexity(train_numbers, valid_numbers, words):.0f}")

    def batches(numbers: list[list[int]]) -> mx.rnn.BucketSentenceIter:
        return mx.rnn.BucketSentenceIter(numbers, BATCH_SIZE, buckets=BUCKETS, invalid_label=PADDING)

    data, valid = batches(train_numbers), batches(valid_numbers)
    model = LanguageModel(words, hidden, layers)
    module = mx.mod.BucketingModule(model.for_bucket, default_bucket_key=data.default_bucket_key)
    curves = fit(
        module,
        data,
        valid,
        lambda: mx.metric.Perplexity(ignore_label=PADDING),
        optimizer="adam",
        optimizer_params={"learning_rate": 0.005, "clip_gradient": 5.0},
        initializer=mx.init.Xavier(factor_type="in", magnitude=2.34),
        num_epoch=epochs,
    )
    module.save_checkpoint(str(out / "lstm"), epochs)
    title = "Sentences of the Python language reference"
    draw_curves(out / "perplexity.png", curves, "perplexity", title, yscale="log")
    for start in ("the", "if the", "a class"):
        print("  " + model.write(module.get_params()[0], vocabulary, start.split()))
    print(f"results are in {out}")
    return curves["validation"][-1]


def main(arguments: Sequence[str] | None = None) -> float:
    """Train as the command line says; returns the validation perplexity."""
    options = parsed(__doc__, "lstm_bucketing", arguments, seed=SEED, epochs=10, hidden=128, layers=1)
    if options.short:
        return train(5, 48, 1, options.out, 900)
    return train(options.epochs, options.hidden, options.layers, options.out)


if __name__ == "__main__":
    main()
