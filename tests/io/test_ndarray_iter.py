"""What the batches hold was recorded from MXNet 1.9.1."""

import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symbind as mx
from symbind.io import NDArrayIter


def epochs(iterator, count):
    """For each epoch its batches as (pad, data, label)."""
    found = []
    for _ in range(count):
        found.append(
            [
                (b.pad, b.data[0].asnumpy().astype(int).tolist(), b.label[0].asnumpy().astype(int).tolist())
                for b in iterator
            ]
        )
        iterator.reset()
    return found


def ten(batch_size, **kwargs):
    return NDArrayIter(np.arange(10), np.arange(10) * 10, batch_size, **kwargs)


def tens(values):
    return [10 * v for v in values]


def with_labels(*batches):
    return [(pad, data, tens(data)) for pad, data in batches]


def test_pad_borrows_from_the_beginning():
    epoch = with_labels((0, [0, 1, 2, 3]), (0, [4, 5, 6, 7]), (2, [8, 9, 0, 1]))
    assert epochs(ten(4), 3) == [epoch] * 3


def test_discard_drops_the_rest():
    epoch = with_labels((0, [0, 1, 2, 3]), (0, [4, 5, 6, 7]))
    assert epochs(ten(4, last_batch_handle="discard"), 3) == [epoch] * 3


def test_roll_over_starts_with_the_rest():
    assert epochs(ten(4, last_batch_handle="roll_over"), 5) == [
        with_labels((0, [0, 1, 2, 3]), (0, [4, 5, 6, 7])),
        with_labels((2, [8, 9, 0, 1]), (0, [2, 3, 4, 5]), (0, [6, 7, 8, 9])),
        with_labels((0, [0, 1, 2, 3]), (0, [4, 5, 6, 7])),
        with_labels((2, [8, 9, 0, 1]), (0, [2, 3, 4, 5]), (0, [6, 7, 8, 9])),
        with_labels((0, [0, 1, 2, 3]), (0, [4, 5, 6, 7])),
    ]


def test_shuffled_order_is_that_of_a_seeded_run_of_mxnet():
    np.random.seed(7)
    assert epochs(ten(4, last_batch_handle="roll_over", shuffle=True), 4) == [
        with_labels((0, [8, 5, 0, 2]), (0, [1, 9, 7, 3])),
        with_labels((2, [6, 4, 9, 0]), (0, [8, 4, 1, 6]), (0, [5, 3, 2, 7])),
        with_labels((0, [9, 1, 8, 5]), (0, [0, 4, 3, 6])),
        with_labels((2, [2, 7, 7, 5]), (0, [9, 3, 4, 1]), (0, [6, 0, 2, 8])),
    ]
    np.random.seed(7)
    assert epochs(NDArrayIter(np.arange(5), np.arange(5) * 10, 3, shuffle=True), 4) == [
        with_labels((0, [0, 3, 2]), (1, [1, 4, 0])),
        with_labels((0, [2, 1, 0]), (1, [4, 3, 2])),
        with_labels((0, [3, 1, 2]), (1, [4, 0, 3])),
        with_labels((0, [1, 4, 2]), (1, [0, 3, 1])),
    ]


@pytest.mark.parametrize("batch_size", [11, 25, 30])
def test_pad_wraps_as_often_as_needed(batch_size):
    wrapped = [i % 10 for i in range(batch_size)]
    assert epochs(ten(batch_size), 2) == [with_labels((batch_size - 10, wrapped))] * 2


def test_batches_larger_than_the_data():
    assert epochs(ten(11, last_batch_handle="discard"), 2) == [[], []]
    assert epochs(ten(11, last_batch_handle="roll_over"), 4) == [
        [],
        with_labels((10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0])),
        with_labels((9, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])),
        with_labels((8, [2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2])),
    ]
    assert [len(e) for e in epochs(ten(25, last_batch_handle="roll_over"), 4)] == [0, 0, 1, 0]


def test_only_an_epoch_walked_to_its_end_rolls_over():
    iterator = ten(4, last_batch_handle="roll_over")
    next(iterator), next(iterator)
    iterator.reset()
    assert epochs(iterator, 1) == [with_labels((0, [0, 1, 2, 3]), (0, [4, 5, 6, 7]))]
    # It was reset at its end: the rest is due now, unless it is given up.
    iterator.hard_reset()
    assert epochs(iterator, 1)[0][0] == (0, [0, 1, 2, 3], [0, 10, 20, 30])


def test_end_is_reached_once_and_for_all():
    iterator = ten(4, last_batch_handle="roll_over")
    assert len(list(iterator)) == 2
    for _ in range(3):
        with pytest.raises(StopIteration):
            next(iterator)
    iterator.reset()
    assert next(iterator).pad == 2


