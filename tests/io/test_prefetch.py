import gc
import threading
import time

import numpy as np
import pytest

import symbind as mx
from symbind.io import DataBatch, DataDesc, DataIter, NDArrayIter, PrefetchingIter


class Numbers(DataIter):
    """Counts what it is asked for; fails at batch ``fail_at``; starts over if asked after its end."""

    def __init__(self, n, fail_at=None, pad=0):
        super().__init__(2)
        self.n, self.fail_at, self.pad = n, fail_at, pad
        self.asked = 0
        self.threads = set()
        self.provide_data = [("data", (2, 1))]
        self.provide_label = []

    def reset(self):
        self.threads.add(threading.current_thread())
        self.asked = 0

    def next(self):
        self.threads.add(threading.current_thread())
        self.asked += 1
        if self.asked - 1 == self.fail_at:
            raise KeyError("broken record")
        if (self.asked - 1) % (self.n + 1) == self.n:
            raise StopIteration
        return DataBatch([mx.nd.full((2, 1), self.asked - 1)], [], self.pad)


def values(batches):
    return [int(batch.data[0].asnumpy()[0, 0]) for batch in batches]


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_same_batches_as_without():
    data, label = np.random.rand(10, 3), np.arange(10)
    plain = NDArrayIter(data, label, 4)
    ahead = PrefetchingIter(NDArrayIter(data, label, 4))
    assert repr(ahead.provide_data) == repr(plain.provide_data)
    assert repr(ahead.provide_label) == repr(plain.provide_label)
    assert ahead.batch_size == 4
    for _ in range(3):
        expected, found = list(plain), list(ahead)
        assert [b.pad for b in found] == [0, 0, 2]
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a.data[0].asnumpy(), b.data[0].asnumpy())
            np.testing.assert_array_equal(a.label[0].asnumpy(), b.label[0].asnumpy())
        plain.reset()
        ahead.reset()


def test_joins_iterators_and_renames():
    left = NDArrayIter({"data": np.zeros((6, 2))}, {"y": np.zeros(6)}, 3, layout="NC")
    right = NDArrayIter({"data": np.ones((6, 4))}, {"y": np.ones(6)}, 3)
    joined = PrefetchingIter([left, right], [{"data": "data_1"}, {"data": "data_2"}], [{"y": "y_1"}, {"y": "y_2"}])
    assert repr(joined.provide_data) == (
        "[DataDesc[data_1,(3, 2),<class 'numpy.float32'>,NC], DataDesc[data_2,(3, 4),<class 'numpy.float32'>,NCHW]]"
    )
    assert [d.name for d in joined.provide_label] == ["y_1", "y_2"]
    batch = next(joined)
    assert [a.shape for a in batch.data] == [(3, 2), (3, 4)]
    assert [a.asnumpy()[0] for a in batch.label] == [0, 1]
    assert batch.provide_data == joined.provide_data
    assert joined.getdata() is batch.data and joined.getlabel() is batch.label
    assert joined.getpad() == 0 and joined.getindex() is None


def test_reads_ahead_but_not_further_than_it_may():
    inner = Numbers(10)
    ahead = PrefetchingIter(inner, depth=3)
    wait_until(lambda: inner.asked == 3)
    next(ahead)
    wait_until(lambda: inner.asked == 4)
    time.sleep(0.02)
    assert inner.asked == 4
    assert threading.current_thread() not in inner.threads and len(inner.threads) == 1


def test_does_not_ask_after_the_end():
    inner = Numbers(3)
    ahead = PrefetchingIter(inner, depth=5)
    assert values(ahead) == [0, 1, 2]
    assert list(ahead) == []
    assert inner.asked == 4
    ahead.reset()
    assert values(ahead) == [0, 1, 2]


def test_reset_within_an_epoch_starts_over():
    ahead = PrefetchingIter(Numbers(5))
    assert values([next(ahead), next(ahead)]) == [0, 1]
    ahead.reset()
    assert values(ahead) == [0, 1, 2, 3, 4]


def test_exceptions_arrive_where_the_batch_is_missing():
    inner = Numbers(5, fail_at=2)
    ahead = PrefetchingIter(inner)
    assert values([next(ahead), next(ahead)]) == [0, 1]
    for _ in range(2):
        with pytest.raises(KeyError, match="broken record"):
            next(ahead)
    inner.fail_at = None
    ahead.reset()
    assert values(ahead) == [0, 1, 2, 3, 4]


def test_iterators_must_agree():
    with pytest.raises(mx.MXNetError, match="equal length, but iterator 1 ended before iterator 0"):
        list(PrefetchingIter([Numbers(3), Numbers(2)]))
    with pytest.raises(mx.MXNetError, match="must pad alike, but their batches have pad 0, 1"):
        next(PrefetchingIter([Numbers(3), Numbers(3, pad=1)]))


def test_threads_end_with_the_iterator():
    def readers():
        return [t for t in threading.enumerate() if t.name.startswith("prefetch")]

    gc.collect()
    wait_until(lambda: not readers())
    ahead = PrefetchingIter([Numbers(100), Numbers(100)])
    next(ahead)
    assert len(readers()) == 2
    ahead.close()
    assert not readers()
    ahead = PrefetchingIter(Numbers(100))
    next(ahead)
    del ahead
    gc.collect()
    wait_until(lambda: not readers())


def test_batches_keep_their_bucket():
    class Buckets(Numbers):
        def next(self):
            batch = super().next()
            batch.bucket_key = 7
            batch.provide_data = [DataDesc("data", (2, 7))]
            return batch

    batch = next(PrefetchingIter(Buckets(2), rename_data=[{"data": "x"}]))
    assert batch.bucket_key == 7
    assert batch.provide_data == [("x", (2, 7))]


def test_arguments():
    with pytest.raises(ValueError, match="at least one iterator"):
        PrefetchingIter([])
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        PrefetchingIter(Numbers(1), depth=0)
    with pytest.raises(ValueError, match="rename_data has 2 dicts for 1 iterators"):
        PrefetchingIter(Numbers(1), [{}, {}])
    with pytest.raises(ValueError, match="rename_data has no new name for 'data'"):
        PrefetchingIter(Numbers(1), [{"x": "y"}])
