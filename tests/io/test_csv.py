"""What the batches hold was recorded from MXNet 1.9.1."""

import numpy as np
import pytest

import symbind as mx
from symbind.io import CSVIter


@pytest.fixture
def seven(tmp_path):
    """Seven lines 0,1,2 / 3,4,5 / … and seven labels."""
    np.savetxt(tmp_path / "data.csv", np.arange(21).reshape(7, 3), "%d", ",")
    np.savetxt(tmp_path / "label.csv", np.arange(7), "%d")
    return {"data_csv": str(tmp_path / "data.csv"), "data_shape": (3,), "batch_size": 3}


def epochs(iterator, count):
    found = []
    for _ in range(count):
        found.append([(batch.pad, batch.index.tolist()) for batch in iterator])
        iterator.reset()
    return found


def test_batches_and_descriptions(seven, tmp_path):
    iterator = CSVIter(**seven, label_csv=str(tmp_path / "label.csv"), data_name="x")
    assert repr(iterator.provide_data) == "[DataDesc[x,(3, 3),<class 'numpy.float32'>,NCHW]]"
    assert repr(iterator.provide_label) == "[DataDesc[softmax_label,(3,),<class 'numpy.float32'>,NCHW]]"
    assert iterator.batch_size == 3
    for batch in iterator:
        rows = batch.index.astype(int)
        np.testing.assert_array_equal(batch.data[0].asnumpy(), np.arange(21).reshape(7, 3)[rows])
        np.testing.assert_array_equal(batch.label[0].asnumpy(), rows)
        assert batch.index.dtype == np.uint64


def test_an_epoch_starts_after_the_borrowed_rows(seven):
    assert epochs(CSVIter(**seven), 4) == [
        [(0, [0, 1, 2]), (0, [3, 4, 5]), (2, [6, 0, 1])],
        [(0, [2, 3, 4]), (1, [5, 6, 0])],
        [(0, [1, 2, 3]), (0, [4, 5, 6])],
        [(0, [0, 1, 2]), (0, [3, 4, 5]), (2, [6, 0, 1])],
    ]
    seven["batch_size"] = 10
    assert epochs(CSVIter(**seven), 2) == [
        [(3, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2])],
        [(6, [3, 4, 5, 6, 0, 1, 2, 3, 4, 5])],
    ]


def test_without_rounding_every_epoch_starts_at_the_beginning(seven):
    epoch = [(0, [0, 1, 2]), (0, [3, 4, 5]), (2, [6, 0, 1])]
    assert epochs(CSVIter(**seven, round_batch=False), 3) == [epoch] * 3


def test_reset_within_an_epoch_goes_back_to_the_beginning(seven):
    iterator = CSVIter(**seven)
    next(iterator)
    iterator.reset()
    assert next(iterator).index.tolist() == [0, 1, 2]
    list(iterator)
    iterator.reset()
    iterator.reset()
    assert next(iterator).index.tolist() == [0, 1, 2]


def test_without_labels_they_are_zero(seven):
    assert next(CSVIter(**seven)).label[0].asnumpy().tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_types_and_shapes(seven, dtype):
    seven["data_shape"] = (3, 1)
    batch = next(CSVIter(**seven, dtype=dtype))
    assert batch.data[0].shape == (3, 3, 1)
    assert batch.data[0].dtype is getattr(np, dtype)
    assert batch.data[0].asnumpy()[1].tolist() == [[3], [4], [5]]


def test_labels_of_several_numbers(seven, tmp_path):
    np.savetxt(tmp_path / "pairs.csv", np.arange(18).reshape(9, 2), "%d", ",")
    iterator = CSVIter(**seven, label_csv=str(tmp_path / "pairs.csv"), label_shape=(2,))
    assert iterator.provide_label[0].shape == (3, 2)
    # More labels than samples do no harm.
    assert [b.label[0].asnumpy()[0, 0] for b in iterator] == [0, 6, 12]


def test_spaces_blank_lines_and_line_ends(seven, tmp_path):
    (tmp_path / "data.csv").write_bytes(b"\xef\xbb\xbf1, 2 ,3\r\n\r\n1e2,-.5,nan\n4,5,6")
    data = next(CSVIter(**seven)).data[0].asnumpy()
    np.testing.assert_array_equal(data, np.array([[1, 2, 3], [100, -0.5, np.nan], [4, 5, 6]], np.float32))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"1,2,x\n4,5,6\n", r"not a table of numbers: could not convert string 'x'"),
        (b"1,2,3\n4,5\n", r"not a table of numbers: .*3.* 2 "),
        (b"1,2,3\n4,,5\n", r"not a table of numbers: could not convert string ''"),
        (b"1,2\n4,5\n", r"has 2 numbers a line, but shape \(3,\) needs 3"),
        (b"", "holds no numbers"),
        (b"\xff\xfe\x00", "not a table of numbers: .* can't decode byte"),
        (None, "Cannot read .*No such file"),
    ],
)
def test_damaged_files_are_named(seven, tmp_path, content, message):
    if content is None:
        (tmp_path / "data.csv").unlink()
    else:
        (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(mx.MXNetError, match=message) as caught:
        CSVIter(**seven)
    assert str(tmp_path / "data.csv") in str(caught.value)


def test_too_few_labels(seven, tmp_path):
    np.savetxt(tmp_path / "label.csv", np.arange(5), "%d")
    with pytest.raises(mx.MXNetError, match=r"label.csv' holds 5 labels, but .*data.csv' holds 7 samples"):
        CSVIter(**seven, label_csv=str(tmp_path / "label.csv"))


def test_arguments(seven):
    with pytest.raises(mx.MXNetError, match="CSVIter reads float32, int32, int64, not uint8"):
        CSVIter(**seven, dtype="uint8")
    with pytest.warns(UserWarning, match="CSVIter makes no use of prefetch_buffer, xyz"):
        CSVIter(**seven, prefetch_buffer=3, xyz=1)
    with pytest.raises(TypeError, match="positional"):
        CSVIter("data.csv", (3,), 3)
