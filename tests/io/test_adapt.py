"""Whatever holds data is accepted where an iterator is, and trains the same network to the same weights."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import symbind as mx
from symbind.io import DataLoaderIter, as_data_iter

RNG = np.random.default_rng(0)
COUNT, BATCH = 22, 4
X = RNG.standard_normal((COUNT, 3)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.float32)


class Frame:
    """The few things that are asked of a data frame, whosever it is."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, names: Any) -> Frame | types.SimpleNamespace:
        if isinstance(names, list):
            return Frame({name: self._columns[name] for name in names})
        return types.SimpleNamespace(to_numpy=lambda: self._columns[names])

    def to_numpy(self) -> np.ndarray:
        return np.stack(list(self._columns.values()), 1)


class Numbered:
    """A data set of torch's kind: numbered samples that do not say where they end."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return X[i % COUNT], int(Y[i % COUNT])


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(0, COUNT, BATCH):
        yield X[i : i + BATCH], Y[i : i + BATCH]


SOURCES: dict[str, Any] = {
    "pair": lambda: (X, Y),
    "pair of NDArrays": lambda: (mx.nd.array(X), mx.nd.array(Y)),
    "pair of tensors": lambda: [torch.from_numpy(X), torch.from_numpy(Y[:, None])],
    "dict": lambda: {"softmax_label": Y, "data": X, "other": None},
    "frame": lambda: Frame({"a": X[:, 0], "b": X[:, 1], "softmax_label": Y, "c": X[:, 2]}),
    "loader": lambda: DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), BATCH),
    "batches": lambda: list(batches()),
    "batches by name": lambda: [{"softmax_label": y, "data": x} for x, y in batches()],
    "batches of batches": lambda: [mx.io.DataBatch([mx.nd.array(x)], [mx.nd.array(y)]) for x, y in batches()][:-1],
    "groups": lambda: [([x], [y]) for x, y in batches()],
    "samples": lambda: list(zip(X, Y.tolist())),
    "samples by name": lambda: [{"data": x, "softmax_label": y, "i": 1} for x, y in zip(X, Y.astype(int))],
    "tensor samples": lambda: TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "numbered": Numbered,
    "generator": batches,
}


@pytest.mark.parametrize("name", SOURCES)
def test_all_samples_come_in_batches(name: str) -> None:
    iterator = as_data_iter(SOURCES[name](), batch_size=BATCH)
    assert iterator.provide_data == [("data", (BATCH, 3))]
    assert iterator.provide_label == [("softmax_label", (BATCH,))]
    expected = COUNT - COUNT % BATCH if name == "batches of batches" else COUNT
    for _ in range(1 if name == "generator" else 2):
        iterator.reset()
        rows, labels = [], []
        for batch in iterator:
            assert (batch.data[0].shape, batch.data[0].dtype) == ((BATCH, 3), np.float32)
            kept = BATCH - (batch.pad or 0)
            rows.append(batch.data[0].asnumpy()[:kept])
            labels.append(batch.label[0].asnumpy()[:kept])
        np.testing.assert_array_equal(np.concatenate(rows), X[:expected])
        np.testing.assert_array_equal(np.concatenate(labels), Y[:expected])


def module() -> mx.mod.Module:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    return mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))


def trained(data: Any, **settings: Any) -> tuple[np.ndarray, mx.mod.Module]:
    model = module()
    model.fit(data, num_epoch=3, initializer=mx.init.One(), optimizer_params={"learning_rate": 0.3}, **settings)
    return model.get_params()[0]["fc_weight"].asnumpy(), model


@pytest.mark.parametrize("name", ["loader", "batches", "batches by name", "groups"])
def test_training_as_with_an_iterator(name: str) -> None:
    expected, _ = trained(mx.io.NDArrayIter(X[:20], Y[:20], BATCH))
    source = SOURCES[name]()
    if name == "loader":
        source = DataLoader(TensorDataset(torch.from_numpy(X[:20]), torch.from_numpy(Y[:20])), BATCH, num_workers=0)
    else:
        source = source[:-1]
    got, model = trained(source, eval_data=(X, Y))
    np.testing.assert_allclose(got, expected, 1e-6)
    accuracy = ((X @ got.T).argmax(1) == Y).mean()
    assert model.score((X, Y), "acc")[0][1] == model.score(SOURCES[name](), "acc")[0][1]
    assert model.score({"data": X, "softmax_label": Y}, "acc")[0][1] == pytest.approx(accuracy, abs=0.2)
    whole = model.predict(mx.io.NDArrayIter(X, batch_size=BATCH)).asnumpy()
    np.testing.assert_allclose(model.predict(SOURCES[name]()).asnumpy(), whole, 1e-6)
    np.testing.assert_allclose(model.predict([X]).asnumpy(), whole, 1e-6)
    np.testing.assert_allclose(model.predict(torch.from_numpy(X)).asnumpy(), whole, 1e-6)


def test_training_on_arrays_visits_them_in_another_order_each_time() -> None:
    seen = []

    def look(param: Any) -> None:
        seen.append(param.locals["batch"].data[0].asnumpy().tolist())

    np.random.seed(0)
    trained((X[:20], Y[:20]), batch_end_callback=look)
    assert len(seen) == 3 and all(sorted(epoch) == sorted(X[:20].tolist()) for epoch in seen)
    assert seen[0] != seen[1] != seen[2]


def test_feed_forward() -> None:
    net = module().symbol
    with pytest.warns(DeprecationWarning):
        model = mx.model.FeedForward(net, num_epoch=2, numpy_batch_size=BATCH, learning_rate=0.1)
    model.fit(SOURCES["loader"](), eval_data=SOURCES["batches"]())
    expected = model.predict(X)
    for name in ("loader", "frame", "samples", "dict", "pair of tensors"):
        np.testing.assert_allclose(model.predict(SOURCES[name]()), expected, 1e-6)
    assert model.score(SOURCES["numbered"]()) == model.score(mx.io.NDArrayIter(X, Y, BATCH))
    model.fit(torch.from_numpy(X), torch.from_numpy(Y))


def test_several_inputs_and_columns() -> None:
    frame = Frame({"b": X[:, 0], "a": X[:, 1], "y": Y})
    iterator = as_data_iter(frame, ["b", "a"], ["y"], 2)
    assert iterator.provide_data == [("b", (2,)), ("a", (2,))]
    iterator = as_data_iter([(X, X[:, :2], Y)], ["b", "a"], ["y"])
    assert iterator.provide_data == [("b", (COUNT, 3)), ("a", (COUNT, 2))]
    b, a = mx.sym.Variable("b"), mx.sym.Variable("a")
    model = mx.mod.Module(mx.sym.Group([b * 2, a * 3]), ["b", "a"], None)
    model.bind([("b", (2, 3)), ("a", (2, 2))], for_training=False)
    model.init_params()
    for source in ({"a": X[:, :2], "b": X}, [{"a": X[:2, :2], "b": X[:2]}], (X, X[:, :2])):
        doubled, trebled = model.predict(source)
        np.testing.assert_allclose(doubled.asnumpy()[:2], 2 * X[:2])
        np.testing.assert_allclose(trebled.asnumpy()[:2], 3 * X[:2, :2])


def test_short_and_odd_batches() -> None:
    sizes = [4, 3, 5]
    iterator = DataLoaderIter([(np.full((n, 2), n), np.arange(n)) for n in sizes])
    found = list(iterator)
    assert [batch.pad for batch in found] == [0, 1, 0]
    assert found[1].data[0].asnumpy().tolist() == [[3, 3], [3, 3], [3, 3], [4, 4]]
    assert found[0].provide_data is None
    assert found[2].provide_data == [("data", (5, 2))] and found[2].provide_label == [("softmax_label", (5,))]
    narrow = list(DataLoaderIter([np.zeros((4, 3)), np.zeros((2, 2))], label_name=[]))
    assert (narrow[1].pad, narrow[1].provide_data) == (0, [("data", (2, 2))])
    tiny = list(DataLoaderIter([np.zeros((7, 1)), np.arange(3)[:, None]], label_name=[]))
    assert tiny[1].data[0].asnumpy().ravel().tolist() == [0, 1, 2, 0, 0, 0, 0] and tiny[1].label == []
    kept = DataLoaderIter([(np.zeros((2, 2), np.int64), np.zeros(2, np.float64))], dtype=None).next()
    assert (kept.data[0].dtype, kept.label[0].dtype) == (np.int64, np.float64)


def test_the_first_batch_is_read_once() -> None:
    walked = []

    class Loader:
        def __iter__(self) -> Iterator[np.ndarray]:
            walked.append(True)
            return iter([X[:2], X[2:4]])

    iterator = DataLoaderIter(Loader())
    iterator.reset()
    assert len(list(iterator)) == 2 and len(walked) == 1
    iterator.reset()
    assert len(walked) == 1  # not before it is needed: a loader may start processes
    assert len(list(iterator)) == 2 and len(walked) == 2


def test_what_can_be_walked_once_gives_one_epoch() -> None:
    for source in (batches(), iter(zip(X, Y.tolist()))):
        iterator = as_data_iter(source, batch_size=BATCH)
        assert len(list(iterator)) == 6
        iterator.reset()
        with pytest.raises(mx.MXNetError, match="can be walked only once"):
            iterator.next()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (3, TypeError, "not int"),
        ("text", TypeError, "not str"),
        ([], ValueError, "is empty"),
        ({"x": X}, ValueError, r"no \['data'\]; it has \['x'\]"),
        ([{"x": X}], ValueError, r"The batch has no \['data'\]; it has \['x'\]"),
        ((X, Y, Y), ValueError, r"Got 3 arrays, expected \['data', 'softmax_label'\]"),
        ([(X, Y, Y)], ValueError, r"The batch has 3 arrays, expected \['data', 'softmax_label'\]"),
        ([(np.array([["a"]]), Y)], TypeError, "Expected an array of numbers"),
    ],
)
def test_what_does_not_fit(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_data_iter(source)
    model = module()
    with pytest.raises(error, match=message):
        model.fit(source, num_epoch=1)
    assert not model.binded
