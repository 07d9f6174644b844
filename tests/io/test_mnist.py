"""What the batches hold was recorded from MXNet 1.9.1."""

import gzip
import logging
import struct

import numpy as np
import pytest

import symbind as mx
from symbind.io import MNISTIter

IMAGES = (np.arange(60).reshape(10, 2, 3) * 4 % 256).astype(np.uint8)


def idx(array, magic=None, shape=None):
    shape = array.shape if shape is None else shape
    magic = 0x0800 + array.ndim if magic is None else magic
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def files(tmp_path):
    """Ten images of 2x3 pixels; image k starts with pixel 24k and has label k."""
    (tmp_path / "images").write_bytes(idx(IMAGES))
    (tmp_path / "labels").write_bytes(idx(np.arange(10)))
    return {"image": str(tmp_path / "images"), "label": str(tmp_path / "labels"), "silent": True}


def labels(iterator):
    return [batch.label[0].asnumpy().astype(int).tolist() for batch in iterator]


def test_batches_and_descriptions(files):
    iterator = MNISTIter(**files, batch_size=4, shuffle=False)
    assert repr(iterator.provide_data) == "[DataDesc[data,(4, 1, 2, 3),<class 'numpy.float32'>,NCHW]]"
    assert repr(iterator.provide_label) == "[DataDesc[softmax_label,(4,),<class 'numpy.float32'>,NCHW]]"
    for _ in range(2):
        first, second = iterator
        np.testing.assert_array_equal(first.data[0].asnumpy(), IMAGES[:4, None] / 256)
        np.testing.assert_array_equal(second.data[0].asnumpy(), IMAGES[4:8, None] / 256)
        assert (first.pad, second.pad) == (0, 0)
        assert second.label[0].asnumpy().tolist() == [4, 5, 6, 7]
        iterator.reset()


def test_flat_images_and_types(files):
    iterator = MNISTIter(**files, batch_size=4, shuffle=False, flat=True, dtype="float64")
    assert repr(iterator.provide_data) == "[DataDesc[data,(4, 6),<class 'numpy.float64'>,NCHW]]"
    np.testing.assert_array_equal(next(iterator).data[0].asnumpy(), IMAGES[:4].reshape(4, 6) / 256)


def test_shuffling_keeps_images_with_their_labels_and_one_order(files):
    iterator = MNISTIter(**files, batch_size=5, seed=3)
    first = labels(iterator)
    assert first != [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert sorted(first[0] + first[1]) == list(range(10))
    iterator.reset()
    for batch in iterator:
        np.testing.assert_array_equal(batch.data[0].asnumpy()[:, 0], IMAGES[batch.label[0].asnumpy().astype(int)] / 256)
    iterator.reset()
    assert labels(iterator) == first == labels(MNISTIter(**files, batch_size=5, seed=3))
    assert labels(MNISTIter(**files, batch_size=5, seed=4)) != first


def test_parts(files):
    parts = [MNISTIter(**files, batch_size=2, shuffle=False, num_parts=3, part_index=i) for i in range(3)]
    assert [labels(part) for part in parts] == [[[0, 1]], [[3, 4]], [[6, 7], [8, 9]]]
    with pytest.raises(mx.MXNetError, match=r"part_index must lie in \[0, num_parts\), got 3 of 3"):
        MNISTIter(**files, num_parts=3, part_index=3)


def test_compressed_files(files, tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert labels(MNISTIter(**files, batch_size=5, shuffle=False)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_says_what_it_loaded(files, caplog):
    files["silent"] = False
    with caplog.at_level(logging.INFO):
        MNISTIter(**files, batch_size=4)
    assert caplog.messages == ["MNISTIter: load 10 images, shuffle=1, shape=(4, 1, 2, 3)"]


@pytest.mark.parametrize(
    "content, message",
    [
        (idx(IMAGES, magic=0x0801), "starts with 00000801, but .* with 00000803"),
        (b"", "starts with nothing"),
        (idx(IMAGES)[:10], r"should be \d+ bytes long, but is 10"),
        (idx(IMAGES)[:-1], r"states sizes \(10, 2, 3\) and should be 76 bytes long, but is 75"),
        (idx(IMAGES) + b"x", "should be 76 bytes long, but is more"),
        (idx(IMAGES, shape=(2**32 - 1,) * 3), "should be 79228162458924105385300197391 bytes long, but is 76"),
        (gzip.compress(idx(IMAGES, shape=(2**32 - 1,) * 3)), "should be 79228162458924105385300197391 bytes long"),
        (gzip.compress(idx(IMAGES))[:30], "Cannot read"),
        (gzip.compress(idx(IMAGES))[:-6] + b"\0\0\0\0\0\0", "Cannot read"),
        (idx(IMAGES[:9]), r"holds 9 images, but .*labels' 10 labels"),
        (None, "Cannot read .*No such file"),
    ],
)
def test_damaged_files_are_named(files, tmp_path, content, message):
    if content is None:
        (tmp_path / "images").unlink()
    else:
        (tmp_path / "images").write_bytes(content)
    with pytest.raises(mx.MXNetError, match=message) as caught:
        MNISTIter(**files, batch_size=2)
    assert str(tmp_path / "images") in str(caught.value)


def test_arguments(files):
    with pytest.raises(mx.MXNetError, match="10 images do not fill a batch of 11"):
        MNISTIter(**files, batch_size=11)
    with pytest.raises(mx.MXNetError, match="leaves nothing of them as uint8"):
        MNISTIter(**files, dtype="uint8")
    with pytest.warns(UserWarning, match="MNISTIter makes no use of input_shape"):
        MNISTIter(**files, batch_size=2, input_shape=(6,))


def test_getters_give_arrays(tmp_path):
    (tmp_path / "i").write_bytes(b"\0\0\x08\x03" + np.array([4, 1, 2], ">u4").tobytes() + bytes(8))
    (tmp_path / "l").write_bytes(b"\0\0\x08\x01" + np.array([4], ">u4").tobytes() + bytes(range(4)))
    iterator = mx.io.MNISTIter(image=tmp_path / "i", label=tmp_path / "l", batch_size=2, shuffle=False)
    assert isinstance(iterator, mx.io.MXDataIter)
    assert iterator.iter_next()
    assert iterator.getdata().shape == (2, 1, 1, 2)
    assert iterator.getlabel().asnumpy().tolist() == [0, 1]
    assert [batch.label[0].asnumpy().tolist() for batch in iterator] == [[2, 3]]
