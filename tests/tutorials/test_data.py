"""Loading data: iterators over arrays and files, an iterator of one's own, record files and images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

import symbind as mx
from symbind import im2rec


def test_reading_data_in_memory() -> None:
    data, label = np.random.rand(100, 3), np.random.randint(0, 10, (100,))
    batches = mx.io.NDArrayIter(data=data, label=label, batch_size=30)
    shapes = [(batch.data[0].shape, batch.pad) for batch in batches]
    assert shapes == [((30, 3), 0)] * 3 + [((30, 3), 20)]


def test_reading_data_from_csv_files(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    np.savetxt(path, np.random.rand(100, 3), delimiter=",")
    batches = mx.io.CSVIter(data_csv=str(path), data_shape=(3,), batch_size=30)
    shapes = [(batch.data[0].shape, batch.pad) for batch in batches]
    assert shapes == [((30, 3), 0)] * 3 + [((30, 3), 20)]


class Generated(mx.io.DataIter):
    """Ten batches out of two functions; descriptions are plain tuples of name and shape."""

    def __init__(self, make_data: Callable[[], np.ndarray], make_label: Callable[[], np.ndarray]) -> None:
        super().__init__()
        self.makers = make_data, make_label
        self.left = 10

    @property
    def provide_data(self) -> list[tuple]:
        return [("data", self.makers[0]().shape)]

    @property
    def provide_label(self) -> list[tuple]:
        return [("softmax_label", self.makers[1]().shape)]

    def reset(self) -> None:
        self.left = 10

    def next(self) -> mx.io.DataBatch:
        if not self.left:
            raise StopIteration
        self.left -= 1
        data, label = (mx.nd.array(make()) for make in self.makers)
        return mx.io.DataBatch([data], [label])


def test_an_iterator_of_ones_own() -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc1", num_hidden=64)
    net = mx.sym.Activation(net, name="relu1", act_type="relu")
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, name="fc2", num_hidden=10), name="softmax")
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label"]
    assert net.list_outputs() == ["softmax_output"]
    random = np.random.RandomState(0)
    batches = Generated(lambda: random.uniform(-1, 1, (32, 100)), lambda: random.randint(0, 10, 32))
    seen: list[tuple[int, int]] = []
    mx.mod.Module(net).fit(batches, num_epoch=5, batch_end_callback=lambda step: seen.append((step.epoch, step.nbatch)))
    assert seen == [(epoch, batch) for epoch in range(5) for batch in range(10)]


def test_records(tmp_path: Path) -> None:
    path = str(tmp_path / "tmp.rec")
    record = mx.recordio.MXRecordIO(path, "w")
    for i in range(5):
        record.write(b"record_%d" % i)
    record.close()
    record = mx.recordio.MXRecordIO(path, "r")
    assert [record.read() for _ in range(6)] == [b"record_%d" % i for i in range(5)] + [None]
    record.close()


def test_indexed_records(tmp_path: Path) -> None:
    index, path = str(tmp_path / "tmp.idx"), str(tmp_path / "tmp.rec")
    record = mx.recordio.MXIndexedRecordIO(index, path, "w")
    for i in range(5):
        record.write_idx(i, b"record_%d" % i)
    record.close()
    record = mx.recordio.MXIndexedRecordIO(index, path, "r")
    assert record.read_idx(3) == b"record_3"
    assert record.keys == [0, 1, 2, 3, 4]
    record.close()


def test_packing() -> None:
    one = mx.recordio.IRHeader(flag=0, label=1.0, id=1, id2=0)
    three = mx.recordio.IRHeader(flag=0, label=[1.0, 2.0, 3.0], id=2, id2=0)
    header, payload = mx.recordio.unpack(mx.recordio.pack(one, b"data"))
    assert (tuple(header), payload) == ((0, 1.0, 1, 0), b"data")
    header, payload = mx.recordio.unpack(mx.recordio.pack(three, b"data"))
    assert (header.flag, header.id, payload) == (3, 2, b"data")
    assert header.label.tolist() == [1.0, 2.0, 3.0]


def test_packing_images() -> None:
    pytest.importorskip("PIL")
    header = mx.recordio.IRHeader(flag=0, label=1.0, id=1, id2=0)
    image = np.ones((3, 3, 1), np.uint8)
    packed = mx.recordio.pack_img(header, image, quality=100, img_fmt=".jpg")
    unpacked, decoded = mx.recordio.unpack_img(packed)
    assert tuple(unpacked) == (0, 1.0, 1, 0)
    np.testing.assert_allclose(decoded.squeeze(), 1, atol=1)


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(load_sample_image("china.jpg")).save(tmp_path / "china.png")
    return (tmp_path / "china.png").read_bytes()


def test_decoding_and_augmenting_images(picture: bytes) -> None:
    decoded = mx.image.imdecode(picture)
    np.testing.assert_array_equal(decoded.asnumpy(), load_sample_image("china.jpg"))
    assert mx.image.imresize(decoded, 100, 70).shape == (70, 100, 3)
    crop, (x, y, width, height) = mx.image.random_crop(decoded, (150, 200))
    assert (width, height) == (150, 200)
    np.testing.assert_array_equal(crop.asnumpy(), decoded.asnumpy()[y : y + 200, x : x + 150])


@pytest.mark.parametrize("iterator", ["ImageRecordIter", "ImageIter"])
def test_images_of_record_files(tmp_path: Path, picture: bytes, iterator: str) -> None:
    for kind, count in (("temples", 3), ("towers", 3)):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "images" / kind / f"{i}.png").write_bytes(picture)
    prefix, root = str(tmp_path / "caltech"), str(tmp_path / "images")
    im2rec.main(["--list", "--recursive", "--test-ratio=0.34", prefix, root])
    assert {path.name for path in tmp_path.glob("*.lst")} == {"caltech_train.lst", "caltech_test.lst"}
    im2rec.main(["--pass-through", prefix, root])
    settings: dict[str, Any] = {"batch_size": 4, "data_shape": (3, 227, 227), "path_imgrec": f"{prefix}_train.rec"}
    if iterator == "ImageRecordIter":
        batches = mx.io.ImageRecordIter(**settings, resize=256)
    else:
        batches = mx.image.ImageIter(**settings, path_imgidx=f"{prefix}_train.idx")
    batches.reset()
    batch = batches.next()
    assert batch.data[0].shape == (4, 3, 227, 227)
    assert set(batch.label[0].asnumpy()) <= {0.0, 1.0}
