"""FeedForward, the model API of the first years."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx

from .data import cancer

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def logistic_regression() -> mx.sym.Symbol:
    data = mx.symbol.Variable("data")
    return mx.symbol.SoftmaxOutput(mx.symbol.FullyConnected(data, name="fc1", num_hidden=2), name="softmax")


@pytest.mark.parametrize("how", ["create", "fit"])
def test_training_and_files(how: str, tmp_path: Path) -> None:
    x, y = cancer()
    data_set = mx.io.NDArrayIter(x, y, 50)
    softmax = logistic_regression()
    if how == "create":
        model = mx.model.FeedForward.create(softmax, X=data_set, num_epoch=5, learning_rate=0.01)
    else:
        model = mx.model.FeedForward(softmax, num_epoch=5, learning_rate=0.01)
        model.fit(X=data_set)
    assert model.score(data_set) > 0.9
    prefix = str(tmp_path / "mymodel")
    model.save(prefix, 100)
    assert {path.name for path in tmp_path.iterdir()} == {"mymodel-symbol.json", "mymodel-0100.params"}
    loaded = mx.model.FeedForward.load(prefix, 100)
    assert loaded.begin_epoch == 100
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_a_list_of_devices() -> None:
    x, y = cancer()
    model = mx.model.FeedForward.create(
        logistic_regression(), X=x, y=y, ctx=[mx.cpu(i) for i in range(4)], num_epoch=5, learning_rate=0.01
    )
    assert model.predict(x).shape == (569, 2)
    assert (model.predict(x).argmax(axis=1) == y).mean() > 0.9
