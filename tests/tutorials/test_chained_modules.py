"""The examples of modules: one after another, a loss in Python, and the ways to predict."""

from __future__ import annotations

import numpy as np

import symbind as mx

from .data import digits


def layers() -> tuple[mx.sym.Symbol, mx.sym.Symbol]:
    data = mx.sym.Variable("data")
    fc1 = mx.sym.FullyConnected(data, name="fc1", num_hidden=64)
    act1 = mx.sym.Activation(fc1, name="relu1", act_type="relu")
    fc2 = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc2", num_hidden=10)
    return act1, fc2


def batches() -> mx.io.NDArrayIter:
    images, labels = digits()
    return mx.io.NDArrayIter(images[:550].reshape(550, 64), labels[:550], 100)


def test_sequential_module() -> None:
    act1, fc2 = layers()
    softmax = mx.sym.SoftmaxOutput(fc2, name="softmax")
    mod_seq = mx.mod.SequentialModule()
    mod_seq.add(mx.mod.Module(act1, label_names=[])).add(
        mx.mod.Module(softmax, label_names=["softmax_label"]), take_labels=True, auto_wiring=True
    )
    mod_seq.fit(batches(), optimizer_params={"learning_rate": 0.2, "momentum": 0.9}, num_epoch=10)
    [(_, accuracy)] = mod_seq.score(batches(), "acc")
    assert accuracy > 0.9
    arg_params, _ = mod_seq.get_params()
    assert sorted(arg_params) == ["fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"]


def test_python_loss() -> None:
    """A hinge loss of several classes, whose gradient is a function of scores and labels."""

    def hinge(scores: mx.nd.NDArray, labels: mx.nd.NDArray) -> np.ndarray:
        values, chosen = scores.asnumpy(), labels.asnumpy().astype(int)
        rows = np.arange(len(chosen))
        violated = (1 + values - values[rows, chosen][:, None] > 0).astype(np.float32)
        violated[rows, chosen] = 0
        violated[rows, chosen] = -violated.sum(axis=1)
        return violated

    act1, fc2 = layers()
    net = fc2(data=act1)
    module = mx.mod.SequentialModule()
    module.add(mx.mod.Module(net, label_names=[]))
    module.add(mx.mod.PythonLossModule(grad_func=hinge), take_labels=True, auto_wiring=True)
    module.fit(batches(), optimizer_params={"learning_rate": 0.05, "momentum": 0.9}, num_epoch=6)
    [(_, accuracy)] = module.score(batches(), "acc")
    assert accuracy > 0.9


def test_ways_to_predict() -> None:
    act1, fc2 = layers()
    module = mx.mod.Module(mx.sym.SoftmaxOutput(fc2(data=act1), name="softmax"))
    data = batches()
    module.fit(data, num_epoch=1)
    whole = module.predict(data)
    assert whole.shape == (550, 10)
    pieces = module.predict(data, merge_batches=False)
    assert [piece.shape for [piece] in pieces] == [(100, 10)] * 5 + [(50, 10)]
    walked = []
    for outputs, number, batch in module.iter_predict(data):
        assert number == len(walked) and batch.data[0].shape == (100, 64)
        walked.append(outputs[0].asnumpy())
    np.testing.assert_array_equal(np.concatenate(walked), whole.asnumpy())
    np.testing.assert_array_equal(np.concatenate([piece.asnumpy() for [piece] in pieces]), whole.asnumpy())
    by_hand = float((whole.asnumpy().argmax(axis=1) == digits()[1][:550]).mean())
    [(name, accuracy)] = module.score(mx.io.NDArrayIter(digits()[0][:550].reshape(550, 64), digits()[1][:550], 50),
                                      mx.metric.Accuracy())  # fmt: skip
    assert name == "accuracy" and abs(accuracy - by_hand) < 1e-6
