"""FeedForward, the model API of the early tutorials."""

import logging
import re

import numpy as np
import pytest

import symbind as mx

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def cancer():
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    return X[:400], y[:400].astype(np.float32), X[400:], y[400:].astype(np.float32)


def classifier():
    with mx.name.NameManager():
        net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=10)
        net = mx.sym.Activation(net, act_type="tanh")
        return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=2), name="softmax")


def test_create_trains_and_logs(caplog, tmp_path):
    X, y, X_val, y_val = cancer()
    np.random.seed(0)
    mx.random.seed(0)
    counts = []
    prefix = str(tmp_path / "cancer")
    with caplog.at_level(logging.INFO):
        model = mx.model.FeedForward.create(
            classifier(), X=X, y=y, ctx=mx.cpu(), num_epoch=4, learning_rate=0.1, momentum=0.9,
            initializer=mx.init.Uniform(0.07), eval_data=(X_val, y_val), numpy_batch_size=50,
            batch_end_callback=lambda p: counts.append((p.epoch, p.nbatch)),
            epoch_end_callback=mx.callback.do_checkpoint(prefix),
        )  # fmt: skip
    lines = [r.getMessage() for r in caplog.records]
    assert lines[0] == "Start training with [cpu(0)]"
    assert lines[1] == "Epoch[0] Resetting Data Iterator"
    assert re.fullmatch(r"Epoch\[0\] Time cost=\d+\.\d{3}", lines[2])
    assert lines[3] == f'Saved checkpoint to "{prefix}-0001.params"'
    assert re.fullmatch(r"Epoch\[0\] Validation-accuracy=\d\.\d{6}", lines[4])
    assert counts[0] == (0, 1) and counts[7] == (0, 8) and counts[8] == (1, 1)
    assert model.score(mx.io.NDArrayIter(X_val, y_val, 50)) > 0.9


def test_predict_save_and_load(tmp_path):
    X, y, X_val, y_val = cancer()
    model = mx.model.FeedForward(classifier(), num_epoch=2, learning_rate=0.1)
    model.fit(X, y)
    predicted = model.predict(X_val)
    assert isinstance(predicted, np.ndarray) and predicted.shape == (169, 2)
    model.save(str(tmp_path / "m"))
    again = mx.model.FeedForward.load(str(tmp_path / "m"), 2)
    assert again.begin_epoch == 2
    np.testing.assert_array_equal(again.predict(X_val), predicted)
    outputs, data, label = again.predict(mx.io.NDArrayIter(X_val, y_val, 50), return_data=True)
    assert outputs.shape == (169, 2)
    np.testing.assert_array_equal(data, X_val)
    np.testing.assert_array_equal(label, y_val)


def test_epoch_size_ends_an_epoch():
    X, y, _, _ = cancer()
    counts = []
    mx.model.FeedForward(classifier(), num_epoch=2, epoch_size=3, numpy_batch_size=100).fit(
        X, y, batch_end_callback=lambda p: counts.append((p.epoch, p.nbatch))
    )
    assert counts == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_mistakes_are_named():
    X, y, _, _ = cancer()
    twice = mx.sym.var("a") + mx.sym.var("a")
    with pytest.raises(ValueError, match='Find duplicated argument name "a"'):
        mx.model.FeedForward(twice)
    with pytest.raises(AssertionError, match="num_epoch"):
        mx.model.FeedForward(classifier()).fit(X, y)
    with pytest.raises(ValueError, match="y must be specified"):
        mx.model.FeedForward(classifier(), num_epoch=1).fit(X)
    with pytest.raises(ValueError, match="are not equal"):
        mx.model.FeedForward(classifier(), num_epoch=1).fit(X, y[:7])
    with pytest.raises(mx.MXNetError, match="no parameters yet"):
        mx.model.FeedForward(classifier()).predict(X)
    with pytest.raises(TypeError, match="X must be a DataIter"):
        mx.model.FeedForward(classifier(), num_epoch=1).fit([1, 2], y)
    with pytest.raises(ValueError, match="eval_data must be an iterator or a pair"):
        mx.model.FeedForward(classifier(), num_epoch=1).fit(X, y, eval_data=(None, y))
    with pytest.raises(TypeError, match="NDArrayIter has no default_bucket_key"):
        mx.model.FeedForward(lambda key: classifier(), num_epoch=1).fit(X, y)


