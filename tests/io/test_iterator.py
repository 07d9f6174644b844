import pickle

import numpy as np
import pytest

import symbind as mx


class Countdown(mx.io.DataIter):
    """Batches 0 … n-1, in the way the tutorials write iterators of their own."""

    def __init__(self, n, batch_size=2):
        super().__init__(batch_size)
        self.n = n
        self.at = 0
        self.provide_data = [("data", (batch_size, 1))]
        self.provide_label = []

    def reset(self):
        self.at = 0

    def next(self):
        if self.at == self.n:
            raise StopIteration
        self.at += 1
        return mx.io.DataBatch([mx.nd.full((self.batch_size, 1), self.at - 1)], [], 0, bucket_key=self.at)


def values(batches):
    return [int(batch.data[0].asnumpy()[0, 0]) for batch in batches]


def test_data_desc_is_a_tuple_that_knows_more():
    desc = mx.io.DataDesc("data", (2, 3))
    assert desc == ("data", (2, 3))
    assert (desc.name, desc.shape, desc.dtype, desc.layout) == ("data", (2, 3), np.float32, "NCHW")
    assert repr(desc) == "DataDesc[data,(2, 3),<class 'numpy.float32'>,NCHW]"
    copy = pickle.loads(pickle.dumps(mx.io.DataDesc("x", (4,), "int32", "N")))
    assert repr(copy) == "DataDesc[x,(4,),int32,N]"


@pytest.mark.parametrize("layout, axis", [("NCHW", 0), ("NT", 0), ("TNC", 1), ("CHW", -1), (None, 0), ("", -1)])
def test_batch_axis(layout, axis):
    assert mx.io.DataDesc.get_batch_axis(layout) == axis


def test_get_list():
    shapes = [("data", (2, 3)), ("b", (1,))]
    assert list(map(repr, mx.io.DataDesc.get_list(shapes, None))) == [
        "DataDesc[data,(2, 3),<class 'numpy.float32'>,NCHW]",
        "DataDesc[b,(1,),<class 'numpy.float32'>,NCHW]",
    ]
    assert list(map(repr, mx.io.DataDesc.get_list(shapes, [("b", "int32"), ("data", "float16")]))) == [
        "DataDesc[data,(2, 3),float16,NCHW]",
        "DataDesc[b,(1,),int32,NCHW]",
    ]


def test_batch_describes_itself_and_wants_lists():
    batch = mx.io.DataBatch([mx.nd.zeros((3, 2))], [mx.nd.zeros((3,))], pad=1)
    assert str(batch) == "DataBatch: data shapes: [(3, 2)] label shapes: [(3,)]"
    assert (batch.pad, batch.index, batch.bucket_key, batch.provide_data) == (1, None, None, None)
    assert str(mx.io.DataBatch([mx.nd.zeros((3, 2))])) == "DataBatch: data shapes: [(3, 2)] label shapes: None"
    with pytest.raises(TypeError, match="data of a batch must be a list of NDArrays, got NDArray"):
        mx.io.DataBatch(mx.nd.zeros((3, 2)))
    with pytest.raises(TypeError, match="label of a batch must be a list of NDArrays, got ndarray"):
        mx.io.DataBatch([mx.nd.zeros((3, 2))], np.zeros(3))


def test_base_iterator_is_empty():
    iterator = mx.io.DataIter(3)
    assert iterator.batch_size == 3
    assert iter(iterator) is iterator
    assert list(iterator) == []


def test_resize_starts_again_and_stops_early():
    assert values(mx.io.ResizeIter(Countdown(3), 5)) == [0, 1, 2, 0, 1]
    short = mx.io.ResizeIter(Countdown(3), 2)
    assert values(short) == [0, 1]
    assert list(short) == []
    short.reset()
    assert values(short) == [0, 1]


def test_resize_may_go_on_where_it_stopped():
    iterator = mx.io.ResizeIter(Countdown(3), 2, reset_internal=False)
    assert values(iterator) == [0, 1]
    iterator.reset()
    assert values(iterator) == [2, 0]


def test_resize_passes_everything_through():
    inner = Countdown(3)
    inner.default_bucket_key = 7
    iterator = mx.io.ResizeIter(inner, 2)
    assert iterator.provide_data == inner.provide_data
    assert iterator.batch_size == 2
    assert iterator.default_bucket_key == 7
    assert iterator.getpad() is None
    batch = next(iterator)
    assert batch.bucket_key == 1
    assert iterator.getdata() is batch.data
    assert iterator.getlabel() is batch.label
    assert iterator.getpad() == 0
    assert iterator.getindex() is None