@given(
    st.integers(1, 30),
    st.integers(1, 12),
    st.sampled_from(["pad", "discard", "roll_over"]),
    st.booleans(),
    st.integers(1, 4),
)
def test_every_sample_is_visited_as_often_as_promised(count, batch_size, handle, shuffle, walked):
    iterator = NDArrayIter(np.arange(count), batch_size=batch_size, shuffle=shuffle, last_batch_handle=handle)
    seen = []
    for _ in range(walked):
        epoch = []
        for batch in iterator:
            rows = batch.data[0].asnumpy().astype(int).tolist()
            assert len(rows) == batch_size
            epoch += rows[: batch_size - batch.pad] if handle == "pad" else rows
        seen.append(epoch)
        iterator.reset()
    if handle == "pad":
        assert all(sorted(epoch) == list(range(count)) for epoch in seen)
    elif handle == "discard":
        assert all(len(set(epoch)) == len(epoch) == count // batch_size * batch_size for epoch in seen)
    else:
        visited = [row for epoch in seen for row in epoch]
        assert len(visited) == walked * count // batch_size * batch_size
        for start in range(0, len(visited) - count + 1, count):
            assert sorted(visited[start : start + count]) == list(range(count))


def test_forms_of_data():
    iterator = NDArrayIter({"z": np.arange(20).reshape(10, 2), "a": np.arange(10)}, {"y": np.arange(10)}, batch_size=4)
    assert repr(iterator.provide_data) == (
        "[DataDesc[a,(4,),<class 'numpy.float32'>,NCHW], DataDesc[z,(4, 2),<class 'numpy.float32'>,NCHW]]"
    )
    assert repr(iterator.provide_label) == "[DataDesc[y,(4,),<class 'numpy.float32'>,NCHW]]"
    assert iterator.num_source == 3
    batch = next(iterator)
    assert batch.data[0].asnumpy().tolist() == [0, 1, 2, 3]
    assert batch.data[1].asnumpy().tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert batch.index is None

    several = NDArrayIter([np.zeros((5, 2)), np.ones(5)], [np.ones(5), np.ones(5)], batch_size=2)
    assert [d.name for d in several.provide_data] == ["_0_data", "_1_data"]
    assert [d.name for d in several.provide_label] == ["_0_softmax_label", "_1_softmax_label"]

    unlabelled = NDArrayIter(np.zeros((5, 2)), batch_size=2, data_name="x", layout="NC")
    assert repr(unlabelled.provide_data) == "[DataDesc[x,(2, 2),<class 'numpy.float32'>,NC]]"
    assert unlabelled.provide_label == []
    assert next(unlabelled).label == []


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "float16", "float64", "bool"])
def test_numpy_arrays_become_float32(dtype):
    iterator = NDArrayIter(np.ones((4, 3), dtype), batch_size=2)
    assert iterator.provide_data[0].dtype is np.float32
    assert next(iterator).data[0].dtype is np.float32


def test_ndarrays_keep_their_type_and_are_not_copied():
    array = mx.nd.array(np.arange(10), dtype="int32")
    iterator = NDArrayIter(array, batch_size=4)
    assert iterator.provide_data[0].dtype is np.int32
    batch = next(iterator)
    assert batch.data[0].dtype is np.int32
    assert batch.data[0].tensor.data_ptr() == array.tensor.data_ptr()
    assert next(iterator).data[0].tensor.data_ptr() == array.tensor[4:].data_ptr()
    # The last batch takes rows from both ends, which no view can.
    assert next(iterator).data[0].asnumpy().tolist() == [8, 9, 0, 1]


def test_numpy_data_are_copied_when_the_iterator_is_made():
    source = np.zeros(4, np.float32)
    iterator = NDArrayIter(source, batch_size=2)
    source[:] = 1
    assert next(iterator).data[0].asnumpy().tolist() == [0, 0]


def test_samples_along_another_axis():
    data = np.arange(24).reshape(3, 4, 2)
    iterator = NDArrayIter(data, batch_size=3, layout="TNC")
    assert repr(iterator.provide_data) == "[DataDesc[data,(3, 3, 2),<class 'numpy.float32'>,TNC]]"
    first, second = (batch.data[0].asnumpy() for batch in iterator)
    np.testing.assert_array_equal(first, data[:, :3])
    np.testing.assert_array_equal(second, data[:, [3, 0, 1]])