def test_several_contexts_share_a_batch_by_their_work_loads():
    """All samples of a batch count once, whoever has them, so that the parameters are those of one context."""
    X, y, X_val, _ = cancer()

    def trained(**settings):
        mx.random.seed(1)
        it = mx.io.NDArrayIter(X, y, 100)
        model = mx.model.FeedForward(classifier(), num_epoch=2, learning_rate=0.1, ctx=settings.pop("ctx", None))
        model.fit(it, **settings)
        return model

    one = trained()
    two = trained(ctx=[mx.cpu(0), mx.cpu(1)], work_load_list=[3, 1], kvstore="device")
    for name, value in one.arg_params.items():
        np.testing.assert_allclose(two.arg_params[name].asnumpy(), value.asnumpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(two.predict(X_val[:1]), one.predict(X_val[:1]), rtol=1e-4)
    with pytest.raises(AssertionError, match="work_load_list has 1 entries for 2 contexts"):
        trained(ctx=[mx.cpu(0), mx.cpu(1)], work_load_list=[3])


def test_a_function_of_buckets():
    def network(length):
        cell = mx.rnn.RNNCell(8)
        embedded = mx.sym.Embedding(mx.sym.var("data"), input_dim=6, output_dim=4, name="embed")
        outputs, _ = cell.unroll(length, embedded, merge_outputs=True)
        scores = mx.sym.FullyConnected(mx.sym.reshape(outputs, (-1, 8)), num_hidden=6, name="scores")
        label = mx.sym.reshape(mx.sym.var("softmax_label"), (-1,))
        return mx.sym.SoftmaxOutput(scores, label, use_ignore=True, ignore_label=0, name="softmax")

    sentences = [[1, 2, 3], [3, 4, 5, 1, 2], [2, 3, 4], [1, 2, 3, 4, 5]] * 4
    batches = mx.rnn.BucketSentenceIter(sentences, 4, buckets=[3, 5], invalid_label=0)
    model = mx.model.FeedForward(network, num_epoch=20, optimizer="adam", learning_rate=0.05)
    with pytest.raises(mx.MXNetError, match="fit it before it is used"):
        model.save("never_written")
    perplexity = mx.metric.Perplexity(ignore_label=0)
    model.fit(batches, eval_metric=perplexity)
    assert perplexity.get()[1] < 1.5
    assert model.symbol.infer_shape(data=(4, 5), softmax_label=(4, 5))[1] == [(20, 6)]
    longest = mx.rnn.BucketSentenceIter(sentences[1::2], 4, buckets=[5], invalid_label=0)
    outputs, data, _ = model.predict(longest, return_data=True)
    # Every word is followed by the next one; the last of a sentence by anything.
    followers = outputs.argmax(axis=1).reshape(data.shape)[:, :-1]
    np.testing.assert_array_equal(followers, data[:, 1:])


def test_validation_is_logged_unless_told_otherwise(caplog):
    X, y, X_val, y_val = cancer()
    with caplog.at_level(logging.INFO):
        model = mx.model.FeedForward(classifier(), num_epoch=1)
        model.fit(X, y, eval_data=(X_val, y_val), eval_end_callback=None)
    assert "Validation" not in caplog.text


def test_parameters_of_another_network():
    X, *_ = cancer()
    net = classifier()
    shapes = dict(zip(net.list_arguments(), net.infer_shape(data=(1, 30))[0]))
    params = {name: mx.nd.ones(shapes[name]) for name in net.list_arguments()[1:-1]}

    def model(**options):
        return mx.model.FeedForward(net, arg_params={**params, "more": mx.nd.ones(1)}, aux_params={}, **options)

    with pytest.raises(ValueError, match="'more' that is not in the arguments"):
        model().predict(X)
    np.testing.assert_allclose(model(allow_extra_params=True).predict(X), 0.5)


def test_validation_on_an_iterator_in_a_pair():
    X, y, X_val, y_val = cancer()
    seen = []
    validation = mx.io.NDArrayIter(X_val, y_val, 13)
    mx.model.FeedForward(classifier(), num_epoch=1).fit(
        X, y, eval_data=(validation, None), eval_end_callback=lambda step: seen.append(step.nbatch)
    )
    assert seen == [13]
