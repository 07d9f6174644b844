"""Bucketing: an LSTM language model over sentences of different lengths."""

from __future__ import annotations

import logging
import random
import re
from pydoc_data.topics import topics

import numpy as np
import pytest

import symbind as mx

BUCKETS = [10, 20, 30]


def sentences() -> list[list[str]]:
    text = " ".join(topics[name] for name in sorted(topics)[:20]).lower()
    words = [re.findall(r"[a-z]+", sentence) for sentence in re.split(r"[.:;]\s", text)]
    return [sentence for sentence in words if len(sentence) >= 3]


def test_lstm_bucketing(caplog: pytest.LogCaptureFixture) -> None:
    random.seed(0)
    lines = sentences()
    encoded, vocab = mx.rnn.encode_sentences(lines, invalid_label=0, start_label=1)
    assert vocab["\n"] == 0 and min(min(sentence) for sentence in encoded) == 1
    with pytest.warns(UserWarning, match="discarded \\d+ sentences longer than the largest bucket"):
        train = mx.rnn.BucketSentenceIter(encoded[:-60], 16, buckets=BUCKETS, invalid_label=0)
    valid = mx.rnn.BucketSentenceIter(
        [sentence for sentence in encoded[-60:] if len(sentence) <= 30], 16, buckets=BUCKETS, invalid_label=0
    )

    stack = mx.rnn.SequentialRNNCell()
    for i in range(2):
        stack.add(mx.rnn.LSTMCell(num_hidden=16, prefix=f"lstm_l{i}_"))

    def sym_gen(seq_len: int) -> tuple[mx.sym.Symbol, tuple[str], tuple[str]]:
        data = mx.sym.Variable("data")
        label = mx.sym.Variable("softmax_label")
        embed = mx.sym.Embedding(data=data, input_dim=len(vocab), output_dim=16, name="embed")
        stack.reset()
        outputs, _ = stack.unroll(seq_len, inputs=embed, merge_outputs=True)
        pred = mx.sym.Reshape(outputs, shape=(-1, 16))
        pred = mx.sym.FullyConnected(data=pred, num_hidden=len(vocab), name="pred")
        label = mx.sym.Reshape(label, shape=(-1,))
        return mx.sym.SoftmaxOutput(data=pred, label=label, name="softmax"), ("data",), ("softmax_label",)

    model = mx.mod.BucketingModule(sym_gen=sym_gen, default_bucket_key=train.default_bucket_key, context=mx.cpu())
    with caplog.at_level(logging.INFO):
        model.fit(
            train_data=train, eval_data=valid, eval_metric=mx.metric.Perplexity(0), kvstore="device",
            optimizer="sgd", optimizer_params={"learning_rate": 0.2, "momentum": 0.9, "wd": 0.00001},
            initializer=mx.init.Xavier(factor_type="in", magnitude=2.34), num_epoch=3,
            batch_end_callback=mx.callback.Speedometer(16, 5, auto_reset=False),
        )  # fmt: skip
    train_values = [float(v) for v in re.findall(r"Train-perplexity=([\d.]+)", caplog.text)]
    valid_values = [float(v) for v in re.findall(r"Validation-perplexity=([\d.]+)", caplog.text)]
    assert len(train_values) == len(valid_values) == 3
    assert train_values[-1] < 0.7 * train_values[0]
    assert valid_values[-1] < 0.5 * len(vocab)
    assert re.search(r"Epoch\[0\] Batch \[0-10\]\tSpeed: \d+\.\d\d samples/sec\tperplexity=[\d.]+", caplog.text)

    # One set of parameters for all lengths, of the arrays of the largest bucket.
    assert train.default_bucket_key == 30
    assert set(model._buckets) == set(BUCKETS)
    arrays = [module._bound().arg_dict["lstm_l0_i2h_weight"] for module in model._buckets.values()]
    assert all(array is arrays[0] for array in arrays)
    default = model._buckets[30]._bound().memory_plan().arena
    assert all(module._bound().memory_plan().arena <= default for module in model._buckets.values())
    assert np.isfinite(arrays[0].asnumpy()).all()