def test_getters_need_a_current_batch():
    iterator = ten(4)
    with pytest.raises(mx.MXNetError, match="NDArrayIter stands before its first batch"):
        iterator.getdata()
    assert iterator.cursor == -4
    assert iterator.iter_next()
    assert iterator.getdata()[0].asnumpy().tolist() == [0, 1, 2, 3]
    assert iterator.getlabel()[0].asnumpy().tolist() == [0, 10, 20, 30]
    assert iterator.getpad() == 0
    assert iterator.iter_next() and iterator.iter_next() and not iterator.iter_next()
    with pytest.raises(mx.MXNetError, match="past its last batch"):
        iterator.getdata()


def test_cursor_is_negative_in_a_batch_that_begins_with_the_rest():
    iterator = ten(4, last_batch_handle="roll_over")
    list(iterator)
    iterator.reset()
    assert [iterator.cursor for _ in iterator] == [-2, 2, 6]


class Dataset:
    """What of h5py.Dataset matters: shape, and an index that must be increasing."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape
        self.dtype = values.dtype

    def __getitem__(self, index):
        rows = index[-1]
        if (np.diff(rows) <= 0).any():
            raise TypeError("Indexing elements must be in increasing order")
        return self.values[index]


@pytest.mark.parametrize("shuffle", [False, True])
def test_h5py_datasets_are_read_batch_by_batch(monkeypatch, shuffle):
    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(Dataset=Dataset))
    values = np.arange(20).reshape(10, 2)
    iterator = NDArrayIter(Dataset(values), np.arange(10), batch_size=4, shuffle=shuffle)
    assert repr(iterator.provide_data) == "[DataDesc[data,(4, 2),<class 'numpy.float32'>,NCHW]]"
    for batch in iterator:
        assert batch.data[0].dtype is np.float32
        np.testing.assert_array_equal(batch.data[0].asnumpy(), values[batch.label[0].asnumpy().astype(int)])


def test_longer_arrays_are_used_in_part_and_shorter_ones_refused():
    with pytest.warns(UserWarning, match=r"Array 'b' of shape \(8,\) has 8 samples; only 5 are used"):
        iterator = NDArrayIter({"a": np.arange(5), "b": np.arange(8)}, batch_size=3)
    assert [b.data[1].asnumpy().tolist() for b in iterator] == [[0, 1, 2], [3, 4, 0]]
    with pytest.raises(ValueError, match=r"Array 'softmax_label' of shape \(9,\) has 9 samples, but 10 are exp"):
        NDArrayIter(np.zeros((10, 3)), np.zeros(9), batch_size=2)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"data": None}, ValueError, "data must hold at least one array"),
        ({"data": []}, ValueError, "data must hold at least one array"),
        ({"data": "abc"}, TypeError, "data must be an array, a list of arrays or a dict"),
        ({"data": {"a": "abc"}}, TypeError, "'a' must be an NDArray, a numeric array or an h5py.Dataset, got str"),
        ({"data": {"a": object()}}, TypeError, "got object"),
        ({"data": np.zeros((0, 3))}, ValueError, r"'data' of shape \(0, 3\) holds no samples"),
        ({"data": np.zeros(())}, ValueError, r"'data' of shape \(\) has no axis 0"),
        ({"data": np.zeros(3), "layout": "TN"}, ValueError, r"'data' of shape \(3,\) has no axis 1"),
        ({"data": np.zeros(3), "layout": "TC"}, ValueError, "layout 'TC' has no 'N'"),
        ({"data": np.zeros(3), "batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"data": np.zeros(3), "last_batch_handle": "keep"}, ValueError, "one of pad, discard, roll_over, got 'keep'"),
    ],
)
def test_errors_say_what_was_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        NDArrayIter(**arguments)


def test_arrays_can_be_written_into() -> None:
    iterator = mx.io.NDArrayIter({"x": np.zeros((4, 1))}, {"y": np.zeros((4, 2))}, batch_size=2)
    iterator.data_list[1][:] = np.arange(8).reshape(4, 2)
    assert [batch.label[0].asnumpy().tolist() for batch in iterator] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


def test_a_reset_of_ones_own_moves_the_cursor() -> None:
    class Reversing(mx.io.NDArrayIter):
        def reset(self) -> None:
            self.data = [(name, mx.nd.array(array.asnumpy()[::-1].copy())) for name, array in self.data]
            self.cursor = -self.batch_size

    iterator = Reversing(np.arange(5), batch_size=2)
    epochs = []
    for _ in range(2):
        epochs.append([(batch.data[0].asnumpy().tolist(), batch.pad) for batch in iterator])
        iterator.reset()
    assert epochs == [[([4, 3], 0), ([2, 1], 0), ([0, 4], 1)], [([0, 1], 0), ([2, 3], 0), ([4, 0], 1)]]
