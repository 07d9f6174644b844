"""BucketingModule: one network per length, over the same parameters, optimizer and memory."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbind as mx

VOCABULARY = 7


def recurrent(length: int) -> tuple[Any, tuple[str], tuple[str]]:
    """A language model of one layer, for sentences of ``length`` words."""
    cell = mx.rnn.LSTMCell(6, prefix="lstm_")
    words = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=VOCABULARY, output_dim=4, name="embed")
    outputs, _ = cell.unroll(length, words, merge_outputs=True)
    scores = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 6)), num_hidden=VOCABULARY, name="pred")
    label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
    return mx.sym.SoftmaxOutput(scores, label, name="softmax"), ("data",), ("softmax_label",)


def summing(length: int) -> tuple[Any, tuple[str], tuple[str]]:
    """Scores from the sum of all inputs, whose number plays no part for the parameters."""
    total = mx.sym.sum(mx.sym.Variable("data"), axis=1, keepdims=True)
    return (
        mx.sym.SoftmaxOutput(mx.sym.FullyConnected(total, num_hidden=3, name="fc"), name="softmax"),
        ("data",),
        ("softmax_label",),
    )


def summing_batch(length: int, size: int = 2) -> Any:
    return mx.io.DataBatch(
        [mx.nd.ones((size, length))],
        [mx.nd.ones((size,))],
        bucket_key=length,
        provide_data=[("data", (size, length))],
        provide_label=[("softmax_label", (size,))],
    )


def ready(**settings: Any) -> Any:
    module = mx.mod.BucketingModule(summing, default_bucket_key=5, **settings)
    module.bind([("data", (2, 5))], [("softmax_label", (2,))])
    module.init_params(mx.init.One())
    module.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
    return module


def test_training_across_buckets_as_in_mxnet() -> None:
    """Weights after steps in several buckets, with momentum, as MXNet 1.9.1 gave them."""
    module = ready()
    recorded = [[0.9, 1.2, 0.9], [0.7380889, 1.5238222, 0.7380889], [0.57957137, 1.8408574, 0.57957137]]
    recorded.append([0.43230492, 2.1353903, 0.43230492])
    for length, weight in zip((3, 5, 4, 3), recorded):
        module.forward(summing_batch(length))
        module.backward()
        module.update()
        assert module.data_shapes[0].shape == (2, length)
        np.testing.assert_allclose(module.get_params()[0]["fc_weight"].asnumpy().ravel(), weight, rtol=1e-6)


def sentences(count: int) -> list[list[int]]:
    """Sentences in which every word is the one before plus one."""
    random = np.random.RandomState(0)
    return [
        [int((s + i) % (VOCABULARY - 1)) + 1 for i in range(random.randint(3, 9))] for s in random.randint(0, 6, count)
    ]


def test_fit_learns_and_shares_everything() -> None:
    random.seed(0)  # which orders the batches
    np.random.seed(0)
    mx.random.seed(0)
    data = mx.rnn.BucketSentenceIter(sentences(120), 8, buckets=[4, 6, 8], invalid_label=0)
    module = mx.mod.BucketingModule(recurrent, default_bucket_key=data.default_bucket_key)
    metric = mx.metric.Perplexity(ignore_label=0)
    module.fit(
        data,
        eval_metric=metric,
        optimizer="adam",
        optimizer_params={"learning_rate": 0.05},
        initializer=mx.init.Xavier(),
        num_epoch=12,
    )
    data.reset()
    [(_, perplexity)] = module.score(data, metric)
    assert perplexity < 1.3

    executors = [bucket._bound() for bucket in module._buckets.values()]
    assert len(executors) == 3
    first = executors[0]
    for other in executors[1:]:
        for name in module._default._param_names:
            assert other.arg_dict[name] is first.arg_dict[name]
            assert other.grad_dict[name] is first.grad_dict[name]
    assert len({id(bucket._updater) for bucket in module._buckets.values()}) == 1
    # One block of memory serves all: that of the default bucket, which is the largest.
    assert len({e._prepare(True).arena.bytes.data_ptr() for e in executors}) == 1
    assert first.memory_plan().arena == max(e.memory_plan().arena for e in executors)


def test_a_bucket_larger_than_the_default_one() -> None:
    module = ready()
    module.forward(summing_batch(50), is_train=True)
    module.backward()
    module.update()
    alone = mx.mod.Module(*summing(50))
    alone.bind([("data", (2, 50))], [("softmax_label", (2,))])
    alone.init_params(mx.init.One())
    alone.forward(summing_batch(50), is_train=True)
    np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), alone.get_outputs()[0].asnumpy())


def test_prepare_binds_and_does_not_switch() -> None:
    module = ready()
    module.forward(summing_batch(3))
    module.prepare(summing_batch(4))
    assert module.data_shapes[0].shape == (2, 3)
    assert sorted(module._buckets) == [3, 4, 5]


def test_a_batch_of_another_size_and_one_without_a_key() -> None:
    module = ready()
    module.forward(summing_batch(3, size=4))
    assert module.get_outputs()[0].shape == (4, 3)
    module.forward(mx.io.DataBatch([mx.nd.ones((2, 5))], [mx.nd.ones((2,))]))
    assert module.data_shapes[0].shape == (2, 5)
    assert module.output_shapes == [("softmax_output", (2, 3))]


def test_checkpoints(tmp_path: Path) -> None:
    module = ready()
    module.forward(summing_batch(3))
    prefix = str(tmp_path / "net")
    module.save_checkpoint(prefix, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0003.params", "net-3-symbol.json", "net-5-symbol.json", "net.buckets",
    ]  # fmt: skip
    loaded = mx.mod.BucketingModule.load(prefix, 3, sym_gen=summing, default_bucket_key=5)
    loaded.bind([("data", (2, 5))], [("softmax_label", (2,))], for_training=False)
    for length in (3, 4):
        loaded.forward(summing_batch(length))
        module.forward(summing_batch(length), is_train=False)
        np.testing.assert_array_equal(loaded.get_outputs()[0].asnumpy(), module.get_outputs()[0].asnumpy())
    with pytest.raises(AssertionError, match="sym_gen"):
        mx.mod.BucketingModule.load(prefix, 3)


def test_binding_again_keeps_parameters() -> None:
    module = ready()
    module.forward(summing_batch(3))
    module.bind([("data", (4, 5))], [("softmax_label", (4,))], force_rebind=True)
    assert list(module._buckets) == [5]
    assert np.all(module.get_params()[0]["fc_weight"].asnumpy() == 1)
    module.forward(summing_batch(5, size=4))


def test_mistakes() -> None:
    with pytest.raises(AssertionError, match="default_bucket_key"):
        mx.mod.BucketingModule(summing)
    module = mx.mod.BucketingModule(summing, default_bucket_key=5)
    with pytest.raises(AssertionError, match="bind"):
        module.switch_bucket(3, [("data", (2, 3))])
    with pytest.raises(AssertionError, match="init_params"):
        module.get_params()
    with pytest.raises(ValueError, match="x"):
        mx.mod.BucketingModule(lambda key: (mx.sym.Variable("data"), ("x",), None), default_bucket_key=1)

    def growing(length: int) -> Any:
        net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc" if length > 4 else "other")
        return mx.sym.SoftmaxOutput(net, name="softmax"), ("data",), ("softmax_label",)

    module = mx.mod.BucketingModule(growing, default_bucket_key=5)
    module.bind([("data", (2, 5))], [("softmax_label", (2,))])
    module.init_params()
    with pytest.raises(mx.MXNetError, match=r"Bucket 3 has parameters \['other_bias', 'other_weight'\]"):
        module.forward(summing_batch(3))
    with pytest.raises(mx.MXNetError, match=r"fc_weight has shape \(3, 6\) in bucket 6"):
        module.forward(summing_batch(6))
    assert list(module._buckets) == [5]
    module.forward(summing_batch(5))


def test_all_buckets_are_monitored() -> None:
    module, monitor = ready(), mx.mon.Monitor(1, pattern="softmax_output")
    module.install_monitor(monitor)
    monitor.tic()
    module.forward(summing_batch(3))
    module.forward(summing_batch(5))
    assert [name for _, name, _ in monitor.toc()] == ["softmax_output", "softmax_output"]


def test_states_of_the_current_bucket() -> None:
    def with_state(length: int) -> Any:
        net = mx.sym.sum(mx.sym.Variable("data"), axis=1, keepdims=True) + mx.sym.Variable("carried", shape=(2, 1))
        return mx.sym.FullyConnected(net, num_hidden=1, name="fc"), ("data",), None

    module = mx.mod.BucketingModule(with_state, default_bucket_key=5, state_names=["carried"])
    module.bind([("data", (2, 5))], for_training=False)
    module.init_params(mx.init.One())
    module.set_states(value=2)
    assert [state.asnumpy().tolist() for state in module.get_states()] == [[[2], [2]]]
    module.forward(mx.io.DataBatch([mx.nd.ones((2, 5))], bucket_key=5))
    assert module.get_outputs()[0].asnumpy().ravel().tolist() == [7, 7]
